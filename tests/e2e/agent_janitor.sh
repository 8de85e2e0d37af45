# One agent tidies up for all: it removes the records of a node that has been
# dead for longer than the node wanted; when it goes, another one takes over.
. "$(dirname "$0")/lib.sh"

store_start store
echo '{"lease_ttl": "5s"}' >"$SCRATCH/short.json"
agent_start one --store "$STORE_URL" --config "$SCRATCH/short.json"
one=$AGENT_PID
agent_start two --store "$STORE_URL" --config "$SCRATCH/short.json"
two=$AGENT_PID

holder() {
    ctl get /muster/v1/dc1/lock/janitor --print-value-only | head -n 1
}
is_holder() {
    [ "$(holder)" = "$1" ]
}
has_holder() {
    [ -n "$(holder)" ]
}
self() {
    api /v1/agent/self | json 'd["Stats"]["muster"]'
}

wait_until 10 "a janitor" has_holder
first=$(holder)
like "$first" '^(one|two)$' "an agent has the lock"
AGENT_SOCKET="$SCRATCH/two/agent.sock"
soon 5 "the other agents know which" sh -c \
    "curl -sS --unix-socket '$AGENT_SOCKET' http://local/v1/agent/self |
     grep -q '\"janitor\":\"$first\"'"

# A host that died: its records say how long they are to be kept.
dead() {
    ctl put "/muster/v1/dc1/node/$1" "{\"name\":\"$1\",\"id\":\"id-$1\",
        \"address\":\"10.9.9.9\",\"reap\":\"$2\"}" >/dev/null
    ctl put "/muster/v1/dc1/inst/web/$1/web" "{\"node\":\"$1\",
        \"service\":\"web\",\"id\":\"web\",\"port\":80}" >/dev/null
}
known() {
    [ -n "$(ctl get "/muster/v1/dc1/node/$1" --print-value-only)" ]
}
gone() {
    ! known "$1" && [ -z "$(ctl get --prefix "/muster/v1/dc1/inst/web/$1/")" ]
}
dead lost 1s
dead kept 1h
soon 10 "the records of the node that wants it are removed" gone lost
ok "those of the other one stay" known kept

# The janitor dies: its lock goes with its lease.
if [ "$first" = one ]; then
    end "$one" KILL
    second=two
else
    end "$two" KILL
    second=one
fi
wait_until 30 "another janitor" is_holder "$second"
AGENT_SOCKET="$SCRATCH/$second/agent.sock"
like "$(self)" "\"janitor\": \"$second\"" "and it says so"
like "$(api /v1/metrics)" '^muster_janitor 1$' "and so do its metrics"
like "$(cat "$SCRATCH/$first.log")" 'node "lost" has been dead' \
    "the first one logged what it removed"
done_testing
