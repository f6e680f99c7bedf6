# What dns_server.py answers, at its side.
cd "$TESTDATA"
fdtape-analyze dns dns-server.tape
fdtape-analyze --json dns dns-server.tape | head -n 1
fdtape-analyze dns curl-clear.tape
