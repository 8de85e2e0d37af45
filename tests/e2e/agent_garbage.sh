# The store holds what no agent would write: an agent mends what is its own, goes on
# registering and answering, and says of the rest which key it is.
. "$(dirname "$0")/lib.sh"

store_start store
agent_start one --store "$STORE_URL"
register() {
    api /v1/agent/service/register -X PUT -d "{\"Name\": \"$1\", \"Port\": 80}"
}
listed() { # SERVICE
    api "/v1/catalog/service/$1" | grep -q '"ServiceID"'
}
register web
wait_until 10 "web in the catalogue" listed web

# Somebody restores half a backup, or a program of another version writes.
put() { # KEY, below the datacenter
    printf '%s' "${2:-not a record}" | ctl put "/muster/v1/dc1/$1" >/dev/null
}
for key in inst/web/one/web node/one live/one inst/a/b/c/d node/%zz "inst/x/one/" \
    coord/one query/q session/s acl/token/t acl/policy/p; do
    put "$key"
done
put node/two "$(printf '{"name":"two","address":"10.0.0.2","meta":%0*d' 100000 0)"
put node/three '{"name":"other","address":"not an address"}'
register db
soon 10 "another service can be registered" listed db
mended() {
    ctl get "/muster/v1/dc1/$1" --print-value-only | grep -q '^{"'
}
for key in inst/web/one/web node/one live/one; do
    soon 20 "$key is mended" mended "$key"
done
soon 10 "it is in sync" sh -c "curl -sS --unix-socket '$AGENT_SOCKET' \
    http://local/v1/metrics | grep -qx 'muster_in_sync 1'"
is "$(dig +short -p "$AGENT_DNS" @127.0.0.1 web.service.consul)" 127.0.0.1 \
    "DNS has the service"

# What is nobody's is left as it is, and named.
like "$(api /v1/catalog/register -X PUT -d '{"Node": "two", "Address": "10.0.0.2"}')" \
    "log names the key" "who writes over garbage is told what to do"
like "$(cat "$SCRATCH/one.log" "$SCRATCH"/one/*.log 2>/dev/null)" \
    "node/two: .*left out" "and the log names the key"
done_testing
