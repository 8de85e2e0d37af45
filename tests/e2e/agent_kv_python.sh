# Debian's python3-consul, unmodified: entries, sessions, transactions, events.
. "$(dirname "$0")/lib.sh"

agent_start one --dev --store-listen 127.0.0.1:0
wait_until 20 "the node in the catalogue" eval 'api /v1/catalog/nodes | grep -q one'
out=$("$PYTHON" - "${AGENT_HTTP##*:}" <<'PY' 2>&1
import base64, json, sys, threading, urllib.error, urllib.request
import consul

c = consul.Consul(host="127.0.0.1", port=int(sys.argv[1]))

index, data = c.kv.get("a")
assert data is None and int(index) > 0
assert c.kv.put("a", "1", flags=7)
index, data = c.kv.get("a")
assert data["Value"] == b"1" and data["Flags"] == 7, data
assert c.kv.put("a", "2", cas=data["ModifyIndex"])
assert not c.kv.put("a", "3", cas=data["ModifyIndex"])
assert c.kv.put("t/x", "1") and c.kv.put("t/y/z", None)
assert [e["Key"] for e in c.kv.get("t/", recurse=True)[1]] == ["t/x", "t/y/z"]
assert c.kv.get("t/", keys=True, separator="/")[1] == ["t/x", "t/y/"]
assert c.kv.delete("t/", recurse=True)
assert c.kv.get("t/", recurse=True)[1] is None
print("entries")

seen = []
index, data = c.kv.get("a")
def poll():
    other = consul.Consul(host="127.0.0.1", port=int(sys.argv[1]))
    seen.append(other.kv.get("a", index=index, wait="20s"))
thread = threading.Thread(target=poll)
thread.start()
assert c.kv.put("a", "new")
thread.join(15)
assert seen[0][1]["Value"] == b"new", seen
print("a poll wakes")

one = c.session.create(name="first", ttl=60, lock_delay=0)
two = c.session.create(behavior="delete", lock_delay=0)
assert c.session.info(one)[1]["TTL"] == "1m0s"
assert {s["ID"] for s in c.session.list()[1]} == {one, two}
assert {s["ID"] for s in c.session.node("one")[1]} == {one, two}
assert c.session.renew(one)["ID"] == one
assert c.kv.put("l", "x", acquire=one)
assert not c.kv.put("l", "x", acquire=two)
assert c.kv.get("l")[1]["Session"] == one
assert c.kv.put("l", "x", release=one)
assert c.kv.put("l", "x", acquire=two)
assert c.kv.get("l")[1]["LockIndex"] == 2
assert c.session.destroy(two)
assert c.kv.get("l")[1] is None
assert c.session.destroy(one)
assert c.session.info(one)[1] is None
try:
    c.session.renew(one)
    sys.exit("a session that is gone was renewed")
except consul.NotFound:
    print("sessions and locks")

def b64(text):
    return base64.b64encode(text.encode()).decode()

# This version has no txn of its own.
def txn(*ops):
    request = urllib.request.Request(
        "http://127.0.0.1:%s/v1/txn" % sys.argv[1], method="PUT",
        data=json.dumps([op if "KV" in op or len(op) == 1 else {"KV": op}
                         for op in ops]).encode())
    try:
        with urllib.request.urlopen(request) as reply:
            return json.load(reply)
    except urllib.error.HTTPError as e:
        assert e.code == 409, e
        return json.load(e)

r = txn({"Verb": "set", "Key": "m", "Value": b64("1")},
        {"Verb": "get", "Key": "a"})
assert r["Errors"] is None and len(r["Results"]) == 2, r
assert r["Results"][0]["KV"]["ModifyIndex"] > 0
r = txn({"Verb": "delete", "Key": "m"}, {"Verb": "get", "Key": "none"})
assert r["Errors"][0]["OpIndex"] == 1 and r["Results"] is None, r
assert c.kv.get("m")[1]["Value"] == b"1"
print("transactions")

# A host, a service, its check and an entry at once; seen at once; one by its
# index.
r = txn({"Node": {"Verb": "set", "Node": {"Node": "printer",
                                          "Address": "10.0.0.99"}}},
        {"Service": {"Verb": "set", "Node": "printer", "Service":
                     {"ID": "lp1", "Service": "lpd", "Port": 515}}},
        {"Check": {"Verb": "set", "Check": {"Node": "printer", "CheckID": "p",
                   "ServiceID": "lp1", "Status": "passing"}}},
        {"Verb": "set", "Key": "printers/lp1", "Value": b64("new")})
assert [list(x)[0] for x in r["Results"]] == ["Node", "Service", "Check", "KV"]
index = r["Results"][1]["Service"]["ModifyIndex"]
assert index == r["Results"][3]["KV"]["ModifyIndex"], r
lpd = c.health.service("lpd", passing=True, index=index - 1)[1]
assert lpd[0]["Service"]["Port"] == 515 and len(lpd[0]["Checks"]) == 1, lpd
r = txn({"Service": {"Verb": "delete-cas", "Node": "printer", "Service":
                     {"ID": "lp1", "ModifyIndex": index - 1}}},
        {"Verb": "delete", "Key": "printers/lp1"})
assert "index is stale" in r["Errors"][0]["What"], r
assert c.kv.get("printers/lp1")[1] is not None
r = txn({"Node": {"Verb": "delete", "Node": {"Node": "printer"}}},
        {"Verb": "delete", "Key": "printers/lp1"})
assert r == {"Results": [], "Errors": None}, r
assert c.kv.get("printers/lp1")[1] is None
assert not c.catalog.service("lpd", consistency="consistent")[1]
print("of the catalogue")

assert c.event.fire("deploy", "v2", node="^one$")["Name"] == "deploy"
index, events = c.event.list(name="deploy")
assert [e["Name"] for e in events] == ["deploy"], events
assert events[0]["Payload"] in (b"v2", b64("v2")), events
assert c.event.fire("other", node="^elsewhere$")
assert not c.event.list(name="other")[1]
print("events")
PY
)
is $? 0 "python3-consul is content"
is "$out" "$(printf '%s\n' entries 'a poll wakes' 'sessions and locks' \
    transactions 'of the catalogue' events)" "in every part"
done_testing
