fdtape-record -o no/such/folder/x.tape -- true
