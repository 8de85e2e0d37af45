# The command line against a running agent: tables, JSON, exit codes.
. "$(dirname "$0")/lib.sh"

agent_start one --dev --store-listen 127.0.0.1:0
export MUSTER_SOCKET="$AGENT_SOCKET"
web_start

out=$("$MUSTER" register --name web --port "$WEB_PORT" --tag blue,green \
    --meta team=pay --check-http "http://127.0.0.1:$WEB_PORT/" \
    --interval 1s --timeout 1s)
is "$? $out" "0 registered web" "register by flags"
cat >"$SCRATCH/db.json" <<'JSON'
{"service": {"name": "db", "id": "db-1", "port": 5432, "address": "10.0.0.5"}}
JSON
out=$("$MUSTER" register "$SCRATCH/db.json")
is "$? $out" "0 registered db-1" "register by a file"
out=$("$MUSTER" register - <"$SCRATCH/db.json")
is "$? $out" "0 registered db-1" "register from standard input, again"

passing() {
    "$MUSTER" services web --passing
}
wait_until 10 "web to pass" passing
out=$("$MUSTER" services web)
like "$out" '^ID +NODE +ADDRESS +HEALTH +TAGS' "a table"
like "$out" "^web +one +127\.0\.0\.1:$WEB_PORT +passing +blue, green" "its row"
unlike "$out" "$(printf '\033')" "no colours in a pipe"
out=$("$MUSTER" services)
like "$out" '^web +1 +1 +0 +0 +0 +blue, green' "all services"
like "$out" '^db +1 +1 +0 ' "the other one"
is "$("$MUSTER" services --json |
    json '[s["Instances"] for s in d if s["Name"] == "web"][0]')" 1 \
    "services --json"
is "$("$MUSTER" services web --json | json 'd[0]["Service"]["Meta"]["team"]')" \
    pay "services NAME --json"
out=$("$MUSTER" services nothing 2>&1)
is "$?" 4 "an unknown service: exit 4"
like "$out" 'nothing' "and says which"
out=$("$MUSTER" services web --tag red 2>&1)
is "$?" 4 "no instance with the tag: exit 4"

like "$("$MUSTER" nodes)" '^one +127\.0\.0\.1 +passing +dc1' "nodes"
like "$("$MUSTER" nodes one)" '^db-1 +db +10\.0\.0\.5:5432 +passing' \
    "services of a node"
is "$("$MUSTER" nodes --json | json 'd[0]["Node"]')" one "nodes --json"
"$MUSTER" nodes nowhere 2>/dev/null
is "$?" 4 "an unknown node: exit 4"

out=$("$MUSTER" deregister db-1)
is "$? $out" "0 deregistered db-1" "deregister"
out=$("$MUSTER" deregister db-1 2>&1)
is "$?" 4 "a second time: exit 4"
like "$out" 'db-1' "and says which"
out=$("$MUSTER" register --name 'bad' --port 1 --check-ttl 1x 2>&1)
is "$?" 1 "the agent refuses: exit 1"
like "$out" '1x' "with its reason"
"$MUSTER" register 2>/dev/null
is "$?" 2 "nothing to register: exit 2"
"$MUSTER" reload
is "$?" 0 "reload"
is "$("$MUSTER" services --http "$AGENT_HTTP" --json | json 'len(d) > 0')" true \
    "over TCP"

"$MUSTER" leave
is "$?" 0 "leave"
wait_until 15 "the agent to end" sh -c "! kill -0 $AGENT_PID"
out=$("$MUSTER" services 2>&1)
is "$?" 3 "nobody there: exit 3"
like "$out" "no agent answers at $AGENT_SOCKET" "and says where it asked"
done_testing
