fdtape-analyze flows "$TESTDATA/curl-tls13.tape"
