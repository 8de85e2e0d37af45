# Every type of check asks a real server: the store answers gRPC, HTTP/2 pings,
# HTTP and TLS, the agents' DNS ports are silent UDP servers, and systemctl is a
# script. An alias follows a service here and one on another host.
. "$(dirname "$0")/lib.sh"

cd "$SCRATCH" || bail "no scratch folder"
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=ca \
    -keyout ca.key -out ca.crt 2>/dev/null
openssl req -newkey rsa:2048 -nodes -subj /CN=server \
    -keyout server.key -out server.csr 2>/dev/null
echo 'subjectAltName=DNS:store.example' >server.ext
openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial \
    -days 2 -extfile server.ext -out server.crt 2>/dev/null
tls_port=$(free_port)
spawn secure "$MUSTER" store --name s --data-dir "$SCRATCH/s.etcd" \
    --listen-peer-urls http://127.0.0.1:0 \
    --listen-client-urls "https://127.0.0.1:$tls_port" \
    --advertise-client-urls "https://127.0.0.1:$tls_port" \
    --cert-file server.crt --key-file server.key
wait_until 30 "the store with TLS" \
    curl -fsSk "https://127.0.0.1:$tls_port/health"

# What systemctl says of a unit is in a file of its name.
mkdir -p bin units
cat >bin/systemctl <<'SH'
#!/bin/sh
# systemctl show --property=... -- UNIT
cat "$UNITS/$4" || exit 1
SH
chmod +x bin/systemctl
printf 'LoadState=loaded\nActiveState=active\nSubState=running\n' >units/up.service
printf 'LoadState=loaded\nActiveState=failed\nSubState=failed\n' >units/down.service
export UNITS="$SCRATCH/units" PATH="$SCRATCH/bin:$PATH"

agent_start one --dev --store-listen 127.0.0.1:0
store=${AGENT_STORE#http://}
silent=$AGENT_DNS
closed=$(free_port)
cat >"$SCRATCH/definitions.py" <<'PY'
import json, sys
store, tls, silent, closed, ca = sys.argv[1:6]
name = {"tls_server_name": "store.example", "tls_ca_file": ca}
checks = {
    "grpc": {"grpc": store},
    "grpc-unknown": {"grpc": store + "/no.such.Service"},
    "grpc-refused": {"grpc": "127.0.0.1:" + closed},
    "grpc-tls": {"grpc": "127.0.0.1:" + tls, "grpc_use_tls": True, **name},
    "grpc-stranger": {"grpc": "127.0.0.1:" + tls, "grpc_use_tls": True},
    "grpc-anyone": {"grpc": "127.0.0.1:" + tls, "grpc_use_tls": True,
                    "tls_skip_verify": True},
    "h2ping": {"h2ping": "127.0.0.1:" + tls, **name},
    "h2ping-plain": {"h2ping": store, "h2ping_use_tls": False},
    "h2ping-other": {"h2ping": "127.0.0.1:" + tls, "tls_ca_file": ca,
                     "tls_server_name": "other.example"},
    "tcp-tls": {"tcp": "127.0.0.1:" + tls, "tcp_use_tls": True, **name},
    "tcp-tls-stranger": {"tcp": "127.0.0.1:" + tls, "tcp_use_tls": True},
    "tcp-name": {"tcp": "localhost:" + tls},
    "https": {"http": "https://127.0.0.1:%s/health" % tls, **name},
    "http-name": {"http": "http://localhost:%s/health" % store.split(":")[1]},
    "http-404": {"http": "http://%s/none" % store,
                 "success_codes": ["200-299", "404"]},
    "udp-silent": {"udp": "127.0.0.1:" + silent, "timeout": "300ms"},
    "udp-closed": {"udp": "127.0.0.1:" + closed},
    "unit-up": {"os_service": "up.service"},
    "unit-down": {"os_service": "down.service"},
    "unit-unknown": {"os_service": "unknown.service"},
}
print(json.dumps({"services": [
    {"name": "s-" + n, "id": n, "check": {"interval": "1s", **c}}
    for n, c in checks.items()
] + [
    {"name": "base", "id": "base", "check": {"ttl": "600s"}},
    {"name": "follows", "id": "follows", "check": {"alias_service": "base"}},
    {"name": "far", "id": "far",
     "check": {"alias_service": "remote", "alias_node": "two"}},
]}))
PY
"$PYTHON" definitions.py "$store" "$tls_port" "$silent" "$closed" "$SCRATCH/ca.crt" \
    >definitions.tmp
mv definitions.tmp "$AGENT_SERVICES/types.json"
has_all() {
    [ "$(api /v1/agent/services | json 'len(d)')" = 23 ]
}
wait_until 15 "the definitions" has_all

# What all checks say, a line each; looked at again when it is not what is
# waited for.
look() {
    api /v1/agent/checks | json \
        '"\n".join(i[8:] + " " + c["Status"] + " " + c["Output"].split("\n")[0]
                   for i, c in d.items())' >checks.txt
}
becomes() { # ID, a pattern of status and output
    grep -Eq "^$1 $2" checks.txt || { look && grep -Eq "^$1 $2" checks.txt; }
}
look
soon 30 "gRPC health" becomes grpc "passing gRPC $store: SERVING"
soon 30 "of an unknown service" becomes grpc-unknown "critical .*code 5"
soon 30 "nobody there" becomes grpc-refused "critical .*connection refused"
soon 30 "with TLS and a name" becomes grpc-tls passing
soon 30 "a certificate that nobody has signed" becomes grpc-stranger \
    "critical .*certificate"
soon 30 "unless it does not matter" becomes grpc-anyone passing
soon 30 "HTTP/2 ping with TLS" becomes h2ping "passing HTTP/2 ping"
soon 30 "and without" becomes h2ping-plain passing
soon 30 "a certificate for another name" becomes h2ping-other critical
soon 30 "TCP and a handshake" becomes tcp-tls "passing TCP.TLS connect"
soon 30 "that is refused" becomes tcp-tls-stranger critical
soon 30 "TCP by name" becomes tcp-name "passing TCP connect localhost:$tls_port: Success"
soon 30 "https" becomes https "passing HTTP GET .*: 200 OK Output: .*true"
soon 30 "http by name" becomes http-name "passing .*: 200 OK"
soon 30 "the statuses that pass are named" becomes http-404 "passing .*: 404 Not Found"
soon 30 "UDP: silence passes" becomes udp-silent "passing .*no answer"
soon 30 "UDP: a closed port does not" becomes udp-closed "critical .*refused"
soon 30 "a unit that runs" becomes unit-up "passing unit up.service: active .running"
soon 30 "a unit that failed" becomes unit-down "critical .*failed"
soon 30 "a unit that cannot be read" becomes unit-unknown "warning"
echo LoadState=not-found >units/up.service
soon 30 "a unit that goes" becomes unit-up "(critical|warning)"

# An alias here follows at once, in DNS, too.
ok "an alias of a critical service" becomes follows "critical .*is critical"
api /v1/agent/check/pass/service:base -X PUT
ok "follows at once" becomes follows passing
is "$(ask follows.service.consul)" 127.0.0.1 "into DNS"

# One on another host comes by the catalogue.
ok "nobody there yet" becomes far "critical .*not registered"
sock=$AGENT_SOCKET
first=$AGENT_PID
agent_start two --store "$AGENT_STORE"
api /v1/agent/service/register -X PUT \
    -d '{"Name": "remote", "Check": {"TTL": "600s", "Status": "passing"}}'
remote=$AGENT_SOCKET
AGENT_SOCKET=$sock
soon 30 "registered there, passing here" becomes far passing
AGENT_SOCKET=$remote
api /v1/agent/check/warn/service:remote -X PUT
AGENT_SOCKET=$sock
soon 30 "a warning there" becomes far "warning .*is warning"
AGENT_SOCKET=$remote
api '/v1/agent/maintenance?enable=true&reason=disk' -X PUT
AGENT_SOCKET=$sock
soon 30 "maintenance of its node" becomes far "critical .*Node Maintenance Mode"
second=$AGENT_PID
end "$first"
is "$CODE" 0 "the agent with aliases ends well"
end "$second"
is "$CODE" 0 "and so does the other"
done_testing
