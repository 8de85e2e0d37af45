# Tokens: of the configuration and of the store, by curl, by python3-consul, by
# `muster acl`; what is denied, what is left out; and a token of the store works
# when the store is gone.
. "$(dirname "$0")/lib.sh"

cat >"$SCRATCH/acl.json" <<'JSON'
{"acl": {"enabled": true, "default_policy": "deny",
  "policies": [
    {"name": "web", "rules": {"service_prefix": {"web": {"policy": "write"}},
                              "node_prefix": {"": {"policy": "read"}}}},
    {"name": "ops", "hcl": "agent_prefix \"\" { policy = \"write\" }"}],
  "static_tokens": [
    {"secret": "web-secret", "accessor": "web-team", "policies": ["web"]},
    {"secret": "ops-secret", "policies": ["ops", "web"]}]}}
JSON
store_start store
agent_start one --store "$STORE_URL" --config "$SCRATCH/acl.json"
wait_until 15 "the store" sh -c "grep -q 'in contact' '$SCRATCH/one.log'"

# ask_as TOKEN METHOD PATH [BODY]: status and body.
ask_as() {
    curl -sS --max-time 20 -X "$2" -H "X-Consul-Token: $1" ${4:+-d "$4"} \
        -w '\n%{http_code}' "http://$AGENT_HTTP$3"
}
code_as() {
    ask_as "$@" | tail -n 1
}

# --- what the configuration says
is "$(code_as '' GET /v1/catalog/services)" 200 "lists are open,"
is "$(ask_as '' GET /v1/catalog/services)" "$(printf '{}\n200')" "and empty"
like "$(ask_as '' GET /v1/agent/self)" \
    "^Permission denied: anonymous token lacks permission 'agent:read' on \"one\"" \
    "a stranger is told what is missing"
is "$(code_as web-secret PUT /v1/agent/service/register '{"Name":"web-1"}')" 200 \
    "a token registers what it may"
is "$(code_as web-secret PUT /v1/agent/service/register '{"Name":"db"}')" 403 \
    "and not what it may not"
is "$(code_as WEB-SECRET GET /v1/catalog/nodes)" 403 "a wrong secret is refused"
api_as() { # as api, with a bearer token
    api "$2" -H "Authorization: Bearer $1"
}
wait_until 10 "the service" sh -c \
    "curl -sS -H 'X-Consul-Token: web-secret' 'http://$AGENT_HTTP/v1/catalog/services' | grep -q web-1"
is "$(api_as web-secret /v1/catalog/services)" '{"web-1":[]}' \
    "a bearer token over the socket"
is "$(curl -sS "http://$AGENT_HTTP/v1/catalog/services?token=web-secret")" \
    '{"web-1":[]}' "a token in the address"

# --- the first token, and what it makes
muster_acl() {
    "$MUSTER" acl "$@" --http "$AGENT_HTTP" 2>&1
}
bootstrap=$(muster_acl bootstrap --format json)
root=$(printf '%s' "$bootstrap" | json 'd["SecretID"]')
is "$(printf '%s' "$bootstrap" | json 'd["Policies"][0]["Name"]')" \
    global-management "muster acl bootstrap"
like "$(muster_acl bootstrap)" "ACL bootstrap no longer allowed" "once only"
like "$(muster_acl policy create --token "$root" --name db \
    --rules 'service "db" { policy = "raed" }')" \
    'rules: service.db.policy: "raed" is not one of' "a wrong policy is explained"
is "$(muster_acl policy create --token "$root" --name db \
    --rules 'service "db" { policy = "write" } node_prefix "" { policy = "read" }' \
    --format json | json 'd["Name"]')" db "a policy of the store"
made=$(muster_acl token create --token "$root" --description 'the db team' \
    --policy-name db --format json)
db=$(printf '%s' "$made" | json 'd["SecretID"]')
accessor=$(printf '%s' "$made" | json 'd["AccessorID"]')
is "$(code_as "$db" PUT /v1/agent/service/register '{"Name":"db"}')" 200 \
    "its token works at once"
is "$(code_as "$db" PUT /v1/agent/service/register '{"Name":"web-2"}')" 403 \
    "within its policy"
like "$(ask_as "$db" GET /v1/acl/tokens)" "lacks permission 'acl:read'" \
    "it is no key to other tokens"
like "$(muster_acl token read --token "$db" --self)" "Description: *the db team" \
    "it may look at itself"
like "$(muster_acl token list --token "$root")" "$accessor" "it is listed,"
unlike "$(ask_as "$root" GET /v1/acl/tokens)" "$db" "without its secret,"
unlike "$(etcdctl --endpoints "$STORE_URL" get --prefix /muster/v1/dc1/acl)" "$db" \
    "which the store does not know either"

# --- another agent, and no store
agent_start two --store "$STORE_URL" --config "$SCRATCH/acl.json"
works_here() {
    [ "$(code_as "$db" PUT /v1/agent/service/register '{"Name":"db"}')" = 200 ]
}
soon 15 "a token works on every agent" works_here
end "$STORE_PID" KILL
ok "and without the store" works_here
agent_stop
agent_start two --store "$STORE_URL" --config "$SCRATCH/acl.json"
ok "also after a restart" works_here
store_start store

# --- changes reach everybody
wait_until 20 "the store's return" sh -c \
    "'$MUSTER' acl token update --id '$accessor' --token '$root' \
    --description other --http '$AGENT_HTTP' --policy-name db"
is "$(muster_acl policy update --token "$root" --name db \
    --rules 'service "db" { policy = "read" }' --format json |
    json 'd["Rules"]')" 'service "db" { policy = "read" }' "a policy is changed"
is "$(code_as "$db" PUT /v1/agent/service/register '{"Name":"db"}')" 403 \
    "and counts at once"
like "$(muster_acl token delete --token "$root" --id "$accessor")" deleted \
    "a token is deleted"
like "$(ask_as "$db" GET /v1/catalog/services)" "^ACL not found" \
    "and means nothing any more"
like "$(muster_acl policy delete --token "$root" --name db)" deleted \
    "a policy is deleted"

# --- python3-consul
out=$("$PYTHON" - "${AGENT_HTTP##*:}" "$root" <<'PY' 2>&1
import sys, time
import consul

port, root = int(sys.argv[1]), sys.argv[2]
nobody = consul.Consul(host="127.0.0.1", port=port)
web = consul.Consul(host="127.0.0.1", port=port, token="web-secret")
try:
    nobody.agent.service.register("web-9")
    sys.exit("a stranger registered")
except consul.ACLPermissionDenied as e:
    assert "Permission denied" in str(e), e
assert web.agent.service.register("web-9")
try:
    web.agent.service.register("db")
    sys.exit("the web team registered db")
except consul.ACLPermissionDenied:
    pass
assert nobody.agent.service.register("web-8", token="web-secret")
seen = []
until = time.monotonic() + 15
while seen != ["web-1", "web-8", "web-9"] and time.monotonic() < until:
    seen = sorted(web.catalog.services()[1])
assert seen == ["web-1", "web-8", "web-9"], seen
assert nobody.catalog.services()[1] == {}
try:
    consul.Consul(host="127.0.0.1", port=port, token="none").catalog.nodes()
    sys.exit("a token that is not there was taken")
except consul.ACLPermissionDenied:
    pass
assert nobody.status.leader()
print("fine")
PY
)
is "$out" fine "python3-consul"

# --- off, and settings changed while it runs
sed 's/"enabled": true/"enabled": false/' "$SCRATCH/acl.json" >"$SCRATCH/off.json"
mv "$SCRATCH/off.json" "$SCRATCH/acl.json"
kill -HUP "$AGENT_PID"
soon 10 "a reload turns it off" sh -c \
    "curl -fsS 'http://$AGENT_HTTP/v1/agent/self' >/dev/null"
is "$(ask_as "$root" GET /v1/acl/tokens | tail -n 1)" 401 \
    "then there are no tokens to speak of"
done_testing
