"""DNS messages as bytes, made and read by the end-to-end tests."""

import struct

A, NS, CNAME, SOA, PTR, MX, TXT, AAAA, SRV = 1, 2, 5, 6, 12, 15, 16, 28, 33
OPT, SVCB, HTTPS, ANY, CAA = 41, 64, 65, 255, 257
IN, CH, HS, NONE, ANYCLASS = 1, 3, 4, 254, 255
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED = range(6)
NOTAUTH, BADVERS = 9, 16
QR, AA, TC, RD, RA, Z, AD, CD = (
    0x8000, 0x0400, 0x0200, 0x0100, 0x0080, 0x0040, 0x0020, 0x0010)
ID = 0x4D75


def name(text):
    labels = [part.encode() for part in text.rstrip(".").split(".") if part]
    return b"".join(bytes([len(part)]) + part for part in labels) + b"\0"


def header(flags=RD, qd=1, an=0, ns=0, ar=0):
    return struct.pack("!6H", ID, flags, qd, an, ns, ar)


def question(wire, kind=A, cls=IN):
    return wire + struct.pack("!2H", kind, cls)


def opt(size=1232, version=0, flags=0, options=b"", owner=b"\0", rdlen=None):
    length = len(options) if rdlen is None else rdlen
    return (owner + struct.pack("!2H2BH", OPT, size, 0, version, flags)
            + struct.pack("!H", length) + options)


def option(code, body=b"", length=None):
    return struct.pack("!2H", code, len(body) if length is None else length) + body


def make_query(text, kind=A, cls=IN, flags=RD, extra=b"", ar=None):
    count = (1 if extra else 0) if ar is None else ar
    return header(flags, ar=count) + question(name(text), kind, cls) + extra


# --- reading what comes back -------------------------------------------------

def skip_name(data, at):
    while data[at] & 0xC0 == 0 and data[at] != 0:
        at += data[at] + 1
    return at + (2 if data[at] & 0xC0 else 1)


def read(data):
    """What rows speak of, as a dict. Raises when the message is no message."""
    ident, flags, qd, an, ns, ar = struct.unpack("!6H", data[:12])
    seen = {"id": ident == ID, "rcode": flags & 15, "opcode": flags >> 11 & 15,
            "qd": qd, "an": an, "ns": ns, "opt": False, "size": len(data)}
    for bit, word in ((QR, "qr"), (AA, "aa"), (TC, "tc"), (RD, "rd"), (RA, "ra"),
                      (Z, "z"), (AD, "ad"), (CD, "cd")):
        seen[word] = bool(flags & bit)
    at = 12
    for _ in range(qd):
        end = skip_name(data, at)
        seen["question"] = data[at:end + 4]
        at = end + 4
    types = []
    seen["records"] = []  # (section, type, TTL, data) of all but OPT.
    for index in range(an + ns + ar):
        at = skip_name(data, at)
        kind, cls, ttl, length = struct.unpack("!2HIH", data[at:at + 10])
        body = data[at + 10:at + 10 + length]
        assert len(body) == length, "a record is cut"
        at += 10 + length
        if kind == OPT:
            seen.update(opt=True, version=ttl >> 16 & 255, do=bool(ttl & 0x8000),
                        ednsz=ttl & 0x7FFF, bufsize=cls)
            seen["rcode"] |= ttl >> 24 << 4
            seen["options"] = read_options(body)
            continue
        section = "answer" if index < an else "other"
        seen["records"].append((section, kind, ttl, body))
        if index < an:
            types.append(kind)
    seen["types"] = sorted(types)
    assert at == len(data), "there is more than the records"
    return seen


def read_options(body):
    out = {}
    while body:
        code, length = struct.unpack("!2H", body[:4])
        out[code] = body[4:4 + length]
        body = body[4 + length:]
    return out
