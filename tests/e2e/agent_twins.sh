# Two agents have one node name, in whatever case: the second one waits and says
# so, and never disturbs the first. It takes over when the first has been gone for
# twice the time of its lease.
. "$(dirname "$0")/lib.sh"

NAME=web.service.muster.internal
store_start store
echo '{"lease_ttl": "5s", "round_trip_interval": "0s"}' >"$SCRATCH/short.json"
agent_start one --store "$STORE_URL" --config "$SCRATCH/short.json" --node Web1
one=$AGENT_PID
"$MUSTER" register --socket "$AGENT_SOCKET" --name web --port 80 \
    --address 10.9.9.1 >/dev/null
wait_until 15 "the first one's service" answers 10.9.9.1 $NAME
records() { # but for leases, which are renewed
    ctl get --prefix /muster/v1/dc1/ -w json |
        json '[(k["key"], k["mod_revision"]) for k in d["kvs"]]'
}
has_member() {
    [ -n "$(ctl get --prefix /muster/v1/dc1/inst/consul/ --keys-only)" ]
}
wait_until 20 "the janitor's record of the store's member" has_member
before=$(records)

agent_start two --store "$STORE_URL" --config "$SCRATCH/short.json" --node wEB1
"$MUSTER" register --socket "$AGENT_SOCKET" --name web --port 80 \
    --address 10.9.9.2 >/dev/null
stat_is() { # NAME VALUE
    [ "$(api /v1/agent/self | json "d['Stats']['muster']['$1']")" = "$2" ]
}
soon 10 "the second one says that its name is in use" stat_is \
    node_name_in_use true
first_id=$(ctl get /muster/v1/dc1/live/web1 --print-value-only | json 'd["node_id"]')
ok "and whose it is" stat_is node_name_owner "$first_id"
like "$(api /v1/metrics)" '^muster_node_name_in_use 1$' "so do metrics"
like "$("$MUSTER" nodes --socket "$AGENT_SOCKET" 2>&1)" \
    "\"wEB1\" is another agent \(node id $first_id\)" "and muster nodes"
like "$(cat "$SCRATCH/two.log")" 'in use by another agent.*--node' \
    "the log tells what to do"
# Longer than its lease, and than it would wait for a dead one.
undisturbed() {
    answers 10.9.9.1 $NAME && [ "$(records)" = "$before" ]
}
ok "the first one is not disturbed" stays 6 undisturbed
is "$(grep -c 'in use by another agent' "$SCRATCH/two.log")" 1 "it is said once"

# The first one dies.
gone() {
    [ -z "$(ctl get /muster/v1/dc1/live/web1 --keys-only)" ]
}
end "$one" KILL
wait_until 10 "the end of its lease" gone
begin=$(now_ms)
soon 20 "the second one takes over" answers 10.9.9.2 $NAME
took=$(($(now_ms) - begin))
echo "# $took ms after the end of the lease of 5 s"
ok "not before twice the lease" [ "$took" -ge 9000 ]
ok "its name is its own now" stat_is node_name_in_use false
like "$(cat "$SCRATCH/two.log")" 'node name "wEB1" is ours now' "the log says it"
is "$(ctl get --prefix /muster/v1/dc1/node/ --print-value-only |
    grep -io '"name":"web1"')" '"name":"wEB1"' \
    "one node record, the second one's"

# The first one is the second one now.
agent_start one --store "$STORE_URL" --config "$SCRATCH/short.json" --node Web1
soon 10 "who comes late waits" stat_is node_name_in_use true
is "$(ask $NAME)" 10.9.9.2 "and disturbs nobody"
done_testing
