# A byte in the middle is another one; what is left becomes a sound tape that tells what it lost.
cp "$TESTDATA/curl-tls13.tape" damaged.tape
printf X | dd of=damaged.tape bs=1 seek=2000 conv=notrunc 2>/dev/null
fdtape-analyze verify --repair -o repaired.tape damaged.tape
echo "status $?"
fdtape-analyze verify repaired.tape
fdtape-analyze -q info repaired.tape | grep ^lost
head -c 3000 "$TESTDATA/curl-tls13.tape" >truncated.tape
fdtape-analyze verify --repair -o repaired.tape truncated.tape
echo "status $?"
fdtape-analyze verify repaired.tape
fdtape-analyze verify --repair -o copy.tape "$TESTDATA/curl-tls13.tape" 2>/dev/null
echo "status $?"
fdtape-replay --expect "$TESTDATA/curl-tls13.transcript" copy.tape && echo same
