fdtape-analyze --help
