: >nothing.tape
fdtape-analyze summary nothing.tape
