cd "$TESTDATA"
sed "s/GET .small.txt/GET \/smell.txt/" curl-clear.transcript >"$OLDPWD/other"
fdtape-replay --expect "$OLDPWD/other" curl-clear.tape | sed "s/[^ ]*other/other/"
fdtape-replay --expect "$OLDPWD/other" curl-clear.tape >/dev/null
