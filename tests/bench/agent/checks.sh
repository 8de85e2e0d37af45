#!/usr/bin/env bash
# Ten thousand checks on one agent: are they spread evenly, does each run in its
# time, and what do they cost? Half are http (a tenth of these by name), half
# tcp, all at 10 s, against one local server, which judges.
#
#     MUSTER=build/release/cli/muster TARGET=build/release/tests/bench/agent/bench_check_target \
#         tests/bench/agent/checks.sh [CHECKS [SECONDS]]
. "$(dirname "$0")/../../e2e/lib.sh"

: "${TARGET:?the path of the built bench_check_target}"
checks=${1:-10000}
seconds=${2:-60}
interval=10
warmup=30

spawn target "$TARGET" "$checks" $interval $warmup "$seconds"
target=$PID
wait_until 10 "the server" grep -q . "$SCRATCH/target.log"
read -r http tcp <"$SCRATCH/target.log"

store_start store
agent_start one --store "$STORE_URL"
"$PYTHON" - "$checks" "$http" "$tcp" $interval "$AGENT_SERVICES" <<'PY'
import json, sys
count, http, tcp, interval = map(int, sys.argv[1:5])
def check(i):
    c = {"id": "c%d" % i, "interval": "%ds" % interval, "timeout": "5s",
         "status": "passing"}
    if i % 2 == 0:
        host = "localhost" if i % 20 == 0 else "127.0.0.1"
        c["http"] = "http://%s:%d/%d" % (host, http, i)
    else:
        c["tcp"] = "127.1.%d.%d:%d" % (i >> 8, i & 255, tcp)
    return c
services = [{"name": "s%d" % s,
             "checks": [check(i) for i in range(s, min(count, s + 50))]}
            for s in range(0, count, 50)]
for n in range(0, len(services), 50):
    with open("%s/%d.json" % (sys.argv[5], n), "w") as f:
        json.dump({"services": services[n:n + 50]}, f)
PY

# The agent's CPU, in ticks, between the end of the warm-up and the end.
cpu() {
    awk '{ print $14 + $15 }' "/proc/$AGENT_PID/stat"
}
metric() {
    api /v1/metrics | awk -v name="$1" '$1 == name { print $2 }'
}
all_there() {
    [ "$(metric muster_local_checks)" = "$checks" ]
}
wait_until $warmup "the definitions" all_there
wait_until $warmup "the judge" grep -q counting "$SCRATCH/target.log"
before=$(cpu)
began=$(now_ms)
runs=$(metric muster_check_runs_total)
missed=$(metric muster_check_runs_missed_total)
wait "$target"
took=$(($(now_ms) - began))
after=$(cpu)
runs=$(($(metric muster_check_runs_total) - runs))

tail -n +3 "$SCRATCH/target.log"
echo "as the agent sees it: $(($(metric muster_check_runs_missed_total) - missed)) missed"
echo "$runs runs in $((took / 1000)) s took" \
    "$(((after - before) * 1000 / $(getconf CLK_TCK))) ms of the agent's CPU:" \
    "$(((after - before) * 1000000 / $(getconf CLK_TCK) / (runs + 1))) us a run," \
    "$(((after - before) * 100000 / $(getconf CLK_TCK) / took)) % of a core"
awk '/VmRSS/ { print "resident: " $2 / 1024 " MiB" }' "/proc/$AGENT_PID/status"
