#!/usr/bin/env bash
# Memory of zone transfers: an agent with its store, and INSTANCES with two tags
# on 100 hosts; then the zone is fetched by AXFR, three times, and by four at once.
# usage: tests/bench/agent/transfer.sh [INSTANCES]      (default 5000)
#
# MUSTER is the program (default: build/release/cli/muster).
set -euo pipefail

instances=${1:-5000}
config='{"log_level": "warn", "dns_config": {"transfer": {
    "allow": [{"networks": ["127.0.0.0/8"]}]}}}'
CONFIG=$config . "$(dirname "$0")/lib.sh"
dns=$(grep started "$scratch/out" | /usr/bin/python3 -c \
    'import json, sys; print(json.load(sys.stdin)["dns"].rsplit(":", 1)[1])')

/usr/bin/python3 - "$scratch/agent.sock" "$instances" <<'PY'
import http.client, json, socket, sys

agent = http.client.HTTPConnection("local")
agent.sock = socket.socket(socket.AF_UNIX)
agent.sock.connect(sys.argv[1])
for i in range(int(sys.argv[2])):
    agent.request("PUT", "/v1/catalog/register", json.dumps({
        "Node": "host-%d" % (i % 100), "Address": "10.1.0.%d" % (i % 100 + 1),
        "Service": {"ID": "i%d" % i, "Service": "s%d" % (i // 20),
                    "Address": "10.%d.%d.%d" % (2 + i // 62500, i // 250 % 250,
                                                i % 250 + 1),
                    "Tags": ["v%d" % (i % 3), "blue"], "Port": 8000 + i % 1000}}))
    reply = agent.getresponse()
    text = reply.read()
    assert reply.status == 200, text
PY
until [ "$(curl -sS "http://$http/v1/metrics" |
    awk '$1 == "muster_catalog_instances" { print ($2 >= '"$instances"') }')" = 1 ]; do
    sleep 0.05
done

rss() {
    awk -v what="$1" '/^VmRSS/ { now = $2 } /^VmHWM/ { most = $2 }
        END { printf "%-34s %5.1f MiB resident, %5.1f at most\n", what,
              now / 1024, most / 1024 }' "/proc/$agent/status"
}
fetch() { dig -p "$dns" @127.0.0.1 "$1" AXFR +tcp; }

rss "before"
for i in 1 2 3; do
    records=$(fetch muster.internal | grep -c '[[:space:]]IN[[:space:]]')
    rss "transfer $i, $records records"
done
fetchers=()
for _ in 1 2 3 4; do
    fetch consul >/dev/null &
    fetchers+=($!)
done
wait "${fetchers[@]}"
rss "four more at once, of consul"
