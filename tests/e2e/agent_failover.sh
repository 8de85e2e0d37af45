# An agent is given several stores: when the first is gone it uses the next.
. "$(dirname "$0")/lib.sh"

# Two addresses of one etcd stand for two members of a cluster.
a=$(free_port)
b=$(free_port)
peer=$(free_port)
run_etcd() {
    spawn etcd etcd --name m --data-dir "$SCRATCH/m.etcd" \
        --listen-client-urls "$1" --advertise-client-urls "$1" \
        --listen-peer-urls "http://127.0.0.1:$peer" \
        --initial-advertise-peer-urls "http://127.0.0.1:$peer" \
        --initial-cluster "m=http://127.0.0.1:$peer"
    ETCD_PID=$PID
    wait_until 30 "etcd" curl -fsS --max-time 2 "$1/health"
}
run_etcd "http://127.0.0.1:$a"
agent_start one --store "http://127.0.0.1:$a,http://127.0.0.1:$b"
web_start
web_definition web "$WEB_PORT"
wait_until 15 "the service in DNS" answers 127.0.0.1 web.service.consul

end "$ETCD_PID"
run_etcd "http://127.0.0.1:$b"
connected() {
    api /v1/catalog/services -D - -o /dev/null | grep -qi 'KnownLeader: true'
}
wait_until 30 "the second endpoint to be used" connected
web_definition late "$WEB_PORT"
soon 15 "registrations go to the second endpoint" answers 127.0.0.1 late.service.consul
like "$(etcdctl --endpoints "http://127.0.0.1:$b" get --prefix /muster/v1 \
    --keys-only)" /inst/late/ "and are there"
done_testing
