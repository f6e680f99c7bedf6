# One byte in the middle is another one.
cp "$TESTDATA/curl-tls13.tape" damaged.tape
printf X | dd of=damaged.tape bs=1 seek=2000 conv=notrunc 2>/dev/null
fdtape-analyze verify damaged.tape
