# SPDX-License-Identifier: BSD-2-Clause
"""A PostgreSQL cluster of our own, for the live suites."""
import contextlib
import glob
import os

from live import Skip, certificate, free_port, run, server

USER = 65534  # the server refuses to run as root


def programs():
    """The newest server's; Skip where there is none."""
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"), key=lambda path: int(path.split("/")[4]))
    if not found or os.geteuid():
        raise Skip("no PostgreSQL server here")
    return os.path.dirname(found[-1])


class Cluster:
    """A cluster of our own."""

    def __init__(self, folder):
        self.folder, self.port, self.bin = folder, free_port(), programs()
        self.data = f"{folder}/data"
        os.mkdir(self.data, 0o700)
        os.chown(self.data, USER, USER)
        os.mkdir(f"{folder}/sockets")
        os.chown(f"{folder}/sockets", USER, USER)
        run(f"{self.bin}/initdb", "-D", self.data, "-U", "tester", "-A", "trust", "--no-sync", "--no-locale", "-E", "UTF8",
            user=USER, group=USER, extra_groups=[], cwd=folder)
        for path in certificate(folder):
            os.chown(path, USER, USER)
            os.chmod(path, 0o600)

    @contextlib.contextmanager
    def running(self, *more):
        settings = {"port": self.port, "listen_addresses": "127.0.0.1", "unix_socket_directories": f"{self.folder}/sockets",
                    "fsync": "off", "ssl": "on", "ssl_cert_file": f"{self.folder}/ec.crt", "ssl_key_file": f"{self.folder}/ec.key",
                    "autovacuum": "off", "log_connections": "on", "log_destination": "stderr", "log_line_prefix": "%p %r "}
        with open(f"{self.folder}/log", "ab") as log:
            os.chown(f"{self.folder}/log", USER, USER)
            with server(f"{self.bin}/postgres", "-D", self.data, *[w for s in (*("%s=%s" % s for s in settings.items()), *more) for w in ("-c", s)],
                        port=self.port, user=USER, group=USER, extra_groups=[], cwd=self.folder, stderr=log) as process:
                for _ in range(100):  # it listens before it is ready
                    if run(f"{self.bin}/pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port), check=False).returncode == 0:
                        break
                yield process

    def place(self, how):
        """What a client is told of the way to the server."""
        return {"PGHOST": f"{self.folder}/sockets" if how == "unix" else "127.0.0.1", "PGPORT": str(self.port),
                "PGUSER": "tester", "PGDATABASE": "postgres", "PGSSLMODE": "require" if how == "tls" else "disable",
                "PGGSSENCMODE": "disable"}
