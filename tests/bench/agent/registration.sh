#!/usr/bin/env bash
# From a registration to its DNS answer, and from a failing check's report to
# the instance's absence, on one host.
# usage: tests/bench/agent/registration.sh [ROUNDS]      (default 300)
#
# MUSTER is the program (default: build/release/cli/muster). Prints milliseconds:
# of the registration call alone, until DNS answers, of the report alone, until
# DNS no longer answers.
set -euo pipefail

cd "$(dirname "$0")/../../.."
MUSTER=$(realpath "${MUSTER:-build/release/cli/muster}")
rounds=${1:-300}
scratch=$(mktemp -d)
mkdir "$scratch/services"
"$MUSTER" agent --dev --node bench --data-dir "$scratch/data" \
    --services "$scratch/services" --socket "$scratch/agent.sock" \
    --dns 127.0.0.1:0 --http 127.0.0.1:0 --store-listen 127.0.0.1:0 \
    --advertise 127.0.0.1 >"$scratch/out" 2>"$scratch/log" &
agent=$!
finish() {
    kill "$agent" 2>/dev/null || true
    wait "$agent" 2>/dev/null || true
    rm -rf "$scratch"
}
trap finish EXIT
for _ in $(seq 200); do
    grep -q started "$scratch/out" && break
    kill -0 "$agent" 2>/dev/null || {
        cat "$scratch/log" >&2
        exit 1
    }
    sleep 0.05
done

/usr/bin/python3 - "$scratch" "$rounds" <<'PY'
import http.client, json, os, socket, struct, sys, time

scratch, rounds = sys.argv[1], int(sys.argv[2])
started = json.loads([line for line in open(scratch + "/out")
                      if "started" in line][-1])
dns_port = int(started["dns"].rsplit(":", 1)[1])

agent = http.client.HTTPConnection("127.0.0.1", 1)
agent.sock = socket.socket(socket.AF_UNIX)
agent.sock.connect(scratch + "/agent.sock")
dns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
dns.connect(("127.0.0.1", dns_port))
dns.settimeout(2)


def put(path, body=b""):
    agent.request("PUT", path, body)
    reply = agent.getresponse()
    text = reply.read()
    assert reply.status == 200, (path, reply.status, text)


def answers(name):
    labels = b"".join(bytes([len(l)]) + l.encode() for l in name.split("."))
    dns.send(struct.pack(">6H", os.getpid() & 0xFFFF, 0, 1, 0, 0, 0) + labels +
             struct.pack(">BHH", 0, 1, 1))
    return struct.unpack(">H", dns.recv(4096)[6:8])[0]


def until(name, wanted):
    limit = time.perf_counter() + 10
    while answers(name) != wanted:
        assert time.perf_counter() < limit, "never: " + name
    return time.perf_counter()


def show(what, times):
    times = sorted(1000 * t for t in times)
    at = lambda share: times[min(len(times) - 1, int(len(times) * share))]
    print("%-28s p50 %7.2f  p90 %7.2f  p99 %7.2f  max %7.2f ms" %
          (what, at(.5), at(.9), at(.99), times[-1]))


calls, seen, reports, gone = [], [], [], []
until("bench.node.consul", 1)
for i in range(rounds):
    name = "s%d" % i
    body = json.dumps({"Name": name, "Port": 80, "Address": "10.0.0.1",
                       "Check": {"TTL": "60s", "Status": "passing"}})
    begin = time.perf_counter()
    put("/v1/agent/service/register", body)
    calls.append(time.perf_counter() - begin)
    seen.append(until(name + ".service.consul", 1) - begin)
    begin = time.perf_counter()
    put("/v1/agent/check/fail/service:" + name)
    reports.append(time.perf_counter() - begin)
    gone.append(until(name + ".service.consul", 0) - begin)
    put("/v1/agent/service/deregister/" + name)
show("register: the call", calls)
show("register: until DNS answers", seen)
show("fail: the call", reports)
show("fail: until gone from DNS", gone)
PY
