# Debian's etcdctl works against the store as it does against etcd.
. "$(dirname "$0")/lib.sh"

store_start one
URL=$STORE_URL

# quiet COMMAND...: etcdctl's complaint alone, without its log lines.
quiet() {
    ctl "$@" 2>&1 | grep -v '^{"level"'
}

# --- keys ---
is "$(ctl put greeting hello)" OK "put"
is "$(ctl get greeting --print-value-only)" hello "get"
is "$(ctl put greeting again --prev-kv)" "OK
greeting
hello" "put answers the former value"
is "$(ctl get greeting -w json | json 'd["kvs"][0]["version"]')" 2 "versions count"
is "$(ctl get greeting --rev 2 --print-value-only)" hello "get at a revision"
for n in 1 2 3; do
    ctl put "list/$n" "v$n" >/dev/null
done
is "$(ctl get --prefix list/ --keys-only | grep .)" "list/1
list/2
list/3" "get by prefix, keys only"
is "$(ctl get --prefix list/ --limit 1 -w json | json 'd["more"], d["count"]')" \
    "[true, 3]" "a limit says that there is more"
is "$(ctl get --prefix list/ --order DESCEND --sort-by KEY --print-value-only |
    head -1)" v3 "sorted downwards"
is "$(ctl get --prefix '' --limit 1 -w json | json 'd["count"]')" 4 \
    "everything is counted"
is "$(ctl get greeting --consistency s --print-value-only)" again "serializable"
is "$(ctl del --prefix list/ --prev-kv | head -1)" 3 "del by prefix"
is "$(ctl get --prefix list/)" "" "what is deleted is gone"
is "$(ctl del nothing)" 0 "nothing to delete is no error"
like "$(quiet get greeting --rev 1000)" \
    "^Error: etcdserver: mvcc: required revision is a future revision" \
    "a future revision is refused"
like "$(quiet put '' x)" "^Error: etcdserver: key is not provided" \
    "an empty key is refused"

# --- transactions ---
is "$(printf 'value("greeting") = "again"\n\nput greeting third\nget greeting\n\nput greeting no\n\n' |
    ctl txn)" "SUCCESS

OK

greeting
third" "txn, the compare holds"
is "$(printf 'mod("greeting") = "1"\n\nput greeting no\n\nget greeting\n\n' |
    ctl txn | head -4)" "FAILURE

greeting
third" "txn, the compare fails"

# --- watches ---
spawn watch etcdctl --endpoints "$URL" watch --prefix w/ --prev-kv
WATCH=$PID
revision() {
    ctl get x -w json | json 'd["header"]["revision"]'
}
# The watch is there when the store says so.
watchers() {
    curl -fsS "$URL/metrics" | grep -q '^etcd_debugging_mvcc_watcher_total 1$'
}
wait_until 10 "the watcher" watchers
ctl put w/a 1 >/dev/null
ctl put w/a 2 >/dev/null
ctl del w/a >/dev/null
seen() {
    [ "$(wc -l <"$SCRATCH/watch.log")" -ge 11 ]
}
wait_until 10 "three events" seen
is "$(cat "$SCRATCH/watch.log")" "PUT
w/a
1
PUT
w/a
1
w/a
2
DELETE
w/a
2
w/a" "live events with former values"
end "$WATCH"
spawn history timeout 20 etcdctl --endpoints "$URL" watch --rev 2 greeting
history() {
    [ "$(wc -l <"$SCRATCH/history.log")" -ge 9 ]
}
wait_until 10 "the history" history
is "$(cat "$SCRATCH/history.log")" "PUT
greeting
hello
PUT
greeting
again
PUT
greeting
third" "history from a revision"

# --- leases ---
LEASE=$(ctl lease grant 60 | cut -d' ' -f2)
is "$(ctl put leased x --lease="$LEASE")" OK "put with a lease"
like "$(ctl lease timetolive "$LEASE" --keys)" \
    "^lease $LEASE granted with TTL\(60s\), remaining\((59|60)s\), attached keys\(\[leased\]\)" \
    "time to live"
is "$(ctl lease list)" "found 1 leases
$LEASE" "leases are listed"
is "$(ctl lease keep-alive --once "$LEASE")" \
    "lease $LEASE keepalived with TTL(60)" "renewed"
is "$(ctl lease revoke "$LEASE")" "lease $LEASE revoked" "revoked"
is "$(ctl get leased)" "" "its key is gone"
is "$(ctl lease timetolive "$LEASE")" "lease $LEASE already expired" \
    "an unknown lease"
SHORT=$(ctl lease grant 2 | cut -d' ' -f2)
ctl put short x --lease="$SHORT" >/dev/null
gone() {
    [ -z "$(ctl get short)" ]
}
begin=$(now_ms)
wait_until 10 "the lease to expire" gone
ok "a lease lasts as long as promised" test $(($(now_ms) - begin)) -ge 1500
like "$(quiet put k v --lease=1234)" "^Error: etcdserver: requested lease not found" \
    "an unknown lease is refused"

# --- compaction ---
REVISION=$(revision)
is "$(ctl compaction "$REVISION" --physical)" "compacted revision $REVISION" \
    "compaction"
like "$(quiet get greeting --rev 2)" \
    "^Error: etcdserver: mvcc: required revision has been compacted" \
    "what is compacted cannot be read"
like "$(quiet compaction "$REVISION")" "required revision has been compacted" \
    "nor compacted again"
is "$(ctl get greeting --print-value-only)" third "the newest is kept"
like "$(quiet watch --rev 2 greeting)" "watch was canceled.*compacted" \
    "a watch from before is ended"

# --- the member ---
like "$(ctl endpoint health 2>&1)" "$URL is healthy" "endpoint health"
like "$(ctl endpoint status)" "$URL, [0-9a-f]+, 3\.5\.[0-9]+, .* true, false, " \
    "endpoint status"
is "$(ctl endpoint status -w json |
    json 'd[0]["Status"]["leader"] == d[0]["Status"]["header"]["member_id"]')" \
    true "it leads itself"
like "$(ctl endpoint hashkv)" "$URL, [0-9]+" "endpoint hashkv"
is "$(ctl member list | cut -d, -f2-)" \
    " started, one, http://localhost:2380, $URL, false" "member list"
is "$(ctl alarm list)" "" "no alarms"
like "$(quiet user list)" "(Unimplemented|unknown method UserList)" \
    "what is not there says so"
is "$(curl -sS "$URL/health")" '{"health":"true","reason":""}' "/health"
is "$(curl -sS "$URL/version")" \
    '{"etcdserver":"3.5.16","etcdcluster":"3.5.0"}' "/version"
is "$(curl -sS -o /dev/null -w '%{http_code}' "$URL/nothing")" 404 "404"
like "$(curl -sS "$URL/metrics")" "^etcd_server_has_leader 1$" "/metrics"

end "$STORE_PID"
is "$CODE" 0 "it ends in order"

# --- TLS ---
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost \
    -addext subjectAltName=DNS:localhost,IP:127.0.0.1 \
    -keyout "$SCRATCH/key.pem" -out "$SCRATCH/cert.pem" 2>/dev/null
PORT=$(free_port)
spawn tls "$MUSTER" store --name tls --data-dir "$SCRATCH/tls.etcd" \
    --listen-client-urls "https://127.0.0.1:$PORT" \
    --listen-peer-urls http://127.0.0.1:0 \
    --cert-file "$SCRATCH/cert.pem" --key-file "$SCRATCH/key.pem" \
    --client-cert-auth --trusted-ca-file "$SCRATCH/cert.pem"
STORE_URL=https://127.0.0.1:$PORT
TLS="--cacert $SCRATCH/cert.pem --cert $SCRATCH/cert.pem --key $SCRATCH/key.pem"
wait_until 20 "the store with TLS" ctl $TLS endpoint health
is "$(ctl $TLS put k secret)" OK "put over TLS"
is "$(ctl $TLS get k --print-value-only)" secret "get over TLS"
unlike "$(curl -sS --cacert "$SCRATCH/cert.pem" "$STORE_URL/health" 2>&1)" \
    '"health":"true"' "no certificate, no answer"
is "$(curl -sS --cacert "$SCRATCH/cert.pem" --cert "$SCRATCH/cert.pem" \
    --key "$SCRATCH/key.pem" "$STORE_URL/health")" \
    '{"health":"true","reason":""}' "HTTP over TLS"

# --- the command line ---
like "$("$MUSTER" store --listen-client-url x 2>&1)" "listen-client-urls" \
    "an unknown flag is answered with the nearest"
like "$("$MUSTER" store --help)" "etcdctl --endpoints" "help has examples"

done_testing
