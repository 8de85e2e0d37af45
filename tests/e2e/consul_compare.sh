# Our agent and a real Consul 1.8 agent are asked the same, row by row.
. "$(dirname "$0")/lib.sh"
own_network

mkdir -p "$SCRATCH/one/services"
cp "$HERE"/consul/definitions/*.json "$SCRATCH/one/services/"
spawn consul "$CONSUL" agent -dev -node one -client 127.0.0.1 -bind 127.0.0.1 \
    -http-port 8500 -dns-port 8600 -config-dir "$SCRATCH/one/services" \
    -log-level warn
agent_start one --dev --store-listen 127.0.0.1:0
wait_until 20 "a leader of Consul" \
    sh -c 'curl -fsS 127.0.0.1:8500/v1/catalog/node/one | grep -q plain'
export PYTHONDONTWRITEBYTECODE=1
out=$("$PYTHON" "$HERE/consul_compare.py" 127.0.0.1:8500 "$AGENT_HTTP")
code=$?
echo "$out"
is "$code" 0 "all that differs, differs on purpose"
done_testing
