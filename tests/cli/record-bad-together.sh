# Options that contradict each other.
for options in '-a -p 1' '-a -e nginx' '-a --comm nginx' '--keep 3 -a' '--rotate 1M -o - -a' '--last 1s --rotate 1M -a' \
	'--last 1s --max-size 100K -a' '--rotate 1M --max-size 100K -a' '--lean --files -a' '--lean --trace mod:file -a'; do
	fdtape-record $options
	echo $?
done
