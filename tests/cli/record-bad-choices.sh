# What each choice takes, with the value that it was given.
for options in '--comm=' '--comm a-name-that-is-too-long' '--uid nobody-of-this-name' \
	'--uid 4294967295' '--port 0' '--port 65536' '--port https' '--container xyz' '--container 12ab' '--pid 0'; do
	fdtape-record $options
	echo $?
done
fdtape-record $(for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17; do printf ' --port %s' $i; done)
