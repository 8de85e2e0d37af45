#!/usr/bin/env bash
# From exec to the first DNS answer, without any network: in a network namespace
# that has nothing but lo, with a store that cannot be reached and a replica of
# 5 000 instances on 100 services and 500 hosts.
# usage: tests/bench/agent/start.sh [ROUNDS [INSTANCES]]      (default 20 5000)
#
# MUSTER is the program (default: build/release/cli/muster). Prints milliseconds.
set -euo pipefail

cd "$(dirname "$0")/../../.."
if [ -z "${MUSTER_OWN_NETWORK:-}" ]; then
    MUSTER_OWN_NETWORK=1 exec unshare --map-root-user --net \
        bash tests/bench/agent/start.sh "$@"
fi
ip link set lo up
MUSTER=$(realpath "${MUSTER:-build/release/cli/muster}")
rounds=${1:-20}
instances=${2:-5000}
scratch=$(mktemp -d)
agent=""
finish() {
    [ -n "$agent" ] && kill "$agent" 2>/dev/null || true
    wait 2>/dev/null || true
    rm -rf "$scratch"
}
trap finish EXIT
mkdir "$scratch/services"
echo '{"log_level": "error"}' >"$scratch/agent.json"
flags=(--node bench --data-dir "$scratch/data" --services "$scratch/services"
    --socket "$scratch/agent.sock" --dns 127.0.0.1:8600 --http off
    --advertise 127.0.0.1 --config "$scratch/agent.json")

# Fill the replica.
"$MUSTER" agent --dev --store-listen 127.0.0.1:2379 "${flags[@]}" \
    >"$scratch/out" 2>"$scratch/log" &
agent=$!
for _ in $(seq 400); do
    grep -q started "$scratch/out" && break
    kill -0 "$agent" 2>/dev/null || {
        cat "$scratch/log" >&2
        exit 1
    }
    sleep 0.05
done
/usr/bin/python3 - "$scratch/agent.sock" "$instances" <<'PY'
import http.client, json, socket, sys, time

path, instances = sys.argv[1], int(sys.argv[2])
agent = http.client.HTTPConnection("local")
agent.sock = socket.socket(socket.AF_UNIX)
agent.sock.connect(path)


def ask(method, url, body=None):
    agent.request(method, url, body)
    reply = agent.getresponse()
    text = reply.read()
    assert reply.status == 200, (url, reply.status, text)
    return text


for i in range(instances):
    ask("PUT", "/v1/catalog/register", json.dumps({
        "Node": "host-%d" % (i % 500), "Address": "10.1.%d.%d" % (i % 500 // 250, i % 250),
        "Service": {"ID": "s%d-%d" % (i % 100, i), "Service": "s%d" % (i % 100),
                    "Tags": ["v3", "eu"], "Port": 8000 + i % 1000,
                    "Meta": {"team": "pay"}},
        "Check": {"CheckID": "c%d" % i, "Name": "up", "Status": "passing",
                  "ServiceID": "s%d-%d" % (i % 100, i)}}))
while True:
    text = ask("GET", "/v1/metrics").decode()
    # And the store's own member.
    if "muster_catalog_instances %d" % (instances + 1) in text:
        break
    time.sleep(0.05)
PY
kill "$agent"
wait "$agent" || true
agent=""

/usr/bin/python3 - "$rounds" "$instances" "$MUSTER" agent \
    --store http://192.0.2.1:2379 "${flags[@]}" <<'PY'
import os, select, signal, socket, statistics, struct, subprocess, sys, time

rounds, instances, command = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
name = b"\x02s7\x07service\x06muster\x08internal\0"
question = struct.pack("!HHHHHH", 7, 0, 1, 0, 0, 0) + name + struct.pack("!HH", 1, 1)
took = []
cpu = []
for _ in range(rounds):
    begin = time.monotonic()
    agent = subprocess.Popen(command, stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL)
    while True:
        assert agent.poll() is None, "the agent has ended"
        dns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        dns.connect(("127.0.0.1", 8600))
        try:
            dns.send(question)
            if select.select([dns], [], [], 0.2)[0]:
                reply = dns.recv(4096)
                if reply[3] & 15 == 0 and reply[7] > 0:
                    break
        except ConnectionRefusedError:
            pass
        dns.close()
        time.sleep(0.0005)
    took.append((time.monotonic() - begin) * 1000)
    fields = open("/proc/%d/stat" % agent.pid).read().rsplit(")", 1)[1].split()
    cpu.append((int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK"))
    rss = [line for line in open("/proc/%d/status" % agent.pid)
           if line.startswith("VmRSS")][0].split()[1]
    agent.send_signal(signal.SIGKILL)
    agent.wait()
took.sort()
print("%d instances, no network: exec to first DNS answer: shortest %.1f ms, "
      "median %.1f ms, longest of %d %.1f ms; CPU until then %.0f ms; RSS %.1f MiB"
      % (instances, took[0], statistics.median(took), rounds, took[-1],
         statistics.median(cpu), int(rss) / 1024))
PY
