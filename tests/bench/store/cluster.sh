#!/bin/bash
# Three members on loopback beside three of Debian's etcd-server: puts of 256
# bytes at the leader, by h2load, with 1, 64 and 1000 requests in flight. Prints
# puts a second, latency at the median and the 99th percentile, CPU of all three
# members a put, and ratios to etcd.
#
#     MUSTER=build/release/cli/muster tests/bench/store/cluster.sh [SECONDS [ROUNDS]]
#
# Both clusters are up all the time, one of them works: etcd and muster take turns,
# ROUNDS times, and the median round of each counts. Data goes to $TMPDIR, which
# should be on the disk that you care about. That puts were really made is checked
# by the revision.
set -eu
: "${MUSTER:?the path of a release build of muster}"
SECONDS_EACH=${1:-5}
ROUNDS=${2:-3}
. "$(dirname "$0")/lib.sh"

# start SYSTEM COMMAND...: three members; fills pids_SYSTEM and urls_SYSTEM.
start() {
    local system=$1 name peers=() clients=() initial="" i
    shift
    for i in 0 1 2; do
        clients[i]=http://127.0.0.1:$(free_port)
        peers[i]=http://127.0.0.1:$(free_port)
        initial="$initial${initial:+,}$system$i=${peers[i]}"
    done
    for i in 0 1 2; do
        name=$system$i
        "$@" --name "$name" --data-dir "$SCRATCH/$name" \
            --listen-client-urls "${clients[i]}" \
            --advertise-client-urls "${clients[i]}" \
            --listen-peer-urls "${peers[i]}" \
            --initial-advertise-peer-urls "${peers[i]}" \
            --initial-cluster "$initial" >"$SCRATCH/$name.log" 2>&1 &
        PIDS="$PIDS $!"
        echo "$!" >>"$SCRATCH/$system.pids"
    done
    (IFS=, && echo "${clients[*]}") >"$SCRATCH/$system.urls"
    for i in 0 1 2; do
        for _ in $(seq 200); do
            curl -fsS "${clients[i]}/health" 2>/dev/null |
                grep -q '"health":"true"' && continue 2
            sleep 0.1
        done
        fail "$system did not start: $(tail -n 3 "$SCRATCH/$system$i.log")"
    done
}

# leader SYSTEM: its client URL.
leader() {
    etcdctl --endpoints "$(cat "$SCRATCH/$1.urls")" endpoint status -w json |
        python3 -c 'import json, sys
for e in json.load(sys.stdin):
    if e["Status"]["leader"] == e["Status"]["header"]["member_id"]:
        print(e["Endpoint"])'
}

revision() {
    etcdctl --endpoints "$1" get x -w json |
        python3 -c 'import json, sys; print(json.load(sys.stdin)["header"]["revision"])'
}

cpu_of_all() {
    local pid sum=0
    while read -r pid; do
        sum=$((sum + $(cpu_us "$pid")))
    done <"$SCRATCH/$1.pids"
    echo "$sum"
}

RESULTS="$SCRATCH/results"

# puts SYSTEM IN_FLIGHT CLIENTS STREAMS: one line of results.
puts() {
    local url before after cpu done_ log="$SCRATCH/h2load.log"
    url=$(leader "$1")
    [ -n "$url" ] || fail "$1 has no leader"
    before=$(revision "$url")
    cpu=$(cpu_of_all "$1")
    h2load --log-file "$SCRATCH/times" -t 1 -c "$3" -m "$4" -D "$SECONDS_EACH" \
        --warm-up-time 0 -d "$SCRATCH/put" -H 'content-type: application/grpc' \
        -H 'te: trailers' "$url/etcdserverpb.KV/Put" >"$log" 2>&1
    cpu=$(($(cpu_of_all "$1") - cpu))
    after=$(revision "$url")
    done_=$(sed -n 's/.* \([0-9]*\) succeeded.*/\1/p' "$log")
    if [ "${done_:-0}" -eq 0 ] || [ $((after - before)) -lt "$done_" ]; then
        cat "$log" >&2
        fail "$1: puts were lost"
    fi
    # Rate, median and 99th percentile in microseconds, CPU a put.
    cut -f 3 "$SCRATCH/times" | sort -n |
        awk -v name="$2 $1" -v n="$done_" -v s="$SECONDS_EACH" -v cpu="$cpu" '
            { us[NR] = $1 }
            END { printf "%s %d %d %d %.1f\n", name, n / s, us[int((NR + 1) / 2)],
                         us[int(NR * 0.99 + 0.5)], cpu / n }' |
        tee -a "$RESULTS"
    rm "$SCRATCH/times"
}

body "$SCRATCH/put" put bench/key 256
start etcd etcd
start muster "$MUSTER" store

echo "in flight, system, puts/s, p50 us, p99 us, CPU us a put:"
for _ in $(seq "$ROUNDS"); do
    for system in etcd muster; do
        puts "$system" 1 1 1
        puts "$system" 64 16 4
        puts "$system" 1000 50 20
    done
done

echo
echo "median of $ROUNDS rounds, muster beside etcd:"
for flight in 1 64 1000; do
    for column in 3 4 5 6; do
        for system in etcd muster; do
            awk -v f="$flight" -v s="$system" -v c="$column" \
                '$1 == f && $2 == s { print $c }' "$RESULTS" | sort -n |
                awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
        done
    done | paste -s | awk -v f="$flight" '{
        printf "%4d in flight: %6d /s beside %5d (%.1f times), p50 %.2f ms beside %.2f (%.1f), p99 %.2f beside %.2f (%.1f), CPU %.1f us beside %.1f (%.1f)\n",
            f, $2, $1, $2 / $1, $4 / 1000, $3 / 1000, $3 / $4,
            $6 / 1000, $5 / 1000, $5 / $6, $8, $7, $7 / $8 }'
done
