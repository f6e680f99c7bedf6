fdtape-analyze http "$TESTDATA/curl-tls13.tape"
