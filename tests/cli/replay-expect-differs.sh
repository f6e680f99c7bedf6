sed "s/200/201/" "$TESTDATA/curl-clear.transcript" >other
fdtape-replay --expect other "$TESTDATA/curl-clear.tape"
