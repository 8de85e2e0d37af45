# A host starts without any network, and without its store: what the replica on
# its disk has is answered before anything else is tried. (How long that takes:
# tests/bench/agent/start.sh.)
. "$(dirname "$0")/lib.sh"
own_network

NAME=web.service.muster.internal
store_start store
echo '{"lease_ttl": "5s"}' >"$SCRATCH/short.json"
agent_start one --store "$STORE_URL" --config "$SCRATCH/short.json"
"$MUSTER" register --socket "$AGENT_SOCKET" --name web --port 80 \
    --address 10.9.9.1 >/dev/null
ctl put /muster/v1/dc1/node/ext '{"name":"ext","id":"id-ext",
    "address":"10.9.9.9","external":true}' >/dev/null
ctl put /muster/v1/dc1/inst/web/ext/1 '{"node":"ext","service":"web","id":"1",
    "address":"10.9.9.2","port":80,"owner":{"node":"catalog"}}' >/dev/null
BOTH=$(printf '10.9.9.1\n10.9.9.2')
wait_until 15 "both in DNS" answers "$BOTH" $NAME
agent_stop
end "$STORE_PID" KILL

# Nothing of 192.0.2.0/24 can be reached: there is but a loopback interface.
agent_start one --store http://192.0.2.1:2379,http://192.0.2.2:2379 \
    --config "$SCRATCH/short.json"
is "$(ask $NAME)" "$BOTH" "the first question is answered"
is "$(rcode other.service.muster.internal)" NXDOMAIN "so is one for no service"
is "$(api '/v1/health/service/web?passing' | json 'len(d)')" 2 "HTTP answers, too"
header() {
    api "$1" -D - -o /dev/null | tr -d '\r' | sed -n "s/^$2: //Ip"
}
is "$(header /v1/catalog/nodes X-Consul-KnownLeader)" false \
    "and says that no store is known"
is "$(api /v1/metrics | sed -n 's/^muster_store_lists_total //p')" 0 \
    "the store was not heard before that"
unlike "$(sed '1,/stopping/d' "$SCRATCH/one.log")" 'in contact with' \
    "nor since"
is "$("$MUSTER" register --socket "$AGENT_SOCKET" --name mail --port 25 \
    --address 10.9.9.3 >/dev/null && echo taken)" taken "a registration is taken"

# A host that has never known anything says so, and nothing wrong.
agent_start new --store http://192.0.2.1:2379
is "$(rcode $NAME)" SERVFAIL "a name that may exist is no NXDOMAIN"
is "$(api '/v1/health/service/web' -o /dev/null -w '%{http_code}')" 500 \
    "nor an empty list"
is "$(api /v1/agent/ready -o /dev/null -w '%{http_code}')" 503 "not ready"
"$MUSTER" register --socket "$AGENT_SOCKET" --name own --port 1 \
    --address 10.9.9.4 >/dev/null
soon 10 "its own services it knows" answers 10.9.9.4 own.service.muster.internal

# The store is there at last.
store_start store
agent_stop
agent_start new --store "$STORE_URL"
soon 15 "with the store, everything" answers "$BOTH" $NAME
done_testing
