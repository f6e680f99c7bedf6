fdtape-record -o x.tape -- no-such-program
status=$?
ls
exit $status
