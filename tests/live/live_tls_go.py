# SPDX-License-Identifier: BSD-2-Clause
"""Go's crypto/tls: a client and a server, with symbols and stripped, static and position-independent."""
import os
import socket
import ssl
import threading

from live import ROOM, Skip, analyze, certificate, equal, free_port, json_lines, main, read, record, recording, run, server, sha256, \
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


# Serves the folder; writes of each request which path it was, who asked, and on which fd, as the runtime knows it.
SERVER_OF_MANY = """package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os"
	"syscall"
)

func main() {
	log, err := os.Create(os.Args[5])
	if err != nil {
		panic(err)
	}
	http.HandleFunc("/", func(to http.ResponseWriter, from *http.Request) {
		fmt.Fprintf(log, "%s %s %d\\n", from.URL.Path, from.RemoteAddr, from.Context().Value("fd"))
		http.ServeFile(to, from, os.Args[4] + from.URL.Path)
	})
	server := &http.Server{Addr: os.Args[1], ConnContext: func(context_ context.Context, conn net.Conn) context.Context {
		raw, _ := conn.(*tls.Conn).NetConn().(syscall.Conn).SyscallConn()
		var fd uintptr
		raw.Control(func(it uintptr) { fd = it })
		return context.WithValue(context_, "fd", fd)
	}}
	panic(server.ListenAndServeTLS(os.Args[2], os.Args[3]))
}
"""
# Both ends in one program: 50 goroutines, 20 requests each, every body checked. Run with GOGC=1, which has the stacks
# scanned and shrunk all the time. The last line it prints is its verdict.
LOAD = """package main

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
)

func deep(n int) int { // a stack that grows, and is shrunk when it is no longer used
	var room [1024]byte
	room[n] = 1
	if n == 0 {
		return 0
	}
	return deep(n-1) + int(room[n])
}

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	go http.ServeTLS(listener, http.HandlerFunc(func(to http.ResponseWriter, from *http.Request) {
		deep(20)
		body, _ := io.ReadAll(from.Body)
		to.Write(bytes.Repeat(body, 50))
	}), os.Args[1], os.Args[2])
	var good int64
	var all sync.WaitGroup
	for i := 0; i < 50; i++ {
		all.Add(1)
		go func(i int) {
			defer all.Done()
			client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
			for j := 0; j < 20; j++ {
				body := []byte(fmt.Sprintf("%d of %d\\n", j, i))
				answer, err := client.Post("https://"+listener.Addr().String(), "text/plain", bytes.NewReader(body))
				if err != nil {
					fmt.Println(err)
					return
				}
				got, _ := io.ReadAll(answer.Body)
				if sha256.Sum256(got) == sha256.Sum256(bytes.Repeat(body, 50)) {
					atomic.AddInt64(&good, 1)
				}
				deep(100)
				if j%5 == 0 {
					runtime.GC()
				}
			}
			client.CloseIdleConnections()
		}(i)
	}
	all.Wait()
	fmt.Println(good, "good")
}
"""
# Reads by a net.Conn of its own, whose fd only nesting tells.
WRAPPED = """package main

import (
	"crypto/tls"
	"io"
	"net"
	"os"
)

type counted struct {
	calls int
	conn  net.Conn
}

func (c *counted) Read(b []byte) (int, error) { c.calls++; return c.conn.Read(b) }

type wrapped struct {
	*counted
	net.Conn
}

func (w wrapped) Read(b []byte) (int, error) { return w.counted.Read(b) }

func main() {
	raw, err := net.Dial("tcp", os.Args[1])
	if err != nil {
		panic(err)
	}
	conn := tls.Client(wrapped{&counted{conn: raw}, raw}, &tls.Config{InsecureSkipVerify: true})
	conn.Write([]byte("GET / HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n"))
	answer, err := io.ReadAll(conn)
	if err != nil {
		panic(err)
	}
	os.Stdout.Write(answer)
	conn.Close()
}
"""
# Reads into an array on the stack of a new goroutine: the handshake, which the first Read makes, needs a larger one, so
# that the array is elsewhere when Read returns.
ON_STACK = """package main

import (
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"unsafe"
)

func get(conn *tls.Conn, done chan bool) {
	var answer [600]byte
	before := uintptr(unsafe.Pointer(&answer))
	n, err := conn.Read(answer[:])
	after := uintptr(unsafe.Pointer(&answer))
	if err != nil {
		panic(err)
	}
	fmt.Println(before != after)
	os.Stdout.Write(append([]byte{}, answer[:n]...))
	done <- true
}

func main() {
	raw, err := net.Dial("tcp", os.Args[1])
	if err != nil {
		panic(err)
	}
	conn := tls.Client(raw, &tls.Config{InsecureSkipVerify: true})
	done := make(chan bool)
	go get(conn, done)
	<-done
	conn.Close()
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


def client_calls():
    """client with --tls calls: bodies, without any key"""
    with workspace() as folder, https(folder, "TLSv1.3") as site:
        program, tape = build(folder, CLIENT, "-ldflags=-s -w"), f"{folder}/go.tape"
        equal("status", record(tape, program, site.url, f"{folder}/got.bin", site.upload,
                               options=("--tls", "calls")).returncode, 0)
        check_client(tape, site, None, "calls", post=True)
        equal("keys", analyze("keylog", tape), b"")


def fds(mode, plaintext):
    need("curl")
    count = 50
    with workspace() as folder:
        program, port, tape, log = build(folder, SERVER_OF_MANY), free_port(), f"{folder}/server.tape", f"{folder}/log"
        cert, key = certificate(folder)
        os.mkdir(f"{folder}/files")
        for i in range(count):
            with open(f"{folder}/files/{i}", "wb") as file:
                file.write(os.urandom(20000 + 100 * i))
        command = [program, f"127.0.0.1:{port}", cert, key, f"{folder}/files", log]
        with server(*command, port=port) as process, recording(tape, "-p", str(process.pid), "--tls", mode, *ROOM):
            run("curl", "-sSk", "--http1.1", "--parallel", "--parallel-immediate", "--parallel-max", str(count),
                *[word for i in range(count) for word in ("-o", f"{folder}/got.{i}", f"https://127.0.0.1:{port}/{i}")])
        for i in range(count):
            equal("curl's copy", sha256(read(f"{folder}/got.{i}")), sha256(read(f"{folder}/files/{i}")))
        said = [line.split() for line in read(log).decode().splitlines()]
        flows = {f["flow"]: f for f in json_lines("flows", tape) if f["fd"] is not None}
        told = [(h["path"], flows[h["flow"]]["remote"], flows[h["flow"]]["fd"], h["complete"], h["response_body_sha256"])
                for h in json_lines("http", tape)]
        equal("exchanges", sorted(told), sorted((path, remote, int(fd), True, sha256(read(f"{folder}/files{path}")))
                                                for path, remote, fd in said))
        equal("how many", len(told), count)
        equal("plaintext by", {flows[h["flow"]]["tls"]["plaintext"] for h in json_lines("http", tape)}, {plaintext})


def fds_calls():
    """50 connections at a time to one server, --tls calls: each on the fd that the server says"""
    fds("calls", "calls")


def fds_auto():
    """50 connections at a time to one server: both sources, each on the fd that the server says"""
    fds("auto", "both")


def load(*options):
    with workspace() as folder:
        program, tape = build(folder, LOAD, *options), f"{folder}/load.tape"
        done = record(tape, program, *certificate(folder), options=ROOM, env={"GOGC": "1"})
        equal("the program's own verdict", (done.returncode, done.stdout.splitlines()[-1:]), (0, [b"1000 good"]))
        exchanges = json_lines("http", tape)
        for role in "client", "server":
            equal(f"{role}: exchanges", sorted((h["request_body_sha256"], h["response_body_sha256"]) for h in exchanges
                                               if h["role"] == role and h["complete"]),
                  sorted((sha256(body), sha256(body * 50)) for body in
                         (b"%d of %d\n" % (j, i) for i in range(50) for j in range(20))))
        equal("plaintext by", {f["tls"]["plaintext"] for f in json_lines("flows", tape) if f["tls"]["verdict"] == "tls"},
              {"both"})
        equal("verify", run(os.environ["BIN"] + "/fdtape-analyze", "verify", tape).returncode, 0)


def load_symbols():
    """1000 requests by 50 goroutines whose stacks are moved: unharmed, every body at both ends by both sources"""
    load()


def load_stripped():
    """the same, stripped, position-independent and linked with the C library"""
    load("-buildmode=pie", "-ldflags=-s -w")


def on_stack():
    """a buffer on a stack that is moved while it is read to, --tls calls"""
    answer = os.urandom(150).hex().encode() + b"\n"
    with workspace() as folder:
        program, tape = build(folder, ON_STACK), f"{folder}/stack.tape"
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate(folder))

        def serve_one(listener):
            with context.wrap_socket(listener.accept()[0], server_side=True) as conn:
                conn.sendall(answer)
                conn.recv(1)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            thread = threading.Thread(target=serve_one, args=(listener,), daemon=True)
            thread.start()
            done = record(tape, program, f"127.0.0.1:{listener.getsockname()[1]}", options=("--tls", "calls"))
            thread.join(10)
        equal("moved, and read", done.stdout, b"true\n" + answer)
        flow = [f for f in json_lines("flows", tape) if f["tls"]["verdict"] == "tls"]
        equal("flows", [(f["tls"]["plaintext"], f["in"]["plaintext"]) for f in flow], [("calls", len(answer))])
        equal("stream", analyze("stream", "--flow", str(flow[0]["flow"]), "--dir", "in", "--raw", tape), answer)


def wrapped():
    """a net.Conn of the program's own beneath: --tls calls, by what is nested alone"""
    with workspace() as folder, https(folder, "TLSv1.3") as site:
        program, tape = build(folder, WRAPPED), f"{folder}/wrapped.tape"
        done = record(tape, program, f"127.0.0.1:{site.port}", options=("--tls", "calls"))
        equal("its copy", sha256(done.stdout.split(b"\r\n\r\n", 1)[1]), sha256(site.body))
        check_client(tape, site, None, "calls")


main(client_13, client_12, client_stripped, client_pie, client_calls, server_running, server_stripped, server_later,
     fds_calls, fds_auto, load_symbols, load_stripped, on_stack, wrapped)
