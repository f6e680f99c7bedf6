fdtape-analyze info "$TESTDATA/curl-tls13.tape"
