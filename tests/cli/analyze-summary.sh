cd "$TESTDATA" && fdtape-analyze summary curl-tls13.tape
