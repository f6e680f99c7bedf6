fdtape-record -d soon -a
