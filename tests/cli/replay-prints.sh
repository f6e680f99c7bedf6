fdtape-replay "$TESTDATA/curl-clear.tape"
