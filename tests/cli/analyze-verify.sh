cd "$TESTDATA" && fdtape-analyze verify *.tape
