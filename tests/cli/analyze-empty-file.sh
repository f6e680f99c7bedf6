: >empty
fdtape-analyze summary empty
