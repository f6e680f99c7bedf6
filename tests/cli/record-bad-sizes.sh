for options in '--ring 48M' '--ring 32K' '--ring 2G' '--snaplen many' '--max-size 1K' '--rotate 10' '--keep 0 --rotate 1M' \
	'--keep 1000000 --rotate 1M' '--last 0' '--last long' '-d 0s' '--files=bytes'; do
	fdtape-record $options -a
	echo $?
done
