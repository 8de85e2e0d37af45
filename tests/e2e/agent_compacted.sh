# The store has forgotten what the agent missed: the agent goes on answering from
# its replica, reads everything once, and knows what is gone.
. "$(dirname "$0")/lib.sh"

store_start store
web() { # NAME ADDRESS
    ctl put "/muster/v1/dc1/inst/$1/ext/1" "{\"node\":\"ext\",\"service\":\"$1\",
        \"id\":\"1\",\"address\":\"$2\",\"port\":80,
        \"owner\":{\"node\":\"catalog\"}}" >/dev/null
}
ctl put /muster/v1/dc1/node/ext '{"name":"ext","id":"id-ext",
    "address":"10.9.9.9","external":true}' >/dev/null
web stays 10.9.9.1
web goes 10.9.9.2
agent_start one --store "$STORE_URL"
wait_until 15 "the services" answers 10.9.9.2 goes.service.muster.internal

end "$AGENT_PID" KILL
ctl del --prefix /muster/v1/dc1/inst/goes/ >/dev/null
web comes 10.9.9.3
revision=$(ctl endpoint status -w json | json 'd[0]["Status"]["header"]["revision"]')
ctl compact "$revision" >/dev/null
begin=$(now_ms)
agent_start one --store "$STORE_URL"
is "$(ask stays.service.muster.internal)" 10.9.9.1 "the replica answers at once"
echo "# start to answer: $(($(now_ms) - begin)) ms"
soon 15 "what came meanwhile is known" answers 10.9.9.3 \
    comes.service.muster.internal
is "$(rcode goes.service.muster.internal)" NXDOMAIN "and what went"
like "$(cat "$SCRATCH/one.log")" 'compacted, reading the whole' "the log says why"
unlike "$(cat "$SCRATCH/one.log")" 'guard:' "a guard has nothing to do with it"
done_testing
