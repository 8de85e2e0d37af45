"""The rules of the protocol, one a row, asked of our server and of another one.

    dns_conformance.py OURS THEIRS      (ports on 127.0.0.1)

Both serve muster.internal with the same names. A row is a message made of bytes,
what must come back, and how the other server's answer differs where it does, and
why that is meant so. A row that the other one does not meet is a wrong row.
"""

import socket
import struct
import sys

from dns_wire import *

ZONE = "muster.internal"
WEB = "web.service." + ZONE


def ask(text=WEB, *args, **more):
    return make_query(text, *args, **more)


# --- sending -----------------------------------------------------------------

SENTINEL = struct.pack("!6H", 0xFFFF, 0, 1, 0, 0, 0) + question(name(ZONE), SOA)


def over_udp(port, message):
    """The response; None when a second message is answered first: silence."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(20)
        s.connect(("127.0.0.1", port))
        s.send(message)
        for _ in range(3):
            s.send(SENTINEL)
        data = s.recv(65535)
        return None if data[:2] == b"\xff\xff" else data


def read_frames(s, count):
    data = b""
    frames = []
    while len(frames) < count:
        while len(data) < 2 or len(data) < 2 + int.from_bytes(data[:2], "big"):
            more = s.recv(65535)
            if not more:
                return frames
            data += more
        length = int.from_bytes(data[:2], "big")
        frames.append(data[2:2 + length])
        data = data[2 + length:]
    return frames


def over_tcp(port, parts, count):
    with socket.create_connection(("127.0.0.1", port), 20) as s:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for part in parts:
            s.sendall(part)
        return read_frames(s, count)


def framed(message):
    return struct.pack("!H", len(message)) + message


# --- the rows ----------------------------------------------------------------

GOOD = {"qr": True, "aa": True, "rcode": NOERROR, "an": 2}
NODATA = {"aa": True, "rcode": NOERROR, "an": 0, "ns": 1}
MISSING = {"aa": True, "rcode": NXDOMAIN, "an": 0, "ns": 1}
BAD = {"qr": True, "rcode": FORMERR, "aa": False, "an": 0}
SILENCE = None
SILENT = {"silent": True}
MUTE = "knot drops what it cannot read; who made a mistake should hear of it"
LONG = ".".join(["a" * 61] * 3 + ["b" * 51]) + "." + ZONE  # 255 bytes.
ECS4 = struct.pack("!H2B", 1, 24, 0) + bytes([192, 0, 2])
ROWS = []


def row(title, message, want, theirs=None, why=None):
    """`theirs`: in what the other server's answer differs, and why that is so."""
    assert (theirs is None) == (why is None), title
    ROWS.append((title, message, want, theirs or {}, why))


# Header bits.
row("a question", ask(), dict(GOOD, rd=True, ra=False, tc=False, ad=False, z=False))
row("RD is copied, not set", ask(flags=0), dict(GOOD, rd=False))
row("AD in a query means nothing", ask(flags=AD), dict(GOOD, ad=False))
row("Z in a query means nothing", ask(flags=Z), dict(GOOD, z=False))
row("AA and RA in a query mean nothing", ask(flags=AA | RA),
    dict(GOOD, aa=True, ra=False))
row("a code in a query means nothing", ask(flags=REFUSED), dict(GOOD))
row("TC in a query means nothing", ask(flags=TC), dict(GOOD, tc=False))
row("a response is no question", ask(flags=QR), SILENCE)
row("CD is copied (RFC 4035, 3.1.6)", ask(flags=CD), dict(GOOD, cd=True),
    {"cd": False}, "knot clears it where there is no DNSSEC")
for code in (1, 2, 3, 6, 15):
    row("opcode %d is not implemented" % code, ask(flags=code << 11),
        {"qr": True, "rcode": NOTIMP, "opcode": code, "an": 0, "aa": False})

# Classes.
for cls, text in ((CH, "CH"), (HS, "HS"), (NONE, "NONE"), (77, "77")):
    row("class %s is refused" % text, ask(cls=cls),
        {"rcode": REFUSED, "an": 0, "aa": False})
row("class ANY is taken for IN", ask(cls=ANYCLASS), GOOD)

# Types.
for kind in (AAAA, MX, CAA, HTTPS, SVCB, 99, 65280):
    row("type %d of a name that is there: NODATA" % kind, ask(kind=kind), NODATA)
row("a name that is not there", ask("no." + WEB), MISSING)
row("another type of it", ask("no." + WEB, HTTPS), MISSING)
row("an empty non-terminal", ask("service." + ZONE), NODATA)
row("the apex has no address", ask(ZONE), NODATA)
row("SOA of the apex", ask(ZONE, SOA), dict(GOOD, an=1, types=[SOA]))
row("NS of the apex", ask(ZONE, NS), dict(GOOD, an=1, types=[NS]))
row("ANY over UDP: the addresses", ask(kind=ANY), dict(GOOD, types=[A, A]))
row("a zone of somebody else", ask("example.com"),
    {"rcode": REFUSED, "an": 0, "aa": False})
row("the root", ask("."), {"rcode": REFUSED, "an": 0, "aa": False})
row("the end of our domain's name is not our domain", ask("xmuster.internal"),
    {"rcode": REFUSED, "an": 0})

# Names.
row("letters come back as they were", ask("wEb.SErvice.MUSTER.interNAL"),
    dict(GOOD, question=question(name("wEb.SErvice.MUSTER.interNAL"))))
row("255 bytes of name", ask(LONG), MISSING)
row("256 bytes of name", header() + question(name("c" + LONG)), BAD,
    SILENT, MUTE)
row("a label of 64 bytes", header() + question(b"\x40" + b"a" * 64 + name(ZONE)), BAD,
    SILENT, MUTE)
row("a label of a kind unknown", header() + question(b"\x80abc" + name(ZONE)), BAD,
    SILENT, MUTE)
row("the name ends before its end", header() + b"\3web\7serv", BAD,
    SILENT, MUTE)
row("the class is missing", header() + name(WEB) + struct.pack("!H", A), BAD,
    SILENT, MUTE)
row("a name that points to itself", header() + question(b"\xc0\x0c"), BAD,
    SILENT, MUTE)
row("a name that points ahead", header() + question(b"\xc0\x20") + b"\0" * 32, BAD,
    SILENT, MUTE)
row("a name that points into the header", header() + question(b"\3web\xc0\x00"), BAD,
    SILENT, MUTE)
row("two labels that point at each other",
    header() + question(b"\1a\xc0\x10\1b\xc0\x0c"), BAD,
    SILENT, MUTE)

# Counts and lengths.
row("less than a header", header()[:11], SILENCE)
row("nothing at all", b"", SILENCE)
row("a header alone", header(), BAD,
    SILENT, MUTE)
row("no question", header(qd=0), BAD)
row("two questions", header(qd=2) + question(name(WEB)) * 2, BAD,
    SILENT, MUTE)
row("a record counted that is not there", ask(ar=1), BAD)
row("an answer in a question",
    header(an=1) + question(name(WEB)) + b"\xc0\x0c" + struct.pack(
        "!2HIH", A, IN, 1, 4) + b"\1\2\3\4", BAD, GOOD,
    "none has a place there; knot looks at nothing but the question")

# EDNS.
row("none in, none out", ask(), {"opt": False})
row("version 0", ask(extra=opt()), dict(GOOD, opt=True, version=0, do=False, ednsz=0))
row("DO is copied", ask(extra=opt(flags=0x8000)), dict(GOOD, do=True))
row("the other flags are not", ask(extra=opt(flags=0x4001)), dict(GOOD, ednsz=0))
row("version 1", ask(extra=opt(version=1)),
    {"rcode": BADVERS, "opt": True, "version": 0, "an": 0, "aa": False})
row("version 255", ask(extra=opt(version=255)),
    {"rcode": BADVERS, "opt": True, "version": 0, "an": 0})
row("version 1 with options of its own", ask(extra=opt(
    version=1, options=option(65001, b"x"))), {"rcode": BADVERS, "opt": True})
row("sizes below 512 are 512", ask(extra=opt(size=0)), GOOD)
row("two OPT records", ask(extra=opt() + opt(), ar=2), dict(BAD))
row("OPT not at the root", ask(extra=opt(owner=name("a"))), BAD, GOOD,
    "RFC 6891, 6.1.2; knot does not look at it")
row("an option longer than OPT", ask(extra=opt(
    options=option(65001, b"x", length=9))), dict(BAD))
row("OPT longer than the message", ask(extra=opt(rdlen=9)), dict(BAD))
row("half an option", ask(extra=opt(options=b"\0\1\0")), dict(BAD))
row("an unknown option", ask(extra=opt(options=option(65001, b"hello"))),
    dict(GOOD, options={}))
row("NSID: no name is told", ask(extra=opt(options=option(3))), dict(GOOD, options={}))
row("a client subnet", ask(extra=opt(options=option(8, ECS4))),
    dict(GOOD, options={8: ECS4}), {"options": {}},
    "knot does not know subnets; ours says scope 0: for everybody")
row("a subnet of length 0", ask(extra=opt(options=option(8, b"\0\1\0\0"))),
    dict(GOOD, options={8: b"\0\1\0\0"}), {"options": {}}, "as above")
for title, body in (("of an unknown family", b"\0\3\x08\0\1"),
                    ("with a scope", b"\0\1\x18\x08\xc0\0\2"),
                    ("longer than its address", b"\0\1\x21\0\1\2\3\4\5"),
                    ("with an address too short", b"\0\1\x18\0\xc0\0"),
                    ("with an address too long", b"\0\1\x18\0\xc0\0\2\1"),
                    ("with bits behind its prefix", b"\0\1\x17\0\xc0\0\3"),
                    ("cut short", b"\0\1")):
    row("a subnet " + title, ask(extra=opt(options=option(8, body))), BAD,
        GOOD, "RFC 7871, 7.1.2; knot does not look at it")
row("a record beside OPT", ask(extra=opt() + b"\0" + struct.pack(
    "!2HIH", TXT, IN, 0, 1) + b"\0", ar=2), dict(GOOD, opt=True))
row("one whose name points to itself", ask(extra=b"\xc0\x2b" + struct.pack(
    "!2HIH", TXT, IN, 0, 1) + b"\0", ar=1), GOOD)

# Size.
row("60 addresses in 512 bytes", ask("many.service." + ZONE, A, extra=opt(size=512)),
    {"rcode": NOERROR, "an": 28, "tc": False}, {"tc": True, "an": 0},
    "no TC without enable_truncate: HAProxy drops such answers")
row("60 addresses without EDNS", ask("many.service." + ZONE),
    {"rcode": NOERROR, "an": 3, "tc": False}, {"tc": True, "an": 0},
    "udp_answer_limit, as in Consul")
row("60 addresses in 1 232 bytes", ask("many.service." + ZONE, extra=opt()),
    {"rcode": NOERROR, "an": 60, "tc": False})


def found(seen, want):
    if want is None or seen is None:
        return [] if want is seen else ["got %r" % (seen,)]
    return ["%s: got %r, wanted %r" % (key, seen.get(key), value)
            for key, value in want.items() if seen.get(key) != value]


count = 0
failed = 0


def report(title, problems):
    global count, failed
    count += 1
    failed += bool(problems)
    print("%s %d - %s" % ("not ok" if problems else "ok", count, title))
    for problem in problems:
        print("#   " + problem)


def check(who, port, title, message, want):
    try:
        data = over_udp(port, message)
        problems = found(None if data is None else read(data), want)
        if data is not None and data[:2] != message[:2]:
            problems.append("another id")
    except (AssertionError, IndexError, struct.error, OSError) as error:
        problems = ["%s: %s" % (type(error).__name__, error)]
    report("%s: %s" % (who, title), problems)


# --- TCP ---------------------------------------------------------------------

def tcp_row(title, parts, wanted):
    """`wanted`: for each id that must come back, in any order, what of it."""
    for who, port in SERVERS:
        try:
            got = {int.from_bytes(f[:2], "big"): read(f)
                   for f in over_tcp(port, parts, len(wanted))}
            problems = [] if set(got) == set(wanted) else ["ids %r" % sorted(got)]
            for ident in set(got) & set(wanted):
                problems += found(got[ident], wanted[ident])
        except (AssertionError, IndexError, struct.error, OSError) as error:
            problems = ["%s: %s" % (type(error).__name__, error)]
        report("%s over TCP: %s" % (who, title), problems)


def numbered(ident, message):
    return struct.pack("!H", ident) + message[2:]


def tcp_rows():
    one = framed(numbered(1, ask()))
    two = framed(numbered(2, ask("no." + WEB)))
    good = {key: value for key, value in GOOD.items()}
    tcp_row("a question", [one], {1: good})
    tcp_row("two in one piece", [one + two], {1: good, 2: MISSING})
    tcp_row("byte by byte", [bytes([b]) for b in one], {1: good})
    tcp_row("length and message apart", [one[:2], one[2:]], {1: good})
    tcp_row("one and a half, then the rest",
            [one + two[:9], two[9:]], {1: good, 2: MISSING})
    tcp_row("60 addresses without EDNS",
            [framed(numbered(3, ask("many.service." + ZONE)))],
            {3: {"rcode": NOERROR, "an": 60, "tc": False}})
    tcp_row("what is malformed is answered, and what comes after it",
            [framed(numbered(4, header(qd=0))) + one], {4: BAD, 1: good})
    tcp_row("ANY: all of it", [framed(numbered(5, ask(kind=ANY)))],
            {5: dict(GOOD, types=[A, A])})
    tcp_row("twenty at once", [b"".join(framed(numbered(10 + i, ask()))
                                        for i in range(20))],
            {10 + i: good for i in range(20)})


SERVERS = (("muster", int(sys.argv[1])), ("knot", int(sys.argv[2])))

for title_, message_, want_, theirs_, why_ in ROWS:
    check("muster", SERVERS[0][1], title_, message_, want_)
    if want_ is not None:
        want_ = SILENCE if theirs_ is SILENT else dict(want_, **theirs_)
    check("knot", SERVERS[1][1],
          title_ + (" (differs: %s)" % why_ if why_ else ""), message_, want_)
tcp_rows()
print("1..%d" % count)
sys.exit(1 if failed else 0)
