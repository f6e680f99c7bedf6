fdtape-record -p nginx
