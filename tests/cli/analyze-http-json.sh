cd "$TESTDATA" && fdtape-analyze --json http curl-clear.tape
