cd "$TESTDATA" && fdtape-analyze --json flows nginx-proxy.tape
