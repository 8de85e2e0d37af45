# A service manager hears when the agent and the store are ready, reload, stop,
# and whether they are alive: a thread that hangs ends the watchdog's signs.
. "$(dirname "$0")/lib.sh"

cat >"$SCRATCH/manager.py" <<'PY'
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
while True:
    print(s.recv(4096).decode().replace("\n", " "), flush=True)
PY

# manager NAME: somebody who listens; what it hears is in $SCRATCH/NAME.log.
manager() {
    HEARD="$SCRATCH/$1.log"
    export NOTIFY_SOCKET="$SCRATCH/$1.sock" WATCHDOG_USEC=400000
    spawn "$1" "$PYTHON" "$SCRATCH/manager.py" "$NOTIFY_SOCKET"
    wait_until 10 "the manager" test -S "$NOTIFY_SOCKET"
}
unmanaged() {
    unset NOTIFY_SOCKET WATCHDOG_USEC
}
heard() { # REGEX
    grep -Eq "$1" "$HEARD"
}
signs() {
    grep -c '^WATCHDOG=1$' "$HEARD"
}
more_signs() {
    [ "$(signs)" -ge $((SIGNS + 2)) ]
}
alive() {
    SIGNS=$(signs)
    wait_until 20 "signs of life" more_signs
}
as_many() {
    [ "$(signs)" = "$SIGNS" ]
}
# Five intervals without a sign; the one before may have been on its way.
silent() {
    SIGNS=$(signs)
    stays 2 as_many
}
# thread NAME: the first one of this name.
thread() {
    local task
    for task in /proc/"$AGENT_PID"/task/*; do
        [ "$(cat "$task/comm")" = "$1" ] && echo "${task##*/}" && return
    done
}
freeze() { # TID
    local become=""
    [ "$(id -u)" = 0 ] || become="sudo -n"
    : >"$SCRATCH/freezer.log"
    # shellcheck disable=SC2086 # no word when we are root
    spawn freezer $become "$PYTHON" "$HERE/freeze.py" "$1"
    FREEZER=$PID
    wait_until 10 "the thread to stand" grep -q frozen "$SCRATCH/freezer.log"
}

# --- the agent ---------------------------------------------------------------

free_port >"$SCRATCH/store.port"
store="http://127.0.0.1:$(cat "$SCRATCH/store.port")"
manager agent-manager
agent_start one --store "$store" --recursor 127.0.0.9
unmanaged
ok "alive before it is ready" alive
ok "it waits for the store" heard '^STATUS=waiting for the store'
ok "and is not ready before it knows anything" test -z \
    "$(grep READY "$HEARD")"
agent_manager=$HEARD

manager store-manager
store_start store
unmanaged
ok "the store is ready" heard "^READY=1 STATUS=serving clients at $STORE_URL"
ok "and alive" alive
end "$STORE_PID"
ok "it says that it stops" heard '^STOPPING=1'
is "$CODE" 0 "and ends well"

store_start store
HEARD=$agent_manager
ok "the agent is ready when it has read the store" wait_until 30 "READY=1" \
    heard '^READY=1 STATUS=[0-9]+ services on [0-9]+ nodes'
ok "and current" wait_until 30 "contact" heard 'STATUS=.* current$'
reloaded() {
    grep -A1 -E '^RELOADING=1 MONOTONIC_USEC=[0-9]+$' "$HEARD" |
        grep -q '^READY=1$'
}
kill -HUP "$AGENT_PID"
ok "a reload begins and ends" wait_until 20 "the reload" reloaded

# --- what hangs ----------------------------------------------------------------

for name in muster-dns muster-upstream; do
    freeze "$(thread "$name")"
    ok "a thread that hangs: $name" wait_until 30 "silence" silent
    end "$FREEZER"
    ok "and goes on" alive
done
freeze "$AGENT_PID"
ok "the loop hangs" wait_until 30 "silence" silent
is "$(rcode "one.node.consul")" NOERROR "DNS does not care"
end "$FREEZER"
ok "and goes on, too" alive

end "$STORE_PID"
ok "lost contact is told" wait_until 30 "the news" \
    heard 'STATUS=.* the store is out of reach'
agent_stop
ok "it says that it stops" heard '^STOPPING=1'
is "$CODE" 0 "and ends well"
done_testing
