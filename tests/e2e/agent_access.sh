# Who may come in, and how: HTTPS with client certificates, the Unix socket's
# owner, networks, and a browser's page that has been rebound; what DNS and
# sidecar files may when rights are few.
. "$(dirname "$0")/lib.sh"

cd "$SCRATCH" || bail "no scratch folder"
make_ca() {
    openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj "/CN=$1" \
        -keyout "$1.key" -out "$1.crt" 2>/dev/null
}
make_cert() { # CA NAME
    openssl req -newkey rsa:2048 -nodes -subj "/CN=$2" \
        -keyout "$2.key" -out "$2.csr" 2>/dev/null
    printf 'subjectAltName=IP:127.0.0.1,DNS:localhost\n' >"$2.ext"
    openssl x509 -req -in "$2.csr" -CA "$1.crt" -CAkey "$1.key" \
        -CAcreateserial -days 2 -extfile "$2.ext" -out "$2.crt" 2>/dev/null
}
make_ca ca
make_ca stranger
make_cert ca server
make_cert ca client
make_cert stranger other

owner=$(id -u nobody)
cat >acl.json <<JSON
{"acl": {"enabled": true, "default_policy": "deny",
  "policies": [{"name": "web", "hcl":
     "service_prefix \"web\" { policy = \"write\" } node_prefix \"\" { policy = \"read\" }"}],
  "static_tokens": [{"secret": "web-secret", "accessor": "web", "policies": ["web"]}],
  "socket_tokens": [{"uid": "nobody", "token": "web-secret"},
                    {"gid": 54321, "token": "web-secret"}],
  "tokens": {"initial_management": "root-secret", "dns": "web-secret"}},
 "http_config": {"allow_write_http_from": ["127.0.0.1/32"],
                 "allowed_hosts": ["agent.example"]},
 "unix_sockets": {"mode": "0666"},
 "tls": {"defaults": {"cert_file": "$SCRATCH/server.crt",
    "key_file": "$SCRATCH/server.key", "ca_file": "$SCRATCH/ca.crt",
    "verify_incoming": true}}}
JSON
chmod 711 "$SCRATCH"
mkdir -p one/services
cat >one/services/ok.json <<'JSON'
{"service": {"name": "web-1", "port": 80, "address": "127.0.0.9", "token": "web-secret"}}
JSON
cat >one/services/db.json <<'JSON'
{"service": {"name": "db", "port": 81, "token": "web-secret"}}
JSON
agent_start one --dev --store-listen 127.0.0.1:0 --config acl.json \
    --https 127.0.0.1:0
chmod 711 one
https="https://$(tail -n 1 one.out | json 'd["https"]')"

# --- HTTPS
secure() { # CURL FLAG... PATH
    curl -sS --max-time 10 --cacert ca.crt -H 'X-Consul-Token: root-secret' "$@"
}
with_cert() {
    secure --cert client.crt --key client.key -o /dev/null -w '%{http_code}' "$@"
}
is "$(with_cert "$https/v1/agent/self")" 200 "HTTPS with a certificate"
ok "without one there is no answer" sh -c \
    "! curl -sS --max-time 10 --cacert ca.crt $https/v1/agent/self 2>/dev/null"
ok "nor with a stranger's" sh -c "! curl -sS --max-time 10 --cacert ca.crt \
    --cert other.crt --key other.key $https/v1/agent/self 2>/dev/null"
handshake() { # VERSION
    openssl s_client -connect "${https#https://}" "-$1" -cert client.crt \
        -key client.key -cipher ALL:@SECLEVEL=0 </dev/null 2>&1 |
        grep -q "^ *Protocol *: TLSv\|^New, TLSv1.[23]"
}
ok "TLS 1.2 is spoken" handshake tls1_2
ok "TLS 1.1 is too old" sh -c "! openssl s_client -connect ${https#https://} \
    -tls1_1 -cipher ALL:@SECLEVEL=0 </dev/null >/dev/null 2>&1"
like "$("$MUSTER" services --http "$https" --cacert ca.crt --cert client.crt \
    --key client.key --token root-secret 2>&1)" web-1 "muster over HTTPS"
like "$(CONSUL_HTTP_ADDR=$https CONSUL_CACERT=ca.crt CONSUL_CLIENT_CERT=client.crt \
    CONSUL_CLIENT_KEY=client.key CONSUL_HTTP_TOKEN=root-secret \
    "$MUSTER" services 2>&1)" web-1 "the same by Consul's environment"
like "$("$MUSTER" services --http "$https" --cacert stranger.crt 2>&1)" \
    "no answer from the agent" "whom muster does not trust"
like "$("$MUSTER" services --http "$https" --cert client.crt --key client.key 2>&1)" \
    "say with --cacert who" "and what to do about it"
like "$("$MUSTER" services --http "${https#https://}" 2>&1)" "write https://" \
    "who speaks plainly to HTTPS is told"
serial_now() {
    openssl s_client -connect "${https#https://}" -cert client.crt \
        -key client.key </dev/null 2>/dev/null | openssl x509 -noout -serial
}
before=$(serial_now)
make_cert ca server
kill -HUP "$AGENT_PID"
renewed() {
    [ "$(serial_now)" != "$before" ]
}
soon 10 "a renewed certificate is used" renewed

# --- the socket's owner
as_user() { # SETPRIV FLAGS...: status of a registration by the socket
    setpriv "$@" curl -sS --max-time 10 --unix-socket "$AGENT_SOCKET" -X PUT \
        -d '{"Name":"web-2"}' -o /dev/null -w '%{http_code}' \
        http://agent/v1/agent/service/register
}
if [ "$(id -u)" = 0 ]; then
    is "$(as_user --reuid "$owner" --regid 65534 --clear-groups)" 200 \
        "a user's own token"
    is "$(as_user --reuid 4711 --regid 54321 --clear-groups)" 200 \
        "a group's token"
    is "$(as_user --reuid 4711 --regid 4711 --groups 54321)" 200 \
        "also of a further group"
    is "$(as_user --reuid 4711 --regid 4711 --clear-groups)" 403 \
        "none for others"
else
    echo "# not root: other users are not tried"
fi
is "$(api /v1/agent/self -H 'X-Consul-Token: root-secret' -o /dev/null \
    -w '%{http_code}')" 200 "a token that is sent comes first"

# --- networks
write_from() { # ADDRESS METHOD PATH
    curl -sS --max-time 10 --interface "$1" -X "$2" -d '{"Name":"web-3"}' \
        -H 'X-Consul-Token: web-secret' "http://$AGENT_HTTP$3"
}
is "$(write_from 127.0.0.1 PUT /v1/agent/service/register)" "" \
    "a change from a listed network"
like "$(write_from 127.0.0.2 PUT /v1/agent/service/register)" \
    "^Changes are not accepted from 127.0.0.2:.*http_config.allow_write_http_from" \
    "not from another one"
like "$(write_from 127.0.0.2 GET /v1/agent/service/deregister/web-3)" \
    "^Changes are not accepted" "whatever the method"
like "$(write_from 127.0.0.2 GET /v1/agent/services)" '"web-1"' \
    "who may read all the same"

# --- browsers
browser() { # FLAG...
    curl -sS --max-time 10 -H 'X-Consul-Token: web-secret' \
        -o body -w '%{http_code}' "$@" "http://$AGENT_HTTP/v1/agent/services"
}
is "$(browser -H 'Host: evil.example:8500')" 403 "a name that was rebound"
like "$(cat body)" "http_config.allowed_hosts" "which says what to set"
is "$(browser -H 'Host: agent.example')" 200 "a name that was set"
is "$(browser -H 'Host: localhost:8500')" 200 "localhost"
is "$(browser -H 'Origin: http://evil.example')" 403 "a page from elsewhere"
is "$(browser -H "Origin: http://$AGENT_HTTP")" 200 "our own page"

# --- oddities on the wire
raw() { # BYTES: the first line of the answer
    printf '%b' "$1" | "$PYTHON" -c '
import socket, sys
host, port = sys.argv[1].rsplit(":", 1)
s = socket.create_connection((host, int(port)), 10)
s.sendall(sys.stdin.buffer.read())
s.settimeout(10)
print(s.makefile().readline().strip())
' "$AGENT_HTTP"
}
is "$(raw 'GET /v1/agent/self HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n')" \
    "HTTP/1.1 400 Bad Request" "two Host fields"
is "$(raw 'GET /v1/agent/self HTTP/1.1\r\nHost: localhost\r\nX-Consul-Token : root-secret\r\n\r\n')" \
    "HTTP/1.1 400 Bad Request" "a blank before the colon"
is "$(raw 'GET /v1/agent/self HTTP/1.1\r\nHost: localhost\r\nX: 1\r\n X-Consul-Token: root-secret\r\n\r\n')" \
    "HTTP/1.1 400 Bad Request" "a folded field"
is "$(raw 'GET http://evil.example/v1/agent/services HTTP/1.1\r\nHost: localhost\r\nX-Consul-Token: web-secret\r\n\r\n')" \
    "HTTP/1.1 403 Forbidden" "a rebound name in the request's line"
is "$(raw 'GET http://agent.example/v1/agent/services HTTP/1.1\r\nHost: evil.example\r\nX-Consul-Token: web-secret\r\n\r\n')" \
    "HTTP/1.1 200 OK" "there Host does not count"
is "$(raw 'GET /v1/agent/self HTTP/1.1\r\nHost: localhost\r\nX-Consul-Token: none\r\nX-Consul-Token: root-secret\r\n\r\n')" \
    "HTTP/1.1 403 Forbidden" "of two tokens the second is not tried"
is "$(curl -sS -o /dev/null -w '%{http_code}' -H "X-Consul-Token: $(head -c 20000 /dev/zero | tr '\0' x)" \
    "http://$AGENT_HTTP/v1/agent/self")" 403 "a token of 20 000 bytes"
is "$(curl -sS -o /dev/null -w '%{http_code}' \
    "http://$AGENT_HTTP/v1/agent/self?token=root-secret%00")" 400 "a NUL in it"

# --- programs
like "$(curl -sS -X PUT -H 'X-Consul-Token: root-secret' \
    -d '{"Name":"x","Args":["/bin/true"],"Interval":"5s"}' \
    "http://$AGENT_HTTP/v1/agent/check/register")" enable_script_checks \
    "programs are not registered by the API"

# --- sidecar files and DNS
like "$(api /v1/agent/self -H 'X-Consul-Token: root-secret' |
    json 'list(d["Stats"]["file_faults"].values())[0]')" \
    "db.json: service \"db\": Permission denied: token with AccessorID 'web' lacks permission 'service:write'" \
    "a file's token may not register everything"
is "$(curl -sS -X PUT -H 'X-Consul-Token: root-secret' \
    -d '{"Name":"secret","Address":"127.0.0.8"}' \
    "http://$AGENT_HTTP/v1/agent/service/register")" "" "a service is hidden"
soon 15 "DNS shows what its token may read" answers 127.0.0.9 web-1.service.consul
seen_by_root() {
    curl -sS -H 'X-Consul-Token: root-secret' \
        "http://$AGENT_HTTP/v1/catalog/services" | grep -q '"secret"'
}
wait_until 15 "the hidden service" seen_by_root
is "$(rcode secret.service.consul)" NXDOMAIN "and nothing else"
sed -i 's/"dns": "web-secret"/"dns": "root-secret"/' acl.json
kill -HUP "$AGENT_PID"
soon 15 "a reload gives it more" answers 127.0.0.8 secret.service.consul
done_testing
