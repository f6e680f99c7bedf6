fdtape-replay --help
