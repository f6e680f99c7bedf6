fdtape-analyze sumary x.tape
