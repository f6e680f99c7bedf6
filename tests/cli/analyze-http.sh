cd "$TESTDATA" && fdtape-analyze http curl-tls13.tape
