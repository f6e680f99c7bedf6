# Every view gives the same with every number of threads: output, messages and exit status, damaged tapes included.
cp "$TESTDATA/curl-tls13.tape" hurt.tape
printf X | dd of=hurt.tape bs=1 seek=2000 conv=notrunc 2>/dev/null
head -c 30000 "$TESTDATA/nghttp.tape" >cut.tape
printf 'no tape' >text.tape
all() { # JOBS: every view of every tape
	for tape in "$TESTDATA"/*.tape "$TESTDATA"/golden/v1/*.tape *.tape; do
		for view in summary info flows log http 'http --tree' ws sql dns stats 'stream --flow 1' audit doctor verify pcapng \
			keylog; do
			for form in '' --json; do
				echo "$view $form ${tape##*/}"
				# shellcheck disable=SC2086
				fdtape-analyze $view $form --jobs "$1" "$tape" 2>&1
				echo "exit status $?"
			done
		done
	done
	for view in http log flows; do # several as one, and one that comes through a pipe
		fdtape-analyze $view --jobs "$1" "$TESTDATA/curl-tls13.tape" "$TESTDATA/nginx-proxy.tape" hurt.tape cut.tape 2>&1
		cat "$TESTDATA/nginx-proxy.tape" | fdtape-analyze $view --jobs "$1" - 2>&1
		fdtape-analyze $view --jobs "$1" --port 443 --since +0.01 "$TESTDATA/nginx-proxy.tape" 2>&1
	done
}
all 1 >1
for jobs in 2 3 8; do
	all $jobs >$jobs
	cmp 1 $jobs && echo "$jobs: the same"
done
[ "$(grep -ac '^exit status' 1)" -gt 800 ] && echo "of more than 800"
grep -a '^exit status' 1 | sort -u
fdtape-analyze http --jobs 0 "$TESTDATA/curl-tls13.tape"
fdtape-analyze http --jobs 2x "$TESTDATA/curl-tls13.tape"
