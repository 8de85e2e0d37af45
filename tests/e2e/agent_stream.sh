# One connection follows services: what is put and deleted, at once; connections
# beyond the limit are told so.
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

ok "the other stream lives" kill -0 "$stream"
end "$AGENT_PID"
wait_until 5 "the stream to end with the agent" sh -c "! kill -0 $stream"
done_testing
