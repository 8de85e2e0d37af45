# The store's members are the service "consul", for those who look for Consul's
# servers there: in the catalogue, in DNS and as the zone's name servers. One that
# does not answer, or is no member any more, leaves.
. "$(dirname "$0")/lib.sh"

cluster_names a b c
for m in a b c; do member_spawn "$m"; done
member_wait a b c
echo "{}" >"$SCRATCH/one.json"
agent_start one --store "$(endpoints a b c)" --config "$SCRATCH/one.json"

port() { cat "$SCRATCH/$1.port"; }

# srv_is SERVICE MEMBER...: its SRV targets are these nodes, each with its port.
srv_is() {
    local name=$1 wanted
    shift
    wanted=$(for m in "$@"; do
        echo "1 1 $(port "$m") $m.node.dc1.consul."
    done | LC_ALL=C sort)
    answers "$wanted" "$name.service.consul" SRV
}

services() { api /v1/catalog/services | json '" ".join(sorted(d))'; }
services_are() { [ "$(services)" = "$1" ]; }

soon 20 "the members are the service consul" srv_is consul a b c
is "$(ask consul.service.consul)" 127.0.0.1 "with their address"
is "$(services)" consul "in the list of services"
is "$(api '/v1/health/service/consul?passing' |
    json '" ".join(sorted(e["Node"]["Node"] for e in d))')" "a b c" \
    "passing in the health of services"
is "$(ask consul NS)" "a.node.dc1.consul.
b.node.dc1.consul.
c.node.dc1.consul." "and the name servers"
is "$(ask ns.consul)" "127.0.0.1" "whose addresses are those of ns.consul"

# --- one dies, and is removed

kill -KILL "$c_PID"
soon 30 "a member that is dead leaves DNS" srv_is consul a b
is "$(api /v1/health/checks/consul |
    json '" ".join(sorted(c["Node"] + ":" + c["Status"] for c in d))')" \
    "a:passing b:passing c:critical" "and is critical"
ctl_of a member remove "$(member_id_of a c)" >/dev/null
gone() { [ "$(api /v1/catalog/node/c)" = null ]; }
soon 30 "one that was removed is gone with its node" gone

# --- another name, and none

echo '{"dns_config": {"self_service": "servers"}}' >"$SCRATCH/one.json"
api /v1/agent/reload -X PUT
soon 20 "the service's name is the configuration's" services_are servers
soon 20 "in DNS, too" srv_is servers a b
echo '{"dns_config": {"self_service": ""}}' >"$SCRATCH/one.json"
api /v1/agent/reload -X PUT
soon 20 "without a name there is no such service" services_are ""
is "$(ask consul NS)" "one.node.dc1.consul." "and we are the name server"
done_testing
