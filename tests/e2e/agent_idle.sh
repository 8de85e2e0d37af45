# Where nothing happens nobody is woken: not the polls that wait, as Prometheus'
# do, and not the DNS threads. contrib/dev/soak looks on for three minutes.
. "$(dirname "$0")/lib.sh"

IDLE=${IDLE_SECONDS:-8} # Longer than it takes to renew a lease.
store_start store
echo '{"round_trip_interval": "0s"}' >"$SCRATCH/quiet.json"
agent_start two --store "$STORE_URL" --config "$SCRATCH/quiet.json"
agent_start one --store "$STORE_URL" --config "$SCRATCH/quiet.json"
register() {
    "$MUSTER" register --socket "$AGENT_SOCKET" --name "$1" --port 80 \
        --address 10.9.9.1 >/dev/null
}
register app
api /v1/agent/check/register -X PUT -d '{"Name": "beat", "CheckID": "beat",
    "ServiceID": "app", "TTL": "1h", "Status": "passing"}'
metric() {
    api /v1/metrics | sed -n "s/^$1 //p"
}
# The janitor comes after the start, and what it registers: the store's member.
settled() {
    answers 10.9.9.1 app.service.consul && [ "$(metric muster_in_sync)" = 1 ] &&
        [ "$(metric muster_catalog_nodes)" = 3 ] &&
        api /v1/agent/self | grep -q '"janitor":"[a-z]'
}
wait_until 30 "all that comes by itself" settled

index_of() {
    api "$1" -m "$((IDLE + 60))" -D - -o /dev/null | tr -d '\r' | sed -n 's/^X-Consul-Index: //Ip'
}
polls=""
for path in catalog/services catalog/nodes catalog/service/app health/service/app \
    health/state/any health/service/none catalog/node/one; do
    index=$(index_of "/v1/$path")
    index_of "/v1/$path?index=$index&wait=${IDLE}s" \
        >"$SCRATCH/poll-${path//\//-}-$index" &
    polls="$polls $!"
done
# shellcheck disable=SC2317 # called by wait_until
waiting() {
    [ "$(metric muster_http_waiting)" = 7 ]
}
wait_until 20 "the polls" waiting
slept() { # THREAD: how often its threads have gone to sleep
    local task sum=0
    for task in /proc/"$AGENT_PID"/task/*; do
        if [ "$(cat "$task/comm")" = "$1" ]; then
            sum=$((sum + $(sed -n 's/^voluntary_ctxt_switches:\t//p' \
                "$task/status")))
        fi
    done
    echo "$sum"
}
dns=$(slept muster-dns)
loop=$(slept muster)
begin=$(now_ms)
# shellcheck disable=SC2086 # pids
wait $polls
took=$(($(now_ms) - begin))
is "$(slept muster-dns)" "$dns" "the DNS threads slept on"
echo "# the agent's loop woke $(($(slept muster) - loop)) times in $took ms"
for answer in "$SCRATCH"/poll-*; do
    is "$(cat "$answer")" "${answer##*-}" \
        "a poll ends with its time, with the index it had: $(basename "$answer")"
done
is "$(metric muster_http_wakeups_total)" 7 "each was looked at once, at its end"
done_testing
