fdtape-record -o x.tape
