# What people write by habit is answered with the right word.
for spec in bin.contains:nginx mod:socket,bin.contains:nginx mod:http 'nginx' 'mod:socket,' '' user:33 colour:red exe: port:http \
	comm.contains:x exe.is:/usr/sbin/nginx; do
	fdtape-record --trace "$spec"
	echo $?
done
fdtape-record --bpf-trace bin.contains:nginx
