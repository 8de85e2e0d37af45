# The store inside `agent --dev` is a whole one: etcd's client can use it, and a
# kill of the process loses nothing.
. "$(dirname "$0")/lib.sh"

agent_start one --dev --store-listen 127.0.0.1:0
STORE_URL=http://$AGENT_STORE
is "$(ctl put greeting hello)" OK "put"
is "$(ctl get greeting --print-value-only)" hello "get"
like "$(ctl endpoint status -w simple)" ', 0\.0.*|, 3\.' "endpoint status"
like "$(ctl member list)" ', one, ' "member list"
before=$(ctl get greeting -w json | json 'd["kvs"][0]["mod_revision"]')
end "$AGENT_PID" KILL
agent_start one --dev --store-listen "$AGENT_STORE"
STORE_URL=http://$AGENT_STORE
soon 10 "etcdctl after kill -9" ctl get greeting
is "$(ctl get greeting -w json | json 'd["kvs"][0]["mod_revision"]')" "$before" \
    "the value has its revision"
soon 15 "and the agent its store" sh -c "curl -s --unix-socket $AGENT_SOCKET -D - \
    http://local/v1/catalog/nodes | grep -qi 'KnownLeader: true'"

# Two of them cannot share a port, and one says so.
out=$(timeout 20 "$MUSTER" agent --dev --data-dir "$SCRATCH/other" \
    --socket off --http off --dns 127.0.0.1:0 --services "$SCRATCH/none" \
    --store-listen "$AGENT_STORE" 2>&1)
is "$?" 1 "a busy store port ends the start"
like "$out" "${AGENT_STORE##*:}.*(in use|busy)|store-listen" "and says what to do"
done_testing
