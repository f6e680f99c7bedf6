# From the footer of a file, or by reading a pipe through: the same.
for tape in "$TESTDATA"/*.tape; do
	fdtape-analyze info "$tape" >file
	fdtape-analyze info - <"$tape" >redirected
	cat "$tape" | fdtape-analyze info - >piped
	cmp file piped && cmp file redirected
	[ -s file ] && echo same
done
