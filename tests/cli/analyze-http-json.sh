fdtape-analyze --json http "$TESTDATA/curl-clear.tape"
