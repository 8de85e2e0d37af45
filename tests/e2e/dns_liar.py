"""A DNS server that lies as the name's first label says, on ADDRESS, port 53.

usage: dns_liar.py ADDRESS

The truth is 192.0.2.1; 192.0.2.66 is a lie. "silent" says nothing; "wrongid" and
"wrongname" send a hundred forgeries before the truth; "poison" adds records of other
names; "long" is truncated, and 64 KiB over TCP; "garbage" is not a message.
"""
import random
import socket
import struct
import sys
import threading

TRUTH, LIE = b"\xc0\0\2\1", b"\xc0\0\2\x42"


def record(owner, data, kind=1):
    return owner + struct.pack(">HHIH", kind, 1, 300, len(data)) + data


def message(query, answers, authority=b"", count=None, flags=0x8180, ident=None):
    question = query[12:end_of(query)]
    ident = query[:2] if ident is None else ident
    counts = struct.pack(">HHHHH", flags, 1, len(answers) if count is None else count,
                         1 if authority else 0, 0)
    return ident + counts + question + b"".join(answers) + authority


def end_of(query):
    at = 12
    while query[at]:
        at += query[at] + 1
    return at + 5


def answers_to(query, tcp):
    label = query[13:13 + query[12]].lower()
    here = b"\xc0\x0c"
    truth = message(query, [record(here, TRUTH)])
    lie = message(query, [record(here, LIE)])
    if label == b"silent":
        return []
    if label == b"wrongid":
        return [random.randbytes(2) + lie[2:] for _ in range(100)] + [truth]
    if label == b"wrongname":
        return [lie[:13] + b"x" + lie[14:]] * 100 + [truth]
    if label == b"poison":
        bank = record(b"\3www\4bank\0", LIE)
        return [message(query, [record(here, TRUTH), bank],
                        record(b"\4bank\0", b"\2ns\4evil\0", 2))]
    if label == b"garbage":
        return [query[:2] + b"\x81\x80" + random.randbytes(40)]
    if label == b"long" and not tcp:
        return [message(query, [], flags=0x8380)]
    if label == b"long":
        many = [record(here, struct.pack(">I", 0x0a000000 + i)) for i in range(2000)]
        room = 65535 - len(message(query, many)) - 12
        return [message(query, many, record(here, bytes(room), 65280))]
    return [truth]


def serve_tcp(listener):
    while True:
        conn, _ = listener.accept()
        with conn:
            head = conn.recv(2, socket.MSG_WAITALL)
            if len(head) == 2:
                query = conn.recv(struct.unpack(">H", head)[0], socket.MSG_WAITALL)
                for out in answers_to(query, True):
                    conn.sendall(struct.pack(">H", len(out)) + out)


def main():
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind((sys.argv[1], 53))
    tcp = socket.create_server((sys.argv[1], 53))
    threading.Thread(target=serve_tcp, args=(tcp,), daemon=True).start()
    print("ready", flush=True)
    while True:
        query, client = udp.recvfrom(4096)
        for out in answers_to(query, False):
            udp.sendto(out, client)


main()
