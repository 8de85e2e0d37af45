#!/usr/bin/env bash
# Our agent and a real Consul 1.8, told the same and asked the same, in one run:
# each alone on core 0, who asks on the others.
# usage: tests/bench/agent/consul.sh [SECONDS [INSTANCES [POLLS [ROUNDS [IDLE]]]]]
#        (default 5 5000 2000 300 30)
#
# MUSTER is our program (default: build/release/cli/muster), MUSTER_CONSUL the other
# one (default: where contrib/dev/install-consul puts it), BENCH the folder of the
# DNS load (default: build/release/tests/bench/dns; targets dns_bench_server and
# dns_bench_load). Prints for both, and by how much ours is less:
#
#   binary     MiB of the program
#   start      ms from exec to the first DNS answer, the median of five
#   idle       CPU ms in IDLE seconds with nothing but itself in the catalogue, and
#              MiB resident at their end
#   resident   MiB with INSTANCES in the catalogue, and with POLLS blocking queries
#   a, srv20   CPU us a DNS answer: one A record; 20 SRV with their addresses
#   http       /v1/health/service/x?passing by wrk with 1, 3 and 20 instances:
#              requests/s and CPU us each
#   register   ms from PUT /v1/agent/service/register to its DNS answer
set -euo pipefail

cd "$(dirname "$0")/../../.."
MUSTER=$(realpath "${MUSTER:-build/release/cli/muster}")
CONSUL=$(realpath "${MUSTER_CONSUL:-${MUSTER_PEERS:-/opt/muster-peers}/usr/bin/consul}")
BENCH=$(realpath "${BENCH:-build/release/tests/bench/dns}")
seconds=${1:-5}
instances=${2:-5000}
polls=${3:-2000}
rounds=${4:-300}
idle=${5:-30}
here=tests/bench/agent
load="1-$(($(nproc) > 1 ? $(nproc) - 1 : 1))"
[ "$(nproc)" -gt 1 ] || load=0
for program in "$MUSTER" "$CONSUL" "$BENCH/dns_bench_load"; do
    [ -x "$program" ] || {
        echo "there is no $program (contrib/dev/install-consul; targets muster," \
            "dns_bench_server, dns_bench_load)" >&2
        exit 1
    }
done
ulimit -n "$(ulimit -Hn)"
scratch=$(mktemp -d)
agent=""
stop() {
    [ -z "$agent" ] || kill "$agent" 2>/dev/null || true
    wait 2>/dev/null || true
    agent=""
}
trap 'stop; rm -rf "$scratch"' EXIT

free_ports() { # COUNT: that nobody has now.
    /usr/bin/python3 -c '
import socket, sys
all = [socket.create_server(("127.0.0.1", 0)) for _ in range(int(sys.argv[1]))]
print(*(s.getsockname()[1] for s in all))' "$1"
}

# start NAME: from nothing; sets agent, dns and http (ports), and says in $scratch/ms
# after how long it answered DNS.
start() {
    local ports
    rm -rf "$scratch/data" "$scratch/services"
    mkdir "$scratch/data" "$scratch/services"
    read -ra ports < <(free_ports 6)
    dns=${ports[0]} http=${ports[1]}
    case $1 in
    muster)
        set -- "$MUSTER" agent --dev --node bench --data-dir "$scratch/data" \
            --services "$scratch/services" --socket "$scratch/agent.sock" \
            --dns "127.0.0.1:$dns" --http "127.0.0.1:$http" \
            --store-listen "127.0.0.1:${ports[2]}" --advertise 127.0.0.1
        ;;
    consul)
        set -- "$CONSUL" agent -server -bootstrap-expect 1 -node bench \
            -data-dir "$scratch/data" -domain muster.internal -bind 127.0.0.1 \
            -client 127.0.0.1 -dns-port "$dns" -http-port "$http" \
            -server-port "${ports[2]}" -serf-lan-port "${ports[3]}" \
            -serf-wan-port "${ports[4]}" -grpc-port -1 -log-level error \
            -hcl "performance { raft_multiplier = 1 } disable_update_check = true
                  limits { http_max_conns_per_client = $((polls + 200)) }"
        ;;
    esac
    taskset -c 0 "$@" >"$scratch/log" 2>&1 &
    agent=$!
    taskset -c "$load" /usr/bin/python3 $here/consul_ask.py start "$dns" "$agent" \
        >"$scratch/ms" || {
        cat "$scratch/log" >&2
        exit 1
    }
}

note() { echo "$2" >"$scratch/$name.$1"; } # note WHAT NUMBER
rss() { awk '/VmRSS/ { printf "%.1f", $2 / 1024 }' "/proc/$agent/status"; }
ticks() { awk '{ print $14 + $15 }' "/proc/$agent/stat"; }
cpu_us() { awk -v t="$1" -v n="$2" 'BEGIN { printf "%.1f", t * 10000 / n }'; }
on_load() { taskset -c "$load" "$@"; }

starts() {
    local i
    for i in 1 2 3 4 5; do
        start "$name"
        cat "$scratch/ms"
        [ "$i" = 5 ] || stop
    done >"$scratch/starts" # The last one stays.
    note "start" "$(sort -n "$scratch/starts" | sed -n 3p)"
}

idle() {
    local before
    before=$(ticks)
    sleep "$idle"
    note "idle-cpu" $((($(ticks) - before) * 10))
    note "idle-rss" "$(rss)"
}

# The world of the DNS benchmark is part of the instances.
fill() {
    local world
    "$BENCH/dns_bench_server" register >"$scratch/bodies"
    world=$(wc -l <"$scratch/bodies")
    /usr/bin/python3 $here/consul_ask.py bodies $((instances - world)) \
        >>"$scratch/bodies"
    on_load /usr/bin/python3 $here/put_lines.py "127.0.0.1:$http" <"$scratch/bodies"
    note "full-rss" "$(rss)"
}

dns_load() {
    local what
    for what in one srv20; do
        note "$what" "$(on_load "$BENCH/dns_bench_load" "$dns" "$agent" "$seconds" \
            "$what" | cut -d ' ' -f 2)"
    done
}

http_load() {
    local count url before after
    for count in 1 3 20; do
        /usr/bin/python3 $here/consul_ask.py services "x$count" "$count" |
            /usr/bin/python3 $here/put_lines.py "127.0.0.1:$http" \
                /v1/agent/service/register
        url="http://127.0.0.1:$http/v1/health/service/x$count?passing"
        /usr/bin/python3 $here/consul_ask.py wait "$url" "$count"
        on_load wrk -t 1 -c 64 -d 1 "$url" >/dev/null
        before=$(ticks)
        on_load wrk -t 1 -c 64 -d "$seconds" "$url" >"$scratch/wrk"
        after=$(ticks)
        grep -E 'Non-2xx|Socket errors' "$scratch/wrk" >&2 && exit 1
        note "http$count" "$(awk '/Requests\/sec/ { print int($2) }' "$scratch/wrk")"
        note "http$count-cpu" "$(cpu_us $((after - before)) \
            "$(awk '/requests in/ { print $1 }' "$scratch/wrk")")"
    done
}

measure() { # NAME
    name=$1
    starts
    idle
    fill
    dns_load
    http_load
    on_load /usr/bin/python3 $here/consul_ask.py register "127.0.0.1:$http" "$dns" \
        "$rounds" >"$scratch/times"
    note "register-p50" "$(cut -d ' ' -f 1 "$scratch/times")"
    note "register-p99" "$(cut -d ' ' -f 2 "$scratch/times")"
    note "before-rss" "$(rss)"
    note "polls-rss" "$(on_load /usr/bin/python3 $here/consul_ask.py polls \
        "127.0.0.1:$http" "$polls" "$agent")"
    note "binary" "$(du -bL "$program" | awk '{ printf "%.1f", $1 / 1048576 }')"
    stop
}

line() { # WHAT LABEL [more]: `more` where much is good.
    local ours theirs
    ours=$(cat "$scratch/muster.$1")
    theirs=$(cat "$scratch/consul.$1")
    awk -v label="$2" -v ours="$ours" -v theirs="$theirs" -v more="${3:-}" 'BEGIN {
        good = more ? ours : theirs
        bad = more ? theirs : ours
        ratio = bad > 0 ? sprintf("%.1f x", good / bad) : "-"
        printf "%-46s %12s %12s %10s\n", label, ours, theirs, ratio
    }'
}

program=$MUSTER
measure muster
program=$CONSUL
measure consul
printf '%-46s %12s %12s %10s\n' "" muster consul "ours better"
line binary "program, MiB"
line start "exec to the first DNS answer, ms"
line idle-cpu "CPU in $idle s of idleness, ms"
line idle-rss "resident, idle, MiB"
line full-rss "resident, $instances instances, MiB"
line before-rss "resident, after all the load below, MiB"
line polls-rss "resident, and $polls blocking queries, MiB"
line one "DNS, one A, CPU us"
line srv20 "DNS, 20 SRV with addresses, CPU us"
for count in 1 3 20; do
    line "http$count" "health/service?passing, $count instances, /s" more
    line "http$count-cpu" "  CPU us each"
done
line register-p50 "registration to DNS answer, median, ms"
line register-p99 "  99 of 100"
