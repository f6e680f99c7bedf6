#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""golden.py CHANGE TAPE COPY: a copy of a sound tape of one section that was changed in one way.

    flip-payload   a byte of the first block of payload is another one
    flip-header    a byte of the header of the first block of definitions is another one
    redact         the secrets were dropped in place (docs/format.md, section 5)
    unknown        of minor version 1: a block, a record, and a column that version 1.0 does not know
    feature        it needs a feature that version 1.0 does not know

Takes a tape apart with tests/reader.py and puts it together with numbers, totals, index and hashes that are right.
"""
import os
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests"))
from reader import (DEFS, EVENTS, FOOTER, GROUP_TYPES, INDEX, LOSS, MAGIC, PAYLOAD, PAYLOAD_RAW, RAW,  # noqa: E402
                    REDACTED, SECRETS, SECTION, Cursor, run_zstd, xxh64)

UNKNOWN_TYPE, UNKNOWN_RECORD, UNKNOWN_COLUMN = 0x8123, 99, 60
FIELDS = "type flags dir_len seq ts_min ts_max stored_len raw_len hash n_records".split()


class Block:
    def __init__(self, tape, at):
        self.at = at
        self.__dict__.update(zip(FIELDS, struct.unpack_from("<HHIQQQIIQI", tape, at + 8)))
        self.directory = tape[at + 64:at + 64 + self.dir_len]
        self.body = tape[at + 64 + self.dir_len:at + 64 + self.stored_len]

    def bytes(self, salt):
        stored = self.directory + self.body
        self.dir_len, self.stored_len = len(self.directory), len(stored)
        seed = 0 if self.type == SECTION else salt
        head = MAGIC + struct.pack("<HHIQQQIIQI", self.type, self.flags, self.dir_len, self.seq, self.ts_min,
                                   self.ts_max, self.stored_len, self.raw_len, xxh64(stored, seed), self.n_records)
        return head + struct.pack("<I", xxh64(head, seed) & 0xFFFFFFFF) + stored + bytes(-len(stored) % 8)


def take_apart(tape):
    blocks, at = [], 0
    while at < len(tape):
        blocks.append(Block(tape, at))
        at += 64 + blocks[-1].stored_len + -blocks[-1].stored_len % 8
    return blocks


def varint(n):
    return bytes([n]) if n < 0x80 else bytes([n & 0x7F | 0x80]) + varint(n >> 7)


def zigzag(d):
    return varint(d << 1 if d >= 0 else (-d << 1) - 1)


def list_of_flows(flows):
    return varint(len(flows)) + b"".join(varint(b - a) for a, b in zip([0, *flows], flows))


def flows_of(block):
    c = Cursor(block.directory, "a directory")
    c.varint()
    if block.type not in (PAYLOAD, PAYLOAD_RAW):
        return c.flows()
    flow, flows = 0, []
    for _ in range(block.n_records):
        flow += c.varint()
        flows.append(flow)
        c.u8(), c.varint(), c.varint(), c.varint()
    return sorted(set(flows))


def index_of(index, blocks):
    """The INDEX, of these blocks, which are all that are before it but for SECTION."""
    at = 64 + blocks[0].stored_len + -blocks[0].stored_len % 8
    index.directory = index.directory[:512] + varint(1) + varint(at)
    index.body, ts_min = b"", 0
    for b in blocks[1:]:
        index.body += varint(b.type) + varint(b.flags) + varint(b.stored_len)
        index.body += zigzag(b.ts_min - ts_min) + varint(b.ts_max - b.ts_min)
        index.body += list_of_flows(flows_of(b)) if b.type in (EVENTS, PAYLOAD, PAYLOAD_RAW, DEFS) else b""
        ts_min = b.ts_min
    index.flags |= RAW
    index.raw_len, index.n_records = len(index.body), len(blocks) - 1


def put_together(blocks, salt, records=0):
    """`records`: how many more there are than the totals count."""
    tape, index_at = b"", 0
    for i, b in enumerate(blocks):
        b.seq = i
        if b.type in (INDEX, FOOTER):
            totals = b.directory if b.type == INDEX else b.body
            words = list(struct.unpack("<64Q", totals[:512]))
            words[0], words[3], words[5] = index_at, words[3] + records, len(tape)
            totals = struct.pack("<64Q", *words) + totals[512:]
            if b.type == INDEX:
                index_at, b.directory = len(tape), totals
                index_of(b, blocks[:i])
            else:
                b.body = totals
        tape += b.bytes(salt)
    return tape


def first(blocks, *types):
    return next(b for b in blocks if b.type in types)


def flipped(tape, at):
    return tape[:at] + bytes([tape[at] ^ 0x10]) + tape[at + 1:]


def redact(blocks):
    b = first(blocks, SECRETS)
    b.flags, b.n_records, b.raw_len, b.body = b.flags | REDACTED, 0, 0, bytes(len(b.body))


def base_of(block):
    return block.seq - Cursor(block.directory, "a directory").varint()


def last_ordinal(block):
    c, ordinal = Cursor(block.body, "a body"), 0
    for _ in range(block.n_records):
        record = Cursor(c.take(c.varint()), "a record")
        record.varint()
        ordinal += record.varint()
    return ordinal


def add_unknown(blocks):
    blocks[0].body = b"\1\0\1\0" + blocks[0].body[4:]

    defs = first(blocks, DEFS)
    if not defs.flags & RAW:
        defs.body = run_zstd([defs.body], [defs.raw_len])
        defs.flags |= RAW
    group = [b for b in blocks if b.type in GROUP_TYPES and base_of(b) == base_of(defs)]
    step = sum(b.n_records for b in group if b.type in (DEFS, SECRETS, LOSS)) - last_ordinal(defs)
    record = varint(UNKNOWN_RECORD) + varint(step) + varint(0) + b"what it is"
    defs.body += varint(len(record)) + record
    defs.raw_len, defs.n_records = len(defs.body), defs.n_records + 1

    events = first(blocks, EVENTS)
    c = Cursor(events.directory, "a directory")
    c.varint(), c.flows()
    before, n = events.directory[:c.at], c.varint()
    entry = bytes([UNKNOWN_COLUMN, 0]) + varint(5) + varint(5)
    events.directory = before + varint(n + 1) + events.directory[c.at:] + entry
    events.body += b"value"
    events.raw_len += 5

    # Behind the first group.
    i = blocks.index(events) + 1
    block = Block(blocks[0].bytes(0), 0)
    block.type, block.flags, block.directory, block.body = UNKNOWN_TYPE, 0, b"", b"of a later minor version"
    block.raw_len = len(block.body)
    blocks.insert(i, block)


def need_feature(blocks):
    body = blocks[0].body
    blocks[0].body = body[:52] + b"\1" + varint(11) + b"time-travel\0" + body[53:]
    blocks[0].raw_len = len(blocks[0].body)


def main():
    change, name, copy = sys.argv[1:]
    with open(name, "rb") as f:
        tape = f.read()
    blocks = take_apart(tape)
    salt = struct.unpack_from("<Q", blocks[0].body, 20)[0]
    if change == "flip-payload":
        b = first(blocks, PAYLOAD, PAYLOAD_RAW)
        changed = flipped(tape, b.at + 64 + b.stored_len // 2)
    elif change == "flip-header":
        changed = flipped(tape, first(blocks, DEFS).at + 24)
    elif change == "redact":
        redact(blocks)
        changed = b"".join(b.bytes(salt) for b in blocks)  # nothing else changes
    elif change == "unknown":
        add_unknown(blocks)
        changed = put_together(blocks, salt, 1)
    else:
        need_feature(blocks)
        changed = put_together(blocks, salt)
    with open(copy, "wb") as f:
        f.write(changed)


if __name__ == "__main__":
    main()
