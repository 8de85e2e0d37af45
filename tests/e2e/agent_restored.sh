# The store is restored from an older snapshot. Its revisions go back, and so do
# indexes: who polls is told at once. What the agents have registered since is
# written again, and what has not changed is answered all the time.
. "$(dirname "$0")/lib.sh"

store_start store
echo '{"lease_ttl": "5s"}' >"$SCRATCH/short.json"
agent_start one --store "$STORE_URL" --config "$SCRATCH/short.json"
register() { # NAME ADDRESS
    "$MUSTER" register --socket "$AGENT_SOCKET" --name "$1" --port 80 \
        --address "$2" >/dev/null
}
foreign() { # NAME ADDRESS
    ctl put "/muster/v1/dc1/inst/$1/ext/1" "{\"node\":\"ext\",\"service\":\"$1\",
        \"id\":\"1\",\"address\":\"$2\",\"port\":80,
        \"owner\":{\"node\":\"catalog\"}}" >/dev/null
}
ctl put /muster/v1/dc1/node/ext '{"name":"ext","id":"id-ext",
    "address":"10.9.9.9","external":true}' >/dev/null
register early 10.9.9.1
foreign deleted 10.9.9.3
wait_until 15 "what is in the snapshot" answers 10.9.9.3 \
    deleted.service.muster.internal
wait_until 15 "the same" answers 10.9.9.1 early.service.muster.internal
ctl snapshot save "$SCRATCH/old.db" >/dev/null 2>&1 || bail "no snapshot"

register late 10.9.9.2
ctl del /muster/v1/dc1/inst/deleted/ext/1 >/dev/null
foreign forgotten 10.9.9.4
for n in 1 2 3 4 5 6 7 8; do
    ctl put "/elsewhere/$n" x >/dev/null
done
wait_until 15 "what is not" answers 10.9.9.2 late.service.muster.internal
foreign forgotten 10.9.9.5
wait_until 15 "the last change" answers 10.9.9.5 \
    forgotten.service.muster.internal

index_of() { # PATH [CURL FLAG...]
    api "$@" -D - -o /dev/null | tr -d '\r' | sed -n 's/^X-Consul-Index: //Ip'
}
index=$(index_of /v1/health/service/forgotten)
index_of "/v1/health/service/forgotten?index=$index&wait=60s" >"$SCRATCH/index" &
poll=$!
spawn asker sh -c "while sleep 0.02; do echo \$(dig +short +tries=1 \\
    -p $AGENT_DNS @127.0.0.1 early.service.muster.internal).; done"
asker=$PID

end "$STORE_PID" KILL
rm -rf "$SCRATCH/store.etcd"
"$MUSTER" ctl snapshot restore "$SCRATCH/old.db" --name store \
    --data-dir "$SCRATCH/store.etcd" \
    --initial-cluster store=http://127.0.0.1:0 \
    --initial-advertise-peer-urls http://127.0.0.1:0 \
    >"$SCRATCH/restore.log" 2>&1 || bail "not restored: $(cat "$SCRATCH/restore.log")"
store_start store
begin=$(now_ms)
written() {
    ctl get --prefix /muster/v1/dc1/inst/late/ | grep -q 10.9.9.2
}
soon 20 "what the agent registered since is written again" written
echo "# after $(($(now_ms) - begin)) ms"
wait "$poll"
now=$(cat "$SCRATCH/index")
ok "a poll came back with a lower index ($index, then $now)" \
    [ "$now" -lt "$index" ]
soon 10 "what was written by others since is gone" \
    answers '' forgotten.service.muster.internal
soon 10 "and what they deleted is back" answers 10.9.9.3 \
    deleted.service.muster.internal
is "$(index_of "/v1/health/service/late?index=$index&wait=60s" |
    awk -v was="$index" '{ print ($1 < was) }')" 1 \
    "who polls with an index of before is answered at once"
end "$asker"
echo "# asked $(grep -c . "$SCRATCH/asker.log") times"
is "$(sort -u "$SCRATCH/asker.log")" 10.9.9.1. \
    "what the snapshot has was answered all the time"
like "$(cat "$SCRATCH/one.log")" 'reading the whole catalogue again' \
    "the log says why"
done_testing
