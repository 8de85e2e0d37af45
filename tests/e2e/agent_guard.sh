# Five of twelve agents die at once. The others do not believe it: what was on
# these hosts is of unknown liveness, is tried before it is served, and goes when
# the guard is over.
. "$(dirname "$0")/lib.sh"

NAME=web.service.muster.internal
store_start store
echo '{"lease_ttl": "5s"}' >"$SCRATCH/short.json"
echo '{"guard_max": "12s"}' >"$SCRATCH/impatient.json"

# Doors: host N's service listens at 127.0.2.N. Hosts 8 and 9 live, though their
# agents die; nobody listens on 10 and 11; 12 accepts nobody, its queue is full.
PORT=$(free_port)
cat >"$SCRATCH/doors.py" <<'PY'
import socket, sys, time
port = int(sys.argv[1])
kept = []
for host in sys.argv[2:]:
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("127.0.2." + host, port))
    s.listen(0 if host == "12" else 64)
    kept.append(s)
for i in range(4):
    c = socket.socket()
    c.setblocking(False)
    c.connect_ex(("127.0.2.12", port))
    kept.append(c)
print("open", flush=True)
while True:
    time.sleep(3600)
PY
spawn doors "$PYTHON" "$SCRATCH/doors.py" "$PORT" 1 2 3 4 5 6 7 8 9 12
wait_until 10 "the doors" grep -q open "$SCRATCH/doors.log"

# Agents 3 to 12: nobody asks them, so they need no more than a socket.
quiet_start() { # N
    local dir="$SCRATCH/n$1"
    mkdir -p "$dir/services" "$dir/data"
    cat >"$dir/services/web.json" <<JSON
{"service": {"name": "web", "address": "127.0.2.$1", "port": $PORT}}
JSON
    spawn "n$1" "$MUSTER" agent --node "n$1" --data-dir "$dir/data" \
        --services "$dir/services" --socket "$dir/agent.sock" --dns off \
        --http off --advertise 127.0.0.1 --store "$STORE_URL" \
        --config "$SCRATCH/short.json"
    eval "pid$1=$PID"
}
for n in 3 4 5 6 7 8 9 10 11 12; do
    quiet_start "$n"
done
agent_start n2 --store "$STORE_URL" --config "$SCRATCH/short.json" \
    --config "$SCRATCH/impatient.json"
impatient=$AGENT_SOCKET
agent_start n1 --store "$STORE_URL" --config "$SCRATCH/short.json"

hosts() { # of the SRV answer: priority and host
    ask $NAME SRV | awk '{ print $1, $4 }' |
        sed 's/7f00020\?\([0-9a-f]*\)\.addr.*/\1/' | sort -k 2 | tr '\n' ' '
}
hosts_are() {
    [ "$(hosts)" = "$1" ]
}
status_of() { # NODE
    api "/v1/health/node/$1" |
        json '[c["Status"] + ": " + c["Output"] for c in d
               if c["CheckID"] == "serfHealth"][0]'
}
status_is() {
    [ "$(status_of "$1")" = "$2" ]
}
guard() {
    "$MUSTER" guard "$@" --socket "$AGENT_SOCKET"
}
active() {
    api /v1/agent/self | json 'd["Stats"]["muster"]["guard"]' | grep -q active
}
idle() {
    ! active
}
count() {
    api "/v1/health/service/web$1" | json 'len(d)'
}
count_is() {
    [ "$(count "$1")" = "$2" ]
}

wait_until 30 "all instances" count_is '?passing' 10
wait_until 10 "them in DNS" \
    hosts_are '1 3 1 4 1 5 1 6 1 7 1 8 1 9 1 a 1 b 1 c '

# A single one is believed.
kill -KILL "$pid3"
begin=$(now_ms)
soon 20 "one host that dies is out" \
    hosts_are '1 4 1 5 1 6 1 7 1 8 1 9 1 a 1 b 1 c '
echo "# a host that died was out after $(($(now_ms) - begin)) ms (lease: 5 s)"
ok "the guard did not begin" idle
quiet_start 3
wait_until 20 "it is back" count_is '?passing' 10

# Five of twelve.
kill -KILL "$pid8" "$pid9" "$pid10" "$pid11" "$pid12"
wait_until 20 "the guard" active
soon 5 "those that are lost are not taken for dead" \
    status_is n9 'warning: liveness unknown, guard active'
soon 10 "who is refused is out, who is silent is the last resort" \
    hosts_are '1 3 1 4 1 5 1 6 1 7 1 8 1 9 65535 c '
unlike "$(ask $NAME)" '127\.0\.2\.(10|11|12)' "addresses are of the better ones"
is "$(count '?passing')" 5 "passing is strict"
is "$(count '')" 10 "all are in the catalogue"
like "$(guard)" 'active.*nodes lost their lease' "muster guard says why"
like "$(api /v1/metrics)" '^muster_guard_held_nodes 5' "so do metrics"
like "$(cat "$SCRATCH/n1.log")" 'guard: 5 of 1[0-2] nodes lost their lease' \
    "and the log"

# What is deregistered goes all the same.
ctl del /muster/v1/dc1/node/n11 >/dev/null
ctl del --prefix /muster/v1/dc1/inst/web/n11/ >/dev/null
soon 5 "an instance that is deregistered is gone" count_is '' 9

# After its time it is over by itself. Nothing happens in the store then; polls
# hear of it all the same.
one=$AGENT_SOCKET
AGENT_SOCKET=$impatient
index=$(api '/v1/health/service/web' -D - -o "$SCRATCH/body" |
    tr -d '\r' | sed -n 's/^X-Consul-Index: //Ip')
api "/v1/health/service/web?index=$index&wait=50s" >"$SCRATCH/poll.json"
like "$(cat "$SCRATCH/poll.json")" 'Agent not live' "a poll hears of the end"
ok "after guard_max it is over by itself" idle
like "$(cat "$SCRATCH/n2.log")" 'guard: over: its time is up' "and says so"
AGENT_SOCKET=$one
quiet_start 8
quiet_start 9
soon 20 "hosts that come back are as they were" status_is n9 \
    'passing: Agent alive and reachable'
quiet_start 10
soon 20 "with less than an eighth missing it ends by itself" idle
is "$(status_of n12)" 'critical: Agent not live or unreachable' \
    "who is still lost is dead"
# The operator's word.
like "$(guard on)" 'active.*operator' "muster guard on"
guard off >/dev/null
ok "muster guard off" idle
like "$(guard)" 'off' "it stays off"
like "$(guard auto)" 'auto' "muster guard auto"
guard maybe 2>/dev/null
is "$?" 2 "another word is refused"
done_testing
