fdtape-record --pidd 1
