# The consul command of an old installation works against our agent: Consul 1.8.7's
# own, and where the outputs ought to be equal, against a real Consul beside it.
. "$(dirname "$0")/consul_lib.sh"

beside_consul

# --- members, catalog ----------------------------------------------------------

like "$(c members)" "^one +127.0.0.1:8301 +alive +client +1.16.0 +2 +dc1 +<default>$" \
    "members"
like "$(c members -detailed)" "build=1.16.0:,dc=dc1,id=[0-9a-f-]{36},role=node" \
    "members -detailed"
like "$(c members -wan)" "^one.dc1 +127.0.0.1:8301 +alive" "members -wan"
both "members -status, of which there are none" members -status=failed
like "$(c members -status=ali)" "^one " "members -status is a pattern"
like "$(c members -segment=alpha)" "no network segments here" "members -segment"

both "catalog datacenters" catalog datacenters
both "catalog nodes" catalog nodes
both "catalog nodes -service -near" catalog nodes -service=consul -near=_agent
both "catalog nodes -service of none" catalog nodes -service=nope
both "catalog nodes -filter" catalog nodes -filter 'Node == one and Meta.x != y'
both "catalog nodes -node-meta of none" catalog nodes -node-meta=no=such
like "$(c catalog nodes -detailed)" "one +[0-9a-f-]{36} +127.0.0.1 +dc1 +lan=127.0.0.1, " \
    "catalog nodes -detailed"
like "$(c catalog nodes -filter 'Foo == x')" 'elector "Foo" is not' \
    "catalog nodes -filter of an unknown field"
both "catalog services" catalog services
both "catalog services -node of none" catalog services -node=two

# --- services ------------------------------------------------------------------

cat >"$SCRATCH/services.json" <<'JSON'
{"services": [
  {"id": "web-1", "name": "web", "port": 8080, "tags": ["v2", "eu"],
   "meta": {"team": "shop"}, "weights": {"passing": 5, "warning": 1},
   "check": {"id": "web-ttl", "name": "alive", "ttl": "1h", "status": "passing",
             "notes": "from cron"}},
  {"id": "web-2", "name": "web", "port": 8081, "tags": ["v3"],
   "enable_tag_override": true,
   "tagged_addresses": {"lan": {"address": "10.1.1.1", "port": 81}}}]}
JSON
cat >"$SCRATCH/service.hcl" <<'HCL'
service {
  name = "cache"
  port = 6379
  checks = [{ name = "up", tcp = "127.0.0.1:1", interval = "1h" }]
}
HCL
both "validate" validate "$SCRATCH/services.json"
both "services register FILE" services register "$SCRATCH/services.json"
both "services register FILE, in HCL" services register "$SCRATCH/service.hcl"
both "services register by flags" services register -name=batch -id=b1 -port=99 \
    -address=10.9.9.9 -tag=x -tag=y -meta=a=b -meta=c=d \
    -tagged-address=lan=10.9.9.9:99
both "services register without a name" services register -port=1
both "services register of what is no service" services register /etc/hostname
same_soon "catalog services -tags" catalog services -tags
both "catalog services -node -tags" catalog services -node=one -tags
both "catalog nodes -service" catalog nodes -service=web
both "catalog services -node-meta" catalog services -node-meta=no=such
same_soon "watch -type=service" watch -type=service -service=web
both "watch -type=service -tag -passingonly" watch -type=service -service=web -tag=v2 \
    -passingonly=true
both "watch -type=checks -service" watch -type=checks -service=web
both "watch -type=checks -state" watch -type=checks -state=critical
of_services() { "$1" watch -type=services | json '{k: sorted(v) for k, v in d.items()}'; }
is "$(of_services c)" "$(of_services r)" "watch -type=services"
both "services deregister -id" services deregister -id=b1
both "services deregister FILE" services deregister "$SCRATCH/services.json"
like "$(c services deregister -id=nope)" 'Unknown service ID "nope"' \
    "services deregister of none"
both "services deregister without one" services deregister
same_soon "and they are gone" catalog services -tags

# --- maint ---------------------------------------------------------------------

both "maint -enable" maint -enable -reason "new disks"
both "maint" maint
both "maint -disable" maint -disable
both "maint -enable of a service" maint -enable -service=cache -reason "moved"
both "maint, of a service" maint
both "maint -disable of a service" maint -disable -service=cache
both "maint, without any" maint
both "maint -enable -disable" maint -enable -disable
both "maint -service without what to do" maint -service=cache
like "$(c maint -enable -service=nope)" 'Unknown service ID "nope"' "maint of no service"

# --- kv ------------------------------------------------------------------------

both "kv put" kv put app/host 10.0.0.1
both "kv get" kv get app/host
both "kv put without a value" kv put app/empty
both "kv get of none" kv get app/empty
both "kv put -flags" kv put -flags=18446744073709551615 app/deep/er three
both "kv get -detailed" kv get -detailed app/deep/er
both "kv get of what is not there" kv get nope
both "kv get -recurse" kv get -recurse app/
both "kv get -recurse -detailed" kv get -recurse -detailed app/
both "kv get -recurse of nothing" kv get -recurse nope
both "kv get -keys" kv get -keys app/
both "kv get -keys -separator" kv get -keys -separator= app/
both "kv get -keys of all" kv get -keys
both "kv get without a key" kv get
both "kv put of a key that begins with /" kv put /app/slash x
both "kv put -base64" kv put -base64 app/b64 aGVsbG8=
both "kv get" kv get app/b64
both "kv get -base64" kv get -base64 app/b64
both "kv put -base64 of what is not" kv put -base64 app/b64 '!!'
both "kv put of odd names and bytes" kv put 'o dd/ü?#%&+=' 'ä "b" \n'
both "kv get of them" kv get 'o dd/ü?#%&+='
both "kv get -recurse of them" kv get -recurse 'o dd/'

head -c 524288 /dev/urandom | base64 -w 0 | head -c 524288 >"$SCRATCH/large"
both "kv put of 512 KiB" kv put app/large "@$SCRATCH/large"
c kv get app/large | head -c 524288 | cmp -s - "$SCRATCH/large"
is $? 0 "kv get of them"
echo more >>"$SCRATCH/large"
like "$(c kv put app/large "@$SCRATCH/large")" "Unexpected response code: 413" \
    "kv put of too much"
is "$(echo piped | c kv put app/stdin - && c kv get app/stdin)" \
    "$(printf 'Success! Data written to: app/stdin\npiped')" "kv put of stdin"
both "kv put of a file that is not there" kv put app/x @/nope

index_of() { "$1" kv get -detailed "$2" | awk '$1 == "ModifyIndex" { print $2 }'; }
both "kv put -cas without an index" kv put -cas app/host x
both "kv put" kv put app/new x
both "kv put -cas of another index" kv put -cas -modify-index=1 app/new y
like "$(c kv put -cas -modify-index="$(index_of c app/new)" app/new y)" Success \
    "kv put -cas of its index"
both "kv delete -cas of another index" kv delete -cas -modify-index=1 app/host
both "kv delete -cas without an index" kv delete -cas app/host
both "kv delete -cas -recurse" kv delete -cas -recurse app/
like "$(c kv delete -cas -modify-index="$(index_of c app/new)" app/new)" Success \
    "kv delete -cas of its index"

both "kv put -acquire without a session" kv put -acquire app/lock x
like "$(c kv put -acquire -session=00000000-0000-0000-0000-000000000000 app/lock x)" \
    'code: 500 \(invalid session "00000000' "kv put -acquire of no session"
S=$(curl -fsS -X PUT "$AGENT_HTTP/v1/session/create" | json 'd["ID"]')
T=$(curl -fsS -X PUT "$AGENT_HTTP/v1/session/create" | json 'd["ID"]')
like "$(c kv put -acquire -session="$S" app/lock mine)" "Lock acquired on: app/lock" \
    "kv put -acquire"
like "$(c kv put -acquire -session="$T" app/lock no)" "Did not acquire lock" \
    "kv put -acquire of what is held"
like "$(c kv get -detailed app/lock)" "^Session +$S$" "kv get -detailed names the holder"
like "$(c kv put -release -session="$T" app/lock no)" "Did not release lock" \
    "kv put -release by another"
like "$(c kv put -release -session="$S" app/lock)" "Lock released on: app/lock" \
    "kv put -release"

c kv delete app/large >/dev/null
r kv delete app/large >/dev/null
c kv delete app/lock >/dev/null
c kv put -flags=3 app/stdin x >/dev/null
r kv put -flags=3 app/stdin x >/dev/null
r kv delete app/new >/dev/null
both "kv export" kv export app/
c kv export app/ >"$SCRATCH/export.json"
both "kv export of nothing" kv export nope/
both "kv import" kv import "@$SCRATCH/export.json"
both "kv import -prefix" kv import -prefix=copy/ "@$SCRATCH/export.json"
is "$(c kv import - <"$SCRATCH/export.json" | grep -c Imported)" 5 "kv import of stdin"
both "kv get -recurse of the copy" kv get -recurse copy/
both "kv import of what is no export" kv import '{"a": 1}'
both "kv delete" kv delete app/host
both "kv delete of what is not there" kv delete nope
both "kv delete -recurse" kv delete -recurse app/
both "kv get -keys of what is left" kv get -keys -separator=

# --- events --------------------------------------------------------------------

like "$(c event -name=deploy -node=one v2)" "^Event ID: [0-9a-f-]{36}$" "event"
r event -name=deploy -node=one v2 >/dev/null
both "watch -type=event" watch -type=event -name=deploy
both "event without a name" event
like "$(c exec uptime)" "Agents run no commands for others" "exec"

# --- the host ------------------------------------------------------------------

like "$(c info)" "registered = true" "info"
measured() { c rtt one one | grep -Eq "^Estimated one <-> one rtt: [0-9.]+ ms"; }
soon 20 "rtt" measured
both "rtt of nobody" rtt nobody
both "reload" reload
like "$(c force-leave nobody)" "No node found with name 'nobody'" "force-leave"
like "$(c join 127.0.0.1)" "^(Successfully joined|Error joining)" "join"
like "$(c operator raft list-peers)" "^one +[0-9a-f]+ +127.0.0.1:[0-9]+ +leader +true +3$" \
    "operator raft list-peers: the store's members"

# --- what there is not, and what to do instead ----------------------------------

instead() { # WORDS COMMAND...
    local wanted=$1
    shift
    like "$(c "$@")" "$wanted" "$*: \"$wanted\""
}
instead "etcdctl member" operator raft remove-peer -id=x
instead "there is no autopilot" operator autopilot get-config
instead "muster ctl snapshot" snapshot save "$SCRATCH/snap"
echo x >"$SCRATCH/snap"
instead "muster ctl snapshot" snapshot restore "$SCRATCH/snap"
instead "there is no gossip here" keyring -list
instead "journalctl" monitor
instead "no Connect" connect ca get-config
instead "no Connect" intention create a b
instead "no Connect" config list -kind=service-defaults
instead "acl.enabled" acl token list
instead "no roles here" acl role list
instead "no auth methods here" acl auth-method list
instead "acl.tokens" acl set-agent-token default x
echo secret >"$SCRATCH/bearer"
instead "nobody logs in here" login -method=m -bearer-token-file="$SCRATCH/bearer" \
    -token-sink-file="$SCRATCH/sink"
instead "nobody logs in here" logout -token=x

like "$(c leave)" "Graceful leave complete" "leave"
ended() { ! kill -0 "$AGENT_PID"; }
soon 20 "and the agent ends" ended
like "$(c members)" "connection refused" "nobody answers then"
done_testing
