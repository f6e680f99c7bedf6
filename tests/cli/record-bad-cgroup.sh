# The tree may be mounted anywhere, or nowhere: only what does not depend on that.
for options in '--cgroup /no/such/folder' '--container 0123456789abcdef'; do
	fdtape-record $options 2>said
	echo $?
	wc -l <said
	grep -o "^fdtape-record: option '--[a-z]* [^ ]*': " said
	grep -cE 'there is no folder /.*/no/such/folder: |no container.s folder below .* \(there are: |no cgroup2 tree is mounted; mount one' said
done
