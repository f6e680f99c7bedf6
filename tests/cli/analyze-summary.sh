fdtape-analyze summary "$TESTDATA/curl-tls13.tape"
