# An agent that leaves: its services are critical for a while, so that nobody new
# comes, and then everything of it is gone at once.
. "$(dirname "$0")/lib.sh"

NAME=web.service.muster.internal
store_start store
agent_start two --store "$STORE_URL"
two=$AGENT_DNS
two_socket=$AGENT_SOCKET
agent_start one --store "$STORE_URL"
one_socket=$AGENT_SOCKET
"$MUSTER" register --socket "$one_socket" --name web --port 80 \
    --address 10.9.9.1 >/dev/null
AGENT_DNS=$two
AGENT_SOCKET=$two_socket
wait_until 15 "the service on the other host" answers 10.9.9.1 $NAME
spawn watch etcdctl --endpoints "$STORE_URL" watch --prefix /muster/v1/dc1/

"$MUSTER" leave --socket "$one_socket"
soon 10 "who leaves is out of DNS" answers '' $NAME
wait_until 15 "the agent to end" sh -c "! kill -0 $AGENT_PID"
is "$(ctl get --prefix /muster/v1/dc1/ --keys-only | grep -c '/one')" 0 \
    "then nothing of it is left"
is "$(grep -A1 -E '^(PUT|DELETE)$' "$SCRATCH/watch.log" | paste -s -d ' ' |
    grep -oE '(PUT|DELETE) [^ ]*ncheck[^ ]*|DELETE [^ ]*inst[^ ]*' |
    head -n 2 | tr '\n' ' ')" \
    "PUT /muster/v1/dc1/ncheck/one/_node_maintenance DELETE /muster/v1/dc1/inst/web/one/web " \
    "critical first, then gone"
like "$(cat "$SCRATCH/watch.log")" '"status":"critical"' "as in maintenance"

# Its registrations are kept; that it left is not.
agent_start one --store "$STORE_URL"
AGENT_DNS=$two
soon 15 "started again, it is back as it was" answers 10.9.9.1 $NAME

# Who has no time asks twice. (What it has told of its round trips hangs on the
# lease of before the restart.)
told() {
    [ -n "$(ctl get /muster/v1/dc1/coord/one --keys-only)" ]
}
wait_until 20 "its round trips" told
echo '{"leave_drain_time": "1h"}' >"$SCRATCH/drain.json"
agent_stop
agent_start one --store "$STORE_URL" --config "$SCRATCH/drain.json"
AGENT_DNS=$two
wait_until 15 "the service" answers 10.9.9.1 $NAME
"$MUSTER" leave --socket "$one_socket"
soon 10 "it drains" answers '' $NAME
"$MUSTER" leave --socket "$one_socket"
soon 10 "asked twice it goes at once" sh -c "! kill -0 $AGENT_PID 2>/dev/null"
is "$(ctl get --prefix /muster/v1/dc1/ --keys-only | grep -c '/one')" 0 \
    "with everything"

# SIGTERM is no leave, unless the operator wants it.
echo '{"leave_on_terminate": true, "leave_drain_time": "1s"}' \
    >"$SCRATCH/terminate.json"
agent_start one --store "$STORE_URL" --config "$SCRATCH/terminate.json"
AGENT_DNS=$two
wait_until 15 "the service" answers 10.9.9.1 $NAME
wait_until 20 "its round trips" told
agent_stop
is "$(ctl get --prefix /muster/v1/dc1/ --keys-only | grep -c '/one')" 0 \
    "with leave_on_terminate SIGTERM means leave"
done_testing
