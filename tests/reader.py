#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""reader.py TAPE: an independent reader of tapes, written from docs/format.md and from nothing else.

It proves that the text suffices, and is the decoder to read first: functions are named after what the text calls
things, "s. 7" in a comment is the text's section 7. It needs Python 3.11 and the program zstd.

    reader.py TAPE             every item, one line of JSON each
    reader.py --flows TAPE     one line a flow: what its events carried
    reader.py --strict TAPE    holds the tape to the rules for writers as well: times, lists, INDEX, SNAPSHOT

Exit status: 0 sound, 2 usage, 3 damaged, cut off or refused; what was whole is given first.
"""
import argparse
import hashlib
import mmap
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
from collections import namedtuple

U64 = 2**64 - 1
MAGIC = b"\x89fdt\r\n\x1a\n"
SECTION, EVENTS, PAYLOAD, PAYLOAD_RAW, DEFS, SNAPSHOT, LOSS, INDEX, SECRETS, FOOTER = 1, 2, 3, 4, 5, 6, 7, 8, 11, 12
GROUP_TYPES = {EVENTS, PAYLOAD, PAYLOAD_RAW, DEFS, LOSS, SECRETS}
KNOWN_TYPES = GROUP_TYPES | {SECTION, SNAPSHOT, INDEX, FOOTER}
TYPE_NAMES = {SECTION: "SECTION", EVENTS: "EVENTS", PAYLOAD: "PAYLOAD", PAYLOAD_RAW: "PAYLOAD_RAW", DEFS: "DEFS",
              SNAPSHOT: "SNAPSHOT", LOSS: "LOSS", INDEX: "INDEX", SECRETS: "SECRETS", FOOTER: "FOOTER"}
CRITICAL, RAW, REDACTED, GROUP_END, FLOWS = 1, 2, 4, 8, 16

# s. 12: limits
BLOCK_MAX = 16 << 20
SECTION_MAX = 256 << 10
DIR_MAX = 1 << 20
GROUP_MAX = 64 << 20
RECORDS_MAX = 1 << 20
EVENTS_MAX = RUNS_MAX = LIST_MAX = ENTRIES_MAX = STRING_MAX = PEERS_MAX = 65536
SECRET_MAX = 1024
STRIPS_MAX = 256
CAPTURED_MAX = 4 << 20
ADDRESS_MAX = 108
FLOWS_KEPT = 1 << 20
IN_VAIN = 256 << 20


class Damage(Exception):
    """Something on the tape is not as the text says."""


class Refused(Exception):
    """The tape needs what this reader does not know."""


def check(condition, text, *values):
    if not condition:
        raise Damage(text % values if values else text)


# ---- s. 1: conventions --------------------------------------------------------------------------------------------

P1, P2, P3 = 0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9
P4, P5 = 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5


def rotated(x, n):
    return (x << n | x >> (64 - n)) & U64


def xxh64_round(lane, word):
    return rotated((lane + word * P2) & U64, 31) * P1 & U64


def xxh64(data, seed):
    """XXH64, as github.com/Cyan4973/xxHash, doc/xxhash_spec.md, describes it."""
    stripes = len(data) // 32 * 32
    if stripes:
        a, b, c, d = (seed + P1 + P2) & U64, (seed + P2) & U64, seed, (seed - P1) & U64
        for w, x, y, z in struct.iter_unpack("<4Q", data[:stripes]):  # xxh64_round(), written out: it is the hot loop
            a = (a + w * P2) & U64
            a = (a << 31 | a >> 33) * P1 & U64
            b = (b + x * P2) & U64
            b = (b << 31 | b >> 33) * P1 & U64
            c = (c + y * P2) & U64
            c = (c << 31 | c >> 33) * P1 & U64
            d = (d + z * P2) & U64
            d = (d << 31 | d >> 33) * P1 & U64
        h = (rotated(a, 1) + rotated(b, 7) + rotated(c, 12) + rotated(d, 18)) & U64
        for lane in (a, b, c, d):
            h = ((h ^ xxh64_round(0, lane)) * P1 + P4) & U64
    else:
        h = (seed + P5) & U64
    h = (h + len(data)) & U64
    at = stripes
    while at + 8 <= len(data):
        h = (rotated(h ^ xxh64_round(0, int.from_bytes(data[at:at + 8], "little")), 27) * P1 + P4) & U64
        at += 8
    if at + 4 <= len(data):
        h = (rotated(h ^ (int.from_bytes(data[at:at + 4], "little") * P1 & U64), 23) * P2 + P3) & U64
        at += 4
    for byte in data[at:]:
        h = rotated(h ^ (byte * P5 & U64), 11) * P1 & U64
    h = (h ^ h >> 33) * P2 & U64
    h = (h ^ h >> 29) * P3 & U64
    return h ^ h >> 32


def unzigzag(z):
    """The signed difference, modulo 2^64."""
    return (z >> 1) ^ (-(z & 1) & U64)


def signed(value):
    """A number modulo 2^64 as the signed number that it stands for."""
    return value - 2**64 if value >> 63 else value


class Cursor:
    """Takes a directory or a body apart, from its beginning to its end."""

    def __init__(self, data, what):
        self.data, self.what, self.at = data, what, 0

    def take(self, n):
        check(n <= len(self.data) - self.at, "%s ends at byte %d, expected %d more bytes", self.what, len(self.data),
              n - (len(self.data) - self.at))
        self.at += n
        return bytes(self.data[self.at - n:self.at])

    def more(self):
        return self.at < len(self.data)

    def u8(self):
        return self.take(1)[0]

    def u64(self):
        return int.from_bytes(self.take(8), "little")

    def varint(self, most=U64, of="a number"):
        value = shift = 0
        while True:
            byte = self.u8()
            check(shift < 63 or byte <= 1, "%s has a varint of more than 64 bits at byte %d", self.what, self.at)
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
            shift += 7
        check(value <= most, "%s has %s %d, expected at most %d", self.what, of, value, most)
        return value

    def zigzag(self):
        return unzigzag(self.varint())

    def string(self):
        data = self.take(self.varint(STRING_MAX, "a string of length"))
        check(0 not in data, "%s has a string with a byte 0 in it", self.what)
        check(self.u8() == 0, "%s has a string without a byte 0 behind it", self.what)
        return data.decode("latin-1")  # a character is a byte

    def bytes(self):
        return self.take(self.varint(SECRET_MAX, "bytes of length"))

    def flows(self):
        """s. 3: lists of flows"""
        flows = []
        for i in range(self.varint(LIST_MAX, "a list of flows of length")):
            step = self.varint()
            check(step or not i, "%s has a list of flows that does not rise", self.what)
            flows.append((flows[-1] if flows else 0) + step)
            check(flows[-1] <= U64, "%s has a flow above 2^64", self.what)
        return flows

    def end(self):
        check(not self.more(), "%s has %d bytes, expected %d", self.what, len(self.data), self.at)


# ---- s. 1: zstd ---------------------------------------------------------------------------------------------------


def one_frame(frame, length):
    """The frame, checked to be one and to end where the bytes end, with a header of our own (RFC 8878, 3.1.1.1): it
    says the declared length, which zstd then holds the content to, and takes memory by."""
    check(frame[:4] == b"\x28\xb5\x2f\xfd", "a frame begins with %s, expected 28b52ffd", bytes(frame[:4]).hex())
    c = Cursor(frame, "a zstd frame")
    c.take(4)
    descriptor = c.u8()
    single = descriptor >> 5 & 1
    check(not descriptor & 8, "a zstd frame has the reserved bit set")
    c.take(1 - single)  # the window
    dictionary = int.from_bytes(c.take((0, 1, 2, 4)[descriptor & 3]), "little")
    check(dictionary == 0, "a zstd frame needs dictionary %d, expected none", dictionary)
    size = c.take((single, 2, 4, 8)[descriptor >> 6])
    said = int.from_bytes(size, "little") + (256 if len(size) == 2 else 0)
    check(not size or said == length, "a zstd frame has %d bytes when decoded, expected %d", said, length)
    blocks, last = c.at, 0
    while not last:
        block = int.from_bytes(c.take(3), "little")
        last = block & 1
        c.take(1 if block >> 1 & 3 == 1 else block >> 3)
    if descriptor & 4:
        c.take(4)  # the checksum
    c.end()
    return b"\x28\xb5\x2f\xfd" + bytes([0xE0 | descriptor & 4]) + struct.pack("<Q", length) + frame[blocks:]


def run_zstd(frames, lengths):
    with tempfile.TemporaryFile() as stored:
        for frame in frames:
            stored.write(frame)
        stored.seek(0)
        with subprocess.Popen(["zstd", "-dcq"], stdin=stored, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as p:
            data = p.stdout.read(sum(lengths) + 1)
            p.kill() if len(data) > sum(lengths) else p.wait()
        return data if p.returncode == 0 and len(data) == sum(lengths) else None


class Frames:
    """The compressed parts of a group, decoded by one process."""

    def __init__(self):
        self.frames, self.lengths, self.total, self.data = [], [], 0, None

    def add(self, frame, length):
        """Remembers a frame; what it decodes to is to be had by calling what this returns."""
        self.frames.append(one_frame(frame, length))
        self.lengths.append(length)
        at, i = self.total, len(self.frames) - 1
        self.total += length
        return lambda: self.content(i, at)

    def content(self, i, at):
        if self.data is None:
            self.data = run_zstd(self.frames, self.lengths) or b""
        if self.data:
            return memoryview(self.data)[at:at + self.lengths[i]]
        data = run_zstd(self.frames[i:i + 1], self.lengths[i:i + 1])  # one of all is bad: is it this?
        check(data is not None, "a zstd frame of %d bytes can't be decoded into %d", len(self.frames[i]),
              self.lengths[i])
        return data


# ---- s. 3: blocks -------------------------------------------------------------------------------------------------

Header = namedtuple("Header", "at type flags dir_len seq ts_min ts_max stored_len raw_len stored_hash n_records")
Totals = namedtuple("Totals", "index groups events records secrets bytes carried0 carried1 captured0 captured1")


class Block:
    def __init__(self, header, stored):
        self.header = header
        self.name = TYPE_NAMES.get(header.type, "type %d" % header.type)
        self.directory = Cursor(stored[:header.dir_len], "the directory of " + self.name)
        self.body = stored[header.dir_len:]


def limits(h):
    """s. 12: why a sound header is not to be believed, or None"""
    for name, found, most in (
        ("stored_len", h.stored_len, SECTION_MAX if h.type == SECTION else BLOCK_MAX),
        ("raw_len", h.raw_len, BLOCK_MAX),
        ("dir_len", h.dir_len, 0 if h.type in (SECTION, FOOTER) else min(DIR_MAX, h.stored_len)),
        ("n_records", h.n_records, {EVENTS: EVENTS_MAX, PAYLOAD: RUNS_MAX, PAYLOAD_RAW: RUNS_MAX, INDEX: ENTRIES_MAX,
                                    SECTION: 0, FOOTER: 0}.get(h.type, RECORDS_MAX)),
    ):
        if found > most:
            return "%s is %d, expected at most %d" % (name, found, most)
    if (h.type == SECTION) != (h.seq == 0):
        return "block_seq is %d in a block of type %d; 0 is SECTION" % (h.seq, h.type)
    return None


def raw_body(block):
    check(len(block.body) == block.header.raw_len, "the body has %d bytes, expected raw_len %d", len(block.body),
          block.header.raw_len)
    return block.body


def decoded_body(block, frames):
    """The body of a block that is compressed as a whole unless it has RAW; to be called for when all are gathered."""
    if block.header.flags & RAW:
        body = raw_body(block)
        return lambda: body
    return frames.add(block.body, block.header.raw_len)


# ---- s. 4: SECTION ------------------------------------------------------------------------------------------------


def section_body(block):
    c = Cursor(raw_body(block), "SECTION")
    major = int.from_bytes(c.take(2), "little")
    if major != 1:
        raise Refused("block 0 at offset %d: the tape has major version %d; this reader knows 1"
                      % (block.header.at, major))
    minor = int.from_bytes(c.take(2), "little")
    uuid = c.take(16)
    salt = c.u64()
    clock = {"monotonic": c.u64(), "realtime": c.u64(), "boottime": c.u64()}
    needed = [c.string() for _ in range(c.varint(SECTION_MAX, "a number of features"))]
    if needed:
        raise Refused("block 0 at offset %d: the tape needs the feature %s" % (block.header.at, escaped(needed[0])))
    for _ in range(c.varint(SECTION_MAX, "a number of features")):
        c.string()
    meta = [[c.string(), c.string()] for _ in range(c.varint(SECTION_MAX, "a number of properties"))]
    return salt, {"item": "section", "uuid": uuid.hex(), "minor": minor, "clock": clock, "meta": meta}


# ---- s. 5: records ------------------------------------------------------------------------------------------------

CLOCK_RECORD, PROCESS_RECORD, FLOW_RECORD, SECRET_RECORD, LOSS_RECORD, THREAD_RECORD, PEER_RECORD = 2, 3, 4, 6, 7, 9, 10

# The members in order. A number is "u64", "u32" or "i32" (types.h says which).
MEMBERS = {
    CLOCK_RECORD: ("clock", "monotonic:u64 realtime:u64 boottime:u64"),
    PROCESS_RECORD: ("process", "pid:u32 ppid:u32 uid:u32 time:u64 comm:string exe:string cmdline:string "
                     "started:u64 build_id:string cgroup:string libraries:string"),
    FLOW_RECORD: ("flow", "id:u64 pid:u32 tid:u32 fd:i32 kind:u32 proto:u32 role:u32 flags:u32 inode:u64 handle:u64 "
                  "opened:u64 closed:u64 bytes0:u64 bytes1:u64 local:address remote:address name:string"),
    SECRET_RECORD: ("secret", "time:u64 pid:u32 tid:u32 id_kind:u32 label:string source:string id:bytes value:bytes"),
    LOSS_RECORD: ("loss", "reason:u32 count:u64 bytes:u64 from:u64 to:u64"),
    THREAD_RECORD: ("thread", "pid:u32 tid:u32 time:u64 comm:string"),
    PEER_RECORD: ("peer", "address:address"),
}
MEMBERS = {k: (name, [m.split(":") for m in members.split()]) for k, (name, members) in MEMBERS.items()}
DEFINITIONS = {CLOCK_RECORD, PROCESS_RECORD, FLOW_RECORD, THREAD_RECORD}
IN_BLOCK = {DEFS: DEFINITIONS | {PEER_RECORD}, SNAPSHOT: DEFINITIONS, SECRETS: {SECRET_RECORD}, LOSS: {LOSS_RECORD}}

Record = namedtuple("Record", "ordinal events_before item")


def fits(value, kind, name):
    """A number modulo 2^64 as its member has it."""
    if kind == "i32":
        value = signed(value)
        check(-2**31 <= value < 2**31, "%s is %d, expected 32 bits, signed", name, value)
    elif kind == "u32":
        check(value < 2**32, "%s is %d, expected 32 bits", name, value)
    return value


def address(c):
    family = c.u8()
    port = c.varint(65535, "a port")
    length = c.u8()
    check(length <= ADDRESS_MAX, "an address has %d bytes, expected at most %d", length, ADDRESS_MAX)
    return {"family": family, "port": port, "addr": c.take(length).hex()}


def member(c, kind, name, before):
    """One member; one that is not there is 0 or "". `before`: the same record type's numbers, modulo 2^64."""
    if kind == "string":
        return c.string() if c.more() else ""
    if kind == "bytes":
        return c.bytes().hex() if c.more() else ""
    if kind == "address":
        return address(c) if c.more() else {"family": 0, "port": 0, "addr": ""}
    before[name] = (before.get(name, 0) + c.zigzag()) & U64 if c.more() else 0
    return fits(before[name], kind, name)


def record_item(c, kind, before):
    name, members = MEMBERS[kind]
    item = {"item": name}
    for member_name, member_kind in members:
        item[member_name] = member(c, member_kind, member_name, before)
    if item.get("libraries") == "":  # as tests/dump.c does
        del item["libraries"]
    if "bytes1" in item:
        item["bytes"] = [item.pop("bytes0"), item.pop("bytes1")]
    return item


def records(body, n_records, block_type, result):
    """Appends to `result`, so that what comes before a record that is damaged is there."""
    c = Cursor(body, TYPE_NAMES[block_type])
    ordinal, events_before, before = 0, 0, {}
    for i in range(n_records):
        c2 = Cursor(c.take(c.varint()), "record %d of %s" % (i, TYPE_NAMES[block_type]))
        kind = c2.varint()
        step = c2.varint()
        check(step or not i, "record %d has the ordinal of the one before", i)
        ordinal += step
        events_before += c2.varint()
        check(max(ordinal, events_before) <= U64, "record %d is number %d behind %d events", i, ordinal, events_before)
        known = kind in IN_BLOCK[block_type]
        check(known or kind not in MEMBERS, "record %d of %s has type %d", i, TYPE_NAMES[block_type], kind)
        result.append(Record(ordinal, events_before, record_item(c2, kind, before.setdefault(kind, {})) if known
                             else None))
    c.end()


# ---- s. 6: PAYLOAD, PAYLOAD_RAW -----------------------------------------------------------------------------------

Run = namedtuple("Run", "flow dir offset start bytes")


def payload_runs(block):
    c, runs, flow = block.directory, [], 0
    for _ in range(block.header.n_records):
        flow += c.varint()
        check(flow <= U64, "a run is of flow %d, above 2^64", flow)
        direction = c.u8()
        check(direction <= 1, "a run has direction %d, expected 0 or 1", direction)
        run = Run(flow, direction, c.varint(), c.varint(), c.varint(BLOCK_MAX, "a run of length"))
        check(run.bytes > 0, "a run has 0 bytes, expected at least 1")
        if runs and runs[-1][:2] == run[:2]:
            check(runs[-1].start + runs[-1].bytes <= run.start, "a run starts at %d, expected at least %d", run.start,
                  runs[-1].start + runs[-1].bytes)
        check(not runs or runs[-1][:2] <= run[:2], "runs are not sorted: direction %d behind 1", direction)
        runs.append(run)
    c.end()
    check(runs, "there are 0 runs, expected at least 1")
    total = sum(run.bytes for run in runs)
    check(total == block.header.raw_len, "the runs have %d bytes, expected raw_len %d", total, block.header.raw_len)
    return runs


class Strings:
    """What a group's events carried: the strings by (flow, dir), as far as they are there."""

    def __init__(self):
        self.runs = {}  # (flow, dir): [(Run, its bytes)]
        self.used = {}  # (flow, dir): [bytes that went to events, number of runs behind us]

    def add(self, runs, data):
        for run in runs:
            before = self.runs.get(run[:2])
            check(not before or before[-1][0].start + before[-1][0].bytes <= run.start,
                  "a run of flow %d starts at %d, in or before the run before", run.flow, run.start)
        at = 0
        for run in runs:
            self.runs.setdefault(run[:2], []).append((run, data[at:at + run.bytes]))
            at += run.bytes

    def next(self, event):
        """The event's captured bytes; None when their run is not there."""
        key = event["flow"], event["dir"]
        used = self.used.setdefault(key, [0, 0])
        runs = self.runs.get(key, [])
        start, end = used[0], used[0] + event["captured"]
        used[0] = end
        while used[1] < len(runs) and runs[used[1]][0].start + runs[used[1]][0].bytes <= start:
            used[1] += 1
        if used[1] == len(runs) or runs[used[1]][0].start >= end:
            return None
        run, data = runs[used[1]]
        check(run.start <= start and end <= run.start + run.bytes,
              "an event has the bytes %d to %d of a string, the run %d to %d", start, end, run.start,
              run.start + run.bytes)
        return data[start - run.start:end - run.start]


# ---- s. 7: EVENTS -------------------------------------------------------------------------------------------------

(TID, CALL, FLOW, DIR, RESULT, ARG0, OFFSET, FD, BYTES, CAPTURED, PID, FLAGS, ARG1, ARG2, PEER) = range(15)
MASK, TIME, DURATION = 32, 33, 34
COLUMNS = {*range(15), MASK, TIME, DURATION}
COLUMN_CRITICAL = 0x80
PEEK = 4
OPENING = {11, 12, *range(32, 35), *range(40, 44), 70}  # accept, accept4, dup .., open .., io_uring_accept
SSL_READ = 2048


class Column:
    """A column's varints, joined from its strips."""

    def __init__(self, name, strips):
        self.name = name
        self.strips = [Cursor(strips.get(i, b""), "strip %d of column %d" % (i, name)) for i in range(4)]
        self.held = self.n_held = 0  # bits of strip 3

    def next(self):
        value = self.strips[0].u8()
        if value < 0x80:
            return value
        second = self.strips[1].u8()
        value = value & 0x7F | (second & 0x7F) << 7
        if second < 0x80:
            return value
        value |= self.strips[2].varint() << 14
        check(value <= U64, "column %d has a varint of more than 64 bits", self.name)
        return value

    def bits(self, n):
        while self.n_held < n:
            self.held |= self.strips[3].u8() << self.n_held
            self.n_held += 8
        value = self.held & (1 << n) - 1
        self.held >>= n
        self.n_held -= n
        return value

    def end(self):
        for strip in self.strips:
            strip.end()
        check(self.held == 0, "column %d has bits that are not 0 behind the last", self.name)


class Scale:
    """How large a context's durations, or times, are."""

    def __init__(self):
        self.level = 0

    def scaled(self, column):
        log = (self.level + 8) // 16
        n = min(log // 8 - 1, 56) if log >= 16 else 0
        high = unzigzag(column.next()) + log - 8 * n
        d = (high << n | column.bits(n)) & U64
        v = abs(signed(d))
        e = max(v.bit_length() - 4, 0)
        log = 8 * e + (v >> e)
        self.level = self.level - self.level // 8 + 2 * log if self.level else 16 * log
        return d


def events_directory(block, frames):
    """The flows, and by column and strip what to call for its bytes."""
    n, c = block.header.n_records, block.directory
    flows = c.flows()
    at = total = 0
    strips = {}
    for _ in range(c.varint(STRIPS_MAX, "a number of entries")):
        column, form = c.u8(), c.u8()
        check(column < 64, "an entry has column %d, expected below 64", column)
        decoded, stored = c.varint(16 * n, "a strip of length"), c.varint(BLOCK_MAX, "a strip of stored length")
        encoding, strip = form & 15, form >> 4 & 3
        data = block.body[at:at + stored]
        at += stored
        total += decoded
        if column not in COLUMNS or encoding > 1:
            if form & COLUMN_CRITICAL:
                raise Refused("block %d at offset %d: the tape needs column %d in form %d"
                              % (block.header.seq, block.header.at, column, form))
            continue
        check((column, strip) not in strips, "strip %d of column %d is there twice", strip, column)
        check(encoding or stored == decoded, "a strip has %d bytes stored, expected %d", stored, decoded)
        strips[column, strip] = frames.add(data, decoded) if encoding else (lambda data=data: data)
    c.end()
    check(at == len(block.body), "the strips have %d bytes, expected the body's %d", at, len(block.body))
    check(total == block.header.raw_len, "the strips have %d bytes, expected raw_len %d", total, block.header.raw_len)
    return flows, strips


# ---- s. 8: the guesses --------------------------------------------------------------------------------------------


class Thread:
    def __init__(self, tid):
        self.pid = self.fd = self.opened = self.call1 = self.call2 = self.outcome = self.peer = 0
        self.successor = tid
        self.flows = []

    def flow1(self):
        return self.flows[0] if self.flows else 0

    def flow2(self):
        return self.flows[1] if len(self.flows) > 1 else 0


class Flow:
    def __init__(self):
        self.fd = 0
        self.next = [0, 0]
        self.result = [0, 0]


class Met(dict):
    """The threads or the flows that were met."""

    def __init__(self, make):
        super().__init__()
        self.make, self.newest = make, 0

    def meet(self, value):
        if value not in self:
            self[value] = self.make(value)
            self.newest = value
        return self[value]


def put_first(places, value):
    if value in places:
        places.remove(value)
    places.insert(0, value)
    del places[64:]


class Context:
    def __init__(self):
        self.last = [0] * 15
        self.pick = [0] * 15
        self.duration, self.time = Scale(), Scale()


def context_number(a, b, c):
    h = (a * 0x9E3779B1 + b * 0x85EBCA77 + c * 0xC2B2AE3D) & 0xFFFFFFFF
    return (h ^ h >> 15) & 511


# The candidates: of the model m, whose event `v` is known up to this column, and the column's `last`.
CANDIDATES = {
    TID: lambda m, v, last: (m.tid1, m.thread.successor if m.thread else 0, m.tid2),
    CALL: lambda m, v, last: (last, m.thread.call1),
    FLOW: lambda m, v, last: (m.thread.flow1(), last, m.thread.opened, m.thread.flow2()),
    DIR: lambda m, v, last: (last,),
    RESULT: lambda m, v, last: (last, m.flow.result[v[DIR]], 0),
    ARG0: lambda m, v, last: (last, v[RESULT], (m.max_flow + 1) & U64),
    OFFSET: lambda m, v, last: (m.flow.next[v[DIR]], 0),
    FD: lambda m, v, last: (m.flow.fd, m.thread.fd, last, U64),
    BYTES: lambda m, v, last: (v[RESULT] if signed(v[RESULT]) > 0 else 0, 0, last),
    CAPTURED: lambda m, v, last: (v[BYTES], min(v[BYTES], m.snaplen), 0),
    PID: lambda m, v, last: (m.thread.pid, last, v[TID]),
    FLAGS: lambda m, v, last: (last, 0),
    ARG1: lambda m, v, last: (last, 0),
    ARG2: lambda m, v, last: (last, 0),
    PEER: lambda m, v, last: (last, m.thread.peer, (m.max_peer + 1) & U64, 0),
}
SIGNED = {RESULT, FD}
RECENT = {TID, FLOW}


def outcome(v):
    return 0 if signed(v[RESULT]) > 0 else 1 if v[RESULT] == 0 else 2


class Model:
    """Decodes the events of one block. All values are modulo 2^64."""

    def __init__(self, columns, listed):
        self.columns, self.listed = columns, listed
        self.threads = Met(Thread)
        self.flows = Met(lambda _: Flow())
        self.tids = []
        self.contexts = {}
        self.context = self.at_hand(0)
        self.thread = self.flow = None  # of the event, once they are known
        self.end = self.tid1 = self.tid2 = self.max_flow = self.max_peer = 0
        self.snaplen = U64

    def at_hand(self, number):
        return self.contexts.setdefault(number, Context())

    def coded(self, column, guess):
        """A value that is not the guess."""
        if column in RECENT:
            return self.recent(column, self.tids if column == TID else self.thread.flows)
        value = self.columns[column].next()
        if column in SIGNED:
            return unzigzag(value)
        if column == OFFSET:
            return (guess + unzigzag(value)) & U64
        return value

    def recent(self, column, places):
        place = self.columns[column].next()
        check(place <= len(places), "RECENT is %d, expected at most %d", place, len(places))
        if place:
            return places[place - 1]
        value = self.columns[column].next()
        if column == TID:
            return (self.threads.newest + unzigzag(value)) & U64
        check(value < len(self.listed), "a flow has place %d in a list of %d", value, len(self.listed))
        return self.listed[value]

    def value(self, column, mask, v):
        context = self.context
        candidates = CANDIDATES[column](self, v, context.last[column])
        guess = candidates[context.pick[column]]
        value = self.coded(column, guess) if mask >> column & 1 else guess
        if value != guess and value in candidates:
            context.pick[column] = candidates.index(value)
        context.last[column] = value
        return value

    def event(self):
        mask = self.columns[MASK].next()
        v = [0] * 15
        v[TID] = fits(self.value(TID, mask, v), "u32", "tid")
        if self.thread:
            self.thread.successor = v[TID]
        t = self.thread = self.threads.meet(v[TID])
        self.context = self.at_hand(context_number(t.call1, t.call2, 4 + t.outcome))
        v[CALL] = fits(self.value(CALL, mask, v), "u32", "call")
        self.context = self.at_hand(context_number(v[CALL], t.call1, t.outcome))
        v[FLOW] = self.value(FLOW, mask, v)
        self.flow = self.flows.meet(v[FLOW])
        for column in range(DIR, 15):
            v[column] = self.value(column, mask, v)
            check(column != DIR or v[DIR] <= 1, "dir is %d, expected 0 or 1", v[DIR])
        check(v[CAPTURED] <= min(v[BYTES], CAPTURED_MAX), "captured is %d of %d bytes", v[CAPTURED], v[BYTES])
        scales = self.at_hand(context_number(v[CALL], t.call1, 4 + outcome(v)))
        duration = scales.duration.scaled(self.columns[DURATION])
        guess = self.end if v[TID] == self.tid1 else self.end - duration
        time = (guess + scales.time.scaled(self.columns[TIME])) & U64
        self.behind(v, (time + duration) & U64)
        return {
            "item": "event", "time": time, "duration": duration, "pid": fits(v[PID], "u32", "pid"), "tid": v[TID],
            "call": v[CALL], "flags": fits(v[FLAGS], "u32", "flags"), "result": signed(v[RESULT]),
            "fd": fits(v[FD], "i32", "fd"), "dir": v[DIR], "flow": v[FLOW], "offset": v[OFFSET], "bytes": v[BYTES],
            "captured": v[CAPTURED], "arg": [v[ARG0], v[ARG1], v[ARG2]],
            "peer": fits(v[PEER], "u32", "peer"),
        }

    def behind(self, v, end):
        """s. 8: behind each event, in this order"""
        f, t = self.flow, self.thread
        f.fd, f.result[v[DIR]] = v[FD], v[RESULT]
        f.next[v[DIR]] = (v[OFFSET] + (0 if v[FLAGS] & PEEK else v[BYTES])) & U64
        t.pid, t.fd = v[PID], v[FD]
        t.call2, t.call1 = t.call1, v[CALL]
        t.outcome = outcome(v)
        put_first(t.flows, v[FLOW])
        put_first(self.tids, v[TID])
        self.max_flow = max(self.max_flow, v[FLOW])
        if v[CALL] in OPENING and signed(v[RESULT]) >= 0:
            t.opened = v[ARG0]
            self.max_flow = max(self.max_flow, v[ARG0])
            self.flows.meet(v[ARG0]).fd = v[RESULT]
        if 0 < v[CAPTURED] < v[BYTES]:
            self.snaplen = v[CAPTURED]
        self.end, self.tid2, self.tid1 = end, self.tid1, v[TID]
        if v[PEER]:
            t.peer, self.max_peer = v[PEER], max(self.max_peer, v[PEER])


def events(n_records, listed, strips):
    columns = {i: Column(i, {s: strips[i, s]() for s in range(4) if (i, s) in strips}) for i in COLUMNS}
    model = Model(columns, listed)
    result = []
    for i in range(n_records):
        try:
            result.append(model.event())
        except Damage as e:
            raise Damage("event %d: %s" % (i, e)) from None
    for column in columns.values():
        column.end()
    return result


# ---- s. 3: groups -------------------------------------------------------------------------------------------------


class Group:
    """Gathers a group's blocks: directories when they come, bodies when all are there."""

    def __init__(self, base):
        self.base, self.complete = base, False
        self.blocks = []  # (header, what to call for the content)
        self.types = set()
        self.runs = self.size = 0
        self.frames = Frames()

    def add(self, block):
        h = block.header
        size = self.size + h.stored_len + h.raw_len
        check(size <= GROUP_MAX, "the group has %d bytes, stored and decoded, expected at most %d", size, GROUP_MAX)
        if h.type in (PAYLOAD, PAYLOAD_RAW):
            runs = payload_runs(block)
            check(self.runs + len(runs) <= RUNS_MAX, "the group has %d runs, expected at most %d",
                  self.runs + len(runs), RUNS_MAX)
            self.runs += len(runs)
            body = self.frames.add(block.body, h.raw_len) if h.type == PAYLOAD else (lambda b=raw_body(block): b)
            self.blocks.append((h, runs, body))
        else:
            check(h.type not in self.types, "%s is there twice in a group", block.name)
            if h.type == EVENTS:
                flows, strips = events_directory(block, self.frames)
                self.blocks.append((h, flows, lambda: events(h.n_records, flows, strips)))
            elif h.type == SECRETS and h.flags & REDACTED:
                check(h.n_records == h.raw_len == 0, "SECRETS that were removed have %d records in %d bytes",
                      h.n_records, h.raw_len)
                self.blocks.append((h, None, lambda result: None))
            else:
                flows = block.directory.flows() if h.type == DEFS else None
                body = decoded_body(block, self.frames)
                self.blocks.append((h, flows, lambda result: records(body(), h.n_records, h.type, result)))
        self.types.add(h.type)
        self.size = size

    def content(self, complain):
        """What is whole of the group: its strings, records, and events (None: there are none, or not all)."""
        strings, all_records, all_events = Strings(), [], None
        for h, directory, body in self.blocks:
            try:
                if h.type in (PAYLOAD, PAYLOAD_RAW):
                    strings.add(directory, body())
                elif h.type == EVENTS:
                    all_events = body()
                else:
                    body(all_records)
            except Damage as e:
                complain(h, str(e))
        all_records.sort(key=lambda record: record.ordinal)
        return strings, all_records, all_events


# ---- s. 13: damage, and the tape as a whole ------------------------------------------------------------------------


class Reader:
    """Gives the items of a tape that lies in `data`; says what is wrong by calling report(text)."""

    def __init__(self, data, report, strict=None):
        self.data, self.report, self.strict = data, report, strict
        self.salt = None
        self.expected = 0  # block_seq of the next block
        self.ended = True  # by a FOOTER
        self.group = None
        self.last_lost = -1  # the greatest block_seq that is lost
        self.whole = self.redacted = self.skipped = False
        self.section_at = self.vain = 0
        self.seen = [0] * 10

    def complain(self, header, text):
        self.whole = False
        self.report("block %d at offset %d: %s" % (header.seq, header.at, text))

    # -- blocks

    def header_at(self, at):
        """The header that is there, if it is sound."""
        raw = self.data[at:at + 64]
        if len(raw) < 64 or raw[:8] != MAGIC:
            return None
        fields = struct.unpack("<8xHHIQQQIIQI", raw[:60])
        seed = 0 if fields[0] == SECTION else self.salt
        if seed is None or xxh64(raw[:60], seed) & 0xFFFFFFFF != struct.unpack("<I", raw[60:])[0]:
            self.vain += 60
            return None
        return Header(at, *fields)

    def stored(self, h):
        """The stored bytes, if they are sound."""
        stored = self.data[h.at + 64:h.at + 64 + h.stored_len]
        check(len(stored) == h.stored_len, "the tape is cut off: %d bytes of the block are there, expected %d",
              len(stored), h.stored_len)
        found = xxh64(stored, 0 if h.type == SECTION else self.salt)
        if found != h.stored_hash:
            self.vain += len(stored)
            raise Damage("the stored bytes have the hash %016x, expected %016x" % (found, h.stored_hash))
        return memoryview(stored)

    def end_of(self, h):
        """Where the next block begins: behind the padding, unless that is not padding (rule 6)."""
        end = h.at + 64 + h.stored_len
        padding = self.data[end:end + -h.stored_len % 8]
        return end + len(padding) if not any(padding) else end

    def behind_damage(self, h):
        """Rule 3: where to go on when the header was sound and the block was not; None when that does not show."""
        end = self.end_of(h)
        if end > len(self.data):
            return None
        following = self.header_at(end)
        return end if end == len(self.data) or following and not limits(following) else None

    def search(self, at):
        """Rule 4: the next sound header."""
        section = None
        while self.vain <= IN_VAIN + len(self.data):
            at = self.data.find(MAGIC, at)
            if at < 0 or section is not None and at - section > BLOCK_MAX + 64:
                break
            h = self.header_at(at)
            if h and not limits(h):
                if h.type != SECTION and h.seq >= self.expected:
                    return at
                if h.type == SECTION and section is None or h.type == SECTION and self.is_own(h):
                    try:
                        stored = self.stored(h)
                        if self.salt is None or self.is_own(h):
                            return at
                        section = at
                    except Damage:
                        pass
            at += 1
        return len(self.data) if section is None else section

    def is_own(self, h):
        return self.salt is not None and self.data[h.at + 64 + 20:h.at + 64 + 28] == struct.pack("<Q", self.salt)

    # -- the loop

    def items(self):
        at = 0
        if self.data[:8] != MAGIC:
            raise Refused("not a tape: it begins with %s, expected %s" % (self.data[:8].hex(), MAGIC.hex()))
        while at < len(self.data):
            h = self.header_at(at)
            try:
                if h is None:
                    h = Header(at, *[0] * 10)._replace(seq=self.expected)
                    left = len(self.data) - at
                    check(left >= 64, "the tape is cut off: %d bytes of a header are there, expected 64", left)
                    found = bytes(self.data[at:at + 8])
                    check(found == MAGIC, "a block begins with %s, expected %s", found.hex(), MAGIC.hex())
                    raise Damage("there is no sound header")
                why = limits(h)
                check(not why, "%s", why)
            except Damage as e:
                self.complain(h, str(e))
                at = self.search(at + 1)
                continue
            try:
                block = Block(h, self.stored(h))
            except Damage as e:
                self.complain(h, str(e))
                following = self.behind_damage(h)
                if following is None:
                    at = self.search(at + 1)
                else:
                    yield from self.lost_block(h)
                    at = following
                continue
            if h.type == SECTION:
                yield from self.section(block)
            else:
                yield from self.in_order(block)
            at = self.end_of(h)
        yield from self.end_of_section()
        if self.salt is None:
            self.report("there is no SECTION: this is not a tape")

    def lost_block(self, h):
        if h.type != SECTION and h.seq >= self.expected:
            self.last_lost, self.expected = h.seq, h.seq + 1
            if h.flags & GROUP_END and h.type != SNAPSHOT and self.group:
                yield from self.end_of_group()

    def in_order(self, block):
        """Rule 2, then by type."""
        h = block.header
        if h.seq < self.expected:
            self.complain(h, "expected block %d; the block is left out" % self.expected)
            return
        if h.seq > self.expected:
            self.complain(h, "expected block %d; %d blocks are lost" % (self.expected, h.seq - self.expected))
            self.last_lost = h.seq - 1
        self.expected = h.seq + 1
        if self.ended:
            self.complain(h, "there is a block behind the FOOTER")
            return
        if h.type in GROUP_TYPES:
            yield from self.group_block(block)
        elif h.type in KNOWN_TYPES:
            yield from self.end_of_group()
            if h.type == FOOTER:
                yield from self.footer(block)
            elif self.strict:
                self.strict.block(block, self.seen)
        else:
            yield from self.unknown_block(block)

    def unknown_block(self, block):
        h = block.header
        if h.flags & CRITICAL:
            raise Refused("block %d at offset %d: the tape needs blocks of type %d" % (h.seq, h.at, h.type))
        self.skipped = True
        if self.strict:
            self.strict.off = True
        if self.group and h.flags & GROUP_END:
            self.group.complete = True
            yield from self.end_of_group()

    # -- sections

    def section(self, block):
        try:
            salt, item = section_body(block)
        except Damage as e:
            self.complain(block.header, str(e))
            return
        yield from self.end_of_section()
        self.salt, self.section_at, self.expected = salt, block.header.at, 1
        self.ended, self.whole, self.redacted, self.skipped = False, True, False, False
        self.last_lost, self.seen = -1, [0] * 10
        if self.strict:
            self.strict.section(self.section_at, block.header)
        yield item

    def end_of_section(self):
        yield from self.end_of_group()
        if not self.ended:
            self.report("block %d at offset %d: the end of the section is missing: there is no FOOTER"
                        % (self.expected, len(self.data)))
        self.ended = True

    def footer(self, block):
        """s. 10"""
        h, words = block.header, []
        try:
            check(len(block.body) == h.raw_len == 512, "FOOTER has %d bytes, expected 512", len(block.body))
            words = struct.unpack("<64Q", block.body)
        except Damage as e:
            self.complain(h, str(e))
            return
        self.seen[5] = h.at - self.section_at
        whole = self.whole
        for i in range(1, 10) if not (self.redacted or self.skipped) else (2, 6, 7, 8, 9):
            if whole and words[i] != self.seen[i] & U64:
                self.complain(h, "%s are %d, expected by FOOTER %d" % (Totals._fields[i], self.seen[i], words[i]))
        if self.strict:
            self.strict.footer(h, words)
        self.ended = True
        yield {"item": "end"}

    # -- groups

    def group_block(self, block):
        h = block.header
        try:
            index = block.directory.varint(h.seq - 1, "an index in the group of")
        except Damage as e:
            self.complain(h, str(e))
            self.last_lost = h.seq
            return
        base = h.seq - index
        if self.group and self.group.base != base:
            yield from self.end_of_group()
        try:
            self.group = self.group or Group(base)
            self.group.add(block)
        except Damage as e:
            self.complain(h, str(e))
            self.last_lost = h.seq
        if h.flags & GROUP_END and h.type not in (PAYLOAD, PAYLOAD_RAW) and self.group:
            self.group.complete = True
            yield from self.end_of_group()

    def end_of_group(self):
        group, self.group = self.group, None
        if not group:
            return
        first = group.blocks[0][0] if group.blocks else Header(0, *[0] * 10)
        if not group.complete and self.last_lost < group.base:
            self.complain(first, "the group that begins here is not complete")
        strings, all_records, all_events = group.content(self.complain)
        self.redacted |= any(h.type == SECRETS and h.flags & REDACTED for h, _, _ in group.blocks)
        if self.strict:
            self.strict.off |= self.redacted or self.skipped
            self.strict.group(group, all_records, all_events)
        self.seen[1] += 1
        self.seen[3] += len(all_records)
        missing = self.last_lost >= group.base
        yield from self.in_their_order(all_records, all_events or [], strings, first, missing)

    def in_their_order(self, all_records, all_events, strings, first, missing):
        """s. 5: records in the order of their ordinals, each behind as many events"""
        given, ordinal, peers = 0, -1, []
        for record in all_records:
            if record.ordinal == ordinal:
                self.complain(first, "the group has two records with the ordinal %d" % ordinal)
            ordinal = record.ordinal
            while given < min(record.events_before, len(all_events)):
                yield self.with_data(all_events[given], strings, peers, first, missing)
                given += 1
            if record.item and record.item["item"] == "peer":
                if len(peers) < PEERS_MAX:
                    peers.append(record.item["address"])
                else:
                    self.complain(first, "the group has more than %d peers" % PEERS_MAX)
            elif record.item:
                self.seen[4] += record.item["item"] == "secret"
                yield record.item
        for event in all_events[given:]:
            yield self.with_data(event, strings, peers, first, missing)

    def with_data(self, event, strings, peers, first, missing):
        data, peer = b"", event.pop("peer")
        if 0 < peer <= len(peers):
            event["peer"] = peers[peer - 1]
        elif peer and not missing and self.whole:
            self.complain(first, "an event is of peer %d, the group has %d before it" % (peer, len(peers)))
        if event["captured"]:
            try:
                data = strings.next(event)
                if data is None:
                    event["captured"], data = 0, b""
                    check(missing or not self.whole, "the payload of an event of flow %d is not there", event["flow"])
            except Damage as e:
                self.complain(first, str(e))
                event["captured"], data = 0, b""
        self.seen[2] += 1  # words 6 to 9 are without library calls as well: types.h, `carried`
        if not event["flags"] & PEEK and event["call"] < SSL_READ:
            self.seen[6 + event["dir"]] += event["bytes"]
            self.seen[8 + event["dir"]] += event["captured"]
        event["data"] = bytes(data)
        return event


# ---- the rules for writers -----------------------------------------------------------------------------------------

EXIT, LIBRARY, NO_FLOW_LIST = 1026, 4, (SNAPSHOT, LOSS, INDEX, SECRETS)


class Strict:
    """--strict: what a reader in order needs no look at, and who writes must do nevertheless. Behind secrets that were
    dropped, and blocks that this reader does not know, much can't be told any more: nothing is."""

    def __init__(self, report):
        self.report, self.off = report, False

    def expect(self, header, what, found, expected):
        if found != expected and not self.off:
            self.report("block %d at offset %d: strict: %s: found %s, expected %s"
                        % (header.seq, header.at, what, str(found)[:200], str(expected)[:200]))

    def section(self, at, header):
        self.at, self.last_index, self.off = at, 0, False
        self.entries, self.first = [], header.at + 64 + header.stored_len + -header.stored_len % 8
        self.clock, self.processes, self.flows, self.threads = None, {}, {}, {}  # the latest; what ended as well
        self.open = set()  # ("process", pid), ("flow", id) and ("thread", pid, tid) that are in force
        self.snapshot = []
        self.words = [0] * 64

    def item(self, item):
        """In force, and s. 10: totals from word 10 on"""
        w, kind = self.words, item["item"]
        if kind == "section":
            w[14], w[15], w[16] = (item["clock"][name] for name in ("monotonic", "realtime", "boottime"))
        elif kind == "clock":
            self.clock = item
            w[14], w[15], w[16] = item["monotonic"], item["realtime"], item["boottime"]
        elif kind == "process":
            w[11] += ("process", item["pid"]) not in self.open
            self.open.add(("process", item["pid"]))
            self.processes[item["pid"]] = item
        elif kind == "flow":
            w[10] += ("flow", item["id"]) not in self.open and item["kind"] != LIBRARY
            (self.open.discard if item["closed"] else self.open.add)(("flow", item["id"]))
            self.flows[item["id"]] = item
        elif kind == "thread":
            key = "thread", item["pid"], item["tid"]
            (self.open.add if item["comm"] and ("process", item["pid"]) in self.open else self.open.discard)(key)
            self.threads[key] = item
        elif kind == "loss":
            reason = item["reason"] if item["reason"] < 16 else 0
            w[17 + 2 * reason] = (w[17 + 2 * reason] + item["count"]) & U64
            w[18 + 2 * reason] = (w[18 + 2 * reason] + item["bytes"]) & U64
        elif kind == "event":
            self.ended_by(item)
            first = not w[12] and not w[13]
            w[12] = item["time"] if first else min(w[12], item["time"])
            w[13] = max(w[13], min(item["time"] + item["duration"], U64))

    def ended_by(self, event):
        if event["call"] == EXIT:
            self.open = {key for key in self.open if key[0] == "flow" or key[1] != event["pid"]}

    def group(self, group, all_records, all_events):
        """s. 3: a group's time, lists of flows, and which blocks carry GROUP_END; s. 5: ordinals"""
        items = [r.item for r in all_records if r.item]
        if all_events:
            times = [e["time"] for e in all_events] + [min(e["time"] + e["duration"], U64) for e in all_events]
        else:
            times = [t for i in items for t in self.times(i)]
        lists = {EVENTS: {e["flow"] for e in all_events or []}, DEFS: {i["id"] for i in items if i["item"] == "flow"}}
        for i, (h, directory, _) in enumerate(group.blocks):
            if times:
                self.expect(h, "the group's time", (h.ts_min, h.ts_max), (min(times), max(times)))
            if h.type in lists:
                self.expect(h, "the list of flows", directory, sorted(lists[h.type]))
            if h.type == DEFS:
                others = {i["item"] for i in items} & {"clock", "process", "thread", "peer"}
                self.expect(h, "FLOWS", h.flags & FLOWS, 0 if others else FLOWS)
            flows = sorted({run.flow for run in directory}) if h.type in (PAYLOAD, PAYLOAD_RAW) else directory
            self.entries.append((h.type, h.flags, h.stored_len, h.ts_min, h.ts_max, flows))
            self.expect(h, "GROUP_END", h.flags & GROUP_END, GROUP_END if h is group.blocks[-1][0] else 0)
            self.expect(h, "index in the group", h.seq - group.base, i)
        first = group.blocks[0][0]
        self.expect(first, "ordinals", [r.ordinal for r in all_records], list(range(len(all_records))))
        self.runs([r for h, d, _ in group.blocks if h.type in (PAYLOAD, PAYLOAD_RAW) for r in d], all_events, first)

    def times(self, item):
        of = {"clock": ["monotonic"], "loss": ["from", "to"], "peer": []}.get(item["item"], ["time"])
        if item["item"] == "flow":
            of = ["closed" if item["closed"] else "opened"]
        return [item[name] for name in of]

    def runs(self, runs, all_events, first):
        """s. 6: a run begins with an event's first byte, and says its offset"""
        starts, length = {}, {}
        for e in all_events or []:
            key = e["flow"], e["dir"]
            if e["captured"]:
                starts[(*key, length.get(key, 0))] = e["offset"]
            length[key] = length.get(key, 0) + e["captured"]
        for run in runs:
            self.expect(first, "offset of a run of flow %d" % run.flow, run.offset,
                        starts.get((run.flow, run.dir, run.start)))
            length[run.flow, run.dir] = length.get((run.flow, run.dir), 0) - run.bytes
        self.expect(first, "bytes that are in no event, or no run", {k: n for k, n in length.items() if n}, {})

    def block(self, block, seen):
        try:
            if block.header.type == INDEX:
                self.index(block, seen)
            else:
                self.snapshot_block(block)
        except Damage as e:
            self.expect(block.header, block.name, str(e), "none")

    def index(self, block, seen):
        """s. 11"""
        h, c = block.header, block.directory
        words = struct.unpack("<64Q", c.take(512))
        self.totals(h, words)
        self.expect(h, "words 1 to 4, 6 to 9", words[1:5] + words[6:10], (*seen[1:5], *seen[6:10]))
        self.expect(h, "word 5", words[5], h.at - self.at)
        self.expect(h, "the first block", c.varint(), h.seq - len(self.entries))
        self.expect(h, "its offset", c.varint(), self.first - self.at)
        self.expect(h, "n_records", h.n_records, len(self.entries))
        frames = Frames()
        c = Cursor(decoded_body(block, frames)(), "INDEX")
        ts_min = 0
        for i, expected in enumerate(self.entries):
            kind, flags, stored_len = c.varint(), c.varint(), c.varint()
            ts_min = (ts_min + c.zigzag()) & U64
            entry = kind, flags, stored_len, ts_min, ts_min + c.varint(), None if kind in NO_FLOW_LIST else c.flows()
            self.expect(h, "entry %d" % i, entry, expected)
        c.end()
        self.last_index = h.at - self.at
        self.entries, self.first = [], h.at + 64 + h.stored_len + -h.stored_len % 8

    def snapshot_block(self, block):
        """s. 9"""
        h, blocks = block.header, sum(entry[0] == SNAPSHOT for entry in self.entries)
        result = []
        self.expect(h, "ts_min, ts_max", (h.ts_min, h.ts_max), (0, 0))
        records(decoded_body(block, Frames())(), h.n_records, SNAPSHOT, result)
        index = block.directory.varint()
        if index == 0:
            self.snapshot = []
        self.expect(h, "index in the snapshot", index <= blocks, True)
        self.entries.append((h.type, h.flags, h.stored_len, 0, 0, None))
        self.expect(h, "ordinals", [r.ordinal for r in result],
                    list(range(len(self.snapshot), len(self.snapshot) + len(result))))
        self.expect(h, "events_before", sum(r.events_before for r in result), 0)
        self.snapshot += [r.item for r in result]
        if h.flags & GROUP_END:
            self.in_force(h)

    def in_force(self, h):
        for i in self.snapshot:
            known = {"clock": lambda: self.clock, "process": lambda: self.processes.get(i["pid"]),
                     "flow": lambda: self.flows.get(i["id"]),
                     "thread": lambda: self.threads.get(("thread", i["pid"], i["tid"]))}[i["item"]]()
            self.expect(h, "a definition of the snapshot", i, known)
        keys = {"clock": [], "process": ["pid"], "flow": ["id"], "thread": ["pid", "tid"]}
        there = {(i["item"], *(i[name] for name in keys[i["item"]])) for i in self.snapshot}
        self.expect(h, "definitions that are in force and not in the snapshot", self.open - there, set())

    def totals(self, h, words):
        self.expect(h, "word 0", words[0], self.last_index)
        for i in range(10, 64):
            self.expect(h, "word %d" % i, words[i], self.words[i])

    def footer(self, h, words):
        self.totals(h, words)
        if self.last_index:
            self.expect(h, "blocks behind the last INDEX", len(self.entries), 0)


# ---- what is printed ----------------------------------------------------------------------------------------------


def escaped(text):
    """A character is a byte; what is not plain ASCII is \\u00XX."""
    return '"' + re.sub(r'[^ !#-\[\]-\x7f]', lambda m: "\\u%04x" % ord(m[0]), text) + '"'


def canonical(value):
    """JSON with sorted keys; bytes are in hex, or said by length and SHA-256 when there are more than 64."""
    if isinstance(value, dict):
        return "{" + ",".join(escaped(k) + ":" + canonical(value[k]) for k in sorted(value)) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    if isinstance(value, bytes) and len(value) > 64:
        return canonical({"len": len(value), "sha256": hashlib.sha256(value).hexdigest()})
    if isinstance(value, bytes):
        return escaped(value.hex())
    return escaped(value) if isinstance(value, str) else str(value)


class FlowSums:
    """--flows: what the events of each flow carried. What was only peeked at comes again, and is not counted."""

    def __init__(self):
        self.section, self.flows = 0, {}

    def flow(self, number):
        if number not in self.flows:
            if len(self.flows) >= FLOWS_KEPT:
                raise Refused("the section has more than %d flows" % FLOWS_KEPT)
            self.flows[number] = {"id": number, "section": self.section, "pid": 0, "fd": -1, "bytes": [0, 0],
                                  "captured": [0, 0], "sha256": [hashlib.sha256(), hashlib.sha256()]}
        return self.flows[number]

    def take(self, item):
        if item["item"] == "section":
            self.print()
            self.section += 1
        elif item["item"] == "flow":
            self.flow(item["id"]).update(pid=item["pid"], fd=item["fd"])
        elif item["item"] == "event" and item["flow"] and not item["flags"] & PEEK:
            flow, direction = self.flow(item["flow"]), item["dir"]
            flow["bytes"][direction] = (flow["bytes"][direction] + item["bytes"]) & U64
            flow["captured"][direction] += item["captured"]
            flow["sha256"][direction].update(item["data"])

    def print(self):
        for number in sorted(self.flows):
            flow = self.flows[number]
            print(canonical({**flow, "sha256": [h.hexdigest() for h in flow["sha256"]]}))
        self.flows = {}


def mapped(name):
    """The tape's bytes; what can't be mapped (a pipe) goes through a file."""
    with (open(name, "rb") if name != "-" else os.fdopen(os.dup(0), "rb")) as f:
        if not f.seekable():
            copy = tempfile.TemporaryFile()
            shutil.copyfileobj(f, copy)
            copy.flush()
            f = copy
        size = os.fstat(f.fileno()).st_size
        return mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ) if size else b""


def main():
    parser = argparse.ArgumentParser(description="Reads a tape by docs/format.md.")
    parser.add_argument("--flows", action="store_true", help="one line a flow")
    parser.add_argument("--strict", action="store_true", help="hold the tape to the rules for writers as well")
    parser.add_argument("tape", metavar="TAPE")
    options = parser.parse_args()
    damage = []

    def report(text):
        damage.append(1)
        print("reader.py: %s: %s" % (options.tape, text), file=sys.stderr)

    flows = FlowSums()
    try:
        strict = Strict(report) if options.strict else None
        reader = Reader(mapped(options.tape), report, strict)
        for item in reader.items():
            strict.item(item) if strict else None
            flows.take(item) if options.flows else print(canonical(item))
    except Refused as e:
        report(str(e))
    except OSError as e:
        report(str(e))
    flows.print()
    return 3 if damage else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(3)
