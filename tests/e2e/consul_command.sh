# The consul command of an old installation works against our agent: Consul 1.8.7's
# own, and where the outputs ought to be equal, against a real Consul beside it.
. "$(dirname "$0")/lib.sh"
: "${CONSUL:?the path of a consul command}"

consul_start real
agent_start one --dev --store-listen 127.0.0.1:0
wait_until 20 "the node in the catalogue" eval 'api /v1/catalog/nodes | grep -q one'
c() { CONSUL_HTTP_ADDR=$AGENT_HTTP "$CONSUL" "$@" 2>&1; }
r() { CONSUL_HTTP_ADDR=$CONSUL_HTTP "$CONSUL" "$@" 2>&1; }

# both WHAT ARG...: consul with these arguments prints the same and ends with the
# same code against either agent.
both() {
    local what=$1 wanted got
    shift
    wanted=$(
        r "$@"
        echo "ends with $?"
    )
    got=$(
        c "$@"
        echo "ends with $?"
    )
    is "$got" "$wanted" "$what"
}

both "kv put" kv put app/host 10.0.0.1
both "kv get" kv get app/host
both "catalog datacenters" catalog datacenters
like "$(c members)" "^one +127.0.0.1:[0-9]+ +alive" "members"
done_testing
