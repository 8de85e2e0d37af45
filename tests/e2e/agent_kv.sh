# Entries of /v1/kv: set, read, listed, compared, deleted and waited for, seen
# alike by two agents of one store.
. "$(dirname "$0")/lib.sh"

kv() { # METHOD PATH [CURL FLAG...]
    local method=$1 path=$2
    shift 2
    api "/v1/kv/$path" -X "$method" "$@"
}
index() { # PATH
    kv GET "$1" -D - -o "$SCRATCH/body" | tr -d '\r' | sed -n 's/^X-Consul-Index: //p'
}

store_start store
agent_start two --store "$STORE_URL"
TWO=$AGENT_SOCKET
agent_start one --store "$STORE_URL"
ONE=$AGENT_SOCKET

is "$(kv PUT app/db/host -d 10.0.0.1)" true "an entry is set"
is "$(kv PUT 'app/db/port?flags=42' -d 5432)" true "another one, with flags"
AGENT_SOCKET=$TWO
is "$(kv GET app/db/host?raw)" 10.0.0.1 "the other agent has it at once"
is "$(kv GET app/db/port | json 'd[0]["Flags"], d[0]["Value"], d[0]["LockIndex"]')" \
    '[42, "NTQzMg==", 0]' "with its flags"
is "$(kv GET 'app/?keys&separator=/')" '["app/db/"]' "keys up to a separator"
is "$(kv GET 'app/?recurse' | json '[e["Key"] for e in d]')" \
    '["app/db/host", "app/db/port"]' "a tree"
like "$(kv GET nothing -i)" "^HTTP/1.1 404" "what is not there is a 404"
ok "with an index" test "$(index nothing)" -gt 0

head -c 524288 /dev/urandom >"$SCRATCH/large"
is "$(kv PUT large -T "$SCRATCH/large")" true "512 KiB of anything"
kv GET large?raw -o "$SCRATCH/again"
ok "come back as they were" cmp "$SCRATCH/large" "$SCRATCH/again"
echo >>"$SCRATCH/large"
like "$(kv PUT large -T "$SCRATCH/large")" "too large" "one byte more is refused"

old=$(index app/db/host)
is "$(kv PUT "app/db/host?cas=$old" -d 10.0.0.2)" true "compare and set"
is "$(kv PUT "app/db/host?cas=$old" -d 10.0.0.3)" false "the index is stale now"

# --- waiting -----------------------------------------------------------------

wait_for() { # NAME PATH: in the background, into $SCRATCH/NAME
    spawn "$1" curl -sS --max-time 60 --unix-socket "$AGENT_SOCKET" \
        -o "$SCRATCH/$1" -D "$SCRATCH/$1.head" "http://local/v1/kv/$2"
}
written() { [ -s "$SCRATCH/$1.head" ]; }
waiting() { [ "$(api /v1/metrics | awk '$1 == "muster_http_waiting" { print $2 }')" = "$1" ]; }

wait_for time "app/db/port?index=$(index app/db/port)&wait=1s"
soon 10 "a wait ends by its time" written time
like "$(cat "$SCRATCH/time.head")" "^X-Consul-Index: $(index app/db/port)" \
    "with the index it came with"
host=$(index app/db/host)
tree=$(index 'app/?recurse')
none=$(index new)
wait_for host "app/db/host?index=$host&wait=50s"
wait_for tree "app/?recurse&index=$tree&wait=50s"
wait_for same "app/?recurse&index=$tree&wait=50s"
wait_for new "new?index=$none&wait=50s"
wait_until 10 "four waiting requests" waiting 4
AGENT_SOCKET=$ONE
kv PUT new -d born >/dev/null
soon 10 "a new entry wakes who waits for it" written new
kv DELETE app/db/port >/dev/null
soon 10 "a deletion wakes who waits for the tree" written tree
soon 10 "all of them" written same
AGENT_SOCKET=$TWO
ok "and nobody else" waiting 1
ok "above all not who waits for another entry" test ! -s "$SCRATCH/host.head"

# The store is away for a moment: who waits goes on waiting.
end "$STORE_PID" KILL
like "$(kv GET app/db/host -i)" "500|No cluster leader" "without a store there is no answer"
store_start store
soon 20 "with the store it comes back" eval 'kv GET app/db/host | grep -q Key'
ok "the one that waits still waits" test ! -s "$SCRATCH/host.head"
is "$(kv PUT app/db/host -d 10.0.0.9)" true "a write"
soon 10 "wakes it, behind the break" written host
is "$(json 'd[0]["Value"]' <"$SCRATCH/host")" MTAuMC4wLjk= "with what was written"

is "$(kv DELETE '?recurse')" true "all of it is deleted"
like "$(kv GET '?recurse' -i)" "^HTTP/1.1 404" "and is gone"
unlike "$(ctl get --prefix /muster/v1/dc1/ --keys-only)" /pairs/ "in the store, too"
done_testing
