"""Where our agent differs from Consul 1.8 on purpose, whatever the row; and what
of an answer cannot be equal. Numbers are sections of the project's reference."""

import re

NOTHING = type("Nothing", (), {"__repr__": lambda self: "-"})()

# Headers that are compared by value; all X-Consul-* are compared, too.
HEADERS = ("content-type", "allow", "location", "content-encoding")

# Numbers of which is compared only whether they are 0.
INDEXES = {"CreateIndex", "ModifyIndex"}

# What differs from agent to agent; compared is whether it is there.
OPAQUE = {"ContentHash", "LTime"}


def header(name, value):
    """What of an X-Consul- header can be equal."""
    if name in ("x-consul-index", "x-consul-contenthash"):
        return "0" if value == "0" else "some"
    if name == "x-consul-lastcontact":
        return "some"
    return value


RUN = "of its last run"


def _is_check(value):
    return isinstance(value, dict) and "CheckID" in value and "Node" in value


def _is_store(value):
    """A member of the store as a service, in any of the forms."""
    return isinstance(value, dict) and "consul" in (
        value.get("Service"), value.get("ServiceName"))


def _is_health(value):
    return isinstance(value, dict) and "AggregatedStatus" in value


def _check(value):
    """What runs by itself, runs when it likes."""
    if value.get("Type") in ("http", "tcp", "grpc", "alias"):
        value["Output"] = RUN
    return value


def plain(value):
    """Lists whose order says nothing in one order; the stores left out."""
    if isinstance(value, list):
        value = [plain(v) for v in value if not _is_store(v)]
        if value and all(_is_check(v) for v in value):
            value.sort(key=lambda v: (v["Node"], v["CheckID"]))
        if value and all(_is_health(v) for v in value):
            value.sort(key=lambda v: v["Service"]["ID"])
        return value
    if isinstance(value, dict):
        value = {k: plain(v) for k, v in value.items() if not _is_store(v)}
        return _check(value) if _is_check(value) else value
    return value


REASONS = {
    "null": "lists and maps are never null (3.0)",
    "empty": "what is empty is written where Consul leaves it out (3.5)",
    "later": "fields of later versions of Consul (3.5)",
    "older": "a session has Checks, too, as before Consul 1.7",
    "id": "a node's ID is never empty (3.5)",
    "type": "the type of a check of the node is told, too (3.5)",
    "mesh": "Proxy is {} (3.5)",
    "definition": "Definition of a check is {} (3.5)",
    "insides": "DebugConfig, Stats, xDS, series of metrics, and the query "
               "options in a /v1/txn are Consul's insides (3.5)",
    "gossip": "members have no tags about gossip and raft (3.5)",
    "segment": "no network segments: consul-network-segment is not in Meta",
    "lock": "LockIndex, the fence of a lock, never goes back; Consul forgets "
            "it when a key is written without the lock",
    "headers": "every poll has all headers, and those of later versions (3.6)",
    "index404": "a 404 has X-Consul-Index, and all headers of its kind (3.0, "
                "3.6)",
    "headers500": "an error has no headers of a poll (3.6)",
    "methods": "HEAD reads, POST writes; python3-consul reports with GET (3.0, "
               "7.10)",
    "charset": "text says that it is UTF-8",
    "wording": "words of a refusal that no client reads are our own",
    "bad": "a request that is wrong in itself is 4xx, since 500 is asked again "
           "(3.0, 3.4)",
}

LATER = {"PeerName", "Interval", "Timeout", "ExposedPort", "ServiceLocality",
         "ServiceSocketPath", "Datacenter", "Connect", "Proxy", "CreateIndex",
         "ModifyIndex", "BuildDate", "PrimaryDatacenter"}
INSIDES = {"DebugConfig", "Stats", "xDS", "Counters", "Gauges", "Samples",
           "Points", "Index", "LastContact", "KnownLeader", "ConsistencyLevel"}


def find(path, theirs, ours, their_document, our_document):
    """The name of the rule that allows the difference, or None."""
    parts = path.split(".")[1:]
    leaf = parts[-1]
    status = our_document["status"]
    before = their_document["status"]
    refused = status != 200 and before == status
    turned = before == 500 and status in (400, 403, 404)
    if parts[0] == "body":
        return _in_body(parts, leaf, theirs, ours)
    if leaf.startswith("x-consul-"):
        return _in_headers(leaf, theirs, ours, status)
    if leaf == "status" and turned:
        return "bad"
    if leaf == "allow":
        return _of_methods(theirs, ours)
    if leaf == "text" and (refused or turned) and ours:
        return "wording"
    if leaf == "content-type" and (refused or turned) and theirs is NOTHING:
        return "wording"
    if leaf == "content-type" and theirs == "text/plain":
        return "charset" if ours == "text/plain; charset=utf-8" else None
    return None


def _in_headers(leaf, theirs, ours, status):
    if theirs is not NOTHING:
        return "headers500" if status not in (200, "closed") else None
    if leaf in ("x-consul-default-acl-policy", "x-consul-query-backend",
                "x-consul-effective-consistency", "x-consul-knownleader",
                "x-consul-lastcontact", "x-consul-index") and status == 200:
        return "headers"
    return "index404" if status == 404 else None


def _of_methods(theirs, ours):
    if NOTHING in (theirs, ours):
        return None
    theirs = set(re.split(", ?", theirs))
    more = set(re.split(", ?", ours)) - theirs
    if theirs <= set(re.split(", ?", ours)) and more <= {"OPTIONS", "HEAD",
                                                         "POST", "GET"}:
        return "methods"
    return None


def _in_body(parts, leaf, theirs, ours):
    if theirs is None and ours in ([], {}):
        return "null"
    if "Definition" in parts:
        return "definition" if ours in (NOTHING, {}) else None
    if set(parts[1:2]) & INSIDES:
        return "insides"
    if "Tags" in parts and "Member" in parts or parts[2:3] == ["Tags"]:
        return "gossip" if ours is NOTHING else None
    if theirs is NOTHING and leaf in LATER:
        return "later"
    if theirs is NOTHING and ours in ([], {}, "", None):
        return "empty"
    if theirs is NOTHING and leaf == "Checks" and len(parts) == 3:
        return "older"
    if leaf == "ID" and theirs == "" and str(ours).startswith("id-"):
        return "id"
    if leaf == "LockIndex" and NOTHING not in (theirs, ours) and theirs < ours:
        return "lock"
    if leaf == "Type" and theirs == "" and ours != "":
        return "type"
    if leaf == "Output" and theirs == "" and ours == RUN:
        return "type"
    if len(parts) > 2 and parts[-2] in ("Proxy", "ServiceProxy"):
        return "mesh" if theirs == {} and ours is NOTHING else None
    if leaf == "consul-network-segment" and ours is NOTHING:
        return "segment"
    return None
