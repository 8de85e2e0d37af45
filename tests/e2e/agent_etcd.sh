# Two agents find each other's services through Debian's etcd-server, and the
# same way through `muster store`.
. "$(dirname "$0")/lib.sh"

round() {
    local store=$1 url=$2
    agent_start "a-$store" --store "$url"
    local a_dns=$AGENT_DNS a_pid=$AGENT_PID
    agent_start "b-$store" --store "$url"
    web_start
    web_definition web "$WEB_PORT"
    AGENT_DNS=$a_dns
    soon 15 "$store: a knows b's service" \
        answers 127.0.0.1 web.service.consul
    like "$(ask web.service.consul SRV)" "b-$store.node.dc1.consul" \
        "$store: on node b"
    is "$(ask "a-$store.node.consul")" 127.0.0.1 "$store: a by its own name"
    like "$(etcdctl --endpoints "$url" get --prefix /muster/v1/ --keys-only)" \
        "/muster/v1/dc1/inst/web/b-$store/web" "$store: one key an instance"
    is "$(etcdctl --endpoints "$url" lease list | grep -c '^[0-9a-f]*$')" 2 \
        "$store: one lease a host"

    "$MUSTER" leave --socket "$AGENT_SOCKET"
    is $? 0 "$store: b leaves"
    wait_until 15 "b's service to go" answers "" web.service.consul
    wait_until 15 "agent b to end" sh -c "! kill -0 $AGENT_PID"
    is "$(etcdctl --endpoints "$url" get --prefix /muster/v1/ --keys-only |
        grep -c "b-$store")" 0 "$store: nothing of b is left"
    end "$a_pid"
}

etcd_start etcd
round etcd "$ETCD_URL"
store_start store
round muster "$STORE_URL"
done_testing
