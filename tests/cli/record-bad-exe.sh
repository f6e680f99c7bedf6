fdtape-record -e ''
echo $?
fdtape-record --exe "/opt/$(printf %064d 1)"
echo $?
fdtape-record $(for i in 1 2 3 4 5 6 7 8 9; do printf ' -e prog%s' $i; done)
