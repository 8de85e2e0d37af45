# Debian's python3-consul, unmodified, registers, beats and queries.
. "$(dirname "$0")/lib.sh"

web_start
agent_start one --dev --store-listen 127.0.0.1:0
out=$("$PYTHON" - "${AGENT_HTTP##*:}" "$WEB_PORT" <<'PY' 2>&1
import sys, time, threading
import consul

c = consul.Consul(host="127.0.0.1", port=int(sys.argv[1]))

def wait_for(what, get, limit=10):
    until = time.monotonic() + limit
    while not get():
        if time.monotonic() > until:
            sys.exit("waited in vain for " + what)
        time.sleep(0.02)

def states():
    index, found = c.health.service("batch")
    return [k["Status"] for i in found for k in i["Checks"]
            if k["ServiceID"] == "batch-1"]

assert c.agent.self()["Config"]["NodeName"] == "one"
assert c.agent.service.register(
    "batch", service_id="batch-1", port=7000, tags=["a", "b"],
    address="10.3.0.1", check=consul.Check.ttl("30s"))
wait_for("the service", lambda: states() == ["critical"])
assert c.agent.check.ttl_pass("service:batch-1", "fine")
wait_for("passing", lambda: states() == ["passing"])
index, found = c.health.service("batch", passing=True)
assert int(index) > 0
assert found[0]["Service"]["Port"] == 7000, found
assert found[0]["Service"]["Tags"] == ["a", "b"], found
assert c.health.service("batch", passing=True, tag="b")[1]
assert not c.health.service("batch", passing=True, tag="none")[1]
print("registered and passing")

seen = []
def poll():
    other = consul.Consul(host="127.0.0.1", port=int(sys.argv[1]))
    seen.append(other.health.service("batch", index=index, wait="20s"))
thread = threading.Thread(target=poll)
thread.start()
assert c.agent.check.ttl_warn("service:batch-1", "slow")
thread.join(15)
assert seen, "the poll did not wake"
assert int(seen[0][0]) > int(index)
assert [k["Status"] for k in seen[0][1][0]["Checks"]
        if k["ServiceID"] == "batch-1"] == ["warning"], seen
print("a poll wakes")

assert c.agent.check.ttl_fail("service:batch-1", "broken")
wait_for("critical", lambda: states() == ["critical"])
assert c.agent.checks()["service:batch-1"]["Output"] == "broken"
assert [s["ServiceID"] for s in c.catalog.service("batch")[1]] == ["batch-1"]
assert c.catalog.services()[1]["batch"] == ["a", "b"]
assert c.catalog.nodes()[1][0]["Node"] == "one"
assert "batch-1" in c.catalog.node("one")[1]["Services"]
assert [k["ServiceID"] for k in c.health.state("critical")[1]] == ["batch-1"]
assert c.health.checks("batch")[1][0]["CheckID"] == "service:batch-1"
assert [k["CheckID"] for k in c.health.node("one")[1]
        if k["ServiceID"] == ""] == ["serfHealth"]
assert c.status.leader()
assert c.status.peers()
print("catalogue and health")

assert c.agent.service.maintenance("batch-1", True, "repairs")
wait_for("maintenance", lambda: "_service_maintenance:batch-1" in
         [k["CheckID"] for k in c.health.checks("batch")[1]])
assert c.agent.service.maintenance("batch-1", False)
assert c.agent.check.register("disk", check=consul.Check.ttl("10s"))
assert c.agent.check.ttl_pass("disk")
assert c.agent.check.deregister("disk")
print("maintenance and node checks")

port = int(sys.argv[2])
for name, check in (
        ("h", consul.Check.http("http://127.0.0.1:%d/" % port, "1s")),
        ("t", consul.Check.tcp("127.0.0.1", port, "1s"))):
    assert c.agent.service.register(name, port=port, check=check)
    wait_for(name, lambda: c.health.service(name, passing=True)[1])
    assert c.agent.service.deregister(name)
index, value = c.kv.get("no/such/key")
assert int(index) > 0 and value is None, (index, value)
print("checks by http and tcp, and a key that is missing")

assert c.catalog.register("outside", "10.4.0.1",
                          service={"Service": "ext", "Port": 9})
wait_for("the outside service", lambda: c.catalog.service("ext")[1])
assert c.catalog.service("ext")[1][0]["Address"] == "10.4.0.1"
assert c.catalog.deregister("outside")
wait_for("its removal", lambda: not c.catalog.service("ext")[1])
print("hosts without an agent")

assert c.agent.service.deregister("batch-1")
wait_for("deregistration", lambda: not c.catalog.service("batch")[1])
print("deregistered")
PY
)
is $? 0 "python3-consul is content"
is "$out" "$(printf '%s\n' 'registered and passing' 'a poll wakes' \
    'catalogue and health' 'maintenance and node checks' \
    'checks by http and tcp, and a key that is missing' \
    'hosts without an agent' deregistered)" "in every part"
done_testing
