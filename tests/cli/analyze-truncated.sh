head -c -100 "$TESTDATA/curl-tls13.tape" >truncated.tape
fdtape-analyze --json http truncated.tape | cut -c1-60
fdtape-analyze http truncated.tape >/dev/null
