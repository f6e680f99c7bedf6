# SPDX-License-Identifier: BSD-2-Clause
"""The view `sql`: what PostgreSQL's and MariaDB's own logs, and Redis' own counters, say that they were asked."""
import collections
import contextlib
import os
import re
import shutil

from live import (ROOM, Skip, certificate, equal, free_port, json_lines, main, read, recording, run, server, workspace)
from postgres_cluster import Cluster

SCRIPT = """
create table item(id int primary key, name text);
insert into item select i, 'item ' || i from generate_series(1, 250) i;
select * from item where id <= 37;
select nosuch from item;
update item set name = 'new' where id > 200;
delete from item where id = 1;
copy item to stdout;
select * from item where false;
insert into item values (2, 'twice');
"""
# What the manual says that each command's tag counts, and the errors' codes (PostgreSQL: Appendix A).
ANSWERS = [(None, None), (250, None), (37, None), (None, "42703"), (50, None), (1, None), (249, None), (0, None), (None, "23505")]


def statements(script):
    return [s.strip() for s in script.split(";") if s.strip()]


def logged(path):
    """The statements of a server's log, by backend: (pid, how, text)."""
    text = read(path).decode()
    found = re.findall(r"^(\d+) \S+ LOG:  (statement|execute \S+): (.*(?:\n(?!\d+ ).*)*)", text, re.M)
    return [(int(pid), "query" if how == "statement" else "execute", s.rstrip("\n").replace("\n\t", "\n")) for pid, how, s in found]


def told(commands):
    return collections.Counter((c["pid"], c["kind"], c["command"]) for c in commands)


def psql(how):
    with workspace() as folder:
        site = Cluster(folder)
        with site.running("log_statement=all") as process:
            tape, env = f"{folder}/x.tape", site.place(how)
            run("psql", "-qXc", "select 1", env=env)
            os.truncate(f"{folder}/log", 0)
            with recording(tape, *ROOM, "-p", str(process.pid)):
                words = [w for s in statements(SCRIPT) for w in ("-c", s)]
                run("psql", "-qX", *words, check=False, env=env)
        found = json_lines("sql", tape)
        equal("commands", [c["command"] for c in found], statements(SCRIPT))
        equal("as the server logged them", told(found), collections.Counter(logged(f"{folder}/log")))
        equal("rows and errors", [(c["rows"], c["error"]) for c in found], ANSWERS)
        equal("session", {(c["protocol"], c["user"], c["database"], c["role"], c["tls"], c["complete"]) for c in found},
              {("pgsql", "tester", "postgres", "server", how == "tls", True)})
        equal("in order", all(0 <= c["ttfb_ns"] <= c["duration_ns"] for c in found), True)


def postgres():
    """PostgreSQL: psql's commands as the server's log has them, their rows and their errors"""
    psql("tcp")


def postgres_tls():
    """the same over TLS"""
    psql("tls")


def pgbench():
    """pgbench with the simple, the extended and the prepared protocol, and a pipeline: the server's log"""
    with workspace() as folder:
        site = Cluster(folder)
        with site.running("log_statement=all") as process:
            tape, env = f"{folder}/x.tape", site.place("tcp")
            run(f"{site.bin}/pgbench", "-iq", env=env)
            with open(f"{folder}/pipe.sql", "w") as file:
                file.write("\\startpipeline\nselect 1;\nselect generate_series(1, 5);\nselect 3;\n\\endpipeline\n")
            os.truncate(f"{folder}/log", 0)
            with recording(tape, *ROOM, "-p", str(process.pid)):
                for mode in ("simple", "extended", "prepared"):
                    said = run(f"{site.bin}/pgbench", "-nM", mode, "-c", "2", "-t", "20", env=env).stdout
                    equal(mode, b"processed: 40/40" in said, True)
                run(f"{site.bin}/pgbench", "-nM", "extended", "-t", "5", "-f", f"{folder}/pipe.sql", env=env)
        found = json_lines("sql", tape)
        equal("as the server logged them", told(found), collections.Counter(logged(f"{folder}/log")))
        equal("complete", {(c["complete"], c["error"]) for c in found}, {(True, None)})
        # pgbench's script: each UPDATE, SELECT and INSERT touches one row.
        equal("rows", {c["rows"] for c in found if re.match("UPDATE|SELECT|INSERT", c["command"])}, {1})
        equal("of the pipeline", [c["rows"] for c in found if c["command"].startswith("select generate")], [5] * 5)


@contextlib.contextmanager
def mariadb(folder, *options):
    if not shutil.which("mariadbd"):
        raise Skip("no mariadbd")
    port = free_port()
    os.chmod(folder, 0o777)
    run("mariadb-install-db", "--no-defaults", f"--datadir={folder}/data", "--auth-root-authentication-method=normal",
        "--skip-test-db", "--user=nobody")
    with server("mariadbd", "--no-defaults", f"--datadir={folder}/data", "--user=nobody", f"--port={port}",
                "--bind-address=127.0.0.1", f"--socket={folder}/socket", f"--pid-file={folder}/pid", "--general-log",
                f"--general-log-file={folder}/log", "--skip-name-resolve", *options, port=port) as process:
        yield process, port


MARIADB = """
create database shop;
use shop;
create table item(id int primary key, name varchar(50));
insert into item select seq, concat('item ', seq) from seq_1_to_300;
select * from item where id <= 41;
select nosuch from item;
update item set name = 'new' where id > 200;
select * from item where false;
insert into item values (2, 'twice');
prepare p from 'select * from item where id < ?';
set @a = 12;
execute p using @a;
"""
MARIADB_ANSWERS = [(1, None), (0, None), (300, None), (41, None), (None, "1054"), (100, None), (0, None), (None, "1062"), (0, None),
                   (0, None), (11, None)]


def mysql(*options):
    with workspace() as folder:
        cert, key = certificate(folder)
        os.chmod(key, 0o644)
        with mariadb(folder, f"--ssl-cert={cert}", f"--ssl-key={key}") as (process, port):
            tape = f"{folder}/x.tape"
            os.truncate(f"{folder}/log", 0)
            with open(f"{folder}/script.sql", "w") as file:
                file.write(MARIADB)
            with recording(tape, *ROOM, "-p", str(process.pid)):
                done = run("sh", "-c", 'exec mariadb --no-defaults "$@" <script.sql', "sh", "-h127.0.0.1", f"-P{port}", "-uroot", "-f",
                           *options, check=False, cwd=folder)
        equal("the client's words", done.stderr.count(b"ERROR"), 2)
        found = json_lines("sql", tape)
        log = re.findall(r"^(?:\S+ +\S+)?\t+ *\d+ (Query|Prepare|Execute|Init DB|Field List|Statistics)\t(.*)$", read(f"{folder}/log").decode(), re.M)
        # The server logs a text PREPARE and EXECUTE twice: as the query, and as what became of it.
        queries = [text for how, text in log if how == "Query"]
        equal("queries, as the server logged them", [c["command"] for c in found if c["kind"] == "query"], queries)
        equal("use", [c["command"] for c in found if c["kind"] == "use"], [text for how, text in log if how == "Init DB"])
        asked = [(c["rows"], c["error"]) for c in found if c["kind"] == "query" and c["command"] in statements(MARIADB)]
        equal("rows and errors", asked, MARIADB_ANSWERS)
        equal("session", {(c["protocol"], c["user"], c["role"], c["tls"], c["complete"]) for c in found},
              {("mysql", "root", "server", "--ssl" in options, True)})


def mariadb_clear():
    """MariaDB: the client's commands as the general log has them, their rows and their errors"""
    mysql("--skip-ssl")


def mariadb_tls():
    """the same over TLS, which begins within the connection"""
    mysql("--ssl")


def redis():
    """Redis: as many commands of each kind as its own statistics count, pipelined and not; errors"""
    with workspace() as folder:
        port, tape = free_port(), f"{folder}/x.tape"
        with server("redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder, port=port) as process:
            cli = ("redis-cli", "-h", "127.0.0.1", "-p", str(port))
            run(*cli, "config", "resetstat")
            with recording(tape, *ROOM, "-p", str(process.pid)):
                for words in (["set", "a", "one two"], ["get", "a"], ["lpush", "a", "x"], ["get"], ["nosuchcommand"],
                              ["rpush", "l", *map(str, range(100))], ["lrange", "l", "0", "-1"], ["incr", "n"],
                              ["eval", "return {1,{2,3},'x'}", "0"]):
                    run(*cli, *words, check=False)
                run(*cli, "-3", "hset", "h", "f", "v")
                run(*cli, "-3", "hgetall", "h")
                run("redis-benchmark", "-h", "127.0.0.1", "-p", str(port), "-q", "-n", "2000", "-c", "10", "-P", "16", "-t", "set,lpush")
                run("redis-benchmark", "-h", "127.0.0.1", "-p", str(port), "-q", "-n", "500", "-c", "10", "-t", "get,ping")
            said = run(*cli, "info", "commandstats").stdout.decode()
            errors = run(*cli, "info", "errorstats").stdout.decode()
        found = json_lines("sql", tape)
        calls = collections.Counter()
        for name, n, rejected in re.findall(r"^cmdstat_(\S+):calls=(\d+).*?rejected_calls=(\d+)", said, re.M):
            calls[name.split("|")[0]] += int(n) + int(rejected)
        calls["info"] -= 0
        asked = collections.Counter(c["command"].split(" ")[0].lower() for c in found)
        del asked["nosuchcommand"]
        calls["config"] -= 1  # resetstat, before the recording
        equal("commands", asked, +calls)
        equal("errors", collections.Counter(c["error"] for c in found if c["error"]),
              collections.Counter({code: int(n) for code, n in re.findall(r"^errorstat_(\S+):count=(\d+)", errors, re.M)}))
        by = {c["command"]: c for c in found}
        equal("text", "set a one two" in by, True)
        equal("rows", [by[c]["rows"] for c in ("lrange l 0 -1", "eval return {1,{2,3},'x'} 0", "hgetall h", "incr n")], [100, 3, 1, None])
        equal("all complete", {(c["complete"], c["role"]) for c in found}, {(True, "server")})


main(postgres, postgres_tls, pgbench, mariadb_clear, mariadb_tls, redis)
