fdtape-analyze --json flows "$TESTDATA/nginx-proxy.tape"
