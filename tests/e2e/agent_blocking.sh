# Blocking queries wake for their own service, not for others, and never show
# index 0.
. "$(dirname "$0")/lib.sh"

agent_start one --dev --store-listen 127.0.0.1:0

index_of() {
    api "$1" -D - -o /dev/null | tr -d '\r' | sed -n 's/^X-Consul-Index: //Ip'
}
register() {
    api /v1/agent/service/register -X PUT \
        -d "{\"Name\": \"$1\", \"Port\": $2, \"Address\": \"10.0.0.1\"}"
}
register a 1
wait_until 10 "a" sh -c "curl -s --unix-socket $AGENT_SOCKET \
    http://local/v1/catalog/service/a | grep -q 10.0.0.1"
index=$(index_of /v1/health/service/a)
ok "the index is positive" [ "$index" -ge 1 ]
ok "also of a service that nobody has" \
    [ "$(index_of /v1/health/service/none)" -ge 1 ]

# Nothing happens: the poll lasts its time and brings the same index.
begin=$(now_ms)
again=$(index_of "/v1/health/service/a?index=$index&wait=1s")
took=$(($(now_ms) - begin))
is "$again" "$index" "same index after a wait in vain"
ok "which lasted 1 s and at most a sixteenth more ($took ms)" \
    [ "$took" -ge 1000 -a "$took" -lt 2000 ]

# Another service changes: this poll sleeps on.
spawn poll curl -sS --unix-socket "$AGENT_SOCKET" -D "$SCRATCH/poll.head" \
    -o "$SCRATCH/poll.body" \
    "http://local/v1/health/service/a?index=$index&wait=60s"
poll=$PID
none=$(index_of /v1/health/service/none)
spawn poll2 curl -sS --unix-socket "$AGENT_SOCKET" -o "$SCRATCH/poll2.body" \
    "http://local/v1/health/service/none?index=$none&wait=60s"
poll2=$PID
register b 2
wait_until 10 "b in DNS" answers 10.0.0.1 b.service.consul
ok "a change of another service wakes nobody" stays 1 kill -0 "$poll"
ok "nor the poll on a missing service" kill -0 "$poll2"

begin=$(now_ms)
register a 3
wait_until 5 "the poll to wake" sh -c "! kill -0 $poll"
echo "# woke after $(($(now_ms) - begin)) ms"
is "$(json 'd[0]["Service"]["Port"]' <"$SCRATCH/poll.body")" 3 \
    "its own change wakes it with the new content"
like "$(cat "$SCRATCH/poll.head")" '^X-Consul-LastContact: 0' \
    "with the headers that clients read"

is "$(api '/v1/health/service/a?index=x' -o /dev/null -w '%{http_code}')" 400 \
    "a bad index is refused"
is "$(api '/v1/health/service/a?wait=x&index=1' -o /dev/null \
    -w '%{http_code}')" 400 "a bad wait is refused"
is "$(api "/v1/catalog/services?index=99999999&wait=30s" -o /dev/null \
    -w '%{http_code}')" 200 "an index from the future is answered at once"
done_testing
