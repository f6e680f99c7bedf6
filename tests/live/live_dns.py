# SPDX-License-Identifier: BSD-2-Clause
"""The view `dns`: what dig says that it asked and was answered, over UDP and TCP, seen by dig and by the server."""
import re
import shutil

from live import ROOM, Skip, equal, free_port, json_lines, main, recording, run, server, workspace

RECORDS = ("--host-record=a.example.org,192.0.2.1,2001:db8::1:0:0:1", "--cname=www.example.org,a.example.org",
           "--mx-host=example.org,mail.example.org,10", "--txt-record=t.example.org,one,two \\ \"words\"",
           "--srv-host=_x._tcp.example.org,a.example.org,443,5,7", "--ptr-record=1.2.0.192.in-addr.arpa,a.example.org",
           *(f"--txt-record=big.example.org,{i:03}{'x' * 200}" for i in range(12)))
QUESTIONS = (("a.example.org", "A"), ("a.example.org", "AAAA"), ("www.example.org", "A"), ("example.org", "MX"),
             ("t.example.org", "TXT"), ("_x._tcp.example.org", "SRV"), ("1.2.0.192.in-addr.arpa", "PTR"),
             ("nosuch.example.org", "A"), ("a.example.org", "TYPE4711"), ("version.bind", "CH TXT"))


def sections(said):
    """dig's words: id, status, flags, and the answer's records as (name, ttl, class, type, data)."""
    text = said.decode()
    status, number, flags = *re.search(r"status: (\w+), id: (\d+)", text).groups(), re.search(r"flags: ([a-z ]*);", text)[1]
    part = re.search(r";; ANSWER SECTION:\n(.*?)\n\n", text, re.S)
    records = [tuple(line.split(None, 4)) for line in part[1].splitlines()] if part else []
    return int(number), status, flags.split(), records


def ask(*options):
    if not shutil.which("dnsmasq"):
        raise Skip("no dnsmasq")
    with workspace() as folder:
        port, tape = free_port(), f"{folder}/x.tape"
        with server("dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--pid-file=",
                    "--listen-address=127.0.0.1", "--bind-interfaces", f"--port={port}", "--local=/example.org/", "--user=root",
                    *RECORDS, port=port):
            said = []
            with recording(tape, *ROOM, "-e", "/dnsmasq", "-e", "/dig"):
                for name, kind in QUESTIONS:
                    words = ["-c", kind.split()[0]] if " " in kind else []
                    said.append(sections(run("dig", "@127.0.0.1", "-p", str(port), "+tries=1", *options, *words, "-t", kind.split()[-1], name).stdout))
        found = json_lines("dns", tape)
        for role in "client", "server":
            mine = [x for x in found if x["role"] == role]
            equal(f"{role}: answers", [(x["id"], x["rcode"]) for x in mine], [(number, status) for number, status, _, _ in said])
            equal(f"{role}: names", [(x["name"], x["type"]) for x in mine], [(n + ".", k.split()[-1]) for n, k in QUESTIONS])
            equal(f"{role}: flags", [sorted({"aa", "rd", "ra", "tc"} & set(x["flags"])) for x in mine],
                  [sorted({"aa", "rd", "ra", "tc"} & set(flags)) for _, _, flags, _ in said])
            # dig writes a generic name's \\ and " as we do, but the view's JSON doubles each backslash once more.
            equal(f"{role}: records", [[(r["name"], str(r["ttl"]), r["class"], r["type"], r["data"].replace("\\\\", "\\")) for r in x["answers"]]
                                       for x in mine], [records for _, _, _, records in said])
            equal(f"{role}: all", {(x["transport"], x["complete"], 0 < x["duration_ns"] < 5e9) for x in mine},
                  {("tcp" if "+tcp" in options else "udp", True, True)})
            equal(f"{role}: peer", all(x["peer"].startswith("127.0.0.1:") for x in mine), True)


def udp():
    """dig over UDP: ids, names, flags, records and codes as dig prints them, at both ends"""
    ask("+notcp", "+noedns")


def tcp():
    """the same over TCP"""
    ask("+tcp")


def truncated():
    """an answer too long for a datagram is marked as such, and asked for again over TCP"""
    if not shutil.which("dnsmasq"):
        raise Skip("no dnsmasq")
    with workspace() as folder:
        port, tape = free_port(), f"{folder}/x.tape"
        with server("dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--pid-file=",
                    "--listen-address=127.0.0.1", "--bind-interfaces", f"--port={port}", "--local=/example.org/", "--user=root",
                    *RECORDS, port=port):
            with recording(tape, *ROOM, "-e", "/dig"):
                said = sections(run("dig", "@127.0.0.1", "-p", str(port), "+noedns", "big.example.org", "TXT").stdout)
                run("dig", "@127.0.0.1", "-p", str(free_port()), "+tries=1", "+time=1", "nobody.example.org", check=False)
        found = json_lines("dns", tape)
        equal("truncated and whole", [(x["transport"], "tc" in x["flags"]) for x in found[:2]], [("udp", True), ("tcp", False)])
        equal("records", len(found[1]["answers"]), len(said[3]))
        equal("nobody answers", [(x["rcode"], x["answers"], x["complete"]) for x in found if x["name"].startswith("nobody")],
              [(None, None, False)])


main(udp, tcp, truncated)
