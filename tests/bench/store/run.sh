#!/bin/bash
# The store beside Debian's etcd-server: the same requests by h2load, one after
# the other on the same machine in one run. Prints operations a second, latency (the mean; the
# median with one in flight), CPU of the server an operation, and ratios to etcd.
#
#     MUSTER=build/release/cli/muster tests/bench/store/run.sh [SECONDS]
#
# Data goes to $TMPDIR, which should be on the disk that you care about. What is
# measured is checked: a put must have raised the revision, a range must have
# been answered with its keys.
set -eu
: "${MUSTER:?the path of a release build of muster}"
SECONDS_EACH=${1:-5}
. "$(dirname "$0")/lib.sh"

# start NAME COMMAND...: with a data directory and ports of its own; sets PID and
# URL when it is healthy.
start() {
    local peer
    PORT=$(free_port)
    peer=http://127.0.0.1:$(free_port)
    "${@:2}" --name "$1" --data-dir "$SCRATCH/$1" \
        --listen-client-urls "http://127.0.0.1:$PORT" \
        --advertise-client-urls "http://127.0.0.1:$PORT" \
        --listen-peer-urls "$peer" --initial-advertise-peer-urls "$peer" \
        --initial-cluster "$1=$peer" >"$SCRATCH/$1.log" 2>&1 &
    PID=$!
    PIDS="$PIDS $PID"
    URL=http://127.0.0.1:$PORT
    for _ in $(seq 200); do
        curl -fsS "$URL/health" >/dev/null 2>&1 && return
        sleep 0.1
    done
    fail "$1 did not start"
}

stop() {
    kill "$PID"
    wait "$PID" || :
}

revision() {
    etcdctl --endpoints "$URL" get x -w json |
        python3 -c 'import json, sys; print(json.load(sys.stdin)["header"]["revision"])'
}

# run CLIENTS STREAMS METHOD BODY: h2load for the time; sets DONE, BYTES, RATE,
# LATENCY and CPU.
run() {
    local before after log="$SCRATCH/h2load.log"
    before=$(cpu_us "$PID")
    # Logging each request would slow the client down when there are many.
    local times=()
    [ "$1" -gt 1 ] || times=(--log-file "$SCRATCH/times")
    h2load "${times[@]}" -t 1 -c "$1" -m "$2" -D "$SECONDS_EACH" --warm-up-time 0 -d "$4" \
        -H 'content-type: application/grpc' -H 'te: trailers' \
        "$URL/etcdserverpb.KV/$3" >"$log" 2>&1
    after=$(cpu_us "$PID")
    DONE=$(sed -n 's/.* \([0-9]*\) succeeded.*/\1/p' "$log")
    BYTES=$(sed -n 's/.*(\([0-9]*\)) data$/\1/p' "$log")
    if [ "${DONE:-0}" -eq 0 ] || grep -Eq '[1-9][0-9]* (5|4|3)xx' "$log"; then
        cat "$log" >&2
        exit 1
    fi
    RATE=$((DONE / SECONDS_EACH))
    CPU=$(awk "BEGIN { printf \"%.1f\", ($after - $before) / $DONE }")
    LATENCY=$(awk '/time for request:/ { print $6 }' "$log")
    [ "$1" -gt 1 ] || LATENCY=$(cut -f 3 "$SCRATCH/times" | sort -n |
        awk '{ us[NR] = $1 } END { print us[int((NR + 1) / 2)] "us" }')
}

RESULTS="$SCRATCH/results"

# note NAME WHAT: a line of results.
note() {
    printf '%s\t%s\t%s\t%s\t%s\n' "$2" "$1" "$RATE" "$LATENCY" "$CPU" >>"$RESULTS"
    printf '%-34s %-8s %9s /s  %9s  %7s us CPU\n' "$2" "$1" "$RATE" "$LATENCY" "$CPU"
}

# A thousand keys of 256 bytes below "many/".
fill() {
    local hundred n
    for hundred in 0 1 2 3 4 5 6 7 8 9; do
        {
            echo
            for n in $(seq "${hundred}00" "${hundred}99"); do
                printf 'put many/%03d %0256d\n' "$((10#$n))" 0
            done
            printf '\n\n'
        } | etcdctl --endpoints "$URL" txn >/dev/null
    done
}

# puts CLIENTS STREAMS WHAT NAME: and each has raised the revision.
puts() {
    local before after
    before=$(revision)
    run "$1" "$2" Put "$SCRATCH/put"
    after=$(revision)
    [ $((after - before)) -ge "$DONE" ] || fail "puts were lost"
    note "$4" "$3"
}

# ranges CLIENTS STREAMS BODY BYTES WHAT NAME: each answer has so many bytes.
ranges() {
    run "$1" "$2" Range "$3"
    [ "$BYTES" -ge $((DONE * $4)) ] || fail "answers are too short"
    note "$6" "$5"
}

measure() {
    fill
    puts 1 1 "put 256 B, 1 in flight" "$1"
    puts 16 16 "put 256 B, 256 in flight" "$1"
    ranges 16 16 "$SCRATCH/one" 256 "range of 1 key, 256 in flight" "$1"
    ranges 4 2 "$SCRATCH/thousand" 256000 "range of 1000 keys, 8 in flight" "$1"
    stop
}

body "$SCRATCH/put" put bench/key 256
body "$SCRATCH/one" range bench/key
body "$SCRATCH/thousand" prefix many/

start etcd etcd
measure etcd
start muster "$MUSTER" store
measure muster

echo
awk -F'\t' '
    $2 == "etcd" { rate[$1] = $3; cpu[$1] = $5 }
    $2 == "muster" {
        printf "%-34s %5.1f x the rate, %5.1f x less CPU\n", $1, $3 / rate[$1], cpu[$1] / $5
    }' "$RESULTS"
