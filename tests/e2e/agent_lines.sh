# The line socket: instances as plain lines for scripts, by socat, nc and muster
# lookup; watched; by rights; and what strangers send there.
. "$(dirname "$0")/lib.sh"

agent_start one --dev --store-listen 127.0.0.1:0
LINES="$SCRATCH/one/agent.lines"

register() { # ID PORT [MORE]
    api /v1/agent/service/register -X PUT -d \
        "{\"Name\": \"web\", \"ID\": \"$1\", \"Port\": $2 ${3:-}}"
}
lookup() {
    "$MUSTER" lookup --line-socket "$LINES" "$@"
}
say() { # What it answers to these lines.
    printf "$1" | socat -t 5 - "UNIX-CONNECT:$LINES"
}
has() { # LINES: exactly these instances are there.
    [ "$(lookup web 2>&1)" = "$1" ]
}

register w1 80 ', "Tags": ["v1"], "Weights": {"Passing": 5, "Warning": 2}'
register w2 81 ', "Address": "10.0.0.2", "Check":
    {"CheckID": "w2", "TTL": "10m", "Status": "critical"}'
W1="127.0.0.1 80 5 passing one w1"
W2="10.0.0.2 81 0 critical one w2"
wait_until 10 "both instances" has "$W1
$W2"

is "$(grep -o '"line_socket": *"[^"]*"' "$SCRATCH/one.out" | tail -n 1 |
    cut -d'"' -f4)" "$LINES" "it lies beside the socket"
is "$(stat -c %a "$LINES")" 660 "with the same mode"
is "$(printf 'LOOKUP web passing\n' | nc -NU "$LINES")" "$W1" "nc asks"
is "$(say 'LOOKUP web tag=V1\nLOOKUP none\nFIND web\nLOOKUP web passing' |
    sed 's/^$/--/')" "$W1
--
--
error: a request is: LOOKUP|WATCH <service> [tag=<tag>]... [passing] \
[token=<secret>]
--
$W1
--" "requests one after the other; the last without its end"
is "$(say "LOOKUP $(printf '%05000d' 0)\n" | sed 's/^$/--/')" \
    "error: the request is too long
--" "a request has its limit"
is "$(lookup web --tag v1 --passing)" "$W1" "muster lookup asks"
lookup none >"$SCRATCH/out" 2>"$SCRATCH/err"
is "$? $(cat "$SCRATCH/out" "$SCRATCH/err")" \
    '4 muster lookup: no such instance of "none"' "exit 4: there is none"
"$MUSTER" lookup web --line-socket "$SCRATCH/none" 2>/dev/null
is $? 3 "exit 3: no agent"

# Watching: one block at the beginning, one for each real change.
spawn watch "$MUSTER" lookup web --passing --watch --line-socket "$LINES"
watch=$PID
spawn kept sh -c "echo 'WATCH web passing' | socat -t 600 - UNIX-CONNECT:$LINES"
blocks() { # FILE: the blocks, one a line.
    awk '$0 == "" { print ids == "" ? "none" : ids; ids = ""; next }
        { ids = ids (ids == "" ? "" : " ") $NF }' "$1"
}
told() { # FILE BLOCKS
    [ "$(blocks "$1")" = "$2" ]
}
W=$SCRATCH/watch.log
wait_until 10 "the first block" told "$W" "w1"
api /v1/agent/check/pass/w2 -X PUT
wait_until 10 "the second block" told "$W" "w1
w1 w2"
api "/v1/agent/check/pass/w2?note=again" -X PUT # Changes nothing,
register w3 82 ', "Check": {"TTL": "10m", "Status": "critical"}' # nor does this.
wait_until 10 "w3" sh -c "'$MUSTER' lookup web --line-socket '$LINES' |
    grep -q w3"
api /v1/agent/service/deregister/w1 -X PUT
api /v1/agent/service/deregister/w2 -X PUT
ends_with_none() { # FILE
    [ "$(blocks "$1" | tail -n 1)" = none ]
}
soon 10 "the last change is told" ends_with_none "$W"
is "$(blocks "$W" | grep -vx w2)" "w1
w1 w2
none" "each real change once, and what is no change is not"
soon 10 "a client that has ended its side is told, too" \
    ends_with_none "$SCRATCH/kept.log"
is "$(say 'WATCH none\nLOOKUP none\n')" "
error: a WATCH is the last request of its connection" \
    "a WATCH is the last request"

# A watcher that does not read gets the newest block when it does.
"$PYTHON" - "$LINES" "$AGENT_HTTP" <<'PY' >"$SCRATCH/slow" 2>&1
import http.client, json, socket, sys
api = http.client.HTTPConnection(sys.argv[2])
def put(path, body=b""):
    api.request("PUT", path, body)
    assert api.getresponse().read() in (b"", b"true")
def many(text):
    for i in range(60):
        put("/v1/agent/service/register", json.dumps({"Name": "many",
            "ID": "m%d" % i, "Tags": ["v"], "Address": text * 40 + ".example"}))
many("a")
s = socket.socket(socket.AF_UNIX)
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
s.connect(sys.argv[1])
s.sendall(b"WATCH many tag=v\n")
for round in range(12):
    many("bc"[round % 2])
many("z")
s.settimeout(20)
got = b""
while got.count(b"zzz") < 60 * 13 or not got.endswith(b"\n\n"):
    got += s.recv(65536)
print("newest", got.count(b"\n\n") < 60 * 12)
PY
is "$(tail -n 1 "$SCRATCH/slow")" "newest True" \
    "who is slow gets the newest block, not all of them"
end "$watch"
agent_stop

# Rights come by the socket's owner or by a token.
cat >"$SCRATCH/acl.json" <<CONF
{"acl": {"enabled": true, "default_policy": "deny",
  "policies": [{"name": "web", "hcl":
    "service \"web\" { policy = \"read\" } node_prefix \"\" { policy = \"read\" }"}],
  "static_tokens": [{"secret": "web-secret", "policies": ["web"]}],
  "tokens": {"initial_management": "root-secret"}}}
CONF
agent_start one --dev --store-listen 127.0.0.1:0 --config "$SCRATCH/acl.json" \
    --line-socket "$SCRATCH/other.lines"
LINES="$SCRATCH/other.lines"
soon 10 "a token shows it" sh -c "'$MUSTER' lookup web --token web-secret \
    --line-socket '$LINES' | grep -q w3"
lookup web 2>/dev/null
is $? 4 "without one it is not there"
is "$(lookup web --token wrong 2>&1)" \
    "muster lookup: ACL not found: no token has this secret" \
    "a wrong one is an error"
agent_stop
sed -i "s/\"tokens\"/\"socket_tokens\": [{\"uid\": \"$(id -u)\", \
\"token\": \"web-secret\"}], \"tokens\"/" "$SCRATCH/acl.json"
agent_start one --dev --store-listen 127.0.0.1:0 --config "$SCRATCH/acl.json" \
    --line-socket "$SCRATCH/other.lines"
soon 10 "the socket's owner has his rights" sh -c "'$MUSTER' lookup web \
    --line-socket '$LINES' | grep -q w3"
agent_stop
ok "the socket is gone with the agent" test ! -e "$LINES"
agent_start one --dev --store-listen 127.0.0.1:0 --line-socket off
ok "it can be switched off" test ! -e "$SCRATCH/one/agent.lines"
done_testing
