cd "$TESTDATA" && fdtape-analyze flows curl-tls13.tape
