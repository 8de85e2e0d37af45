# Clocks: the calendar's jumps by a day, in both directions, and nothing happens
# but that timestamps say so. The machine is suspended, and nothing is answered
# as if no time had passed.
. "$(dirname "$0")/lib.sh"
: "${CLOCK_SHIFT_LIB:?the path of the helper library clock_shift}"

NAME=web.service.muster.internal
shift_clocks() { # WALL_MS SLEPT_MS
    "$PYTHON" -c '
import mmap, os, struct, sys
path = sys.argv[1]
fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
os.ftruncate(fd, 16)
mmap.mmap(fd, 16)[:] = struct.pack("=qq", int(sys.argv[2]), int(sys.argv[3]))
' "$SCRATCH/shift" "$1" "$2"
}
DAY=86400000
shift_clocks 0 0

store_start store
echo '{"lease_ttl": "5s"}' >"$SCRATCH/short.json"
agent_start two --store "$STORE_URL"
export CLOCK_SHIFT="$SCRATCH/shift" ASAN_OPTIONS=verify_asan_link_order=0
MUSTER_REAL=$MUSTER
cat >"$SCRATCH/muster" <<SH
#!/bin/sh
LD_PRELOAD="$CLOCK_SHIFT_LIB" exec "$MUSTER_REAL" "\$@"
SH
chmod +x "$SCRATCH/muster"
MUSTER="$SCRATCH/muster"
agent_start one --store "$STORE_URL" --config "$SCRATCH/short.json"
MUSTER=$MUSTER_REAL

"$MUSTER" register --socket "$AGENT_SOCKET" --name web --port 80 \
    --address 10.9.9.1 >/dev/null
api /v1/agent/check/register -X PUT \
    -d '{"Name": "beat", "CheckID": "beat", "ServiceID": "web", "TTL": "60s"}'
beat() {
    api /v1/agent/check/pass/beat -X PUT
}
beat
passes() {
    [ "$(api '/v1/health/service/web?passing' |
        json '[c["Status"] for c in d[0]["Checks"]]')" = \
        '["passing", "passing"]' ] && answers 10.9.9.1 $NAME
}
wait_until 15 "the service" passes

metric() {
    api /v1/metrics | sed -n "s/^$1 //p"
}
beat_is() {
    api /v1/agent/checks | json 'd["beat"]["Status"]'
}
state() { # What must not change.
    echo "grants $(metric muster_lease_grants_total)"
    echo "losses $(metric muster_lease_losses_total)"
    echo "connects $(metric muster_store_connects_total)"
    echo "written $(metric 'muster_sync_transactions_total{result="written"}')"
    echo "sleeps $(metric muster_machine_sleeps_total)"
    echo "beat $(beat_is)"
    echo "index $(api /v1/health/service/web -D - -o /dev/null |
        tr -d '\r' | sed -n 's/^X-Consul-Index: //Ip')"
    dig +tries=1 -p "$AGENT_DNS" @127.0.0.1 $NAME |
        sed -n 's/^;; ->>HEADER<<-.*status: \([A-Z]*\),.*/\1/p;s/^web.*IN/IN/p'
}
before=$(state)
index=$(printf '%s\n' "$before" | sed -n 's/^index //p')
for wall in $DAY -$DAY; do
    beat
    api "/v1/health/service/web?index=$index&wait=4s" -o "$SCRATCH/poll" \
        -w '%{time_total}' >"$SCRATCH/poll.time" &
    poll=$!
    shift_clocks "$wall" 0
    wait "$poll"
    like "$(cat "$SCRATCH/poll.time")" '^([4-9]|[1-9][0-9]+)\.' \
        "a jump by $((wall / DAY)) day: a poll waits no shorter"
    is "$(state)" "$before" "nothing has changed"
    api /v1/agent/reload -X PUT
    is "$(tail -n 1 "$SCRATCH/one.log" | cut -c 1-10)" \
        "$(date -u -d "@$(($(now_ms) / 1000 + wall / 1000))" +%Y-%m-%d)" \
        "but for what the log is dated"
done

# Suspended for an hour.
shift_clocks 0 3600000
is "$(beat_is)" critical "a TTL check has expired when the machine wakes"
like "$(cat "$SCRATCH/one.log")" 'has slept for (3599|360[01]) s' "the log says it"
is "$(metric muster_machine_sleeps_total)" 1 "and a metric"
current() {
    [ "$(metric muster_store_current)" = 1 ]
}
soon 10 "the store is heard again" current
beat
soon 10 "the service is back when its check passes" answers 10.9.9.1 $NAME

# For another one: the first who asks is a client of DNS. (The store is held, so
# that it cannot be heard before.)
kill -STOP "$STORE_PID"
shift_clocks 0 7200000
like "$(dig +tries=1 -p "$AGENT_DNS" @127.0.0.1 $NAME)" 'EDE: 3 \(Stale Answer' \
    "the first DNS answer is marked as old"
kill -CONT "$STORE_PID"
soon 10 "the store is heard again" current
fresh() {
    ! dig +tries=1 -p "$AGENT_DNS" @127.0.0.1 $NAME | grep -q 'EDE: 3'
}
soon 10 "then answers are fresh" fresh
is "$(metric muster_machine_sleeps_total)" 2 "a sleep is noticed once"
done_testing
