# What clients that Debian does not have ask, word for word, and what they need
# to find in the answers: Prometheus' consul_sd, Traefik, HAProxy's Data Plane
# API, consul-template, Fabio, Registrator, consul_exporter.
. "$(dirname "$0")/lib.sh"

# The store's member is not what they are asked about (agent_members has it).
echo '{"dns_config": {"self_service": ""}}' >"$SCRATCH/agent.json"
agent_start one --dev --store-listen 127.0.0.1:0 --config "$SCRATCH/agent.json"

# ask REQUEST [CURL'S FLAGS]: over TCP; STATUS, BODY, and the headers in HEAD.
ask() {
    local path=$1
    shift
    STATUS=$(curl -sS --globoff --max-time 150 -o "$SCRATCH/body" \
        -D "$SCRATCH/head" -w '%{http_code}' "$@" "http://$AGENT_HTTP$path")
    BODY=$(cat "$SCRATCH/body")
    HEAD=$(tr -d '\r' <"$SCRATCH/head")
}
header() {
    printf '%s\n' "$HEAD" | sed -n "s/^$1: //Ip"
}
get() {
    printf '%s' "$BODY" | json "$1"
}
# asked PATH WHAT [FLAGS]: 200, JSON, and the headers that the Go client needs.
asked() {
    local path=$1 what=$2
    shift 2
    ask "$path" "$@"
    is "$STATUS $(header Content-Type)" "200 application/json" "$what"
    ok "$what: has an index above 0" [ "$(header X-Consul-Index)" -ge 1 ]
    is "$(header X-Consul-LastContact) $(header X-Consul-KnownLeader)" \
        "0 true" "$what: LastContact and KnownLeader"
}

# --- Registrator: ping, register, list, deregister --------------------------

ask /v1/status/leader
is "$STATUS" 200 "Registrator: the ping"
like "$BODY" '^"[0-9.]+:[0-9]+"$' "Registrator: which is a quoted address"
ask /v1/agent/service/register -X PUT -d '{
  "ID": "host:web:80", "Name": "web", "Port": 8080, "Address": "10.7.0.1",
  "Tags": ["traefik.enable=true",
           "traefik.http.routers.web.rule=Host(`web.example`) && Path(\"/a\")",
           "urlprefix-web.example/"],
  "Meta": {"team": "pay"}, "EnableTagOverride": false,
  "Check": {"TTL": "60s", "Status": "passing"}}'
is "$STATUS:$BODY" "200:" "Registrator: a registration has an empty answer"
ask /v1/agent/service/register -X PUT -d \
    '{"ID": "host:gone:1", "Name": "gone", "Port": 1}'
ask /v1/agent/services
is "$(get 'sorted(d)')" '["host:gone:1", "host:web:80"]' \
    "Registrator: what is registered here"
ask /v1/agent/service/deregister/host%3Agone%3A1 -X PUT
is "$STATUS" 200 "Registrator: an encoded id is deregistered"

# --- Fabio: itself with a TTL, then all checks -------------------------------

ask /v1/agent/service/register -X PUT -d '{
  "ID": "fabio-one-9998", "Name": "fabio", "Port": 9998, "Address": "10.7.0.2",
  "Tags": [], "Check": {"TTL": "30s"}}'
is "$STATUS" 200 "Fabio: registers itself"
ask '/v1/agent/check/pass/service:fabio-one-9998?note=ok' -X PUT
is "$STATUS" 200 "Fabio: its TTL check passes"
ask /v1/agent/check/pass/service:lost -X PUT
is "$STATUS" 404 "Fabio: an unknown check is 404"
like "$BODY" 'Unknown check ID "service:lost"' "Fabio: in the words of new,"
like "$BODY" 'CheckID "service:lost" does not have associated TTL' \
    "Fabio: and in those of old Consul"

wait_until 10 "the catalogue" sh -c "curl -s http://$AGENT_HTTP/v1/health/state/any |
    grep -q '\"CheckID\":\"service:fabio-one-9998\",.*\"Status\":\"passing\"'"
wait_until 10 "the deregistration" sh -c \
    "! curl -s http://$AGENT_HTTP/v1/catalog/services | grep -q gone"
asked '/v1/health/state/any' "Fabio: all checks"
is "$(get '[c["CheckID"] for c in d]')" \
    '["serfHealth", "service:fabio-one-9998", "service:host:web:80"]' \
    "Fabio: serfHealth among them"
is "$(get 'd[2]["ServiceTags"][2]')" urlprefix-web.example/ \
    "Fabio: tags as they were registered"
is "$(get '[(c["Node"], c["ServiceID"], c["Status"]) for c in d][0]')" \
    '["one", "", "passing"]' "Fabio: node, service and status"
index=$(header X-Consul-Index)
spawn fabio curl -sS -o "$SCRATCH/fabio" \
    "http://$AGENT_HTTP/v1/health/state/any?index=$index&wait=60s"
fabio=$PID
ask '/v1/agent/check/fail/service:fabio-one-9998' -X PUT
wait_until 5 "Fabio's poll to wake" sh -c "! kill -0 $fabio"
is "$(json 'd[1]["Status"]' <"$SCRATCH/fabio")" critical \
    "Fabio: its poll wakes with the new status"
asked /v1/catalog/service/web "Fabio: instances"
is "$(get '[d[0][k] for k in ("Address", "ServiceAddress", "ServicePort")]')" \
    '["127.0.0.1", "10.7.0.1", 8080]' "Fabio: in flat records"

# --- Prometheus, consul_sd ---------------------------------------------------

ask /v1/agent/self
is "$(get 'd["Config"]["Datacenter"]')" dc1 "Prometheus: the datacenter"
asked '/v1/catalog/services?index=0&stale=&wait=120000ms' \
    "Prometheus: names and tags"
is "$(get 'sorted(d)')" '["fabio", "web"]' "Prometheus: a map of lists"
is "$(header X-Consul-Effective-Consistency)" stale "Prometheus: stale is said"
asked '/v1/health/service/web?index=0&stale=&wait=120000ms' \
    "Prometheus: a service"
is "$(get 'd[0]["Node"]["Node"] + d[0]["Node"]["Address"]')" one127.0.0.1 \
    "Prometheus: node and address"
is "$(get '[type(d[0]["Service"][k]).__name__ for k in
    ("ID", "Address", "Port", "Tags", "Meta", "TaggedAddresses")]')" \
    '["str", "str", "int", "list", "dict", "dict"]' \
    "Prometheus: no null where it wants lists and maps"
asked '/v1/health/service/web?tag=traefik.enable%3Dtrue&node-meta=a:b&stale=' \
    "Prometheus: with tag and node-meta"
is "$BODY" '[]' "Prometheus: which no node has"
asked '/v1/catalog/services?filter=ServiceMeta.team+%3D%3D+%22pay%22&stale=' \
    "Prometheus: with a filter"
is "$(get 'sorted(d)')" '["web"]' "Prometheus: which one service passes"
asked /v1/prometheus/sd "Prometheus: http_sd"
is "$(get '[t["targets"][0] for t in d]')" '["10.7.0.2:9998", "10.7.0.1:8080"]' \
    "Prometheus: the same targets"
is "$(get '[d[1]["labels"]["__meta_consul_" + k] for k in ("service", "node",
    "service_id", "service_port", "dc", "health", "service_metadata_team")]')" \
    '["web", "one", "host:web:80", "8080", "dc1", "passing", "pay"]' \
    "Prometheus: with consul_sd's labels"
like "$(get 'd[1]["labels"]["__meta_consul_tags"]')" \
    '^,traefik\.enable=true,.*,urlprefix-web\.example/,$' \
    "Prometheus: tags between commas"
asked '/v1/prometheus/sd?passing&service=fabio' "Prometheus: only what passes"
is "$BODY" '[]' "Prometheus: which the failed one does not"

# --- Traefik -----------------------------------------------------------------

asked '/v1/catalog/services?cached=' "Traefik: names, cached"
is "$(header X-Cache) $(header Age)" "HIT 0" "Traefik: X-Cache and Age"
asked '/v1/health/service/web?tag=traefik.enable%3Dtrue' "Traefik: instances"
like "$(get 'd[0]["Node"]["ID"]')" '^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$' \
    "Traefik: the node has an ID"
is "$(get 'd[0]["Service"]["Tags"][1]')" \
    'traefik.http.routers.web.rule=Host(`web.example`) && Path("/a")' \
    "Traefik: rules in tags come back as they are"
asked /v1/health/connect/web "Traefik: connect"
is "$BODY" '[]' "Traefik: nothing is native"

# --- HAProxy Data Plane API --------------------------------------------------

asked '/v1/catalog/services?filter=ServiceName+matches+%22%5Ew.%2Ab%24%22' \
    "Data Plane API: names by a regular expression" -H 'X-Consul-Token: none'
is "$(get 'sorted(d)')" '["web"]' "Data Plane API: those that match"
asked /v1/health/service/web "Data Plane API: a service"
before=$(header X-Consul-Index)
ask /v1/agent/check/pass/service:fabio-one-9998 -X PUT
wait_until 10 "fabio to pass" sh -c "curl -s \
    'http://$AGENT_HTTP/v1/health/service/fabio?passing' | grep -q fabio-one"
ask /v1/health/service/web
is "$(header X-Consul-Index)" "$before" \
    "Data Plane API: another service's change leaves the index"

# --- consul-template ---------------------------------------------------------

asked "/v1/health/service/web?index=$before&passing=1&stale=&wait=200ms" \
    "consul-template: a poll that ends"
is "$(header X-Consul-Index)" "$before" "consul-template: with the same index"
asked '/v1/catalog/nodes?near=_agent&stale=&wait=60000ms' "consul-template: nodes"
asked /v1/catalog/node/one "consul-template: a node"
is "$(get 'sorted(d["Services"])')" '["fabio-one-9998", "host:web:80"]' \
    "consul-template: with its services"
ask /v1/catalog/datacenters
is "$BODY" '["dc1"]' "consul-template: datacenters"

# --- consul_exporter ---------------------------------------------------------

ask /v1/status/peers
is "$(get 'len(d) > 0')" true "consul_exporter: peers"
ask '/v1/agent/members?wan=1'
is "$(get '[(m["Name"], m["Status"]) for m in d]')" '[["one.dc1", 1]]' \
    "consul_exporter: members, with their datacenter"
ask /v1/agent/members
is "$(get '[(m["Name"], m["Status"]) for m in d]')" '[["one", 1]]' \
    "consul_exporter: or without"
asked /v1/health/state/any "consul_exporter: all checks"
asked /v1/health/service/fabio "consul_exporter: a service"

# --- Everybody ---------------------------------------------------------------

ask /v1/catalog/services -X DELETE
is "$STATUS $(header Allow)" "405 OPTIONS, GET, HEAD" "a wrong method is told the right"
ask /v1/agent/service/register -X DELETE
is "$STATUS $(header Allow)" "405 OPTIONS, PUT, POST" "of writes, too"
ask /v1/agent/maintenance?enable=false -X POST
is "$STATUS" 200 "POST is taken for PUT"
ask '/v1/catalog/nodes?stale&consistent'
is "$STATUS" 400 "stale with consistent is refused"
ask '/v1/catalog/nodes?ns=default&partition='
is "$STATUS" 200 "the default namespace is accepted"
ask '/v1/catalog/nodes?ns=red'
is "$STATUS" 400 "others are refused"
ask '/v1/catalog/nodes?consistent'
is "$STATUS $(header X-Consul-Effective-Consistency)" "200 consistent" \
    "consistent asks the store"
ask '/v1/catalog/nodes?filter=Nod==x'
is "$STATUS $BODY" "400 filter: selector \"Nod\" is not known here; did you mean \
Node?" "an unknown selector is named"
ask '/v1/catalog/nodes?pretty'
is "$(printf '%s\n' "$BODY" | head -n 1)" '[' "pretty is indented"
ask '/v1/agent/metrics?format=prometheus'
like "$BODY" '^muster_http_requests_total [0-9]+$' "metrics as text"
ask /v1/agent/metrics
is "$(get '[m["Value"] for m in d["Gauges"]
    if m["Name"] == "muster_local_services"]')" '[2]' "metrics as JSON"
ask /v1/agent/metrics -H 'Accept: application/openmetrics-text; version=1.0.0'
like "$BODY" '^# TYPE ' "metrics as text by Accept"
ask /v1/agent/health/service/name/web -H 'Accept: text/plain'
is "$STATUS $BODY" "200 passing" "health in a word"
ask /v1/agent/service/host:web:80
hash=$(get 'd["ContentHash"]')
is "$hash" "$(header X-Consul-ContentHash)" "a service's hash, twice"
ask "/v1/agent/service/host:web:80?hash=$hash&wait=200ms"
is "$STATUS $(header X-Consul-ContentHash)" "200 $hash" \
    "a poll by hash ends with it"
done_testing
