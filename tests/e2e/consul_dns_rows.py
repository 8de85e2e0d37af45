"""The questions of consul_dns.py, and where our answers are meant to differ.

A row without rules has to be answered alike by both: flags, rcode, question, and the
records of each section in any order. A rule turns Consul's answer into what ours is
to be, and says where that is asked for: by the number of the section in our reference
(2.1 parsing, 2.2 service names, 2.3 addresses, 2.4 SRV, 2.5 CNAME, 2.6 nodes, 2.8
sizes, 2.9 SOA, NS and PTR, 2.10 negative answers, 2.11 EDNS, 2.12 recursion, 2.13
queries) or by RFC. A rule that finds nothing to turn is an error. Three are so common
that they stand in no row: see GENERAL.
"""

import struct

from dns_wire import *

ROWS = []
NODATA_TTL = 30
MIN_TTL = {"base": 0, "tuned": 11, "recursing": 0}
TIMERS = {"base": "3600 600 86400", "tuned": "71 72 73",
          "recursing": "3600 600 86400"}


class Rule:
    def __init__(self, section, apply, sometimes=False):
        self.section, self.apply, self.sometimes = section, apply, sometimes


class Row:
    def __init__(self, name, kind, rules=(), config="base", tcp=False, edns=None,
                 do=False, options=b"", cls=IN, flags=RD, sample=False,
                 silent=False):
        self.name, self.kind, self.rules, self.config = name, kind, rules, config
        self.tcp, self.edns, self.do, self.options = tcp, edns, do, options
        self.cls, self.flags = cls, flags
        self.sample = sample  # Which instances is chance; how many is not.
        self.silent = silent  # Consul says nothing.

    def __str__(self):
        more = [" tcp"] * self.tcp + [" edns %s" % self.edns] * (
            self.edns is not None) + [" do"] * self.do + [" ecs"] * bool(self.options)
        return "%s: %s %s%s%s" % (
            self.config, self.name, self.kind, "".join(more),
            "".join(" (%s)" % rule.section for rule in self.rules))


def ask(names, kinds="A", *rules, **more):
    """A row for each of the names and types, which are separated by blanks."""
    for name in names.split():
        for kind in kinds.split():
            ROWS.append(Row(name, kind, rules, **more))


# --- rules -------------------------------------------------------------------

def soa(row, ttl):
    low = row.name.lower()
    domain = next((d for d in ("alt.test.", "in-addr.arpa.", "ip6.arpa.")
                   if (low + ".").endswith(d)), "consul.")
    zone = row.name[len(row.name) + 1 - len(domain):] + "."
    host = "consul." if "arpa" in domain else domain
    return "%s %d SOA ns.%s hostmaster.%s SERIAL %s %d" % (
        zone, ttl, host, host, TIMERS[row.config], ttl)


def ours_alone(flags):
    """Nobody else is asked."""
    return flags if "aa" in flags else flags.replace("rd ra", "aa rd")


def empty(section):
    """The name is there, records of the type are not."""
    def apply(theirs, row):
        theirs.update(flags=ours_alone(theirs["flags"]),
                      rcode="NOERROR", answer=[], additional=[],
                      authority=[soa(row, NODATA_TTL)])
    return Rule(section, apply)


def missing(section):
    def apply(theirs, row):
        theirs.update(flags=ours_alone(theirs["flags"]),
                      rcode="NXDOMAIN", answer=[], additional=[],
                      authority=[soa(row, MIN_TTL[row.config])])
    return Rule(section, apply)


def has(section, sometimes=False, **facets):
    """These facets are ours. An @ in a record is the name that was asked for."""
    def apply(theirs, row):
        theirs.update({facet: sorted(r.replace("@", row.name + ".") for r in value)
                       if isinstance(value, list) else value
                       for facet, value in facets.items()})
    return Rule(section, apply, sometimes)


def found(section, answer, additional=()):
    return has(section, rcode="NOERROR", answer=answer, authority=[],
               additional=list(additional))


def also(section, *additional):
    def apply(theirs, _):
        theirs["additional"] = sorted(theirs["additional"] + list(additional))
    return Rule(section, apply)


def ttl(section, seconds):
    """Of the answer's records."""
    def apply(theirs, _):
        theirs["answer"] = sorted(
            "%s %d %s" % (r.split(" ")[0], seconds, r.split(" ", 2)[2])
            for r in theirs["answer"])
    return Rule(section, apply)


def ttl_of(kind, section, seconds):
    """Of the additional records of this type."""
    def apply(theirs, _):
        theirs["additional"] = sorted(
            "%s %d %s" % (r.split(" ")[0], seconds, r.split(" ", 2)[2])
            if r.split(" ")[2] == kind else r for r in theirs["additional"])
    return Rule(section, apply)


def scope(section, prefix):
    def apply(theirs, _):
        old = theirs["edns"]["options"][8]
        theirs["edns"]["options"][8] = "%s%02x%s" % (old[:6], prefix, old[8:])
    return Rule(section, apply)


def own_size(theirs, _):
    if theirs.get("edns"):
        theirs["edns"]["size"] = 1232


def nodata_ttl(theirs, row):
    if (theirs.get("rcode") == "NOERROR" and theirs["authority"]
            and row.kind != "SOA"):
        theirs["authority"] = [soa(row, NODATA_TTL)]


def once(theirs, row):
    if not row.sample and not row.silent:
        theirs["additional"] = sorted(set(theirs["additional"]))


GENERAL = [Rule("2.11: our own size", own_size),
           Rule("2.10: a minimum for NODATA", nodata_ttl),
           Rule("2.4: additional records once per target", once)]

def letters(section, spelt):
    """The domain as it was spelt in the question."""
    def apply(theirs, _):
        for facet in ("answer", "authority"):
            theirs[facet] = [r.replace("consul. ", spelt + ". ", 1)
                             if r.startswith("consul. ") else r
                             for r in theirs[facet]]
    return Rule(section, apply)


def opt_too(section, do=False):
    """An OPT, though Consul has none, or with the DO bit."""
    def apply(theirs, row):
        old = theirs["edns"] or {"size": 1232, "extended": 0, "options": {}}
        theirs["edns"] = dict(old, do=do)
        if row.options and not old["options"]:
            theirs["edns"]["options"] = {8: row.options[4:].hex()}
    return Rule(section, apply)


def fewer(section, count):
    def apply(theirs, _):
        theirs["answer"] = theirs["answer"][:count]
    return Rule(section, apply)


WEB_A = ["@ 0 A 10.0.0.1", "@ 0 A 10.0.0.2"]
WEB_SRV = ["@ 0 SRV 1 1 80 0a000001.addr.dc1.consul.",
           "@ 0 SRV 1 1 81 0a000002.addr.dc1.consul.",
           "@ 0 SRV 1 1 82 0a000001.addr.dc1.consul."]
WEB_EXTRA = ["0a000001.addr.dc1.consul. 0 A 10.0.0.1",
             "0a000002.addr.dc1.consul. 0 A 10.0.0.2"]
ENT = empty("2.10: an empty non-terminal")

# --- a service ---------------------------------------------------------------

ask("web.service.consul", "A AAAA SRV ANY MX CAA HTTPS SVCB NS SOA CNAME PTR")
ask("web.service.consul", "TXT", empty("2.3: no address for another type"))
ask("WEB.SERVICE.CONSUL wEb.SerVicE.coNSul", "A SRV AAAA")
ask("wEb.SerVicE.coNSul", "SOA NS", letters("2.1: the question's letters", "coNSul"))
ask("own.service.consul own6.service.consul six.service.consul "
    "both.service.consul", "A AAAA SRV ANY")
ask("twin.service.consul same.service.consul pair.service.consul "
    "port0.service.consul", "A SRV ANY")
ask("nobody.service.consul", "A AAAA SRV ANY MX TXT")
ask("tagged.service.consul", "A AAAA SRV ANY")
ask("owntagged.service.consul", "A AAAA")
ask("owntagged.service.consul", "ANY", found(
    "2.3: ANY gives both", ["@ 0 A 10.1.0.11", "@ 0 AAAA 2001:db8::11"]))
ask("owntagged.service.consul", "SRV", found(
    "2.4: the node's name", ["@ 0 SRV 1 1 190 tagged.node.dc1.consul."],
    ["tagged.node.dc1.consul. 0 A 10.1.0.11"]))

# --- tags --------------------------------------------------------------------

ask("v1.web.service.consul V2.web.service.consul prime.WEB.service.consul "
    "nope.web.service.consul v1.v2.web.service.consul a.b.dotted.service.consul "
    "tcp.dotted.service.consul udp.dotted.service.consul "
    "uppertag.uppersvc.service.consul UpperTag.UpperSvc.service.consul "
    "under_score.service.consul _tag.under_score.service.consul "
    "x-y.dash-ed.service.consul a.ten.service.consul b.ten.service.consul "
    "a.b.c.ten.service.consul name.with.dots.service.consul "
    "v1.web.service.dc1.consul", "A SRV")
ask("a.b.ten.service.consul b.a.ten.service.consul", "A", found(
    "2.2: several tags", ["@ 0 A 10.0.12.1"]))
ask("a.b.ten.service.consul b.a.ten.service.consul", "SRV", found(
    "2.2: several tags", ["@ 0 SRV 1 1 212 0a000c01.addr.dc1.consul."],
    ["0a000c01.addr.dc1.consul. 0 A 10.0.12.1"]))

# --- RFC 2782 ----------------------------------------------------------------

ask("_web._tcp.service.consul _web._v1.service.consul _WEB._V2.service.consul "
    "_web._udp.service.consul _web._nope.service.consul "
    "_dotted._udp.service.consul _dotted._tcp.service.consul "
    "_web._tcp.service.dc1.consul _web._tcp.service.dc2.consul "
    "_a._b._c.service.consul web._tcp.service.consul _web.tcp.service.consul "
    "_under_score.__tag.service.consul", "SRV A")
ask("_web._tcp.consul _web._v1.consul _web._tcp.dc1.consul", "SRV")
ask("_web._tcp.consul _web._v1.consul _web._tcp.dc1.consul", "A AAAA",
    empty("2.10: the name is there, for SRV"))
ask("_web._nope.consul _nobody._tcp.consul _web._tcp.dc2.consul", "SRV A")

# --- health and weights --------------------------------------------------------

ask("weights.service.consul health.service.consul warned.service.consul "
    "gone.service.consul veto.service.consul no.health.service.consul "
    "so.health.service.consul ok.health.service.consul", "A SRV ANY AAAA")

# --- host names as addresses -----------------------------------------------------

ask("ext.service.consul", "A AAAA SRV ANY CNAME")
ask("ext.service.consul", "MX", empty("2.3: NODATA for other types"))
ask("ext2.service.consul", "A AAAA ANY CNAME", has(
    "2.3: the first CNAME, always the same", sometimes=True,
    answer=["@ 0 CNAME www.example.test."]))
ask("ext2.service.consul", "SRV")
ask("extip.service.consul", "A SRV ANY")
ask("extip.service.consul", "AAAA CNAME", empty(
    "2.3: no CNAME beside an address"))
ask("inner.service.consul", "AAAA ANY")
ask("inner4.service.consul", "A ANY SRV")
ask("inner.service.consul", "A", has(
    "2.3: of the family asked for", answer=["@ 0 CNAME six.service.consul."],
    authority=["consul. 30 SOA ns.consul. hostmaster.consul. SERIAL 3600 600 "
               "86400 30"]))
ask("inner4.service.consul", "AAAA", has(
    "2.3: of the family asked for", answer=["@ 0 CNAME n1.node.consul."],
    authority=["consul. 30 SOA ns.consul. hostmaster.consul. SERIAL 3600 600 "
               "86400 30"]))
ask("inner4.service.consul", "CNAME", has(
    "RFC 1034, 3.6.2: a CNAME asked for is not followed",
    answer=["@ 0 CNAME n1.node.consul."]))
ask("lost.service.consul", "SRV CNAME")
ask("lost.service.consul", "A AAAA ANY", has(
    "RFC 6604, 3: the rcode of the chain's end", rcode="NXDOMAIN",
    authority=["consul. 0 SOA ns.consul. hostmaster.consul. SERIAL 3600 600 "
               "86400 0"]))
ask("loop.service.consul", "A AAAA SRV ANY")
ask("ownh.service.consul", "A AAAA SRV ANY")

# --- datacenters -----------------------------------------------------------------

ask("web.service.dc1.consul web.service.DC1.consul", "A SRV ANY")
ask("web.service.dc2.consul web.service.dc2.dc.consul web.service.a.b.consul "
    "web.service.default.ns.consul web.service.x.peer.consul", "A SRV")
ask("web.service.dc1.dc.consul", "A", found("2.1: the form <dc>.dc", WEB_A))
ask("web.service.dc1.dc.consul _web._tcp.service.dc1.dc.consul", "SRV", found(
    "2.1: the form <dc>.dc", WEB_SRV, WEB_EXTRA))
ask("n1.node.dc1.dc.consul", "A", found(
    "2.1: the form <dc>.dc", ["@ 0 A 10.1.0.1"]))

# --- nodes -----------------------------------------------------------------------

NODE_SOA = empty("2.6: with an SOA")
ask("n1.node.consul N1.NODE.CONSUL n2.node.dc1.consul a.b.c.node.consul "
    "UpperNode.node.consul uppernode.node.consul sick.node.consul "
    "twin1.node.consul", "A")
ask("n1.node.consul N1.NODE.CONSUL n2.node.dc1.consul a.b.c.node.consul "
    "UpperNode.node.consul", "AAAA SRV MX HTTPS CAA PTR CNAME", NODE_SOA)
ask("n6.node.consul", "AAAA ANY")
ask("n6.node.consul", "A TXT", NODE_SOA)
ask("n1.node.consul", "TXT NS SOA")
ask("n1.node.consul", "ANY", tcp=True)
ask("n1.node.consul", "ANY", has(
    "RFC 8482: over UDP without TXT", answer=["@ 0 A 10.1.0.1"]))
ask("n2.node.consul sick.node.consul", "TXT", NODE_SOA)
ask("long.node.consul", "TXT", has(
    "2.6: longer than 255 is several strings; Consul is silent", flags="aa rd",
    rcode="NOERROR", question=["long.node.consul. 16 1"], authority=[],
    additional=[], edns=None,
    answer=["@ 0 TXT '%s' '%s'" % ("long=" + "x" * 250, "x" * 50)]), silent=True)
ask("nh.node.consul nc.node.consul", "A AAAA ANY")
ask("nh.node.consul", "TXT MX", NODE_SOA)
ask("nm.node.consul", "TXT")
ask("tagged.node.consul", "A AAAA")
ask("tagged.node.consul", "ANY", found(
    "2.3: ANY gives both", ["@ 0 A 10.1.0.11", "@ 0 AAAA 2001:db8::11"]))
ask("nobody.node.consul n1.node.dc2.consul n1.node.x.y.consul "
    "x.n1.node.consul", "A AAAA ANY TXT")
ask("nobody.node.consul", "SRV MX", missing("2.6: an unknown node"))
ask("base.node.consul", "A")

# --- addr ------------------------------------------------------------------------

IP6 = "20010db8000000000000000000000006.addr"
ask("0a010001.addr.dc1.consul 0a010001.addr.consul", "A ANY")
ask("0a010001.addr.dc1.consul", "AAAA TXT SRV MX", empty("2.6: the wrong family"))
ask("0A010001.ADDR.consul", "A ANY", found(
    "2.1: the letters of the question", ["@ 0 A 10.1.0.1"]))
ask(IP6 + ".dc1.consul " + IP6 + ".consul", "AAAA ANY")
ask(IP6 + ".dc1.consul", "A TXT SRV", empty("2.6: the wrong family"))
ask("0a01.addr.dc1.consul", "A AAAA", missing("2.6: another length"))
ask("0a0100010.addr.dc1.consul zz010001.addr.dc1.consul x.0a010001.addr.dc1.consul", "A AAAA SRV")
ask("0a010001.addr.dc9.consul", "A", missing("2.1: an unknown datacenter"))

# --- prepared queries --------------------------------------------------------------

ask("front.query.consul FRONT.query.consul upper.query.consul plain.query.consul "
    "dot.ted.query.consul strict.query.consul lenient.query.consul "
    "nothing.query.consul dead.query.consul qsix.query.consul qext.query.consul "
    "qown.query.consul qmeta.query.consul geo-web-v1.query.consul "
    "geo-web-v9.query.consul none.query.consul front.query.dc1.consul "
    "front.query.dc2.consul", "A SRV AAAA ANY")
ask("front.query.consul", "TXT", empty("2.3: no address for another type"))
ask("_front._tcp.query.consul", "A", found(
    "2.13: a query as RFC 2782 has it", [r.replace(" 0 ", " 17 ") for r in WEB_A]))
ask("_front._tcp.query.consul", "SRV", found(
    "2.13: a query as RFC 2782 has it", [r.replace(" 0 ", " 17 ") for r in WEB_SRV],
    [r.replace(" 0 ", " 17 ") for r in WEB_EXTRA]))

# --- the zone, and what is not there ------------------------------------------------

ask("CONSUL", "SOA NS", letters("2.1: the question's letters", "CONSUL"))
ask("consul service.consul dc1.consul web.consul nobody.service.consul",
    "SOA NS")
ask("consul service.consul node.consul query.consul addr.consul dc1.consul "
    "service.dc1.consul node.dc1.consul dc.consul dc1.dc.consul "
    "_tcp.service.consul", "A AAAA SRV TXT", ENT)
ask("service.consul dc1.consul", "ANY", ENT)
ask("_web.service.consul", "A SRV", empty("2.10: the parent of _x._web"))
ask("consul", "ANY", found(
    "2.9: SOA and NS", ["@ 0 NS base.node.dc1.consul.",
                        "@ 0 SOA ns.consul. hostmaster.consul. SERIAL 3600 600 "
                        "86400 0"], ["base.node.dc1.consul. 0 A 127.0.0.1"]))
ask("ns.consul", "A ANY", found("2.9: ns.<domain>", ["@ 0 A 127.0.0.1"]))
ask("ns.consul", "AAAA", ENT)
ask("web.consul foo.bar.consul dc2.consul web.connect.consul web.ingress.consul "
    "x.y.z.consul", "A SRV ANY TXT AAAA")
ask("web.virtual.consul connect.consul", "A")
ask("www.example.test web.service.fooconsul consul.example com .", "A ANY SOA")
ask("web.service.consul", "AXFR", has("RFC 1035, 4.1.1: AA is of answers",
                                      flags="rd"))
ask("web.service.consul", "IXFR", has(
    "2.1: no transfer", flags="rd", rcode="NOTIMP", authority=[]))
ask("web.service.consul", "A", has(
    "2.1: class IN or ANY", flags="rd", rcode="REFUSED", answer=[]), cls=CH)
ask("web.service.consul", "A SRV", cls=ANYCLASS)
ask("web.service.consul nobody.service.consul www.example.test", "A", flags=0)
ask("web.service.consul", "A SRV", flags=RD | CD)
ask("web.service.consul", "A SRV", flags=RD | AD)

# --- PTR -------------------------------------------------------------------------

N6 = "6" + ".0" * 23 + ".8.b.d.0.1.0.0.2.ip6.arpa"
SIX = "0.1" + ".0" * 22 + ".8.b.d.0.1.0.0.2.ip6.arpa"
ask("1.0.1.10.in-addr.arpa 1.0.0.10.in-addr.arpa 1.0.1.10.IN-ADDR.arpa "
    "20.0.1.10.in-addr.arpa 1.3.0.10.in-addr.arpa " + N6 + " " + SIX, "PTR ANY")
ask("1.0.1.10.in-addr.arpa " + N6, "A TXT", empty("2.3: of the type asked for"))
ask("99.0.99.10.in-addr.arpa 8.2.0.192.in-addr.arpa 11.2.0.192.in-addr.arpa "
    "x.0.1.10.in-addr.arpa", "PTR A", missing("2.9: not found"))
ask("0.1.10.in-addr.arpa in-addr.arpa", "PTR", empty(
    "2.10: what lies above an address"))

# --- sizes ------------------------------------------------------------------------

MANY = "many3.service.consul many50.service.consul many200.service.consul"
ask(MANY, "A SRV ANY", sample=True)
ask("many6.service.consul", "AAAA SRV ANY", sample=True)
ask(MANY + " many6.service.consul", "A AAAA SRV", tcp=True)
for size in (513, 600, 1232, 1400, 4096, 8192, 65535):
    ask(MANY, "SRV", edns=size, sample=True)
    ask("many6.service.consul", "AAAA SRV", edns=size, sample=True)
for size in (600, 1400, 4096, 8192, 65535):
    ask(MANY, "A", edns=size, sample=True)
ask("many200.service.consul", "A", fewer(
    "2.8: not above the client's size; Consul forgets its OPT", 28), edns=513,
    sample=True)
ask("many200.service.consul", "A", fewer(
    "2.8: not above the client's size; Consul forgets its OPT", 73), edns=1232,
    sample=True)
for size in (0, 100, 512):
    ask("many3.service.consul", "A SRV", edns=size, sample=True)
    ask("many50.service.consul", "A", has(
        "2.8: the limit is for who has no EDNS", answer=["0 A"] * 28), edns=size,
        sample=True)
    ask("many50.service.consul", "SRV", has(
        "2.8: the limit is for who has no EDNS", answer=["0 SRV"] * 7,
        additional=["0 A"] * 7), edns=size, sample=True)
ask("qmany.query.consul", "A SRV", sample=True)
ask("qmany.query.consul", "A SRV", edns=1232, sample=True)

# --- EDNS -------------------------------------------------------------------------

ECS = option(8, struct.pack("!H2B", 1, 24, 0) + bytes([192, 0, 2]))
ECS6 = option(8, struct.pack("!H2B", 2, 56, 0) + bytes.fromhex("20010db8000000"))
ask("web.service.consul nobody.service.consul web.service.dc2.consul "
    "n1.node.consul www.example.test", "A", opt_too("2.11: the DO bit", do=True),
    edns=1232, do=True)
ask("web.service.consul nobody.service.consul nobody.query.consul n1.node.consul",
    "A", edns=4096, options=ECS)
ask("www.example.test", "A", opt_too("2.11: OPT for OPT"), edns=4096, options=ECS)
ask("web.service.consul nearip.query.consul", "A SRV", edns=4096, options=ECS6)
ask("nearip.query.consul", "A SRV", edns=4096, options=ECS)
ask("front.query.consul", "A", scope("2.11: it does not depend on who asks", 0),
    edns=4096, options=ECS)
ask("web.service.consul", "A SRV", edns=4096, options=option(65001, b"12345678"))

# --- settings: TTLs, limits, truncation, only_passing, meta -------------------------

T = {"config": "tuned"}


def alt_domain(theirs, _):
    for facet in ("answer", "authority", "additional"):
        theirs[facet] = sorted(r.replace("consul.", "alt.test.")
                               for r in theirs[facet])


ALT = Rule("2.0: the domain that was asked", alt_domain)
ask("web.service.consul v1.web.service.consul "
    "own.service.consul ext.service.consul twin.service.consul", "A SRV AAAA", **T)
ask("health.service.consul weights.service.consul warned.service.consul "
    "gone.service.consul lenient.query.consul strict.query.consul", "A SRV", **T)
ask("web.service.alt.test", "A AAAA", **T)
ask("web.service.alt.test", "SRV", ALT, **T)
ask("n1.node.consul n1.node.alt.test nm.node.consul", "TXT", **T)
ask("n6.node.consul", "TXT", NODE_SOA, **T)
ask("n1.node.consul n1.node.alt.test", "A", **T)
ask("n6.node.consul", "AAAA", **T)
ask("0a010001.addr.dc1.consul", "A", **T)
ask("consul", "SOA NS", **T)
ask("alt.test web.service.alt.test", "SOA NS", ALT, **T)
ask("front.query.consul", "A SRV", **T)
ask("upper.query.alt.test", "SRV", ALT, **T)
ask("nobody.service.consul", "A", **T)
ask("nobody.service.alt.test", "A", ALT, **T)
ask("1.0.1.10.in-addr.arpa 1.0.0.10.in-addr.arpa", "PTR", ttl(
    "2.9: node_ttl", 7), **T)
ask(MANY, "A SRV ANY", sample=True, **T)
ask("many6.service.consul", "AAAA SRV", sample=True, **T)
ask(MANY, "A SRV", sample=True, tcp=True, **T)
for size in (600, 1232, 4096):
    ask(MANY, "A SRV", edns=size, sample=True, **T)

# --- recursors, and the meta of nodes beside their addresses --------------------------

R = {"config": "recursing"}
W4, W6 = "www.example.test. %d A 192.0.2.1", "www.example.test. %d AAAA 2001:db8::1"
BOTH = "2.5: both families, upstream's TTL"
ask("www.example.test alias.example.test host.example.test", "A AAAA ANY", **R)
ask("nobody.example.test consul.example.test", "A", **R)
ask("www.example.test alias.example.test", "A", tcp=True, **R)
ask("www.example.test", "A", opt_too("2.11: OPT for OPT"), edns=1232, **R)
ask("web.service.consul nobody.service.consul n1.node.consul "
    "web.service.dc2.consul", "A", **R)
ask("1.0.1.10.in-addr.arpa 99.0.99.10.in-addr.arpa", "PTR", **R)
ask("99.0.99.10.in-addr.arpa", "A", **R)
ask("ext.service.consul", "A", **R)
ask("ext.service.consul", "CNAME", has(
    "RFC 1034, 3.6.2: a CNAME asked for is not followed",
    answer=["@ 40 CNAME www.example.test."]), **R)
ask("ext.service.consul", "AAAA", has(
    BOTH, answer=["@ 40 CNAME www.example.test.", W6 % 40]), **R)
ask("ext.service.consul", "ANY", has(
    BOTH, answer=["@ 40 CNAME www.example.test.", W4 % 40, W6 % 40]), **R)
ask("ext.service.consul", "SRV", has(BOTH, additional=[W4 % 40, W6 % 40]), **R)
ask("extra.service.consul ownc.service.consul", "A", has(
    BOTH, answer=["@ 0 CNAME www.example.test.", W4 % 300]), **R)
ask("extra.service.consul", "SRV", has(BOTH, additional=[W4 % 300, W6 % 300]), **R)
ask("extalias.service.consul", "A", has(
    BOTH, answer=["@ 0 CNAME alias.example.test.", W4 % 300,
                  "alias.example.test. 60 CNAME www.example.test."]), **R)
ask("extalias.service.consul", "SRV", has(
    "2.4: the address by the target's name",
    additional=["alias.example.test. 60 A 192.0.2.1"]), **R)
ask("nh.node.consul nc.node.consul", "A", **R)
ask("nh.node.consul nc.node.consul", "SRV TXT", NODE_SOA, **R)
ask("web.service.consul own.service.consul twin.service.consul "
    "v2.web.service.consul six.service.consul health.service.consul", "SRV",
    edns=4096, **R)
ask("front.query.consul", "SRV", ttl_of("TXT", "2.6: node_ttl", 0), tcp=True, **R)
ask("n1.node.consul nm.node.consul", "A TXT", **R)
ask("n1.node.consul", "AAAA MX SRV CNAME", NODE_SOA, **R)
ask("nm.node.consul", "AAAA", has(
    BOTH, answer=["@ 0 CNAME host.example.test."]), **R)
ask("n6.node.consul", "AAAA", **R)
ask("n1.node.consul", "ANY", tcp=True, **R)
ask(MANY, "A ANY", edns=1280, sample=True, **R)
