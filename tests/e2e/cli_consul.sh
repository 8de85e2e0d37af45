# The words of Consul's command: kv, lock, watch, maint, event, members, catalog;
# as muster has them, and called as consul.
. "$(dirname "$0")/lib.sh"

agent_start one --dev --store-listen 127.0.0.1:0
export MUSTER_SOCKET=$AGENT_SOCKET
m() { "$MUSTER" "$@"; }
wait_until 20 "the node in the catalogue" eval 'api /v1/catalog/nodes | grep -q one'

# --- kv ------------------------------------------------------------------------

is "$(m kv put app/host 10.0.0.1)" "Success! Data written to: app/host" "kv put"
is "$(m kv get app/host)" 10.0.0.1 "kv get"
echo "from a file" | m kv put --flags 7 app/text - >/dev/null
is "$(m kv get --recurse app/)" "$(printf 'app/host:10.0.0.1\napp/text:from a file\n')" \
    "kv get --recurse"
like "$(m kv get --detailed app/text)" "^Flags +7$" "kv get --detailed"
m kv put app/deep/er 1 >/dev/null
is "$(m kv get --keys app/)" "$(printf 'app/deep/\napp/host\napp/text')" "kv get --keys"
m kv get nothing 2>/dev/null
is $? 4 "what is not there is 4"
m kv put --cas --modify-index 1 app/host x 2>/dev/null
is $? 1 "a condition that does not hold is 1"
m kv put --flags 18446744073709551615 app/flags - </dev/null >/dev/null
m kv export app/flags >"$SCRATCH/flags.json"
m kv delete app/flags >/dev/null
m kv import "@$SCRATCH/flags.json" >/dev/null
like "$(m kv get --detailed app/flags)" "^Flags +18446744073709551615$" \
    "flags of 64 bits survive export and import"
m kv delete app/flags >/dev/null
like "$(m kv get --token "$(printf 'a\r\nX-Evil: b')" app/host 2>&1)" \
    "line break .*was not sent" "a token cannot become another header"
m kv export app/ >"$SCRATCH/export.json"
m kv delete --recurse app/ >/dev/null
m kv get --keys app/ 2>/dev/null
is $? 4 "kv delete --recurse"
is "$(m kv import "@$SCRATCH/export.json" | wc -l)" 3 "kv import takes what kv export gave"
is "$(m kv get app/text)" "from a file" "whole"
m kv jump 2>/dev/null
is $? 2 "an unknown word is 2"
like "$(m kv get app/text more 2>&1)" 'unexpected argument "more"' "and a word too many is not passed over"

# --- lock ----------------------------------------------------------------------

is "$(m lock jobs/one 'echo ran; exit 3')" ran "lock runs the command"
is "$(m lock --dc dc1 --name me --try 20s jobs/one echo ran)" ran \
    "flags end where the lock's name begins"
like "$(m lock --node nobody jobs/one true 2>&1)" 'Missing node registration: "nobody"' \
    "a session is some node's"
m lock jobs/one sh -c 'exit 3'
is $? 3 "and ends with its code"
spawn holder "$MUSTER" lock jobs/one sleep 60
HOLDER=$PID
held() { m kv get --detailed jobs/one/.lock | grep -Eq '^Session +[0-9a-f]{8}-'; }
wait_until 10 "the lock to be held" held
m lock --try 1s jobs/one true 2>/dev/null
is $? 1 "a lock that is not to be had is 1"
end "$HOLDER"
ok "a lock that is let go can be had at once" timeout 10 "$MUSTER" lock jobs/one true

# Three at a time of five, each of which notes when it begins and ends.
for i in 1 2 3 4 5; do
    spawn "sem$i" "$MUSTER" lock -n 3 jobs/some \
        sh -c "echo + >>$SCRATCH/sem; sleep 0.5; echo - >>$SCRATCH/sem"
done
all_ran() { [ "$(grep -c -- - "$SCRATCH/sem")" = 5 ]; }
soon 30 "five take their turns" all_ran
is "$(awk '/\+/ { n++ } /-/ { n-- } n > worst { worst = n } END { print worst <= 3 }' \
    "$SCRATCH/sem")" 1 "never more than three"

# --- watch ---------------------------------------------------------------------

is "$(m watch --type key --key app/host | json 'd[0]["Key"]')" app/host "watch prints once"
spawn watch "$MUSTER" watch --type keyprefix --prefix w/ "cat >>$SCRATCH/seen; echo >>$SCRATCH/seen"
seen() { [ -f "$SCRATCH/seen" ] && [ "$(wc -l <"$SCRATCH/seen")" = "$1" ]; }
soon 10 "a handler runs for what is there" seen 1
m kv put w/a 1 >/dev/null
soon 10 "and for a change" seen 2
m kv put other 1 >/dev/null
m kv put w/a 1 >/dev/null
ok "but not for what is none" stays 1 seen 2
m kv delete w/a >/dev/null
soon 10 "and for a deletion" seen 3
# What was handled before a restart of the command is no news after it.
kept() { # what a start of the command adds to
    spawn kept "$MUSTER" watch --type keyprefix --prefix k/ \
        --state-file "$SCRATCH/kept.state" "cat >>$SCRATCH/kept; echo >>$SCRATCH/kept"
}
kept_lines() { [ -f "$SCRATCH/kept" ] && [ "$(wc -l <"$SCRATCH/kept")" = "$1" ]; }
m kv put k/a 1 >/dev/null
kept
soon 10 "a watch with a file of its state" kept_lines 1
wait_until 10 "its state" [ -s "$SCRATCH/kept.state" ]
end "$PID"
kept
m kv put k/b 2 >/dev/null
soon 10 "tells what is new after its restart" kept_lines 2
like "$(tail -n 1 "$SCRATCH/kept")" '"k/b"' "and nothing else"

spawn events "$MUSTER" watch --type event --name deploy "cat >>$SCRATCH/events"
like "$(m event --name deploy v2)" "^Event ID: [0-9a-f-]{36}$" "event"
soon 10 "an event is heard" grep -q djI= "$SCRATCH/events"
m watch --type moon 2>/dev/null
is $? 2 "an unknown type is 2"

# --- this host -----------------------------------------------------------------

like "$(m members)" "^one +127.0.0.1:[0-9]+ +alive" "members"
is "$(m catalog nodes)" one "catalog nodes"
measured() { m rtt one | grep -Eq '^Estimated one <-> one rtt: [0-9.]+ ms$'; }
soon 20 "rtt" measured
m rtt nobody 2>/dev/null
is $? 4 "of a node that has not measured"
is "$(m catalog datacenters)" dc1 "catalog datacenters"
like "$(m maint --enable --reason 'new disks')" "maintenance is enabled" "maint --enable"
like "$(m maint)" "Reason: new disks" "maint shows it"
m maint --disable >/dev/null
is "$(m maint)" "" "maint --disable"
like "$(m info)" "registered = true" "info"

# --- as consul -----------------------------------------------------------------

ln -s "$MUSTER" "$SCRATCH/consul"
c() { env -u MUSTER_SOCKET "$SCRATCH/consul" "$@"; }
is "$(c kv get -http-addr="$AGENT_HTTP" app/host)" 10.0.0.1 "one dash, -http-addr"
export CONSUL_HTTP_ADDR=http://$AGENT_HTTP
is "$(c kv get -keys app/ | head -n 1)" app/deep/ "CONSUL_HTTP_ADDR"
cat >"$SCRATCH/web.json" <<'JSON'
{"service": {"name": "web", "port": 80}}
JSON
ok "services register" c services register "$SCRATCH/web.json"
listed() { c catalog services | grep -qx web; }
soon 10 "catalog services" listed
ok "services deregister" c services deregister web
ok "services register by flags" c services register -name batch -port 99
ok "services deregister -id" c services deregister -id batch
like "$(c -v)" "^muster [0-9.]+$" "-v"
like "$(c snapshot save x 2>&1)" "muster ctl snapshot" "what is elsewhere is said to be there"
like "$(c members)" "^one +" "members"
ok "validate" c validate "$SCRATCH/web.json"
is "$(c lock -try=5s jobs/one 'echo mine')" mine "lock"
is "$(c lock -child-exit-code -verbose -shell=false -timeout=5s jobs/one pwd)" \
    "$PWD" "and its other flags"
is "$(c kv put -base64 app/b64 aGVsbG8= >/dev/null; c kv get app/b64)" hello \
    "kv put -base64"
is "$(c kv get -base64 -stale app/b64)" aGVsbG8= "kv get -base64 -stale"
c kv put -base64 app/b64 '!' 2>/dev/null
is $? 1 "which must be base64"
ok "services register by flags" c services register -name=web -port=80 -tag=v1
listed() { c catalog services -tags | grep -Eq '^web +v1$'; }
soon 10 "catalog services -tags" listed
is "$(c catalog services -node=one | grep -vx consul)" web \
    "catalog services -node, beside the store's own"
is "$(c catalog nodes -service=web -near=_agent)" one "catalog nodes -service -near"
is "$(c catalog nodes -node-meta=no=such)" "" "catalog nodes -node-meta"
c catalog services -node=none 2>/dev/null
is $? 4 "of no node"
like "$(c members -wan -status=alive)" "^one +" "members -status"
unlike "$(c members -status failed)" "^one +" "which are others"
export CONSUL_HTTP_ADDR=unix://$AGENT_SOCKET
is "$(c kv get app/host)" 10.0.0.1 "a socket's address"
done_testing
