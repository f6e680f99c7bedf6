cd "$TESTDATA"
for tape in *.tape; do
	fdtape-replay --expect "${tape%.tape}.transcript" "$tape" || echo "$tape: $?"
done
