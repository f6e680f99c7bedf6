cd "$TESTDATA" && fdtape-analyze info curl-tls13.tape
