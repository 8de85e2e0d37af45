# An agent that is killed and started again answers from its replica before it
# reaches the store, and nobody sees its services flap.
. "$(dirname "$0")/lib.sh"

NAME=web.service.muster.internal

store_start store
web_start
agent_start one --store "$STORE_URL"
web_definition web "$WEB_PORT"
wait_until 15 "the service in DNS" answers 127.0.0.1 $NAME

# What anybody who watches its services saw; the store's member is the janitor's.
spawn watch etcdctl --endpoints "$STORE_URL" watch --prefix \
    /muster/v1/dc1/inst/web/
before=$(ctl get --prefix /muster/v1/dc1/inst/web/ -w json)
index=$(api /v1/health/service/web -D - -o "$SCRATCH/body" |
    tr -d '\r' | sed -n 's/^X-Consul-Index: //Ip')

end "$AGENT_PID" KILL
agent_start one --store "$STORE_URL"
is "$(ask $NAME)" 127.0.0.1 "the first question after the restart is answered"
ok "and stays answered" stays 4 answers 127.0.0.1 $NAME
again=$(api /v1/health/service/web -D - -o "$SCRATCH/body" |
    tr -d '\r' | sed -n 's/^X-Consul-Index: //Ip')
is "$again" "$index" "the index has not moved"
keys='[(k["key"], k["version"]) for k in d["kvs"]]'
is "$(ctl get --prefix /muster/v1/dc1/inst/web/ -w json | json "$keys")" \
    "$(printf '%s' "$before" | json "$keys")" "nothing was written again"
is "$(grep -c . "$SCRATCH/watch.log")" 0 "a watcher saw nothing"

# A planned stop is as quiet, and leaves the lease some time.
agent_stop
is "$CODE" 0 "SIGTERM ends it with 0"
live=$(ctl get --prefix /muster/v1/dc1/live/ -w json)
like "$live" '"kvs"' "the host's lease is left behind"
agent_start one --store "$STORE_URL"
is "$(ask $NAME)" 127.0.0.1 "a stopped agent answers at once, too"

# Without a store: only the replica can answer.
agent_stop
end "$STORE_PID" KILL
begin=$(now_ms)
agent_start one --store "$STORE_URL"
is "$(ask $NAME)" 127.0.0.1 "it answers though there is no store"
echo "# start to answer without a store: $(($(now_ms) - begin)) ms"
done_testing
