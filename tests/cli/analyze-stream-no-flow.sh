fdtape-analyze stream --flow 4711 --raw "$TESTDATA/curl-tls12.tape"
