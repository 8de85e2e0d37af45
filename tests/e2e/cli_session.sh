# muster session: made, seen, renewed, used for a lock, destroyed.
. "$(dirname "$0")/lib.sh"

agent_start one --dev --store-listen 127.0.0.1:0
muster() {
    "$MUSTER" "$@" --socket "$AGENT_SOCKET"
}
session() {
    muster session "$@" 2>&1
}
ready() { session list | grep -q '^ID'; }
wait_until 20 "the agent's sessions" ready

one=$(session create --name batch --ttl 30s --behavior delete)
like "$one" '^[0-9a-f-]{36}$' "create prints the id alone"
like "$(session list)" "^$one  batch  one +30s  delete +serfHealth$" \
    "list shows whose it is, its time and its checks"
is "$(session list --node nobody | wc -l)" 1 "another node has none"
is "$(session list --json | json 'd[0]["LockDelay"]')" 15000000000 \
    "a delay that nobody chose is Consul's"
is "$(session read "$one" | json 'd["Name"]')" batch "read prints one"
is "$(session renew "$one")" "renewed for 30s" "renew says for how long"

ok "a lock is had under it" muster kv put --acquire --session "$one" jobs/lock me
is "$(session destroy "$one")" "destroyed $one" "destroy says what it did"
is "$(muster kv get jobs/lock 2>&1 >/dev/null | grep -c 'no ')" 1 \
    "its entry goes with it, as its behaviour says"

session destroy "$one" >"$SCRATCH/said"
is "$? $(cat "$SCRATCH/said")" "4 muster session: there is no session \
\"$one\"; see muster session list" "what is gone is not destroyed again"
session renew "$one" >/dev/null
is "$?" 4 "nor renewed"
session read "$one" >/dev/null
is "$?" 4 "nor read"
session create --ttl 1s >"$SCRATCH/said"
is "$?" 1 "a TTL below the least is refused"
like "$(cat "$SCRATCH/said")" 'TTL.*10s' "with what it may be"
session create surplus >/dev/null
is "$?" 2 "a word too many is a wrong command line"
agent_stop
done_testing
