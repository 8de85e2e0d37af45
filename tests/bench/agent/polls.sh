#!/usr/bin/env bash
# Two thousand long polls on two hundred services: what they cost in memory, and
# who is asked when one service changes.
# usage: tests/bench/agent/polls.sh [POLLS [SERVICES]]       (default 2000 200)
#
# MUSTER is the program (default: build/release/cli/muster). Prints the agent's
# resident memory without and with the polls, how many of them were looked at and
# answered when one service changed, and how long that took. Ends with 1 above
# 200 MiB, or when others than the service's own were looked at.
set -euo pipefail

# shellcheck source=tests/bench/agent/lib.sh
. "$(dirname "$0")/lib.sh"
polls=${1:-2000}
services=${2:-200}
ulimit -n "$(ulimit -Hn)"
for i in $(seq "$services"); do
    printf '{"Name": "s%d", "Port": %d, "Address": "10.0.0.1"}' "$i" "$i" |
        curl -sS --fail --unix-socket "$scratch/agent.sock" -X PUT -d @- \
            http://local/v1/agent/service/register
done
until [ "$(curl -sS "http://$http/v1/catalog/services" | grep -o '"s[0-9]*"' |
    wc -l)" = "$services" ]; do
    sleep 0.05
done

/usr/bin/python3 - "$http" "$scratch/agent.sock" "$agent" "$polls" "$services" <<'PY'
import http.client, json, selectors, socket, sys, time

where, unix, agent, polls, services = sys.argv[1:]
host, port = where.rsplit(":", 1)
polls, services = int(polls), int(services)


def rss():
    for line in open("/proc/%s/status" % agent):
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024


control = http.client.HTTPConnection("127.0.0.1", 1)
control.sock = socket.socket(socket.AF_UNIX)
control.sock.connect(unix)


def ask(method, path, body=None):
    control.request(method, path, body)
    reply = control.getresponse()
    return reply, reply.read().decode()


def metric(name):
    for line in ask("GET", "/v1/metrics")[1].splitlines():
        if line.startswith(name + " "):
            return int(float(line.split()[1]))


def wait_for(what, get):
    until = time.monotonic() + 30
    while not get():
        if time.monotonic() > until:
            sys.exit("waited in vain for " + what)
        time.sleep(0.02)


before = rss()
sockets = selectors.DefaultSelector()
mine = {}
for i in range(polls):
    name = "s%d" % (i % services + 1)
    if name not in mine:
        mine[name] = ask("GET", "/v1/health/service/" + name)[0].getheader(
            "X-Consul-Index")
    s = socket.create_connection((host, int(port)))
    passing = "passing&" if i % 2 else ""
    s.sendall(("GET /v1/health/service/%s?%sindex=%s&wait=600s HTTP/1.1\r\n"
               "Host: localhost\r\n\r\n" % (name, passing, mine[name])).encode())
    sockets.register(s, selectors.EVENT_READ, name)
wait_for("all polls", lambda: metric("muster_http_waiting") == polls)
with_polls = rss()
wakeups = metric("muster_http_wakeups_total")
begin = time.monotonic()
ask("PUT", "/v1/agent/service/register",
    json.dumps({"Name": "s1", "Port": 9999, "Address": "10.0.0.2"}))
wanted = len([i for i in range(polls) if i % services == 0])
answered = {}
while sum(answered.values()) < wanted:
    for key, _ in sockets.select(10) or sys.exit("an answer is missing"):
        assert key.fileobj.recv(65536), "closed"
        answered[key.data] = answered.get(key.data, 0) + 1
        sockets.unregister(key.fileobj)
took = time.monotonic() - begin
looked_at = metric("muster_http_wakeups_total") - wakeups
print("RSS without polls      %8.1f MiB" % before)
print("RSS with %5d polls    %8.1f MiB, %.1f KiB a poll" %
      (polls, with_polls, (with_polls - before) * 1024 / polls))
print("one service changed:   %5d polls looked at, %d answered within %.0f ms" %
      (looked_at, sum(answered.values()), took * 1000))
if with_polls >= 200 or looked_at != wanted or set(answered) != {"s1"}:
    sys.exit("more than there should be")
PY
