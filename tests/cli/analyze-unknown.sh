cd "$TESTDATA" && fdtape-analyze flows -v --flow 47 trouble.tape && fdtape-analyze flows --json --flow 47 trouble.tape &&
	fdtape-analyze summary trouble.tape | sed -n '/^UNKNOWN/,/^$/p'
