"""500 instances of one service: what fits, and who gets which of them.

    dns_many.py PORT NAME COUNT
"""

import socket
import sys

from dns_wire import *

PORT, NAME, COUNT = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
count = 0
failed = 0


def ok(title, good, got=""):
    global count, failed
    count += 1
    failed += not good
    print("%s %d - %s" % ("ok" if good else "not ok", count, title))
    if not good:
        print("#   got %s" % (got,))


def ask_udp(kind, client="127.0.0.1", bufsize=None):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind((client, 0))
        s.settimeout(20)
        s.connect(("127.0.0.1", PORT))
        s.send(make_query(NAME, kind, extra=opt(bufsize) if bufsize else b""))
        return read(s.recv(65535))


def ask_tcp(kind):
    with socket.create_connection(("127.0.0.1", PORT), 20) as s:
        message = make_query(NAME, kind)
        s.sendall(len(message).to_bytes(2, "big") + message)
        data = b""
        while len(data) < 2 or len(data) < 2 + int.from_bytes(data[:2], "big"):
            data += s.recv(65535)
        return read(data[2:])


def answers(seen):
    return [body for section, _, _, body in seen["records"] if section == "answer"]


def addresses(seen):
    return [body for section, kind, _, body in seen["records"]
            if section == "other" and kind == A]


for kind, what in ((A, "A"), (SRV, "SRV")):
    seen = ask_udp(kind)
    ok("%s without EDNS: 3 answers in 512 bytes" % what,
       seen["an"] == 3 and seen["size"] <= 512, seen)
    for size in (1232, 8192):
        seen = ask_udp(kind, bufsize=size)
        ok("%s with EDNS %d: %d bytes, %d answers" % (
            what, size, seen["size"], seen["an"]),
           seen["size"] <= size and 3 < seen["an"] < COUNT + 1 and not seen["tc"], seen)
    seen = ask_tcp(kind)
    ok("%s over TCP: all of them, each once" % what,
       len(set(answers(seen))) == seen["an"] == COUNT, seen["an"])
ok("each SRV record's address comes along", len(set(addresses(seen))) == COUNT)

for bufsize, least in ((None, 3), (1232, 10)):
    sets = {}
    for client in range(2, 12):
        asked = [answers(ask_udp(SRV, "127.0.0.%d" % client, bufsize))
                 for _ in range(100 if client == 2 else 3)]
        ok("127.0.0.%d gets the same records each time (EDNS %s)" % (client, bufsize),
           len({frozenset(one) for one in asked}) == 1 and len(asked[0]) >= least)
        if client == 2:
            ok("in changing order", len({tuple(one) for one in asked}) > 3)
        sets[client] = frozenset(asked[0])
    ok("each client gets others", len(set(sets.values())) == len(sets), sets)
    everybody = frozenset().union(*sets.values())
    ok("so that all of them serve: %d of %d named to ten clients" % (
        len(everybody), COUNT), len(everybody) > 4 * len(sets[2]))
seen = {frozenset(answers(ask_udp(A, bufsize=None))) for _ in range(20)}
ok("addresses: others each time", len(seen) > 5, len(seen))
print("1..%d" % count)
sys.exit(1 if failed else 0)
