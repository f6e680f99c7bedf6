fdtape-analyze flows no-such.tape
