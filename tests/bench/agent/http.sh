#!/usr/bin/env bash
# Requests per second of /v1/health/service/x?passing over loopback, the agent
# pinned to one core, wrk on the others.
# usage: tests/bench/agent/http.sh [SECONDS [CONNECTIONS]]     (default 10 64)
#
# MUSTER is the program (default: build/release/cli/muster). Prints requests per
# second for services of 1, 3 and 20 instances, bytes of a reply, and the agent's
# CPU microseconds a request. Ends with 1 below 10 000 requests/s for one
# instance.
set -euo pipefail

export PINNED=1
# shellcheck source=tests/bench/agent/lib.sh
. "$(dirname "$0")/lib.sh"
seconds=${1:-10}
conns=${2:-64}
ticks() { # Of the agent, in 10 ms.
    awk '{ print $14 + $15 }' "/proc/$agent/stat"
}
printf '%10s %12s %12s %16s %10s\n' instances bytes requests/s 'CPU us/request' \
    'p99'
first=
for count in 1 3 20; do
    register "x$count" "$count"
    url="http://$http/v1/health/service/x$count?passing"
    bytes=$(curl -sS "$url" | wc -c)
    taskset -c "1-$(($(nproc) - 1))" wrk -t 1 -c "$conns" -d 1 "$url" >/dev/null
    before=$(ticks)
    taskset -c "1-$(($(nproc) - 1))" wrk --latency -t 1 -c "$conns" \
        -d "$seconds" "$url" >"$scratch/wrk"
    after=$(ticks)
    rate=$(awk '/Requests\/sec/ { print int($2) }' "$scratch/wrk")
    requests=$(awk '/requests in/ { print $1 }' "$scratch/wrk")
    grep -E 'Non-2xx|Socket errors' "$scratch/wrk" && exit 1
    printf '%10s %12s %12s %16s %10s\n' "$count" "$bytes" "$rate" \
        "$(awk -v t=$((after - before)) -v n="$requests" \
            'BEGIN { printf "%.1f", t * 10000 / n }')" \
        "$(awk '/99%/ { print $2 }' "$scratch/wrk")"
    first=${first:-$rate}
done
[ "$first" -ge 10000 ]
