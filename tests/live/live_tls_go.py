# SPDX-License-Identifier: BSD-2-Clause
"""Go's crypto/tls: a client and a server, with symbols and stripped, static and position-independent."""
import os

from live import Skip, analyze, certificate, equal, free_port, json_lines, main, read, record, recording, run, server, sha256, \
    workspace
from tls_live import check_client, check_keys, https, keylog_lines, need

CLIENT = """package main

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"syscall"
)

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func main() {
	config := &tls.Config{InsecureSkipVerify: true}
	if path := os.Getenv("SSLKEYLOGFILE"); path != "" {
		file, err := os.Create(path)
		check(err)
		config.KeyLogWriter = file
	}
	// Constants, as a label is one, have not been touched in a program that was loaded a moment ago. (In a
	// position-independent one these pages also hold what was relocated, and can't be dropped.)
	maps, err := os.ReadFile("/proc/self/maps")
	check(err)
	for _, line := range strings.Split(string(maps), "\\n") {
		var from, to uintptr
		n, _ := fmt.Sscanf(line, "%x-%x", &from, &to)
		if n == 2 && from < 1<<32 && strings.Contains(line, " r--p ") && strings.HasSuffix(line, "/program") {
			syscall.Syscall(syscall.SYS_MADVISE, from, to-from, 4 /* MADV_DONTNEED */)
		}
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: config}}
	answer, err := client.Get(os.Args[1])
	check(err)
	body, err := io.ReadAll(answer.Body)
	check(err)
	check(os.WriteFile(os.Args[2], body, 0644))
	upload, err := os.ReadFile(os.Args[3])
	check(err)
	answer, err = client.Post(os.Args[1], "application/octet-stream", bytes.NewReader(upload))
	check(err)
	io.ReadAll(answer.Body)
}
"""
SERVER = """package main

import (
	"net/http"
	"os"
)

func main() {
	http.HandleFunc("/", func(to http.ResponseWriter, from *http.Request) { http.ServeFile(to, from, os.Args[4]) })
	panic(http.ListenAndServeTLS(os.Args[1], os.Args[2], os.Args[3], nil))
}
"""


def build(folder, source, *options):
    need("go")
    with open(f"{folder}/main.go", "w") as file:
        file.write(source)
    env = {"GO111MODULE": "off", "GOFLAGS": "", "CGO_ENABLED": "1" if "-buildmode=pie" in options else "0",
           "GOCACHE": os.path.join(os.environ["BIN"], "gocache"), "HOME": folder}
    done = run("go", "build", *options, "-o", f"{folder}/program", f"{folder}/main.go", env=env, check=False)
    if done.returncode:
        raise Skip(f"go build: {done.stderr.decode(errors='replace').splitlines()[-1]}")
    return f"{folder}/program"


def client(version, *options):
    with workspace() as folder, https(folder, version) as site:
        program, tape, log = build(folder, CLIENT, *options), f"{folder}/go.tape", f"{folder}/keys.log"
        equal("status", record(tape, program, site.url, f"{folder}/got.bin", site.upload,
                               env={"SSLKEYLOGFILE": log}).returncode, 0)
        equal("its copy", sha256(read(f"{folder}/got.bin")), sha256(site.body))
        check_client(tape, site, None, "both")
        check_keys(tape, log)
        equal("what the server got", site.posted, [sha256(read(site.upload))])
        # No KeyLogWriter: the same but for the log.
        tape = f"{folder}/silent.tape"
        equal("status", record(tape, program, site.url, f"{folder}/got.bin", site.upload).returncode, 0)
        check_client(tape, site, None, "both")


def client_13():
    """client, TLS 1.3, with symbols: bodies and keys, with a KeyLogWriter and without"""
    client("TLSv1.3")


def client_12():
    """client, TLS 1.2"""
    client("TLSv1.2")


def client_stripped():
    """client, stripped: found by .gopclntab"""
    client("TLSv1.3", "-ldflags=-s -w")


def client_pie():
    """client, stripped, position-independent and linked with the C library"""
    client("TLSv1.3", "-buildmode=pie", "-ldflags=-s -w")


def serve(choose, *options):
    need("curl")
    with workspace() as folder:
        program, port, tape = build(folder, SERVER, *options), free_port(), f"{folder}/server.tape"
        cert, key = certificate(folder)
        with open(f"{folder}/file.bin", "wb") as file:
            file.write(os.urandom(150000))
        log = f"{folder}/keys.log"

        def fetch():
            run("curl", "-sSk", "--http1.1", "-o", f"{folder}/got.bin", f"https://localhost:{port}/file.bin",
                env={"SSLKEYLOGFILE": log})
        command = [program, f"127.0.0.1:{port}", cert, key, f"{folder}/file.bin"]
        if choose == "running":
            with server(*command, port=port) as process, recording(tape, "-p", str(process.pid)):
                fetch()
        else:  # by its path, before it runs
            with recording(tape, "--exe", program), server(*command, port=port):
                fetch()
        equal("curl's copy", sha256(read(f"{folder}/got.bin")), sha256(read(f"{folder}/file.bin")))
        exchanges = [(h["role"], h["status"], h["complete"], h["response_body_sha256"]) for h in json_lines("http", tape)]
        equal("exchanges", exchanges, [("server", 200, True, sha256(read(f"{folder}/file.bin")))])
        equal("key log", keylog_lines(read(log)) - keylog_lines(analyze("keylog", tape)),
              {line for line in keylog_lines(read(log)) if line.startswith("EXPORTER_SECRET")})


def server_running():
    """a running server, by its pid"""
    serve("running")


def server_stripped():
    """a running server, stripped"""
    serve("running", "-ldflags=-s -w")


def server_later():
    """a stripped server that starts while it is waited for: its first connection"""
    serve("later", "-ldflags=-s -w")


main(client_13, client_12, client_stripped, client_pie, server_running, server_stripped, server_later)
