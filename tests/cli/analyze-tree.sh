cd "$TESTDATA"
fdtape-analyze http --tree nginx-proxy.tape
fdtape-analyze http --tree --json nginx-proxy.tape |
	sed 's/.*"flow":\([0-9]*\),.*"role":"\([a-z]*\)".*"path":"\([^"]*\)".*,\("number":.*\)}/flow \1 \2 \3 \4/'
fdtape-analyze http nginx-proxy.tape | wc -l
fdtape-analyze http --tree psql.tape
fdtape-analyze flows --tree nginx-proxy.tape
