fdtape-analyze flows
