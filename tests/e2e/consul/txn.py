"""/v1/txn."""
import base64

from .row import differs, get, put


def b64(text):
    return base64.b64encode(text.encode()).decode()


def kv(verb, key, value=None, **more):
    op = {"Verb": verb, "Key": key, **more}
    if value is not None:
        op["Value"] = b64(value)
    return {"KV": op}


def txn(*ops, **options):
    return put("/v1/txn", list(ops), **options)


NO_LIST = "malformed JSON is 400 (3.0)"

KEYS = [
    txn(),
    put("/v1/txn", "{"),
    put("/v1/txn", "{}"),
    differs(put("/v1/txn", "null"), NO_LIST, status=400),
    put("/v1/txn", ""),
    differs(txn({}), "an operation that is none is refused", status=400),
    txn({"KV": {}}),
    txn(kv("odd", "t/a")),
    txn(kv("set", "")),
    txn(kv("set", "t/a", "1", Flags=7)),
    txn(kv("get", "t/a")),
    txn(kv("get", "t/none")),
    txn(kv("set", "t/b", "2"), kv("set", "t/c", "3"), kv("get", "t/a")),
    txn(kv("get-tree", "t/")),
    txn(kv("get-tree", "none/")),
    txn(kv("check-not-exists", "t/none")),
    txn(kv("check-not-exists", "t/a")),
    get("/v1/kv/t/a", keep={"ta": lambda r: r.json[0]["ModifyIndex"]}),
    txn(kv("check-index", "t/a", Index=1), ignore=["What"]),
    txn(kv("check-index", "t/none", Index=1)),
    put("/v1/txn", '[{"KV": {"Verb": "check-index", "Key": "t/a", '
        '"Index": {ta}}}]'),
    put("/v1/txn", '[{"KV": {"Verb": "cas", "Key": "t/a", "Value": "NQ==", '
        '"Index": {ta}}}]'),
    txn(kv("cas", "t/a", "6", Index=1)),
    txn(kv("cas", "t/new", "6", Index=0)),
    txn(kv("cas", "t/new", "6", Index=0)),
    txn(kv("delete", "t/new")),
    txn(kv("delete", "t/none")),
    txn(kv("delete-cas", "t/b", Index=1)),
    txn(kv("delete-cas", "t/none", Index=1)),
    txn(kv("check-session", "t/a", Session="none")),
    txn(kv("lock", "t/a", "x", Session="11111111-2222-3333-4444-555555555555"),
        ignore=["What"], words="invalid session"),
    txn(kv("lock", "t/a", "x")),
    txn(kv("unlock", "t/a", "x",
           Session="11111111-2222-3333-4444-555555555555")),
    put("/v1/session/create", {"LockDelay": "0s"},
        keep={"holder": lambda r: r.json["ID"]}),
    put("/v1/txn", '[{"KV": {"Verb": "lock", "Key": "t/l", "Value": "NQ==", '
        '"Session": "{holder}"}}, {"KV": {"Verb": "check-session", '
        '"Key": "t/l", "Session": "{holder}"}}]'),
    txn(kv("get", "t/l")),
    put("/v1/txn", '[{"KV": {"Verb": "unlock", "Key": "t/l", "Value": "NQ==", '
        '"Session": "{holder}"}}]'),
    put("/v1/session/destroy/{holder}"),
    txn(kv("set", "t/x", "1"), kv("get", "t/none"), kv("cas", "t/a", "1",
                                                      Index=1)),
    get("/v1/kv/t/x"),
    txn(kv("set", "t/x", "1"), kv("set", "t/x", "2"), kv("get", "t/x")),
    put("/v1/txn", [{"KV": {"Verb": "set", "Key": "t/x", "Value": "&"}}]),
    put("/v1/txn", [{"KV": {"Verb": "set", "Key": "t/x", "Value": None}}]),
    put("/v1/txn", [{"KV": {"verb": "set", "key": "t/x", "value": "MQ=="}}]),
    txn(*[kv("set", "t/m%d" % i, "1") for i in range(64)], note="64"),
    txn(*[kv("set", "t/m%d" % i, "1") for i in range(65)], note="65"),
    txn(*[kv("set", "t/m%d" % i, "1") for i in range(129)], note="129"),
    txn(kv("delete-tree", "t/")),
    put("/v1/txn?stale", [kv("get", "t/none")]),
    put("/v1/txn?stale", [kv("get-tree", "t/")]),
    put("/v1/txn?consistent", [kv("get-tree", "t/")]),
]

NODE = {"Node": "tn", "Address": "10.8.0.1",
        "ID": "22222222-2222-3333-4444-555555555555"}

CATALOG = [
    txn({"Node": {"Verb": "get", "Node": {"Node": "none"}}}),
    txn({"Node": {"Verb": "odd", "Node": {"Node": "tn"}}}),
    txn({"Node": {"Verb": "set", "Node": NODE}}),
    txn({"Node": {"Verb": "get", "Node": {"Node": "tn"}}}),
    txn({"Node": {"Verb": "cas", "Node": dict(NODE, ModifyIndex=1)}}),
    txn({"Service": {"Verb": "set", "Node": "tn", "Service": {
        "ID": "s1", "Service": "ts", "Port": 8}}}),
    txn({"Service": {"Verb": "get", "Node": "tn", "Service": {"ID": "s1"}}}),
    txn({"Service": {"Verb": "get", "Node": "tn", "Service": {"ID": "no"}}}),
    txn({"Service": {"Verb": "set", "Node": "none", "Service": {
        "ID": "s1", "Service": "ts", "Port": 8}}}),
    txn({"Check": {"Verb": "set", "Check": {
        "Node": "tn", "CheckID": "c1", "Name": "c", "Status": "passing",
        "ServiceID": "s1"}}}),
    differs(txn({"Check": {"Verb": "get", "Check": {"Node": "tn",
                                                   "CheckID": "c1"}}}),
            "a check of a service is named with it", status=409),
    txn({"Check": {"Verb": "get", "Check": {"Node": "tn", "CheckID": "c1",
                                            "ServiceID": "s1"}}}),
    txn({"Check": {"Verb": "get", "Check": {"Node": "tn", "CheckID": "no"}}}),
    txn({"Check": {"Verb": "delete", "Check": {
        "Node": "tn", "CheckID": "c1", "ServiceID": "s1"}}}),
    differs(txn({"Service": {"Verb": "delete", "Node": "tn", "Service": {
        "ID": "s1"}}}), "an id is enough to delete a service", status=200),
    txn({"Node": {"Verb": "delete", "Node": {"Node": "tn"}}}),
    get("/v1/catalog/node/tn", until=lambda d: d is None),
]

ROWS = KEYS + CATALOG
