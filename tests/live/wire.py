# SPDX-License-Identifier: BSD-2-Clause
"""What the network carried, as somebody else sees it: dumpcap captures, tshark dissects."""
import contextlib
import json
import re
import shutil
import signal
import subprocess
import time

from live import ENV, Skip, equal, run


@contextlib.contextmanager
def capture(path, *ports):
    """Captures these ports on the loopback while the block runs; no packet may be dropped."""
    if not shutil.which("tshark") or not shutil.which("dumpcap"):
        raise Skip("no tshark")
    process = subprocess.Popen(["dumpcap", "-q", "-i", "lo", "-B", "64", "-w", path, "-f", " or ".join(f"port {p}" for p in ports)],
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=ENV)
    said = []
    try:
        for line in process.stderr:
            said.append(line.decode(errors="replace"))
            if said[-1].startswith("File:"):
                break
        else:
            raise Skip(f"dumpcap can't capture here: {' '.join(said)}")
        yield
        time.sleep(0.5)  # what the kernel has not handed over yet
    finally:
        process.send_signal(signal.SIGINT)
        said.append(process.stderr.read().decode(errors="replace"))
        process.wait(30)
        process.stderr.close()
    dropped = re.search(r"received/dropped on interface .*: \d+/(\d+)", said[-1])
    equal("packets that dumpcap dropped", dropped and dropped[1], "0")


def dissect(path, which, *fields, decode=(), keys=None):
    """For each packet that the display filter takes: its fields, each a list. decode: (port, protocol)."""
    words = [w for port, protocol in decode for way in ("tcp", "udp") if way == "tcp" or protocol == "dns"
             for w in ("-d", f"{way}.port=={port},{protocol}")]
    if keys:
        words += ["-o", f"tls.keylog_file:{keys}"]
    out = run("tshark", "-r", path, "-o", "tcp.reassemble_out_of_order:TRUE", *words, "-Y", which, "-T", "json",
              *[w for f in fields for w in ("-e", f)]).stdout
    return [{f: packet["_source"]["layers"].get(f, []) for f in fields} for packet in json.loads(out or b"[]")]


def column(packets, field):
    return [value for packet in packets for value in packet[field]]
