fdtape-analyze log "$TESTDATA/curl-tls13.tape"
