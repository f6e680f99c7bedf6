echo "I am no tape" >text
fdtape-analyze summary text
