# A host gets another name: the agent with the same data folder takes everything
# with it. Its services are never missing, and nothing lingers under the old name.
. "$(dirname "$0")/lib.sh"

NAME=web.service.muster.internal
store_start store
echo '{"lease_ttl": "5s"}' >"$SCRATCH/short.json"
agent_start watcher --store "$STORE_URL"
watcher=$AGENT_DNS
agent_start host --store "$STORE_URL" --config "$SCRATCH/short.json" --node old
"$MUSTER" register --socket "$AGENT_SOCKET" --name web --port 80 \
    --address 10.9.9.1 >/dev/null
api /v1/agent/check/register -X PUT \
    -d '{"Name": "beat", "CheckID": "beat", "ServiceID": "web", "TTL": "1h"}'
api /v1/agent/check/pass/beat -X PUT
AGENT_DNS=$watcher
wait_until 15 "the service on another host" answers 10.9.9.1 $NAME

keys() {
    ctl get --prefix /muster/v1/dc1/ --keys-only | sed -n 's,^/muster/v1/dc1/,,p' |
        grep -v watcher | grep -v -e '^lock/' -e '^coord/' -e /consul/ \
            -e '^node/store$' | sort | tr '\n' ' '
}
keys_are() {
    [ "$(keys)" = "$1" ]
}
wait_until 5 "its records" keys_are "inst/web/old/web live/old node/old "

# What a client on another host is told meanwhile.
spawn asker sh -c "while sleep 0.02; do
    dig +short +tries=1 -p $AGENT_DNS @127.0.0.1 $NAME; echo .; done"
asker=$PID
agent_stop
AGENT_DNS=$watcher
agent_start host --store "$STORE_URL" --config "$SCRATCH/short.json" --node new
soon 10 "stopped and started, everything is under the new name" keys_are \
    "inst/web/new/web live/new node/new "
is "$(api /v1/health/service/web | json \
    '[c["CheckID"] + " " + c["Status"] for c in d[0]["Checks"]]')" \
    '["serfHealth passing", "beat passing"]' "its checks are as they were"
like "$(cat "$SCRATCH/host.log")" 'this host was "old" before' "the log says it"

# Killed: the old name's lease has to end first, as its agent may live.
end "$AGENT_PID" KILL
agent_start host --store "$STORE_URL" --config "$SCRATCH/short.json" --node NEWER
soon 5 "killed and started, the new records are there" sh -c \
    "etcdctl --endpoints $STORE_URL get --prefix /muster/v1/dc1/inst/web/newer/ |
     grep -q 10.9.9.1"
like "$(cat "$SCRATCH/host.log")" 'node "new" has our node id' \
    "that it may be a copied folder is said"
soon 15 "the old ones go with the lease" keys_are \
    "inst/web/newer/web live/newer node/newer "

# Another spelling is the same host.
agent_stop
agent_start host --store "$STORE_URL" --config "$SCRATCH/short.json" --node Newer
spelled() {
    [ "$(ctl get /muster/v1/dc1/node/newer --print-value-only |
        json 'd["name"]')" = Newer ]
}
soon 10 "another spelling is written in its place" spelled
AGENT_DNS=$watcher
soon 5 "the service is answered" answers 10.9.9.1 $NAME
end "$asker"
echo "# asked $(grep -c '^\.' "$SCRATCH/asker.log") times"
is "$(tr '\n' ' ' <"$SCRATCH/asker.log" | grep -c '\. \.')" 0 \
    "a client was answered at all times"
done_testing
