fdtape-analyze verify "$TESTDATA"/*.tape
