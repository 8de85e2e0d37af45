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

# Each target is another one, comes with its address, and has it when it is asked
# for by itself.
srv() { # SECTION FIELDS
    dig +tcp +noall "+$1" -p "$AGENT_DNS" @127.0.0.1 big.service.consul SRV |
        awk "{ print $2 }" | LC_ALL=C sort
}
srv answer '$8' >"$SCRATCH/targets"
is "$(uniq "$SCRATCH/targets" | wc -l)" 500 "500 targets"
srv additional '$1, $5' >"$SCRATCH/along"
is "$(cut -d ' ' -f 1 "$SCRATCH/along")" "$(cat "$SCRATCH/targets")" \
    "the address of each comes along"
dig +noall +answer -p "$AGENT_DNS" @127.0.0.1 -f "$SCRATCH/targets" |
    awk '{ print $1, $5 }' | LC_ALL=C sort >"$SCRATCH/asked"
is "$(cat "$SCRATCH/asked")" "$(cat "$SCRATCH/along")" \
    "and is what its name has"

sizes() {
    "$PYTHON" "$HERE/dns_many.py" "$AGENT_DNS" big.service.consul 500 \
        >"$SCRATCH/sizes"
    local code=$?
    sed 's/^/# /' "$SCRATCH/sizes"
    return $code
}
ok "sizes, subsets and orders" sizes
done_testing
