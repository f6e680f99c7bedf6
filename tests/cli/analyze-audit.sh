cd "$TESTDATA" && fdtape-analyze audit nginx-proxy.tape && fdtape-analyze audit -v --json curl-tls13.tape && fdtape-analyze audit libraries.tape
