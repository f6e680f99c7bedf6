cd "$TESTDATA"
fdtape-analyze flows nginx-proxy.tape
fdtape-analyze http nginx-proxy.tape
