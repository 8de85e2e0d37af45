"""Questions asked of our agent and of a real Consul agent with the same content.

    consul_dns.py RECURSOR CONFIG=OURS:HTTP=THEIRS:HTTP...    (ports on 127.0.0.1)

The rows are in consul_dns_rows.py.
"""

import socket
import struct
import sys
import threading

import consul_dns_content
import consul_dns_rows
from dns_wire import *

TYPES = {"A": A, "NS": NS, "CNAME": CNAME, "SOA": SOA, "PTR": PTR, "MX": MX,
         "TXT": TXT, "AAAA": AAAA, "SRV": SRV, "ANY": ANY, "HTTPS": HTTPS,
         "CAA": CAA, "SVCB": SVCB, "AXFR": 252, "IXFR": 251}
WORDS = {number: word for word, number in TYPES.items()}
RCODES = ["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"]
FLAGS = [("aa", AA), ("tc", TC), ("rd", RD), ("ra", RA), ("ad", AD), ("cd", CD)]


# --- reading -----------------------------------------------------------------

def read_name(data, at):
    """The name at AT as text, and where it ends."""
    labels, end = [], None
    while data[at]:
        if data[at] & 0xC0:
            end = end or at + 2
            at = (data[at] & 0x3F) << 8 | data[at + 1]
            continue
        labels.append(data[at + 1:at + 1 + data[at]].decode("latin-1")
                      .replace("\\", "\\\\").replace(".", "\\."))
        at += 1 + data[at]
    return ".".join(labels) + ".", end or at + 1


def read_strings(body):
    out = []
    while body:
        out.append(repr(body[1:1 + body[0]].decode("latin-1")))
        body = body[1 + body[0]:]
    return " ".join(out)


def read_data(data, kind, at, length):
    body = data[at:at + length]
    if kind == A:
        return socket.inet_ntop(socket.AF_INET, body)
    if kind == AAAA:
        return socket.inet_ntop(socket.AF_INET6, body)
    if kind in (NS, CNAME, PTR):
        return read_name(data, at)[0]
    if kind == SRV:
        return "%d %d %d " % struct.unpack("!3H", body[:6]) + read_name(data, at + 6)[0]
    if kind == TXT:
        return read_strings(body)
    if kind == SOA:  # The serial is another thing in each.
        mname, at = read_name(data, at)
        rname, at = read_name(data, at)
        return "%s %s SERIAL %d %d %d %d" % (
            (mname, rname) + struct.unpack("!4I", data[at + 4:at + 20]))
    return body.hex()


def read_reply(data):
    """The facets that are compared."""
    _, flags, qd, an, ns, ar = struct.unpack("!6H", data[:12])
    reply = {"flags": " ".join(w for w, bit in FLAGS if flags & bit),
             "rcode": RCODES[flags & 15], "question": [], "answer": [],
             "authority": [], "additional": [], "edns": None}
    at = 12
    for _ in range(qd):
        text, at = read_name(data, at)
        reply["question"].append("%s %d %d" % ((text,) + struct.unpack(
            "!2H", data[at:at + 4])))
        at += 4
    sections = ["answer"] * an + ["authority"] * ns + ["additional"] * ar
    for section in sections:
        owner, at = read_name(data, at)
        kind, cls, ttl, length = struct.unpack("!2HIH", data[at:at + 10])
        at += 10
        if kind == OPT:
            reply["edns"] = {"size": cls, "extended": ttl >> 24,
                             "do": bool(ttl & 0x8000), "options": {
                                 code: body.hex() for code, body in
                                 read_options(data[at:at + length]).items()}}
        else:
            reply[section].append("%s %d %s%s %s" % (
                owner, ttl, "" if cls == IN else "CLASS%d " % cls,
                WORDS.get(kind, kind), read_data(data, kind, at, length)))
        at += length
    assert at == len(data), "there is more than the records"
    for section in ("answer", "authority", "additional"):
        reply[section].sort()
    return reply


# --- asking ------------------------------------------------------------------

def message(row):
    extra = b""
    if row.edns is not None:
        extra = opt(row.edns, flags=0x8000 if row.do else 0, options=row.options)
    return make_query(row.name, TYPES[row.kind], row.cls, row.flags, extra)


def exchange(port, query, tcp):
    if tcp:
        with socket.create_connection(("127.0.0.1", port), 10) as s:
            s.sendall(struct.pack("!H", len(query)) + query)
            data = b""
            while len(data) < 2 or len(data) < 2 + int.from_bytes(data[:2], "big"):
                more = s.recv(65537)
                assert more, "closed"
                data += more
            return data[2:]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(10)
        s.connect(("127.0.0.1", port))
        s.send(query)
        return s.recv(65535)


def is_silent(port, query):
    """Questions behind it are answered, and it is not."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(10)
        s.connect(("127.0.0.1", port))
        s.send(query)
        for _ in range(3):
            s.send(b"\xff\xff" + make_query("consul", SOA)[2:])
        return all(s.recv(65535)[:2] == b"\xff\xff" for _ in range(3))


def ask(port, row):
    return read_reply(exchange(port, message(row), row.tcp))


# --- comparing ---------------------------------------------------------------

def shape(records):
    """How many, of which type and TTL."""
    return sorted(" ".join(record.split(" ")[1:3]) for record in records)


def of_sample(port, row, reply):
    """A sample must be of what there is; what is compared is its shape."""
    whole = read_reply(exchange(port, make_query(row.name, SRV), True))
    addresses = [record.split(" ")[-1] for record in whole["additional"]]
    targets = [record.split(" ")[-1] for record in reply["answer"]]
    for record in reply["answer"]:
        assert record in whole["answer"] or record.split(" ")[-1] in addresses, \
            "there is no %s" % record
    for record in reply["additional"]:
        assert record in whole["additional"] and record.split(" ")[0] in targets, \
            "there is no %s, or nobody's" % record
    for section in ("answer", "additional"):
        reply[section] = shape(reply[section])
    return reply


def differences(got, wanted):
    return [line for facet in wanted if got[facet] != wanted[facet]
            for line in ("%-10s is     %s" % (facet, got[facet]),
                         "%-10s wanted %s" % ("", wanted[facet]))]


def judge(row, ours, theirs):
    """What is wrong with the row, as lines."""
    got = ask(ours, row)
    wanted = {} if row.silent else ask(theirs, row)
    if row.silent and not is_silent(theirs, message(row)):
        return ["Consul says something"]
    if row.sample:
        got, wanted = of_sample(ours, row, got), of_sample(theirs, row, wanted)
    for rule in consul_dns_rows.GENERAL:
        rule.apply(wanted, row)
    for rule in row.rules:
        before = repr(wanted)
        rule.apply(wanted, row)
        if repr(wanted) == before and not rule.sometimes:
            return ["Consul's answer is as ours is to be: %s is not needed" %
                    rule.section]
    return differences(got, wanted)


# --- the recursor of both ------------------------------------------------------

UPSTREAM = {
    ("www.example.test.", A): [(A, 300, bytes([192, 0, 2, 1]))],
    ("www.example.test.", AAAA): [(AAAA, 300, b"\x20\x01\r\xb8" + bytes(11) + b"\1")],
    ("host.example.test.", A): [(A, 20, bytes([192, 0, 2, 2]))],
    ("alias.example.test.", A): [(CNAME, 60, name("www.example.test")),
                                 (A, 300, bytes([192, 0, 2, 1]))],
}


def upstream_reply(query):
    text, end = read_name(query, 12)
    kind, = struct.unpack("!H", query[end:end + 2])
    known = [key for key in UPSTREAM if key[0] == text.lower()]
    records = b""
    owner = query[12:end]
    for record, seconds, data in UPSTREAM.get((text.lower(), kind), []):
        records += owner + struct.pack("!2HIH", record, IN, seconds, len(data)) + data
        owner = data if record == CNAME else owner
    count = len(UPSTREAM.get((text.lower(), kind), []))
    return query[:2] + struct.pack(
        "!5H", QR | RD | RA | (NOERROR if known else NXDOMAIN), 1, count, 0, 0) + (
            query[12:end + 4] + records)


def serve_upstream(port):
    """Answers on UDP and TCP as long as we live."""
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("127.0.0.1", port))
    tcp = socket.create_server(("127.0.0.1", port))

    def over_udp():
        while True:
            query, who = udp.recvfrom(65535)
            udp.sendto(upstream_reply(query), who)

    def over_tcp():
        while True:
            s, _ = tcp.accept()
            with s:
                query = s.recv(65535)
                reply = upstream_reply(query[2:])
                s.sendall(struct.pack("!H", len(reply)) + reply)

    for work in (over_udp, over_tcp):
        threading.Thread(target=work, daemon=True).start()


def main():
    serve_upstream(int(sys.argv.pop(1)))
    pairs = {}
    for word in sys.argv[1:]:
        config, ours, theirs = word.split("=")
        pairs[config] = (ours.split(":"), theirs.split(":"))
    places = [side for pair in pairs.values() for side in pair]
    threads = [threading.Thread(target=consul_dns_content.put_all,
                                args=("127.0.0.1:" + side[1],)) for side in places]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    failed = 0
    for number, row in enumerate(consul_dns_rows.ROWS, 1):
        ours, theirs = pairs[row.config]
        try:
            wrong = judge(row, int(ours[0]), int(theirs[0]))
        except (AssertionError, OSError) as error:
            wrong = ["%r" % error]
        failed += bool(wrong)
        print("%s %d - %s" % ("not ok" if wrong else "ok", number, row))
        for line in wrong:
            print("# " + line)
    print("1..%d" % len(consul_dns_rows.ROWS))
    return failed


if __name__ == "__main__":
    sys.exit(1 if main() else 0)
