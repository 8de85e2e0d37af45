"""What both agents of consul_dns.sh are told, by HTTP: nodes, services, queries."""

import http.client
import json

NODES = {
    "n1": {"Address": "10.1.0.1",
           "NodeMeta": {"zone": "a", "rfc1035-text": "bare words",
                        "a-b": "with=sign"}},
    "long": {"Address": "10.1.0.3", "NodeMeta": {"long": "x" * 300}},
    "n2": {"Address": "10.1.0.2"},
    "n6": {"Address": "2001:db8::6"},
    "nh": {"Address": "host.example.test"},
    "nc": {"Address": "www.example.test"},
    "nm": {"Address": "host.example.test", "NodeMeta": {"zone": "b"}},
    "a.b.c": {"Address": "10.1.0.9"},
    "UpperNode": {"Address": "10.1.0.10"},
    "tagged": {"Address": "10.1.0.11",
               "TaggedAddresses": {"lan": "10.1.0.11", "lan_ipv4": "10.1.0.11",
                                   "lan_ipv6": "2001:db8::11", "wan": "192.0.2.11",
                                   "wan_ipv4": "192.0.2.11",
                                   "wan_ipv6": "2001:db8::c:11"}},
    "sick": {"Address": "10.1.0.12"},
    "twin1": {"Address": "10.1.0.20"},
    "twin2": {"Address": "10.1.0.20"},
}

# (node, service, id, address, port, tags, more)
SERVICES = [
    ("n1", "web", "web-1", "10.0.0.1", 80, ["v1", "primary"], {}),
    ("n2", "web", "web-2", "10.0.0.2", 81, ["v2", "Prime"], {}),
    ("n1", "web", "web-3", "10.0.0.1", 82, ["v2"], {}),
    ("n1", "own", "own-1", "", 90, ["v1"], {}),
    ("n2", "own", "own-2", "", 91, [], {}),
    ("n1", "six", "six-1", "2001:db8::10", 100, [], {}),
    ("n2", "six", "six-2", "2001:db8::11", 101, [], {}),
    ("n1", "both", "both-1", "10.0.1.1", 110, [], {}),
    ("n2", "both", "both-2", "2001:db8::20", 111, [], {}),
    ("n6", "own6", "own6-1", "", 120, [], {}),
    ("nh", "ownh", "ownh-1", "", 121, [], {}),
    ("nc", "ownc", "ownc-1", "", 122, [], {}),
    ("n1", "ext", "ext-1", "www.example.test", 130, [], {}),
    ("n1", "ext2", "ext2-1", "www.example.test", 131, [], {}),
    ("n2", "ext2", "ext2-2", "host.example.test", 132, [], {}),
    ("n1", "extra", "extra-1", "www.example.test", 135, [], {}),
    ("n1", "extalias", "extalias-1", "alias.example.test", 136, [], {}),
    ("n1", "extip", "extip-1", "www.example.test", 133, [], {}),
    ("n2", "extip", "extip-2", "10.0.2.2", 134, [], {}),
    ("n1", "inner", "inner-1", "six.service.consul", 140, [], {}),
    ("n1", "inner4", "inner4-1", "n1.node.consul", 141, [], {}),
    ("n1", "loop", "loop-1", "loop.service.consul", 142, [], {}),
    ("n1", "lost", "lost-1", "nobody.service.consul", 143, [], {}),
    ("n1", "dotted", "dotted-1", "10.0.3.1", 150, ["a.b", "tcp"], {}),
    ("n2", "dotted", "dotted-2", "10.0.3.2", 151, ["udp"], {}),
    ("n1", "UpperSvc", "upper-1", "10.0.4.1", 160, ["UpperTag"], {}),
    ("n1", "under_score", "under-1", "10.0.4.2", 161, ["_tag"], {}),
    ("n1", "name.with.dots", "dots-1", "10.0.4.3", 162, [], {}),
    ("n1", "dash-ed", "dash-1", "10.0.4.4", 163, ["x-y"], {}),
    ("n1", "port0", "port0-1", "10.0.5.1", 0, [], {}),
    ("n1", "weights", "weights-1", "10.0.6.1", 170, [],
     {"Weights": {"Passing": 10, "Warning": 3}}),
    ("n2", "weights", "weights-2", "10.0.6.2", 171, [],
     {"Weights": {"Passing": 20, "Warning": 5}, "Status": "warning"}),
    ("n1", "health", "health-1", "10.0.7.1", 180, ["ok"], {"Status": "passing"}),
    ("n2", "health", "health-2", "10.0.7.2", 181, ["so"], {"Status": "warning"}),
    ("n1", "health", "health-3", "10.0.7.3", 182, ["no"], {"Status": "critical"}),
    ("n1", "warned", "warned-1", "10.0.7.4", 183, [], {"Status": "warning"}),
    ("n1", "gone", "gone-1", "10.0.7.5", 184, [], {"Status": "critical"}),
    ("sick", "veto", "veto-1", "10.0.7.6", 185, [], {"Status": "passing"}),
    ("tagged", "owntagged", "owntagged-1", "", 190, [], {}),
    ("n1", "tagged", "tagged-1", "10.0.8.1", 191, [],
     {"TaggedAddresses": {"lan": {"Address": "10.0.8.1", "Port": 191},
                          "wan": {"Address": "192.0.2.8", "Port": 1191}}}),
    ("n1", "meta", "meta-1", "10.0.9.1", 195, [], {"Meta": {"team": "pay"}}),
    ("twin1", "twin", "twin-1", "", 200, [], {}),
    ("twin2", "twin", "twin-2", "", 200, [], {}),
    ("n1", "same", "same-1", "10.0.10.1", 210, [], {}),
    ("n1", "same", "same-2", "10.0.10.1", 210, [], {}),
    ("n1", "pair", "pair-1", "10.0.11.1", 211, [], {}),
    ("n2", "pair", "pair-2", "10.0.11.1", 211, [], {}),
    ("n1", "ten", "ten-1", "10.0.12.1", 212, ["a", "b"], {}),
    ("n2", "ten", "ten-2", "10.0.12.2", 212, ["a"], {}),
]
for count in (3, 50, 200):
    SERVICES += [("n1", "many%d" % count, "many%d-%03d" % (count, i),
                  "10.%d.0.%d" % (count, i + 1), 8001 + i, [], {})
                 for i in range(count)]
SERVICES += [("n1", "many6", "many6-%03d" % i, "2001:db8:6::%x" % (i + 1), 9001 + i,
              [], {}) for i in range(50)]

QUERIES = [
    {"Name": "front", "Service": {"Service": "web"}, "DNS": {"TTL": "17s"}},
    {"Name": "plain", "Service": {"Service": "web", "Tags": ["v2", "!Prime"]}},
    {"Name": "Upper", "Service": {"Service": "web"}},
    {"Name": "dot.ted", "Service": {"Service": "web", "Tags": ["v1"]}},
    {"Name": "strict", "Service": {"Service": "health", "OnlyPassing": True}},
    {"Name": "lenient", "Service": {"Service": "health"}},
    {"Name": "nothing", "Service": {"Service": "nothing"}},
    {"Name": "dead", "Service": {"Service": "gone"}},
    {"Name": "qsix", "Service": {"Service": "six"}},
    {"Name": "qext", "Service": {"Service": "ext"}},
    {"Name": "qown", "Service": {"Service": "own"}},
    {"Name": "qmeta", "Service": {"Service": "meta", "ServiceMeta": {"team": "pay"}}},
    {"Name": "nearip", "Service": {"Service": "web", "Near": "_ip"}},
    {"Name": "qmany", "Service": {"Service": "many50"}},
    {"Name": "geo-", "Template": {"Type": "name_prefix_match",
                                  "Regexp": "^geo-(.*?)-([^-]+?)$"},
     "Service": {"Service": "${match(1)}", "Tags": ["${match(2)}"]}},
]


def registrations():
    for name, node in NODES.items():
        yield dict(node, Node=name)
    yield {"Node": "sick", "Address": NODES["sick"]["Address"],
           "Check": {"CheckID": "disk", "Name": "disk", "Status": "critical"}}
    for node, name, ident, address, port, tags, more in SERVICES:
        more = dict(more)
        status = more.pop("Status", None)
        body = dict(NODES[node], Node=node, SkipNodeUpdate=True, Service=dict(
            more, ID=ident, Service=name, Address=address, Port=port, Tags=tags))
        if status:
            body["Check"] = {"CheckID": ident, "Name": "c", "ServiceID": ident,
                             "Status": status}
        yield body


def put_all(where):
    """Tells the agent whose HTTP is at WHERE of everything, and waits until it
    shows it."""
    agent = http.client.HTTPConnection(where, timeout=20)

    def ask(method, path, body=None):
        agent.request(method, path, body and json.dumps(body))
        reply = agent.getresponse()
        text = reply.read().decode()
        assert reply.status == 200, (where, path, body, reply.status, text)
        return json.loads(text)

    for body in registrations():
        ask("PUT", "/v1/catalog/register", body)
    for body in QUERIES:
        ask("POST", "/v1/query", body)
    wanted = {"consul": 1}  # The agent's own.
    for _, name, *_ in SERVICES:
        wanted[name] = wanted.get(name, 0) + 1
    for _ in range(400):
        if all(len(ask("GET", "/v1/catalog/service/" + name)) == count
               for name, count in wanted.items()):
            return
    raise SystemExit("%s does not show what it was told" % where)
