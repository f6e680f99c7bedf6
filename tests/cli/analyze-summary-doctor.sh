# The summary counts what doctor tells.
cd "$TESTDATA" || exit
for tape in trouble.tape curl-tls13.tape golden/v1/truncated.tape; do
	fdtape-analyze summary --json $tape | jq -c .doctor >"$OLDPWD/summary"
	fdtape-analyze doctor --json $tape | jq -cs '{errors: map(select(.severity == "error")) | length,
		warnings: map(select(.severity == "warning")) | length, notes: map(select(.severity == "note")) | length}' |
		cmp - "$OLDPWD/summary" && echo "$tape: the same"
done 2>/dev/null
fdtape-analyze summary curl-tls13.tape | grep ^doctor
