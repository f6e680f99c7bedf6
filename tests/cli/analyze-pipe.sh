cat "$TESTDATA/curl-clear.tape" | fdtape-analyze http -
