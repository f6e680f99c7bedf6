fdtape-analyze verify --repair "$TESTDATA/curl-tls13.tape"
