"""Whoever can reach a peer port and means no good; for store_peer_attack.sh.

usage: peer_attacker.py PORT

Asks for the ids that anyone can ask for, does what it can with them, and prints
a line for each attack with what became of it.
"""
import json
import random
import socket
import sys
import threading
import time

PORT = int(sys.argv[1])
chance = random.Random(4711)


def dial():
    s = socket.socket()
    s.settimeout(30)
    s.connect(("127.0.0.1", PORT))
    return s


def answer(s):
    """The status of what comes; 0: closed, or nothing that is HTTP."""
    data = b""
    try:
        while b"\r\n" not in data:
            piece = s.recv(4096)
            if not piece:
                break
            data += piece
    except OSError:
        pass
    parts = data.split()
    s.close()
    return int(parts[1]) if len(parts) > 1 and parts[0][:5] == b"HTTP/" else 0


def ask(head, body=b""):
    s = dial()
    try:
        s.sendall(head.encode() + b"\r\n" + body)
    except OSError:
        pass  # It has answered before all was sent.
    return answer(s)


def page(path):
    s = dial()
    s.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
    data = b""
    while piece := s.recv(65536):
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    return head.decode(), body


head, body = page("/members")
cluster = head.lower().split("x-etcd-cluster-id: ")[1].split()[0]
members = json.loads(body)
us = next(m for m in members if m["peerURLs"][0].endswith(f":{PORT}"))["id"]
other = next(m for m in members if m["id"] != us)["id"]


def ids(sender, more=""):
    return f"Host: x\r\nX-Etcd-Cluster-ID: {cluster}\r\nX-Server-From: {sender}\r\n{more}"


def say(what, *found):
    print(what + ":", *found, flush=True)


# --- bytes that are no request, and beginnings of requests that stay so
def garbage():
    firsts = [b"", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\x16\x03\x01\x02\x00", b"GET "]
    for i in range(300):
        s = dial()
        try:
            s.sendall(firsts[i % len(firsts)] + chance.randbytes(chance.randrange(3000)))
        except OSError:
            pass
        s.close()
    say("garbage", "sent")


def huge():
    found = set()
    for length in ("1572865", "99999999999999", "18446744073709551616", "-1", "x"):
        found.add(ask(f"POST /raft HTTP/1.1\r\n{ids(other)}Content-Length: {length}\r\n"))
    say("huge lengths", *sorted(found))


def strangers():
    found = []
    to = f"X-Raft-To: {us:x}\r\n"
    for sender, more in (("7", to), (f"{other:x}", "X-Raft-To: 7\r\n"), ("-1", to), ("", to)):
        found.append(ask(f"GET /raft/stream/message/{sender} HTTP/1.1\r\n{ids(sender, more)}"))
    found.append(ask(f"GET /raft/stream/msgapp/{other:x} HTTP/1.1\r\nHost: x\r\n{to}"))
    say("wrong ids", *found)


# --- protobuf by hand
def number(field, value):
    out = b""
    for v in (field << 3, value):
        while v > 127:
            out += bytes([v & 127 | 128])
            v >>= 7
        out += bytes([v])
    return out


def part(field, value):
    return number(field, 0)[:-1].replace(bytes([field << 3]), bytes([field << 3 | 2])) + (
        number(1, len(value))[1:] + value
    )


def snapshot_message(sender, index):
    conf = b"".join(number(1, m["id"]) for m in members)
    meta = part(1, conf) + number(2, index) + number(3, 1)
    return (
        number(1, 7) + number(2, us) + number(3, sender) + number(4, 1) + part(9, part(2, meta))
    )


def snapshots():
    found = []
    for index in (1, 10**9):
        m = snapshot_message(other, index)
        found.append(ask(f"POST /raft HTTP/1.1\r\n{ids(f'{other:x}')}Content-Length: {len(m)}\r\n", m))
        file = chance.randbytes(500000)
        whole = len(m).to_bytes(8, "big") + m + file
        for _ in range(5):
            found.append(
                ask(
                    f"POST /raft/snapshot HTTP/1.1\r\n{ids(f'{other:x}')}"
                    f"Content-Length: {len(whole)}\r\n",
                    whole,
                )
            )
    say("snapshots", *found)


# --- many, and slow
def slow():
    """Each a byte now and then, for as long as it is suffered."""
    kept = []
    for _ in range(100):
        s = dial()
        s.sendall(b"POST /raft HTTP/1.1\r\nHost: x\r\nX: ")
        kept.append(s)
    until = time.time() + 30
    while kept and time.time() < until:
        for s in list(kept):
            try:
                s.sendall(b"y")
            except OSError:
                kept.remove(s)
        time.sleep(0.2)
    say("slow ones that are left", len(kept))


def bodies():
    """Most of a message, never the end."""
    kept = []
    for _ in range(150):
        s = dial()
        s.settimeout(1)
        try:
            s.sendall(
                f"POST /raft HTTP/1.1\r\n{ids(f'{other:x}')}Content-Length: 1500000\r\n\r\n".encode()
                + bytes(1400000)
            )
        except OSError:
            pass
        kept.append(s)
    say("half bodies", "sent")
    return kept


def many():
    kept = []
    for _ in range(2000):
        s = socket.socket()
        s.setblocking(False)
        s.connect_ex(("127.0.0.1", PORT))
        kept.append(s)
    say("connections", len(kept))
    return kept


garbage()
huge()
strangers()
snapshots()
half = bodies()
for s in half:
    s.close()
loris = threading.Thread(target=slow)
loris.start()
loris.join()
crowd = many()
time.sleep(3)  # They stay for some heartbeats.
for s in crowd:
    s.close()
say("after all", ask("GET /version HTTP/1.1\r\nHost: x\r\n"))
