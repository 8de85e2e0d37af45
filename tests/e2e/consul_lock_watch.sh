# Consul 1.8.7's own command, what takes time: locks and what becomes of them, watches
# of every type with a handler. Beside a real Consul where outputs ought to be equal.
. "$(dirname "$0")/consul_lib.sh"

beside_consul
held() { [ "$(c kv get -detailed "$1" | awk '$1 == "Session" { print $2 }')" != - ]; }

# Killed without a word: its session lives on for its TTL and its lock-delay. It is
# looked at last.
spawn killed env CONSUL_HTTP_ADDR="$AGENT_HTTP" "$CONSUL" lock jobs/killed "sleep 100"
wait_until 20 "the lock" held jobs/killed/.lock
kill -KILL "$PID"

# --- lock ----------------------------------------------------------------------

both "lock" lock jobs/one 'echo ran'
both "lock -child-exit-code" lock -child-exit-code jobs/one 'exit 3'
both "lock of a command that fails" lock jobs/one 'exit 3'
both "lock -verbose" lock -verbose jobs/one 'echo ran; echo "$CONSUL_LOCK_HELD"'
both "lock -shell=false" lock -shell=false jobs/one echo '$HOME'
both "lock without a command" lock jobs/one
both "lock with another type of key in its place" kv put other/.lock x
both "lock of it" lock -verbose other true
both "nothing is left of them" kv get -keys jobs/one

spawn holder env CONSUL_HTTP_ADDR="$AGENT_HTTP" "$CONSUL" lock -name=nightly jobs/one \
    "echo begins; sleep 100"
HOLDER=$PID
wait_until 20 "the lock" held jobs/one/.lock
spawn real_holder env CONSUL_HTTP_ADDR="$CONSUL_HTTP" "$CONSUL" lock jobs/one "sleep 100"
REAL_HOLDER=$PID
real_held() { r kv get -detailed jobs/one/.lock | grep -Eq '^Session +[0-9a-f]'; }
wait_until 20 "the real one's" real_held
both "lock -try of what is held" lock -try=500ms jobs/one 'echo no'
both "lock -try of no duration" lock -try=soon jobs/one 'echo no'
like "$(curl -fsS "$AGENT_HTTP/v1/session/list")" '"Name":"nightly"' "lock -name"
spawn waiting env CONSUL_HTTP_ADDR="$AGENT_HTTP" "$CONSUL" lock jobs/one \
    "echo mine >$SCRATCH/mine"
kill "$REAL_HOLDER"
end "$HOLDER"
soon 20 "who waits has it when the holder ends" [ -s "$SCRATCH/mine" ]
gone() { c kv get -keys jobs/one/ | grep -q . && return 1 || return 0; }
soon 20 "and lets it go, too" gone

# A session that is taken away ends the command that it was for.
spawn lost env CONSUL_HTTP_ADDR="$AGENT_HTTP" "$CONSUL" lock -verbose jobs/lost \
    "sleep 100"
LOST=$PID
wait_until 20 "the lock" held jobs/lost/.lock
session=$(c kv get -detailed jobs/lost/.lock | awk '$1 == "Session" { print $2 }')
curl -fsS -X PUT "$AGENT_HTTP/v1/session/destroy/$session" >/dev/null
ended() { ! kill -0 "$LOST"; }
soon 30 "a lock that is lost" ended
like "$(cat "$SCRATCH/lost.log")" "^Lock lost, killing child" "ends its command"

# Two at a time of four, each of which notes when it begins and ends.
for i in 1 2 3 4; do
    spawn "some$i" env CONSUL_HTTP_ADDR="$AGENT_HTTP" "$CONSUL" lock -n=2 jobs/some \
        "echo + >>$SCRATCH/some; sleep 0.3; echo - >>$SCRATCH/some"
done
all_ran() { [ "$(grep -c -- - "$SCRATCH/some")" = 4 ]; }
soon 60 "lock -n=2: four take their turns" all_ran
is "$(awk '/\+/ { n++ } /-/ { n-- } n > worst { worst = n } END { print worst <= 2 }' \
    "$SCRATCH/some")" 1 "never more than two"
both "lock -n of nothing" lock -n=0 jobs/none true

# --- watch, which prints once ---------------------------------------------------

c kv put w/a 1 >/dev/null
r kv put w/a 1 >/dev/null
both "watch -type=key" watch -type=key -key=w/a
both "watch -type=key, not there" watch -type=key -key=nope
both "watch -type=keyprefix" watch -type=keyprefix -prefix=w/
both "watch -type=keyprefix, not there" watch -type=keyprefix -prefix=nope
both "watch -type=nodes" watch -type=nodes
both "watch -type=service, not there" watch -type=service -service=nope
both "watch of no type" watch
both "watch of an unknown type" watch -type=moon
both "watch without what it needs" watch -type=key

# --- watch with a handler --------------------------------------------------------

# watch_for NAME FLAG...: each run of its handler is a line of $SCRATCH/NAME.seen.
watch_for() {
    local name=$1
    shift
    spawn "watch-$name" env CONSUL_HTTP_ADDR="$AGENT_HTTP" "$CONSUL" watch "$@" \
        "tr -d '\n' >$SCRATCH/$name.tmp; echo \" \$CONSUL_INDEX\" >>$SCRATCH/$name.tmp
         cat $SCRATCH/$name.tmp >>$SCRATCH/$name.seen"
}
seen() { # NAME RUNS
    [ -f "$SCRATCH/$1.seen" ] && [ "$(wc -l <"$SCRATCH/$1.seen")" -ge "$2" ]
}
last() { tail -n 1 "$SCRATCH/$1.seen"; }
told() { last "$1" | grep -Eq -- "$2"; }

watch_for key -type=key -key=w/a
watch_for keyprefix -type=keyprefix -prefix=w/
watch_for services -type=services
watch_for nodes -type=nodes
watch_for service -type=service -service=web
watch_for passing -type=service -service=web -passingonly=true -tag=v1
watch_for checks -type=checks -service=web
watch_for state -type=checks -state=critical
watch_for event -type=event -name=deploy
for type in key keyprefix services nodes service passing checks state event; do
    soon 30 "watch -type of \"$type\" runs its handler for what there is" seen $type 1
done
like "$(last key)" ' [0-9]+$' "which is told the index"

c kv put w/a 2 >/dev/null
soon 20 "key: a change" told key '"Value":"Mg=="'
c kv put w/b 3 >/dev/null
soon 20 "keyprefix: another key" told keyprefix '"w/b"'
c kv delete w/b >/dev/null
soon 20 "keyprefix: one less" told keyprefix '^\[[^]]*"w/a"[^]]*\] [0-9]+$'
curl -fsS -X PUT -d '{"Name":"web","Port":80,"Tags":["v1"],
    "Check":{"CheckID":"web-ttl","TTL":"1h","Status":"critical"}}' \
    "$AGENT_HTTP/v1/agent/service/register" >/dev/null
soon 20 "services: a new one" told services '"web":\["v1"\]'
soon 20 "service: an instance" told service '"Port":80'
soon 20 "checks: its check" told checks '"CheckID":"web-ttl","Name":[^}]*"Status":"critical"'
soon 20 "checks: by their state" told state '"web-ttl"'
curl -fsS -X PUT "$AGENT_HTTP/v1/agent/check/pass/web-ttl" >/dev/null
soon 20 "service: passing only" told passing '"Port":80'
soon 20 "checks: it passes" told checks '"Status":"passing"'
soon 20 "checks: none is critical" told state '^\[\] '
curl -fsS -X PUT -d '{"Node":"printer","Address":"10.0.0.9"}' \
    "$AGENT_HTTP/v1/catalog/register" >/dev/null
soon 20 "nodes: a new one" told nodes '"printer"'
c event -name=deploy v2 >/dev/null
soon 20 "event: one is heard" told event '"Payload":"djI="'
c event -name=other v2 >/dev/null
runs=$(wc -l <"$SCRATCH/key.seen")
c kv put x/a 1 >/dev/null
c event -name=deploy v3 >/dev/null
soon 20 "event: the next one" told event '"Payload":"djM="'
unlike "$(cat "$SCRATCH/event.seen")" '"other"' "but none of another name"
is "$(wc -l <"$SCRATCH/key.seen")" "$runs" "key: not for what is none of its business"

# --- the one that was killed -------------------------------------------------------

free() { [ "$(c lock -try=1s jobs/killed 'echo free')" = free ]; }
soon 90 "a lock whose holder was killed is free when its session has ended" free
done_testing
