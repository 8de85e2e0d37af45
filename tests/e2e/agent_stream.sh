# One connection follows services: what is put and deleted, at once; a client
# that reads slowly gets the difference; connections beyond the limit are told.
. "$(dirname "$0")/lib.sh"

cat >"$SCRATCH/agent.json" <<'CONF'
{"http_max_connections": 6}
CONF
agent_start one --dev --store-listen 127.0.0.1:0 --config "$SCRATCH/agent.json"

register() {
    api /v1/agent/service/register -X PUT -d \
        "{\"Name\": \"$1\", \"ID\": \"$2\", \"Port\": $3, \"Address\": \"10.0.0.1\"}"
}
ops() { # What was told so far: op, service, id.
    "$PYTHON" -c '
import json, sys
for line in open(sys.argv[1]):
    d = json.loads(line)
    print(d["op"], d.get("service", ""), d.get("id", ""))' "$SCRATCH/lines"
}
told() {
    ops | grep -qx "$1"
}

register web w1 80
wait_until 10 "w1" sh -c "curl -s http://$AGENT_HTTP/v1/catalog/service/web |
    grep -q w1"
spawn stream curl -sSN -D "$SCRATCH/head" -o "$SCRATCH/lines" \
    "http://$AGENT_HTTP/v1/stream?service=web&service=db"
stream=$PID
wait_until 10 "the beginning" told 'sync  '
is "$(ops | head -n 2)" "put web w1
sync  " "it begins with what there is"
like "$(tr -d '\r' <"$SCRATCH/head")" '^Content-Type: application/x-ndjson$' \
    "as lines of JSON"
register db d1 5432
soon 5 "another service of its choice appears" told 'put db d1'
register other o1 1
register web w2 81
soon 5 "another instance appears" told 'put web w2'
api /v1/agent/service/deregister/w1 -X PUT
soon 5 "one goes" told 'del web w1'
unlike "$(ops)" other "what was not asked for is not told"
is "$(tail -n 1 "$SCRATCH/lines" | json 'd["index"] > 1')" true \
    "with the service's index"

# Too many connections: told so, and the agent goes on.
none=$(api /v1/health/service/none -D - -o /dev/null | tr -d '\r' |
    sed -n 's/^X-Consul-Index: //Ip')
polls=""
for i in 1 2 3 4 5 6; do
    spawn "poll$i" curl -sS -o /dev/null \
        "http://$AGENT_HTTP/v1/health/service/x$i?index=$none&wait=60s"
    polls="$polls $PID"
done
refused() {
    [ "$(curl -sS -D "$SCRATCH/head" -o "$SCRATCH/body" -w '%{http_code}' \
        "http://$AGENT_HTTP/v1/agent/live")" = 429 ]
}
soon 5 "one connection too many is answered 429" refused
like "$(tr -d '\r' <"$SCRATCH/head")" '^Retry-After: [0-9]+$' \
    "which says when to come again"
is "$(api /v1/agent/live)" live "the socket has a limit of its own"
for pid in $polls; do
    end "$pid"
done
soon 5 "there is room again" sh -c "[ \"\$(curl -s \
    http://$AGENT_HTTP/v1/agent/live)\" = live ]"

# A client that does not read while a service changes again and again.
"$PYTHON" - "${AGENT_HTTP##*:}" "$AGENT_SOCKET" <<'PY' >"$SCRATCH/slow" 2>&1
import json, socket, subprocess, sys, time

port, unix = int(sys.argv[1]), sys.argv[2]
def put(service, n, size):
    body = json.dumps({"Name": service, "ID": "%s-%d" % (service, n),
                       "Port": 1, "Tags": ["x" * 200 + str(i) for i in range(size)]})
    subprocess.run(["curl", "-sS", "--unix-socket", unix, "-X", "PUT", "-d",
                    body, "http://local/v1/agent/service/register"], check=True)

s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
s.connect(("127.0.0.1", port))
s.sendall(b"GET /v1/stream?prefix=big HTTP/1.1\r\nHost: x\r\n\r\n")
# Entries of some 100 KB each, over and over: 40 of them are more than what may
# wait and what sockets hold.
for round in range(20):
    for n in range(2):
        put("big", n, 240)
        put("big", n, 241)
put("big-last", 0, 1)
f = s.makefile("rb")
while f.readline().strip():
    pass
total, puts, syncs, last = 0, 0, 0, None
s.settimeout(20)
while True:
    size = int(f.readline(), 16)
    data = f.read(size + 2)[:-2]
    total += size
    for line in data.decode().splitlines():
        d = json.loads(line)
        puts += d["op"] == "put"
        syncs += d["op"] == "sync"
        last = d
    if last["op"] == "sync" and syncs > 1:
        break
print("caught up", "puts below 60:", puts < 60)
PY
like "$(cat "$SCRATCH/slow")" '^caught up puts below 60: True$' \
    "a slow client gets a difference and a sync, no backlog"
ok "the other stream lives" kill -0 "$stream"
end "$AGENT_PID"
wait_until 5 "the stream to end with the agent" sh -c "! kill -0 $stream"
done_testing
