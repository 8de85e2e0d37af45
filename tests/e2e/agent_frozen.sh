# A host that is frozen for longer than its lease is out of other hosts' answers;
# when it thaws, its own TTL checks have expired, and then it is back.
. "$(dirname "$0")/lib.sh"

NAME=web.service.muster.internal
store_start store
echo '{"lease_ttl": "5s"}' >"$SCRATCH/short.json"
agent_start two --store "$STORE_URL" --config "$SCRATCH/short.json"
two=$AGENT_PID
frozen=$AGENT_SOCKET
"$MUSTER" register --socket "$frozen" --name web --port 80 \
    --address 10.9.9.2 >/dev/null
api /v1/agent/check/register -X PUT \
    -d '{"Name": "beat", "CheckID": "beat", "ServiceID": "web", "TTL": "4s"}'
agent_start one --store "$STORE_URL" --config "$SCRATCH/short.json"
one=$AGENT_SOCKET

beat() {
    AGENT_SOCKET=$frozen api /v1/agent/check/pass/beat -X PUT
}
beat_is() {
    AGENT_SOCKET=$frozen api /v1/agent/checks |
        json 'd["beat"]["Status"]' | grep -q "$1"
}
beat
wait_until 15 "the service in DNS" answers 10.9.9.2 $NAME
kill -STOP "$two"
begin=$(now_ms)
soon 20 "a host that is frozen is out of DNS" answers '' $NAME
echo "# after $(($(now_ms) - begin)) ms (lease: 5 s)"
kill -CONT "$two"
soon 5 "its TTL check has expired when it thaws" beat_is critical
beat
soon 15 "it is back when its check passes" answers 10.9.9.2 $NAME
done_testing
