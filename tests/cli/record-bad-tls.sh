fdtape-record --tls all -a
