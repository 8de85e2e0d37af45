# DNS over TLS: the agent's certificate, padded answers, sessions that resume,
# and a renewed certificate without a restart.
. "$(dirname "$0")/lib.sh"

# certificate NAME: signed by the CA, in $SCRATCH/NAME.pem and .key; put into
# place in one step.
certificate() {
    openssl req -newkey rsa:2048 -nodes -subj "/CN=$1" \
        -keyout "$SCRATCH/new.key" -out "$SCRATCH/new.csr" 2>/dev/null
    openssl x509 -req -in "$SCRATCH/new.csr" -days 30 -CA "$SCRATCH/ca.pem" \
        -CAkey "$SCRATCH/ca.key" -CAcreateserial -out "$SCRATCH/new.pem" \
        -extfile <(echo "subjectAltName=DNS:$1,IP:127.0.0.1") 2>/dev/null
    mv "$SCRATCH/new.key" "$SCRATCH/dns.key"
    mv "$SCRATCH/new.pem" "$SCRATCH/dns.pem"
}

openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=ca \
    -keyout "$SCRATCH/ca.key" -out "$SCRATCH/ca.pem" 2>/dev/null
certificate one.test
cat >"$SCRATCH/agent.json" <<JSON
{"tls": {"defaults": {"cert_file": "$SCRATCH/dns.pem",
                      "key_file": "$SCRATCH/dns.key"}}}
JSON
# Two workers, between which the kernel spreads connections.
agent_start one --dev --store-listen 127.0.0.1:0 --dns-threads 2 \
    --config "$SCRATCH/agent.json" --dot 127.0.0.1:0
dot=$(grep '"started"' "$SCRATCH/one.out" | json 'd["dot"].rsplit(":", 1)[1]')
cat >"$AGENT_SERVICES/web.json" <<'JSON'
{"services": [{"id": "a", "name": "web", "port": 80, "address": "10.1.0.1"},
              {"id": "b", "name": "web", "port": 80, "address": "10.1.0.2"}]}
JSON
wait_until 10 "the service" answers "10.1.0.1
10.1.0.2" web.service.consul

# secure NAME TYPE FLAG...: by kdig, the certificate verified.
secure() {
    kdig +tls-ca="$SCRATCH/ca.pem" +tls-hostname="${HOST:-one.test}" \
        +timeout=5 +retry=0 -p "$dot" @127.0.0.1 "$@" 2>&1
}

like "$(secure web.service.consul A)" '10\.1\.0\.[12]' "kdig asks over TLS"
like "$(secure web.service.consul A)" 'TLS session \(TLS1\.3\)' "by TLS 1.3"
like "$(HOST=other.test secure web.service.consul A)" \
    'TLS|certificate' "a certificate for another name is not taken"
unlike "$(HOST=other.test secure web.service.consul A)" 'status: NOERROR' \
    "and no question is asked"

for type in A SRV TXT; do
    size=$(secure web.service.consul $type +padding |
        sed -n 's/.*Received \([0-9]*\) B.*/\1/p')
    is "$((size % 468))" 0 "a padded $type question has a padded answer ($size)"
done
size=$(secure web.service.consul A +nopadding |
    sed -n 's/.*Received \([0-9]*\) B.*/\1/p')
is "$((size < 468))" 1 "one that is not padded has none ($size)"
size=$(kdig +padding -p "$AGENT_DNS" @127.0.0.1 web.service.consul A |
    sed -n 's/.*Received \([0-9]*\) B.*/\1/p')
is "$((size < 468))" 1 "nor has one over UDP ($size)"
like "$(dig -p "$AGENT_DNS" @127.0.0.1 +tcp +keepalive web.service.consul)" \
    'TCP.KEEPALIVE' "TCP keepalive is answered"

# shake FLAG...: one connection by openssl.
shake() {
    openssl s_client -connect "127.0.0.1:$dot" -CAfile "$SCRATCH/ca.pem" \
        "$@" </dev/null 2>&1
}
like "$(shake -alpn dot)" 'ALPN protocol: dot' "ALPN agrees on dot"
like "$(shake)" 'Verify return code: 0' "no ALPN is fine"
like "$(shake -tls1_1 -cipher ALL@SECLEVEL=0)" 'alert|no protocols' \
    "TLS 1.1 is refused"

# A ticket is good at either worker.
shake -tls1_2 -sess_out "$SCRATCH/session" >/dev/null
reused=0
for _ in 1 2 3 4 5 6 7 8; do
    shake -tls1_2 -sess_in "$SCRATCH/session" | grep -q '^Reused' &&
        reused=$((reused + 1))
done
is "$reused" 8 "a session is resumed at whichever worker"

# Pipelined on one connection, with a helper that speaks TLS.
pipelined() {
    "$PYTHON" - "$dot" "$SCRATCH/ca.pem" <<'PY'
import socket, ssl, struct, sys
context = ssl.create_default_context(cafile=sys.argv[2])
raw = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 10)
s = context.wrap_socket(raw, server_hostname="one.test")
name = b"\3web\7service\6consul\0"
for i in range(500):
    q = struct.pack(">6H", i, 256, 1, 0, 0, 0) + name + struct.pack(">2H", 33, 1)
    s.sendall(struct.pack(">H", len(q)) + q)
f = s.makefile("rb")
ids = []
for i in range(500):
    n, = struct.unpack(">H", f.read(2))
    ids.append(struct.unpack(">H", f.read(n)[:2])[0])
print(ids == list(range(500)))
PY
}
is "$(pipelined)" True "500 questions follow each other on one connection"

# A new certificate, as by a renewal.
certificate two.test
kill -HUP "$AGENT_PID"
renewed() { # at both workers
    local i
    for i in 1 2 3 4 5 6 7 8; do
        shake | grep -q 'CN = two.test' || return
    done
}
soon 10 "a renewed certificate is used" renewed
mv "$SCRATCH/dns.pem" "$SCRATCH/good.pem"
echo garbage >"$SCRATCH/dns.pem"
kill -HUP "$AGENT_PID"
like "$(HOST=two.test secure web.service.consul A)" '10\.1\.0\.[12]' \
    "a damaged one is not: the old one stays"
mv "$SCRATCH/good.pem" "$SCRATCH/dns.pem"

metrics=$(api '/v1/agent/metrics?format=prometheus')
like "$metrics" 'muster_dns_queries_total\{transport="tls"\} [1-9]' "they count"
agent_stop
is "$CODE" 0 "it ends well"

is "$("$MUSTER" agent --dev --dot 127.0.0.1:0 --data-dir "$SCRATCH/none" 2>&1 |
    grep -c 'tls.defaults.cert_file')" 1 "without a certificate it says what is missing"
done_testing
