# A prepared query whose service has nobody here finds those of another
# datacenter, over HTTP and DNS, both ways; and ours again when they are back.
. "$(dirname "$0")/lib.sh"

store_start east
EAST=$STORE_URL EAST_PID=$STORE_PID
store_start west
WEST=$STORE_URL

config() { # NAME DATACENTER STORE OTHER STORE
    cat >"$SCRATCH/$1.json" <<JSON
{"datacenter": "$2", "store": ["$3"],
 "remote_datacenters": {"$4": {"store": ["$5"]}}}
JSON
}
config one dc1 "$WEST" dc2 "$EAST"
config two dc2 "$EAST" dc1 "$WEST"
agent_start two --config "$SCRATCH/two.json"
TWO_SOCKET=$AGENT_SOCKET TWO_DNS=$AGENT_DNS
agent_start one --config "$SCRATCH/one.json"
ONE_SOCKET=$AGENT_SOCKET ONE_DNS=$AGENT_DNS

at_one() { AGENT_SOCKET=$ONE_SOCKET AGENT_DNS=$ONE_DNS; }
at_two() { AGENT_SOCKET=$TWO_SOCKET AGENT_DNS=$TWO_DNS; }
register() { # ID ADDRESS
    api /v1/agent/service/register -X PUT -d '{"Name": "web", "ID": "'"$1"'",
        "Address": "'"$2"'", "Port": 80, "Meta": {"team": "pay"},
        "Check": {"TTL": "1h", "Status": "passing"}}'
}
make() { # NAME FAILOVER [MORE]
    api /v1/query -X POST -d '{"Name": "'"$1"'", "Service": {"Service": "web",
        "Failover": '"$2${3:-}"'}}' | json 'd["ID"]' >/dev/null
}
found() { # NAME: ids, datacenter, how many others were tried
    api "/v1/query/$1/execute" | json '[" ".join(sorted(n["Service"]["ID"]
        for n in d["Nodes"])), d["Datacenter"], d["Failovers"]]'
}
finds() { # WANTED NAME
    [ "$(found "$2")" = "$1" ]
}

register w1 10.1.0.1
make front '{"Datacenters": ["nowhere", "dc2"]}'
make near '{"NearestN": 1}'
make alone '{}'
make meta '{"NearestN": 1}' ', "ServiceMeta": {"team": "pay"}'
at_two
register w2 10.2.0.1
make back '{"Datacenters": ["dc1"]}'

at_one
soon 15 "its own come first" finds '["w1", "dc1", 0]' front
soon 15 "over DNS, too" answers 10.1.0.1 front.query.consul
api /v1/agent/check/fail/service:w1 -X PUT
soon 15 "without them those of dc2" finds '["w2", "dc2", 1]' front
soon 15 "over DNS, too" answers 10.2.0.1 front.query.consul
is "$(ask front.query.consul SRV)" "1 1 80 0a020001.addr.dc2.consul." \
    "with targets that lie there"
is "$(ask near.query.consul)" 10.2.0.1 "the nearest datacenter"
is "$(ask meta.query.consul)" 10.2.0.1 "meta data is known of there"
is "$(found alone)" '["", "dc1", 0]' "a query that fails over to nobody has none"
is "$(rcode alone.query.consul)" NXDOMAIN "nor in DNS"

at_two
soon 15 "dc2 has its own" finds '["w2", "dc2", 0]' back
api /v1/agent/check/fail/service:w2 -X PUT
soon 15 "both are without" finds '["", "dc1", 1]' back
at_one
api /v1/agent/check/pass/service:w1 -X PUT
at_two
soon 15 "the other way round" finds '["w1", "dc1", 1]' back
soon 15 "over DNS, too" answers 10.1.0.1 back.query.consul

at_one
soon 15 "ours count again" finds '["w1", "dc1", 0]' front
soon 15 "in DNS, too" answers 10.1.0.1 front.query.consul
is "$(api '/v1/query/back/execute?dc=dc2' | json '[d["Datacenter"], d["Failovers"]]')" \
    '["dc1", 1]' "a query of dc2, asked for here, comes home"
soon 15 "by its name in DNS" answers 10.1.0.1 back.query.dc2.consul

at_two
api /v1/agent/check/pass/service:w2 -X PUT
soon 15 "dc2 has its own again" finds '["w2", "dc2", 0]' back
end "$EAST_PID" KILL
at_one
api /v1/agent/check/fail/service:w1 -X PUT
soon 15 "dc2's store is gone, its replica is not" finds '["w2", "dc2", 1]' front
soon 15 "over DNS, too" answers 10.2.0.1 front.query.consul
done_testing
