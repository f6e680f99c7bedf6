# Files that are named for TLS, and the functions' places in them.
for options in '--symbols s -a' '--library a --symbols s --symbols t -a' '--library a --tls off -a'; do
	fdtape-record $options
	echo $?
done
