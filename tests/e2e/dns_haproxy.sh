# HAProxy fills its servers from SRV records (server-template). With 5, 100 and
# 200 instances, none of those that stay is ever taken out, while others come
# and go; also where an answer holds but a part of them.
. "$(dirname "$0")/lib.sh"

agent_start one --dev --store-listen 127.0.0.1:0
"$PYTHON" - >"$AGENT_SERVICES/all.json" <<'PY'
import json
print(json.dumps({"services": [
    {"name": "s%d" % n, "id": "s%d-%d" % (n, i), "port": 1000 + i,
     "address": "10.%d.0.%d" % (n % 250, i + 1)}
    for n in (5, 100, 200) for i in range(n)]}))
PY
whole() {
    [ "$(ask s200.service.consul SRV +tcp | wc -l)" = 200 ]
}
wait_until 30 "the instances" whole

# Room for those that come and go, too; 200 do not fit into 8192 bytes.
cat >"$SCRATCH/haproxy.cfg" <<CFG
global
    stats socket $SCRATCH/haproxy.sock mode 600 level admin
    maxconn 100
defaults
    mode tcp
    timeout connect 1s
    timeout client 1s
    timeout server 1s
resolvers agent
    nameserver one 127.0.0.1:$AGENT_DNS
    accepted_payload_size 8192
    resolve_retries 5
    timeout resolve 200ms
    timeout retry 1s
    hold valid 200ms
backend s5
    server-template s 1-15 _s5._tcp.service.consul resolvers agent init-addr none
backend s100
    server-template s 1-110 _s100._tcp.service.consul resolvers agent init-addr none
backend s200
    server-template s 1-210 _s200._tcp.service.consul resolvers agent init-addr none
CFG
spawn haproxy haproxy -db -f "$SCRATCH/haproxy.cfg"
wait_until 10 "HAProxy" [ -S "$SCRATCH/haproxy.sock" ]
"$PYTHON" "$HERE/dns_haproxy.py" "$SCRATCH/haproxy.sock" "$AGENT_HTTP" \
    "${HAPROXY_SECONDS:-12}" # contrib/dev/soak looks on for longer.
