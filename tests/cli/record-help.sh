fdtape-record --help
