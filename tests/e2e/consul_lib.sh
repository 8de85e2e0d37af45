# consul_lib.sh - for the tests of Consul 1.8's own command and agent ($CONSUL) beside
# ours: lib.sh, and how to ask both the same.

# shellcheck shell=bash
. "$(dirname "$0")/lib.sh"
: "${CONSUL:?the path of a consul command}"
unset CONSUL_HTTP_ADDR CONSUL_HTTP_TOKEN CONSUL_HTTP_SSL CONSUL_NAMESPACE || :

# beside_consul FLAG...: a real Consul and our agent (started with these), whose nodes
# are both called "one".
beside_consul() {
    consul_start real -node one -log-level err
    agent_start one --dev --store-listen 127.0.0.1:0 "$@"
    wait_until 20 "the store in the catalogue" \
        eval 'api /v1/health/service/consul?passing | grep -q one'
}

# The command against our agent, and against the real one. -http-addr wins.
c() { CONSUL_HTTP_ADDR=$AGENT_HTTP "$CONSUL" "$@" 2>&1; }
r() { CONSUL_HTTP_ADDR=$CONSUL_HTTP "$CONSUL" "$@" 2>&1; }

# What may differ: ids, indexes, a check's words; a map without entries; and the
# node's meta of a Consul, which has the name of its segment, "".
_normal() {
    sed -zE -e 's/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/UUID/g' \
        -e 's/(\n|^)(one +)[0-9a-f]{8} /\1\2SHORT /g' \
        -e 's/((Create|Modify)Index *|(Create|Modify)Index": |LTime": )[0-9]+/\1N/g' \
        -e 's/"Output": "[^\n]*"/"Output": "..."/g' \
        -e 's/"Meta": null/"Meta": {}/g' \
        -e 's/\{\s*"consul-network-segment": ""\s*\}/{}/g'
}

# _print FILE PROGRAM ARG...: what c or r prints with these arguments, and the exit code.
_print() {
    local file=$1
    shift
    "$@" </dev/null >"$file.raw"
    echo "ends with $?" >>"$file.raw"
    _normal <"$file.raw" >"$file"
}

# Both at a time: such a command takes a while to start.
_print_both() {
    _print "$SCRATCH/wanted" r "$@" &
    _print "$SCRATCH/got" c "$@"
    wait $!
}

_same() {
    _print_both "$@"
    cmp -s "$SCRATCH/wanted" "$SCRATCH/got"
}

# both WHAT ARG...: the command with these arguments prints the same and ends with the
# same code against either agent.
both() {
    local what=$1
    shift
    _print_both "$@"
    is "$(cat "$SCRATCH/got")" "$(cat "$SCRATCH/wanted")" "$what"
}

# same_soon WHAT ARG...: the same, when what was changed has arrived.
same_soon() {
    local what=$1 until
    shift
    until=$(($(now_ms) + 20000))
    until _same "$@" || [ "$(now_ms)" -ge "$until" ]; do
        sleep 0.05
    done
    both "$what" "$@"
}
