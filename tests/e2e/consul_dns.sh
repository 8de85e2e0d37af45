# Our DNS beside that of a real Consul 1.8: both are told the same over HTTP, read the
# same dns_config, and are asked the same. The questions, and where our answers are
# meant to be others, are in consul_dns_rows.py.
. "$(dirname "$0")/lib.sh"
own_network
: "${CONSUL:?the path of a consul command}"

RECURSOR=20030
PAIRS=()

# pair NAME PORT JSON: a Consul from PORT on, and one of ours, of one configuration.
pair() {
    echo "$3" >"$SCRATCH/$1.json"
    spawn "consul-$1" "$CONSUL" agent -dev -node "$1" -bind 127.0.0.1 \
        -client 127.0.0.1 -dns-port "$2" -http-port $(($2 + 1)) \
        -server-port $(($2 + 2)) -serf-lan-port $(($2 + 3)) \
        -serf-wan-port $(($2 + 4)) -grpc-port -1 -log-level warn \
        -hcl 'disable_update_check = true' -config-file "$SCRATCH/$1.json"
    agent_start "$1" --dev --store-listen 127.0.0.1:0 --config "$SCRATCH/$1.json"
    PAIRS+=("$1=$AGENT_DNS:${AGENT_HTTP##*:}=$2:$(($2 + 1))")
}

pair base 20000 '{"domain": "consul", "dns_config": {
    "enable_additional_node_meta_txt": false}}'
pair tuned 20010 '{"domain": "consul", "alt_domain": "alt.test", "dns_config": {
    "node_ttl": "7s", "service_ttl": {"web": "5s", "many*": "9s", "*": "3s"},
    "soa": {"refresh": 71, "retry": 72, "expire": 73, "min_ttl": 11},
    "only_passing": true, "enable_truncate": true, "a_record_limit": 4,
    "udp_answer_limit": 5, "enable_additional_node_meta_txt": false}}'
pair recursing 20020 "{\"domain\": \"consul\", \"recursors\": [\"127.0.0.1:$RECURSOR\"],
    \"dns_config\": {\"disable_compression\": true, \"service_ttl\": {\"ext\": \"40s\"},
    \"enable_additional_node_meta_txt\": true}}"
for name in base:20001 tuned:20011 recursing:20021; do
    wait_until 30 "Consul's node in its catalogue" eval \
        "curl -fsS http://127.0.0.1:${name#*:}/v1/health/node/${name%:*} | grep -q serfHealth"
done
"$PYTHON" "$HERE/consul_dns.py" "$RECURSOR" "${PAIRS[@]}"
