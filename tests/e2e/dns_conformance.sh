# The protocol's rules, row by row, asked of our server and of knot with the same
# names: so each row is itself tested. The rows are in dns_conformance.py.
. "$(dirname "$0")/lib.sh"

agent_start one --dev --store-listen 127.0.0.1:0
"$PYTHON" - >"$AGENT_SERVICES/all.json" <<'PY'
import json
print(json.dumps({"services": [
    {"name": "web", "id": "web-1", "port": 80, "address": "10.0.0.1"},
    {"name": "web", "id": "web-2", "port": 80, "address": "10.0.0.2"},
] + [{"name": "many", "id": "many-%d" % i, "port": 80,
      "address": "10.2.0.%d" % i} for i in range(1, 61)]}))
PY
{
    cat <<'ZONE'
$ORIGIN muster.internal.
@ 0 SOA ns hostmaster 1 3600 600 86400 0
@ 0 NS one.node.dc1
ns 0 A 127.0.0.1
one.node.dc1 0 A 127.0.0.1
web.service 0 A 10.0.0.1
web.service 0 A 10.0.0.2
ZONE
    seq 60 | sed 's/.*/many.service 0 A 10.2.0.&/'
} >"$SCRATCH/zone"
KNOT=$(free_port)
cat >"$SCRATCH/knot.conf" <<CONF
server:
  listen: 127.0.0.1@$KNOT
  rundir: "$SCRATCH"
  udp-workers: 1
  tcp-workers: 1
  background-workers: 1
  udp-max-payload: 4096
  nsid: ""
database:
  storage: "$SCRATCH"
zone:
  - domain: muster.internal
    file: "$SCRATCH/zone"
    zonefile-sync: -1
CONF
spawn knot knotd -c "$SCRATCH/knot.conf"
knot_answers() {
    [ "$(dig +short +tries=1 +time=1 -p "$KNOT" @127.0.0.1 web.service.muster.internal |
        wc -l)" = 2 ]
}
whole() {
    [ "$(ask many.service.muster.internal A +tcp | wc -l)" = 60 ]
}
wait_until 10 "knot" knot_answers
wait_until 10 "the services" whole
"$PYTHON" "$HERE/dns_conformance.py" "$AGENT_DNS" "$KNOT"
