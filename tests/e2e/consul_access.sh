# Consul 1.8.7's own command, by which ways it comes and as whom: addresses, sockets,
# HTTPS with the certificates that it made for its old agents, tokens and policies.
. "$(dirname "$0")/consul_lib.sh"

cd "$SCRATCH" || bail "no scratch folder"
"$CONSUL" tls ca create >/dev/null
"$CONSUL" tls cert create -server >/dev/null
"$CONSUL" tls cert create -client >/dev/null
ROOT_TOKEN=11111111-2222-3333-4444-555555555555
cat >acl.json <<JSON
{"acl": {"enabled": true, "default_policy": "deny",
         "tokens": {"initial_management": "$ROOT_TOKEN"}},
 "ca_file": "$SCRATCH/consul-agent-ca.pem",
 "cert_file": "$SCRATCH/dc1-server-consul-0.pem",
 "key_file": "$SCRATCH/dc1-server-consul-0-key.pem",
 "verify_incoming": true}
JSON
agent_start one --dev --store-listen 127.0.0.1:0 --config acl.json --https 127.0.0.1:0
HTTPS=$(tail -n 1 one.out | json 'd["https"]')
unset CONSUL_HTTP_ADDR
k() { "$CONSUL" "$@" 2>&1; }
export CONSUL_HTTP_TOKEN=$ROOT_TOKEN
wait_until 20 "the store" eval "k kv put -http-addr=$AGENT_HTTP a b | grep Success"

# --- addresses -----------------------------------------------------------------

is "$(k kv get -http-addr="$AGENT_HTTP" a)" b "-http-addr"
is "$(k kv get -http-addr="http://$AGENT_HTTP" a)" b "-http-addr with a scheme"
is "$(k kv get -http-addr="unix://$AGENT_SOCKET" a)" b "-http-addr of a socket"
is "$(CONSUL_HTTP_ADDR=unix://$AGENT_SOCKET k kv get a)" b "CONSUL_HTTP_ADDR of a socket"
export CONSUL_HTTP_ADDR=$AGENT_HTTP
is "$(k kv get -stale a)" b "-stale"
is "$(k kv get -datacenter=dc1 a)" b "-datacenter, ours"
like "$(k catalog nodes -datacenter=dc9)" "code: 500 \(No path to datacenter\)" \
    "-datacenter, unknown"
is "$(k kv get -namespace=default a)" b "-namespace, the one there is"
like "$(k catalog services -namespace=blue)" 'namespace .*"default" exist' "-namespace, another"

# --- HTTPS ---------------------------------------------------------------------

tls="-ca-file=consul-agent-ca.pem -client-cert=dc1-client-consul-0.pem
    -client-key=dc1-client-consul-0-key.pem"
# shellcheck disable=SC2086 # these are words
{
    is "$(k kv get -http-addr="https://$HTTPS" $tls a)" b "HTTPS with Consul's certificates"
    is "$(k kv get -http-addr="https://$HTTPS" $tls \
        -tls-server-name=server.dc1.consul a)" b "-tls-server-name"
    like "$(k kv get -http-addr="https://$HTTPS" $tls -tls-server-name=other a)" \
        "certificate is valid for server.dc1.consul" "of another server"
}
is "$(CONSUL_HTTP_ADDR=$HTTPS CONSUL_HTTP_SSL=true CONSUL_CACERT=consul-agent-ca.pem \
    CONSUL_CLIENT_CERT=dc1-client-consul-0.pem \
    CONSUL_CLIENT_KEY=dc1-client-consul-0-key.pem k kv get a)" b "all of it as variables"
like "$(k kv get -http-addr="https://$HTTPS" -ca-file=consul-agent-ca.pem a)" \
    "certificate required|bad certificate" "without a client's certificate"
like "$(k kv get -http-addr="https://$HTTPS" a)" "unknown authority" "without the CA"

# --- tokens --------------------------------------------------------------------

unset CONSUL_HTTP_TOKEN
is "$(k members)" "" "without a token lists are empty"
like "$(k kv put a c)" "code: 403 \(Permission denied: anonymous token lacks permission 'key:write'" \
    "and what may not be changed is named"
like "$(k catalog nodes -token=nope)" "403 \(ACL not found" "a token that there is not"
is "$(k kv get -token=$ROOT_TOKEN a)" b "-token"
echo $ROOT_TOKEN >token
is "$(k kv get -token-file=token a)" b "-token-file"
export CONSUL_HTTP_TOKEN=$ROOT_TOKEN

like "$(k acl bootstrap)" "ACL bootstrap no longer allowed" "acl bootstrap"
cat >web.hcl <<'HCL'
service_prefix "web" { policy = "write" }
key_prefix "web/" { policy = "write" }
session_prefix "" { policy = "write" }
node_prefix "" { policy = "read" }
agent_prefix "" { policy = "read" }
HCL
like "$(k acl policy create -name=web -description="the shop" -rules=@web.hcl)" \
    "^Name: +web$" "acl policy create"
like "$(k acl policy create -name=web -rules=@web.hcl)" 'Name "web" already exists' "twice"
like "$(k acl policy create -name=bad -rules='service "x" { policy = "wirte" }')" \
    '"wirte" is not one of' "acl policy create with a mistake"
is "$(k acl policy read -name=web | tail -n +6)" "$(cat web.hcl)" "acl policy read"
like "$(k acl policy update -name=web -description="shop, too")" \
    "^Description: +shop, too$" "acl policy update"
like "$(k acl policy list)" "^web:$" "acl policy list"
WEB=22222222-2222-3333-4444-555555555555
ID=33333333-2222-3333-4444-555555555555
like "$(k acl token create -description=shop -policy-name=web -secret=$WEB -accessor=$ID)" \
    "^SecretID: +$WEB$" "acl token create"
like "$(k acl token create -role-name=x)" "use policies" "acl token create of a role"
like "$(k acl token read -id=3333)" "^Description: +shop$" "acl token read, by a part"
like "$(k acl token list)" "^AccessorID: +$ID$" "acl token list"
like "$(k acl token clone -id=$ID -description=two)" "^Description: +two$" "acl token clone"
like "$(k acl token update -id=$ID -description=more -merge-policies \
    -policy-name=global-management)" " - global-management$" "acl token update"
k acl token update -id=$ID -description=shop -policy-name=web >/dev/null

export CONSUL_HTTP_TOKEN=$WEB
like "$(k acl token read -self)" "^AccessorID: +$ID$" "acl token read -self"
may() { k kv put web/a 1 | grep -q Success; }
soon 10 "a token writes what it may" may
like "$(k kv put db/a 1)" "lacks permission 'key:write' on \"db/a\"" "and not what it may not"
is "$(k services register -name=web-1 -port=80)" "Registered service: web-1" \
    "services register"
like "$(k services register -name=db)" "lacks permission 'service:write' on \"db\"" \
    "services register of what is another's"
is "$(k kv get -keys)" web/ "kv get -keys shows its own"
is "$(k lock web/lock 'echo ran')" ran "lock"
like "$(k maint -enable)" "lacks permission 'node:write'" "maint"
listed() { [ "$(k catalog services)" = web-1 ]; }
soon 10 "catalog services: its own" listed
is "$(k watch -type=services | json 'list(d)')" '["web-1"]' "watch -type=services, too"

export CONSUL_HTTP_TOKEN=$ROOT_TOKEN
like "$(k acl token delete -id=$ID)" "deleted successfully" "acl token delete"
like "$(k acl policy delete -name=web)" "deleted successfully" "acl policy delete"
refused() { k catalog nodes -token=$WEB | grep -q "403 (ACL not found"; }
soon 10 "the token is gone" refused
done_testing
