# SPDX-License-Identifier: BSD-2-Clause
"""A reverse proxy, HTTP in front and HTTPS behind, in one process: the fds are told apart."""
import os

from live import (ROOM, certificate, equal, free_port, json_lines, main, nginx, nginx_config, read, recording, run, sha256, stream,
                  taking, whole, workspace)


def reverse_proxy():
    """nginx as HTTP front and HTTPS client: front clear, upstream tls, the log a file, requests joined, no byte missing"""
    with workspace() as folder:
        front, back = free_port(), free_port()
        os.makedirs(f"{folder}/www")
        for name, size in (("www/file.bin", 200 * 1024), ("upload.bin", 300 * 1024)):
            with open(f"{folder}/{name}", "wb") as file:
                file.write(os.urandom(size))
        cert, key = certificate(folder)
        behind = nginx_config(folder, f"""
  server {{ listen 127.0.0.1:{back} ssl; ssl_certificate {cert}; ssl_certificate_key {key}; root {folder}/www;
            {taking("/upload")} }}""", "behind")
        proxy = nginx_config(folder, f"""
  server {{ listen 127.0.0.1:{front}; location / {{ proxy_pass https://127.0.0.1:{back}; }} }}""", "proxy")
        with nginx(behind, back), nginx(proxy, front) as process:
            tape = f"{folder}/proxy.tape"
            with recording(tape, *ROOM, "--files=payload", "-p", str(process.pid)) as recorder:
                run("curl", "-sS", "-o", f"{folder}/got.bin", f"http://127.0.0.1:{front}/file.bin")
                run("curl", "-sS", "--data-binary", f"@{folder}/upload.bin", "-o", "/dev/null",
                    f"http://127.0.0.1:{front}/upload")
        equal("curl's copy", read(f"{folder}/got.bin"), read(f"{folder}/www/file.bin"))

        flows = {f["flow"]: f for f in json_lines("flows", tape)}
        whole(tape, recorder.said)  # each byte that was carried is on the tape
        carried = [f for f in flows.values() if f["proto"] == "tcp" and f["in"]["bytes"]]
        for f in carried:
            equal("one process", f["pid"], process.pid)
            is_front = f["local"] == f"127.0.0.1:{front}"
            equal("role", f["role"], "server" if is_front else "client")
            equal("verdict", f["tls"]["verdict"], "clear" if is_front else "tls")
            equal("remote of the upstream", is_front or f["remote"] == f"127.0.0.1:{back}", True)
        equal("clear and tls", sorted(f["tls"]["verdict"] for f in carried), ["clear", "clear", "tls", "tls"])

        log = f"{folder}/proxy/logs/access.log"
        (logs,) = [f for f in flows.values() if f["kind"] == "file" and f["name"] == log]
        equal("the access log", (logs["pid"], logs["tls"]["verdict"], stream(tape, logs, "out")), (process.pid, "clear", read(log)))
        equal("its lines", read(log).count(b"\n"), 2)

        exchanges = json_lines("http", tape)
        equal("requests", sorted((h["role"], h["tls"], h["method"], h["path"], h["status"], h["complete"]) for h in exchanges),
              sorted((role, role == "client", method, path, 200, True) for role in ("server", "client")
                     for method, path in (("GET", "/file.bin"), ("POST", "/upload"))))
        for h in exchanges:
            if h["method"] == "GET":
                equal("GET body", h["response_body_sha256"], sha256(read(f"{folder}/www/file.bin")))
            else:
                equal("POST body", h["request_body_sha256"], sha256(read(f"{folder}/upload.bin")))

        requests = {x["number"]: x for x in json_lines("http", "--tree", tape) if "number" in x}
        joined = {(requests[x["parent"]]["flow"], requests[x["parent"]]["role"], requests[x["parent"]]["path"], x["path"])
                  for x in requests.values() if x["role"] == "client"}
        equal("each upstream request is made for one that was served", sorted(joined),
              sorted((f["flow"], "server", path, path) for f, path in zip((f for f in carried if f["role"] == "server"),
                                                                          ("/file.bin", "/upload"))))


main(reverse_proxy)
