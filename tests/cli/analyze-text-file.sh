echo "I am no tape" >notes.txt
fdtape-analyze summary notes.txt
