# 500 instances of one service: answers fit into what the client can take, over
# TCP they are whole, and a client is given the same SRV records each time.
. "$(dirname "$0")/lib.sh"

agent_start one --dev --store-listen 127.0.0.1:0
"$PYTHON" - >"$AGENT_SERVICES/all.json" <<'PY'
import json
print(json.dumps({"services": [
    {"name": "big", "id": "big-%d" % i, "port": 1000 + i,
     "address": "10.3.%d.%d" % (i // 250, i % 250)} for i in range(500)]}))
PY
whole() {
    [ "$(ask big.service.consul SRV +tcp | wc -l)" = 500 ]
}
wait_until 30 "500 instances" whole
"$PYTHON" "$HERE/dns_many.py" "$AGENT_DNS" big.service.consul 500
