# The tapes that never change, and what they hold: SHA256SUMS tells both; libfdtape and tests/reader.py each read them.
cp "$TESTDATA"/golden/v1/* .
for tape in *.tape; do
	name=${tape%.tape}
	grep -q "  $tape\$" SHA256SUMS || echo "$tape: not in SHA256SUMS"
	"$BIN/tests/dump" "$tape" >"$name.dump" 2>/dev/null
	c=$?
	python3 -B "$TESTDATA/../tests/reader.py" "$tape" >"$name.py" 2>/dev/null
	py=$?
	cmp -s "$name.dump" "$name.py" || echo "$tape: reader.py tells other items"
	fdtape-analyze verify "$tape" >/dev/null 2>&1
	echo "$tape: verify $?, dump $c, reader.py $py; $(grep -c '"item":"event"' "$name.dump") events"
done
sha256sum -c --quiet SHA256SUMS
