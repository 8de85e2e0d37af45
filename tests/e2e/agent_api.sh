# Consul's HTTP paths, as its clients use them.
. "$(dirname "$0")/lib.sh"

agent_start one --dev --store-listen 127.0.0.1:0

# code METHOD PATH [CURL FLAG...]: the status; the body is in $SCRATCH/body.
code() {
    local method=$1 path=$2
    shift 2
    api "$path" -X "$method" -o "$SCRATCH/body" -w '%{http_code}' "$@"
}
body() {
    cat "$SCRATCH/body"
}

is "$(api /v1/agent/self | json 'd["Config"]["NodeName"]')" one "agent/self: name"
like "$(api /v1/agent/self -o /dev/null -D -)" "^Server: muster/[0-9]" \
    "who answers is in a header"
once() { # PATH: no key of an object is there twice
    api "$1" | "$PYTHON" -c '
import json, sys
def unique(pairs):
    keys = [k for k, _ in pairs]
    assert len(keys) == len(set(keys)), keys
    return dict(pairs)
json.load(sys.stdin, object_pairs_hook=unique)'
}
for path in agent/self agent/services agent/checks health/state/any catalog/nodes; do
    ok "$path has each key once" once "/v1/$path"
done
is "$(api /v1/agent/self | json 'd["Config"]["Datacenter"]')" dc1 \
    "agent/self: datacenter"
is "$(code PUT /v1/agent/service/register -d '{"Name": "api", "ID": "api-1",
    "Port": 81, "Tags": ["x"], "Address": "10.0.0.1",
    "Check": {"TTL": "60s", "Status": "passing"}}')" 200 "register"
is "$(body)" "" "with an empty body"
is "$(code PUT '/v1/agent/service/register?sync=20s' -d '{"Name": "kept",
    "Port": 81}')" 200 "register and wait for the store"
is "$(api /v1/catalog/service/kept | json '[i["ServicePort"] for i in d]')" \
    "[81]" "it is in the catalogue at once"
is "$(code PUT /v1/agent/service/deregister/kept)" 200 "and can go"
is "$(code PUT /v1/agent/service/register -d '{"Port": 81}')" 400 "no name: 400"
is "$(code PUT /v1/agent/service/register -d '{')" 400 "no JSON: 400"
is "$(code PUT /v1/agent/service/register -d '{"Name": "a", "Port": 70000}')" \
    400 "bad port: 400"
like "$(body)" '[Pp]ort' "which says the field"
is "$(code GET /v1/agent/service/register)" 405 "wrong method: 405"
is "$(code GET /v1/no/such/path)" 404 "unknown path: 404"

is "$(api /v1/agent/services | json 'd["api-1"]["Port"]')" 81 "agent/services"
is "$(api /v1/agent/service/api-1 | json 'd["Service"]')" api "agent/service/:id"
like "$(api /v1/agent/service/api-1 | json 'd["ContentHash"]')" \
    '^[0-9a-f]{16}$' "with a hash"
is "$(code GET /v1/agent/service/none)" 404 "unknown service: 404"
is "$(api /v1/agent/checks | json 'd["service:api-1"]["Status"]')" passing \
    "agent/checks"

# TTL checks, by every way.
is "$(code PUT '/v1/agent/check/warn/service:api-1?note=slow')" 200 "check/warn"
is "$(api /v1/agent/checks | json 'd["service:api-1"]["Output"]')" slow \
    "with its note"
is "$(code PUT /v1/agent/check/fail/service%3Aapi-1)" 200 \
    "check/fail, percent-encoded"
is "$(code PUT /v1/agent/check/update/service:api-1 \
    -d '{"Status": "passing", "Output": "fine"}')" 200 "check/update"
is "$(api /v1/agent/checks | json 'd["service:api-1"]["Status"]')" passing \
    "and is passing again"
is "$(code PUT /v1/agent/check/pass/none)" 404 "unknown check: 404"
like "$(body)" 'Unknown check ID "none"' "in the words of newer agents"
like "$(body)" 'CheckID "none" does not have associated TTL' "and of older ones"
is "$(code PUT /v1/agent/check/register \
    -d '{"Name": "disk", "TTL": "30s"}')" 200 "a check of the node"
is "$(code PUT /v1/agent/check/deregister/disk)" 200 "and its end"
is "$(code PUT /v1/agent/check/deregister/disk)" 404 "once only"

seen() {
    [ "$(api /v1/catalog/service/api | json 'len(d)')" = 1 ]
}
wait_until 10 "api in the catalogue" seen
is "$(api /v1/catalog/services | json 'd["api"]')" '["x"]' "catalog/services"
is "$(api /v1/catalog/service/api | json 'd[0]["ServicePort"]')" 81 \
    "catalog/service/:name"
is "$(api '/v1/catalog/service/api?tag=none')" "[]" "by tag"
is "$(api /v1/catalog/nodes | json 'd[0]["Node"]')" one "catalog/nodes"
is "$(api /v1/catalog/node/one | json \
    '[s for s in d["Services"] if not s.startswith("store-")]')" '["api-1"]' \
    "catalog/node/:node"
is "$(api /v1/catalog/node/none)" null "an unknown node is null"
is "$(api /v1/catalog/datacenters)" '["dc1"]' "catalog/datacenters"
is "$(api /v1/health/service/api |
    json 'sorted(c["CheckID"] for c in d[0]["Checks"])')" \
    '["serfHealth", "service:api-1"]' "health/service/:name"
is "$(api /v1/health/service/none)" "[]" "of an unknown one: an empty list"
is "$(api /v1/health/checks/api | json 'd[0]["ServiceName"]')" api \
    "health/checks/:name"
# Beside the store's member, which is a service of its own.
others='len([c for c in d if c["ServiceName"] != "consul"])'
is "$(api /v1/health/node/one | json "$others")" 2 "health/node/:node"
is "$(api /v1/health/state/critical)" "[]" "health/state/critical"
is "$(api /v1/health/state/any | json "$others")" 2 "health/state/any"
like "$(api /v1/status/leader)" '^"[0-9.]+:[0-9]+"$' "status/leader"
is "$(api /v1/status/peers | json 'len(d)')" 1 "status/peers"
is "$(api /v1/health/service/api -I | tr -d '\r' | sed -n '1s/ OK//p')" \
    "HTTP/1.1 200" "HEAD"
is "$(api '/v1/health/service/api?pretty' | wc -l | xargs test 5 -lt; echo $?)" \
    0 "pretty is many lines"

# Maintenance of a service and of the node take it out.
is "$(code PUT '/v1/agent/service/maintenance/api-1?enable=true&reason=disk')" \
    200 "maintenance"
out_of_dns() {
    answers "" api.service.consul
}
soon 5 "out of DNS" out_of_dns
is "$(api /v1/agent/checks |
    json 'd["_service_maintenance:api-1"]["Notes"]')" disk "with the reason"
is "$(code PUT '/v1/agent/service/maintenance/api-1?enable=false')" 200 "ends"
soon 5 "back in DNS" answers 10.0.0.1 api.service.consul
is "$(code PUT '/v1/agent/maintenance?enable=true')" 200 "of the node"
soon 5 "takes all out" out_of_dns
is "$(code PUT '/v1/agent/maintenance?enable=false')" 200 "ends too"
soon 5 "and all is back" answers 10.0.0.1 api.service.consul
is "$(code PUT /v1/agent/service/maintenance/api-1)" 400 "enable is required"

# Hosts without an agent.
is "$(code PUT /v1/catalog/register -d '{"Node": "printer",
    "Address": "10.5.5.5", "Service": {"Service": "ipp", "Port": 631}}')" 200 \
    "catalog/register"
is "$(body)" true "says true"
soon 5 "it is in DNS" answers 10.5.5.5 ipp.service.consul
is "$(ask printer.node.consul)" 10.5.5.5 "and its node"
is "$(code PUT /v1/catalog/register -d '{"Node": "one", "Address": "10.5.5.6",
    "Service": {"Service": "stolen", "Port": 1}}')" 409 \
    "not for a host with an agent"
is "$(code PUT /v1/catalog/deregister -d '{"Node": "printer"}')" 200 \
    "catalog/deregister"
soon 5 "it is gone" answers "" ipp.service.consul

metrics=$(api /v1/metrics)
like "$metrics" '^# TYPE [a-z_]+ (counter|gauge|histogram)' "metrics"
unlike "$metrics" '^[^# ]+$' "each with a value"
is "$(code PUT /v1/agent/reload)" 200 "reload"
is "$(code GET /v1/agent/service/deregister/api-1 \
    -H 'Sec-Fetch-Site: cross-site')" 403 "a foreign web page changes nothing"
is "$(code GET /v1/agent/services -H 'Sec-Fetch-Site: cross-site')" 200 \
    "though it may ask"
is "$(code PUT /v1/agent/service/deregister/api-1)" 200 "deregister"
is "$(code PUT /v1/agent/service/deregister/api-1)" 404 "once only"
like "$(body)" 'Unknown service ID "api-1"' "in the known words"

# Limits.
head -c 3000000 /dev/zero | tr '\0' ' ' >"$SCRATCH/big"
is "$(code PUT /v1/agent/service/register --data-binary "@$SCRATCH/big")" 413 \
    "a body that is too big: 413"
is "$(api "/v1/health/service/$(head -c 9000 /dev/zero | tr '\0' x)" \
    -o /dev/null -w '%{http_code}')" 414 "a path that is too long: 414"
is "$(curl -s -o /dev/null -w '%{http_code}' "http://$AGENT_HTTP/v1/agent/self")" \
    200 "the same over TCP"
done_testing
