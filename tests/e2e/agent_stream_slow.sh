# Clients of /v1/stream that do not read get all of the difference when they do,
# and streams whose token is deleted end.
. "$(dirname "$0")/lib.sh"

cat >"$SCRATCH/acl.json" <<'JSON'
{"acl": {"enabled": true, "default_policy": "deny",
  "policies": [{"name": "ops", "hcl":
    "acl = \"write\"\nservice_prefix \"\" { policy = \"write\" }\nnode_prefix \"\" { policy = \"read\" }"}],
  "static_tokens": [{"secret": "ops-secret", "policies": ["ops"]}]}}
JSON
agent_start one --dev --store-listen 127.0.0.1:0 --config "$SCRATCH/acl.json"
as_ops() { # PATH [CURL FLAG...]
    api "$@" -H "X-Consul-Token: ops-secret"
}

# --- a client that does not read ---------------------------------------------

# 160 changes of some 60 KB are more than sockets hold and what may wait for it:
# it can be told neither each of them, nor nothing. What it is owed is the last
# state, however the changes fell together.
cat >"$SCRATCH/slow.py" <<'PY'
import http.client, json, socket, sys

CHANGES, IDS = 160, 4
port = int(sys.argv[1])
def connect():
    return http.client.HTTPConnection("127.0.0.1", port, timeout=60)
writer = connect()
def put(number, tag):
    body = json.dumps({"Name": "big", "ID": "big-%d" % number, "Port": 1,
                       "Tags": [tag] + ["x" * 230 + str(i) for i in range(240)]})
    writer.request("PUT", "/v1/agent/service/register", body,
                   {"X-Consul-Token": "ops-secret"})
    answer = writer.getresponse()
    assert answer.read() == b"" and answer.status == 200, answer.status

s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
s.settimeout(60)
s.connect(("127.0.0.1", port))
s.sendall(b"GET /v1/stream?prefix=big HTTP/1.1\r\nHost: localhost\r\n"
          b"X-Consul-Token: ops-secret\r\n\r\n")
for n in range(CHANGES):
    put(n % IDS, "change-%d" % n)
wanted = {"big-%d" % (n % IDS): "change-%d" % n
          for n in range(CHANGES - IDS, CHANGES)}
f = s.makefile("rb")
assert f.readline().startswith(b"HTTP/1.1 200"), "refused"
while f.readline().strip():
    pass
known, puts = {}, 0
while known != wanted:
    data = f.read(int(f.readline(), 16) + 2)[:-2]
    for line in data.decode().splitlines():
        d = json.loads(line)
        if d["op"] == "put":
            puts += 1
            known[d["id"]] = next(t for t in d["entry"]["Service"]["Tags"]
                                  if t.startswith("change-"))
print("caught up, told less than all:", puts < CHANGES)
PY
is "$("$PYTHON" "$SCRATCH/slow.py" "${AGENT_HTTP##*:}" 2>&1)" \
    "caught up, told less than all: True" "a client that reads late"

# --- a token that goes ---------------------------------------------------------

as_ops /v1/acl/policy -X PUT -o /dev/null -d '{"Name": "reader", "Rules":
    "service_prefix \"\" { policy = \"read\" } node_prefix \"\" { policy = \"read\" }"}'
as_ops /v1/acl/token -X PUT -d '{"Policies": [{"Name": "reader"}]}' \
    >"$SCRATCH/token.json"
secret=$(json 'd["SecretID"]' <"$SCRATCH/token.json")
accessor=$(json 'd["AccessorID"]' <"$SCRATCH/token.json")
stream() { # NAME TOKEN: its pid is in $PID.
    spawn "$1" curl -sSN -w 'code %{http_code}' -H "X-Consul-Token: $2" \
        "http://$AGENT_HTTP/v1/stream?service=web"
    wait_until 20 "the stream of $1" grep -q '"sync"' "$SCRATCH/$1.log"
}
stream reader "$secret"
reader=$PID
stream ops ops-secret
ops=$PID
as_ops "/v1/acl/token/$accessor" -X DELETE -f -o /dev/null
gone() {
    ! kill -0 "$reader"
}
soon 20 "the stream of a deleted token ends" gone
like "$(cat "$SCRATCH/reader.log")" '^code 200$' "with its last chunk"
ok "others go on" kill -0 "$ops"
done_testing
