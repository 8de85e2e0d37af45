# One agent answers for other datacenters, too: one with a store of its own, and
# one that shares ours. Each is as old as its own replica.
. "$(dirname "$0")/lib.sh"

store_start east
EAST=$STORE_URL EAST_PID=$STORE_PID
store_start west
WEST=$STORE_URL

# far, in dc2, whose store is "east"; near3, in dc3, and here, in dc1, share
# "west".
agent_start far --store "$EAST" --datacenter dc2
FAR_SOCKET=$AGENT_SOCKET FAR_PID=$AGENT_PID
agent_start near3 --store "$WEST" --datacenter dc3
NEAR3_SOCKET=$AGENT_SOCKET
cat >"$SCRATCH/here.json" <<JSON
{"datacenter": "dc1", "store": ["$WEST"],
 "dns_config": {"stale_mark": "1s", "service_ttl": {"*": "5s"}},
 "remote_datacenters": {"dc2": {"store": ["$EAST"]}, "dc3": {}}}
JSON
here() {
    agent_start here --config "$SCRATCH/here.json"
    HERE_PID=$AGENT_PID
}
here

at() { # SOCKET PATH [CURL FLAG...]
    local AGENT_SOCKET=$1
    shift
    api "$@"
}
register() { # SOCKET NAME ADDRESS PORT
    at "$1" /v1/agent/service/register -X PUT -d '{"Name": "'"$2"'",
        "Address": "'"$3"'", "Port": '"$4"', "Tags": ["v1"],
        "TaggedAddresses": {"wan": {"Address": "192.0.2.9", "Port": 9999}}}'
}
register "$FAR_SOCKET" web 10.2.0.1 82
register "$NEAR3_SOCKET" web 10.3.0.1 83
register "$AGENT_SOCKET" web 10.1.0.1 81

# --- reads -------------------------------------------------------------------
wait_until 15 "dc1" answers 10.1.0.1 web.service.consul
soon 15 "a name of another datacenter" answers 10.2.0.1 web.service.dc2.consul
soon 15 "one that shares our store" answers 10.3.0.1 web.service.dc3.consul
is "$(ask web.service.dc2.dc.muster.internal)" 10.2.0.1 "the explicit form"
is "$(ask v1.web.service.dc2.consul)" 10.2.0.1 "by tag"
is "$(ask _web._tcp.service.dc2.consul SRV)" \
    "1 1 82 0a020001.addr.dc2.consul." "SRV, with a target there"
is "$(ask far.node.dc2.consul)" 127.0.0.1 "a node there"
is "$(ask web.service.dc1.consul)" 10.1.0.1 "our own by its label"
is "$(rcode far.node.consul) $(rcode web.service.dc4.consul) \
$(rcode service.dc2.consul)" "NXDOMAIN NXDOMAIN NOERROR" \
    "what is not here, what is nowhere, what only names lie below"

is "$(api '/v1/health/service/web?passing&dc=dc2' |
    json '[(e["Node"]["Datacenter"], e["Service"]["Port"]) for e in d]')" \
    '[["dc2", 82]]' "health of dc2"
is "$(api '/v1/catalog/nodes?dc=dc3' | json \
    '[n["Node"] for n in d if "store-member" not in n["Meta"]]')" \
    '["near3"]' "nodes of dc3"
placed() {
    api '/v1/coordinate/nodes?dc=dc2' | grep -q '"Node":"far"'
}
soon 20 "where the nodes of dc2 stand, as they have measured" placed
is "$(api '/v1/catalog/nodes?dc=dc4')" "No path to datacenter" "nowhere"
is "$(api /v1/catalog/datacenters | json 'd[0], sorted(d)')" \
    '["dc1", ["dc1", "dc2", "dc3"]]' "the list of them, ours first"
is "$(api '/v1/agent/self?dc=dc2' | json 'd["Config"]["Datacenter"]')" dc1 \
    "an agent is in one"
is "$(api '/v1/explain/web?dc=dc2' | json 'd["Instances"][0]["DNS"]["In"]')" \
    true "explain asks DNS there"

is "$(api '/v1/explain/dns?name=web.service.dc2.consul&type=A' |
    json '[i["Node"] for i in d["Instances"] if i["DNS"]["In"]]')" '["far"]' \
    "and a name where it lies"

# --- polls and streams --------------------------------------------------------
header() { # PATH NAME
    api "$1" -D - -o /dev/null | tr -d '\r' | sed -n "s/^$2: //Ip"
}
POLL='/v1/health/service/web?dc=dc2'
index=$(header "$POLL" X-Consul-Index)
api "$POLL&index=$index&wait=10m" >"$SCRATCH/poll" &
POLLER=$!
(exec curl -sSN --max-time 60 --unix-socket "$AGENT_SOCKET" \
    'http://local/v1/stream?service=web&dc=dc2') >"$SCRATCH/stream" &
STREAMER=$!
PIDS="$PIDS $STREAMER"
wait_until 10 "the stream's beginning" grep -q 10.2.0.1 "$SCRATCH/stream"
polls() {
    api /v1/metrics | grep -q '^muster_http_waiting 1$'
}
wait_until 10 "the poll to be parked" polls
register "$AGENT_SOCKET" web 10.1.0.7 81
wait_until 10 "a change in dc1" answers 10.1.0.7 web.service.consul
ok "a change of the same name here wakes nobody there" kill -0 "$POLLER"
register "$FAR_SOCKET" web 10.2.0.7 82
wait "$POLLER"
is "$(json 'd[0]["Service"]["Address"]' <"$SCRATCH/poll")" 10.2.0.7 \
    "a change there wakes the poll"
soon 10 "the stream tells of it" grep -q 10.2.0.7 "$SCRATCH/stream"
soon 10 "and DNS" answers 10.2.0.7 web.service.dc2.consul
kill "$STREAMER"

# --- keys ----------------------------------------------------------------------
is "$(api '/v1/kv/greeting?dc=dc2' -X PUT -d hi)" true "a key is put there"
is "$(at "$FAR_SOCKET" '/v1/kv/greeting?raw')" hi "and read there"
is "$(api '/v1/kv/greeting?raw&dc=dc2')" hi "and from here"
is "$(api /v1/kv/greeting -o /dev/null -w '%{http_code}')" 404 "it is not here"
index=$(header '/v1/kv/greeting?dc=dc2' X-Consul-Index)
api "/v1/kv/greeting?dc=dc2&raw&index=$index&wait=10m" >"$SCRATCH/key" &
POLLER=$!
wait_until 10 "the poll of a key to be parked" polls
at "$FAR_SOCKET" /v1/kv/greeting -X PUT -d hello >/dev/null
wait "$POLLER"
is "$(cat "$SCRATCH/key")" hello "a poll of a key hears of a change there"
is "$(api '/v1/health/service/web?dc=dc2&consistent' | json 'len(d)')" 1 \
    "a consistent read asks that store"
is "$(api '/v1/kv/greeting?dc=dc3' -X PUT -d hallo)" true "one in our own store"
is "$(at "$NEAR3_SOCKET" '/v1/kv/greeting?raw')" hallo "is theirs, too"
api '/v1/catalog/register' -X PUT -o /dev/null -d '{"Datacenter": "dc2",
    "Node": "printer", "Address": "10.2.0.50"}'
soon 10 "a host is registered there" answers 10.2.0.50 printer.node.dc2.consul
is "$("$PYTHON" - "${AGENT_HTTP#*:}" <<'PY'
import consul, sys
c = consul.Consul(port=int(sys.argv[1]))
_, nodes = c.health.service("web", dc="dc2", passing=True)
_, entry = c.kv.get("greeting", dc="dc2")
print([n["Service"]["Address"] for n in nodes], entry["Value"].decode(),
      sorted(c.catalog.datacenters()))
PY
)" "['10.2.0.7'] hello ['dc1', 'dc2', 'dc3']" "python3-consul with dc="

ln -s "$MUSTER" "$SCRATCH/consul"
is "$("$SCRATCH/consul" kv get -http-addr="$AGENT_HTTP" -datacenter=dc2 \
    greeting) $("$MUSTER" kv get --socket "$AGENT_SOCKET" --dc dc3 greeting)" \
    "hello hallo" "the commands' -datacenter"
like "$("$MUSTER" services --socket "$AGENT_SOCKET" --dc dc2 web)" \
    '10\.2\.0\.7' "muster services --dc"

# --- addresses for others --------------------------------------------------------
sed -i 's/"datacenter"/"translate_wan_addrs": true, &/' "$SCRATCH/here.json"
api /v1/agent/reload -X PUT
soon 10 "the address that is meant for us" \
    answers 192.0.2.9 web.service.dc2.consul
is "$(ask web.service.dc2.consul SRV) $(ask web.service.consul)" \
    "1 1 9999 c0000209.addr.dc2.consul. 10.1.0.7" "with its port; ours are ours"
is "$(api '/v1/health/service/web?dc=dc2' |
    json 'd[0]["Service"]["Address"], d[0]["Service"]["Port"]')" \
    '["192.0.2.9", 9999]' "HTTP has it as well"
sed -i 's/"translate_wan_addrs": true, //' "$SCRATCH/here.json"
api /v1/agent/reload -X PUT
wait_until 10 "the address again" answers 10.2.0.7 web.service.dc2.consul

# --- a store is gone ---------------------------------------------------------------
end "$EAST_PID" KILL
leaderless() {
    [ "$(header "$POLL" X-Consul-KnownLeader)" = false ]
}
soon 20 "HTTP says that its store is away" leaderless
stale() { # NAME
    dig +time=3 +tries=1 -p "$AGENT_DNS" @127.0.0.1 "$1" A | grep -q 'EDE: 3'
}
soon 10 "so does DNS, in its names" stale web.service.dc2.consul
ok "and not in others" sh -c '! dig +time=3 -p "$0" @127.0.0.1 \
    web.service.consul A | grep EDE' "$AGENT_DNS"
is "$(ask web.service.dc2.consul)" 10.2.0.7 "it is answered all the same"
is "$(header "$POLL" X-Consul-LastContact | grep -c '^0$')" 0 "with its age"
is "$(header /v1/catalog/services X-Consul-KnownLeader)" true "ours is there"
is "$(api '/v1/kv/greeting?dc=dc2')" "No cluster leader" "keys need a store"
is "$(api /v1/metrics | grep '^muster_datacenter_current')" \
    'muster_datacenter_current{dc="dc2"} 0
muster_datacenter_current{dc="dc3"} 1' "metrics say so"

end "$HERE_PID" TERM
here
is "$(ask web.service.dc2.consul) $(ask web.service.dc3.consul)" \
    "10.2.0.7 10.3.0.1" "after a restart it is answered from the replica"
ok "as old" leaderless
store_start east
soon 30 "the store is back, and is followed again" sh -c \
    'curl -sS --unix-socket "$0" -D - -o /dev/null "http://local$1" |
        grep -qi "KnownLeader: true"' "$AGENT_SOCKET" "$POLL"
register "$FAR_SOCKET" web 10.2.0.8 82
soon 20 "with its changes" answers 10.2.0.8 web.service.dc2.consul

# --- a store is emptied ------------------------------------------------------------------
end "$FAR_PID" KILL
etcdctl --endpoints "$EAST" del --prefix /muster/v1/dc2/ >/dev/null
soon 10 "that store has lost all it had, and nobody believes it" \
    grep -q 'guard of dc2: the store has lost' "$SCRATCH/here.log"
is "$(ask web.service.dc2.consul) $(ask web.service.consul)" \
    "10.2.0.8 10.1.0.7" "its names go on being answered"

# --- what is wrong is said -------------------------------------------------------------
sed 's/"dc3": {}/"dc3": {}, "dc1": {}/' "$SCRATCH/here.json" >"$SCRATCH/bad.json"
like "$("$MUSTER" agent --config "$SCRATCH/bad.json" 2>&1)" \
    'remote_datacenters: "dc1" is our own datacenter' "our own among the others"
sed -i 's/, "dc3": {}//' "$SCRATCH/here.json"
api /v1/agent/reload -X PUT
like "$(cat "$SCRATCH/here.log")" \
    'remote_datacenters cannot change while running' "another list needs a restart"
done_testing
