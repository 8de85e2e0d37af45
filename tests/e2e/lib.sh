# lib.sh - what every end-to-end test starts with:
#
#     # What a user is promised.
#     . "$(dirname "$0")/lib.sh"
#
# Gives a scratch folder ($SCRATCH, removed at the end), TAP output, programs
# that are started here and stopped by their pid whatever happens, free ports,
# and waiting for conditions with a limit. $MUSTER is the program under test.
#
# No test sleeps for a while and hopes: it waits for what it needs.

# shellcheck shell=bash disable=SC2034
set -u
: "${MUSTER:?the path of the built muster program}"

TESTS_RUN=0
TESTS_FAILED=0
PIDS=""
HERE=$(cd "$(dirname "$0")" && pwd)
ROOT=$(cd "$HERE/../.." && pwd)
PYTHON=/usr/bin/python3 # Debian's: it has the Debian modules.
SCRATCH=$(mktemp -d "${TMPDIR:-/tmp}/muster-e2e.XXXXXX")
export ETCDCTL_API=3
unset ETCDCTL_ENDPOINTS http_proxy https_proxy HTTP_PROXY HTTPS_PROXY || :

# What ends the test may happen where output is dropped.
exec 3>&1

# Called on every way out. What was started ends before its folder goes.
_cleanup() {
    local pid
    exec >&3
    for pid in $PIDS; do
        kill -TERM "$pid" 2>/dev/null
    done
    for pid in $PIDS; do
        _await_exit "$pid" 50 || kill -KILL "$pid" 2>/dev/null
        wait "$pid" 2>/dev/null
    done
    if [ "$TESTS_FAILED" -ne 0 ]; then
        _show_logs
    fi
    rm -rf "$SCRATCH"
}
trap _cleanup EXIT
trap 'exit 130' INT TERM

_show_logs() {
    local log
    for log in "$SCRATCH"/*.log; do
        [ -s "$log" ] || continue
        echo "# --- last lines of $(basename "$log")"
        tail -n 60 "$log" | sed 's/^/# /'
    done
}

# _await_exit PID TENTHS: true once it has ended.
_await_exit() {
    local left=$2
    while kill -0 "$1" 2>/dev/null; do
        [ "$left" -gt 0 ] || return 1
        left=$((left - 1))
        sleep 0.1
    done
}

# --- a network of one's own -------------------------------------------------

# own_network: run the script again in a network namespace and a mount namespace
# of its own, as the first thing it does: all ports are free, port 53 too, and
# the machine's own traffic is not seen. Root's rights are not needed.
own_network() {
    if [ -z "${MUSTER_OWN_NETWORK:-}" ]; then
        rm -rf "$SCRATCH"
        MUSTER_OWN_NETWORK=1 exec unshare --map-root-user --net --mount \
            bash "$0"
    fi
    ip link set lo up || bail "the network namespace has no loopback"
}

# root_network: the same as real root, for what an agent gives up.
root_network() {
    if [ -z "${MUSTER_OWN_NETWORK:-}" ]; then
        local become=""
        [ "$(id -u)" = 0 ] || become="sudo -n"
        rm -rf "$SCRATCH"
        # shellcheck disable=SC2086 # no word when we are root
        exec $become env MUSTER="$MUSTER" MUSTER_OWN_NETWORK=1 \
            unshare --net --mount bash "$0"
    fi
    ip link set lo up || bail "the network namespace has no loopback"
}

# own_resolver ADDRESS: the name server of everything started from now on, in
# the namespace that own_network made.
own_resolver() {
    echo "nameserver $1" >"$SCRATCH/resolv.conf"
    mount --bind "$SCRATCH/resolv.conf" /etc/resolv.conf ||
        bail "/etc/resolv.conf cannot be replaced"
}

# --- saying what was found -------------------------------------------------

# ok WHAT COMMAND...: the command must succeed.
ok() {
    local what=$1
    shift
    TESTS_RUN=$((TESTS_RUN + 1))
    if "$@"; then
        echo "ok $TESTS_RUN - $what"
    else
        TESTS_FAILED=$((TESTS_FAILED + 1))
        echo "not ok $TESTS_RUN - $what"
        echo "#   failed: $*"
    fi
}

# is GOT WANTED WHAT
is() {
    TESTS_RUN=$((TESTS_RUN + 1))
    if [ "$1" = "$2" ]; then
        echo "ok $TESTS_RUN - $3"
    else
        TESTS_FAILED=$((TESTS_FAILED + 1))
        echo "not ok $TESTS_RUN - $3"
        printf '%s\n' "got:" "$1" "wanted:" "$2" | sed 's/^/#   /'
    fi
}

# like GOT REGEX WHAT: the extended regular expression matches some line.
like() {
    TESTS_RUN=$((TESTS_RUN + 1))
    if printf '%s\n' "$1" | grep -aEq -- "$2"; then
        echo "ok $TESTS_RUN - $3"
    else
        TESTS_FAILED=$((TESTS_FAILED + 1))
        echo "not ok $TESTS_RUN - $3"
        printf '%s\n' "got:" "$1" "wanted a line like:" "$2" | sed 's/^/#   /'
    fi
}

# unlike GOT REGEX WHAT: no line matches.
unlike() {
    TESTS_RUN=$((TESTS_RUN + 1))
    if printf '%s\n' "$1" | grep -aEq -- "$2"; then
        TESTS_FAILED=$((TESTS_FAILED + 1))
        echo "not ok $TESTS_RUN - $3"
        printf '%s\n' "got:" "$1" "wanted no line like:" "$2" | sed 's/^/#   /'
    else
        echo "ok $TESTS_RUN - $3"
    fi
}

# The test cannot go on.
bail() {
    TESTS_FAILED=$((TESTS_FAILED + 1))
    echo "Bail out! $*" >&3
    exit 1
}

done_testing() {
    echo "1..$TESTS_RUN"
    [ "$TESTS_RUN" -gt 0 ] || bail "nothing was tested"
    [ "$TESTS_FAILED" -eq 0 ]
    exit
}

# --- waiting ---------------------------------------------------------------

now_ms() {
    date +%s%3N
}

# wait_until SECONDS WHAT COMMAND...: run it until it succeeds; the test ends
# here when it does not in time. Its output is dropped.
wait_until() {
    local until=$(($(now_ms) + $1 * 1000))
    local what=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        [ "$(now_ms)" -lt "$until" ] || bail "waited in vain for $what: $*"
        sleep 0.05
    done
}

# soon SECONDS WHAT COMMAND...: the command must succeed within that time.
soon() {
    local until=$(($(now_ms) + $1 * 1000))
    local what=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        if [ "$(now_ms)" -ge "$until" ]; then
            ok "$what" "$@"
            return
        fi
        sleep 0.05
    done
    ok "$what" true
}

# took_ms SECONDS WHAT COMMAND...: the same, and prints how long it took. Use
# it as `ms=$(took_ms ...) || bail ...`.
took_ms() {
    local begin
    begin=$(now_ms)
    wait_until "$@" || return
    echo $(($(now_ms) - begin))
}

# stays SECONDS COMMAND...: it must succeed again and again for so long.
stays() {
    local until=$(($(now_ms) + $1 * 1000))
    shift
    while [ "$(now_ms)" -lt "$until" ]; do
        "$@" >/dev/null 2>&1 || return 1
        sleep 0.05
    done
}

# --- programs --------------------------------------------------------------

# spawn NAME COMMAND...: in the background, output into $SCRATCH/NAME.log; its
# pid is in $PID and is stopped at the end.
spawn() {
    local name=$1
    shift
    "$@" >>"$SCRATCH/$name.log" 2>&1 </dev/null &
    PID=$!
    PIDS="$PIDS $PID"
}

# end PID [SIGNAL]: stop it and wait; its exit code is in $CODE.
end() {
    kill "-${2:-TERM}" "$1" 2>/dev/null
    _await_exit "$1" 150 || bail "process $1 did not end within 15 s"
    wait "$1" 2>/dev/null
    CODE=$?
    PIDS=$(printf '%s' "$PIDS" | sed "s/ $1\b//")
}

# free_port: a TCP and UDP port that nobody has now. Programs of ours take port
# 0 and say what they got; this is for programs that cannot.
free_port() {
    "$PYTHON" -c '
import socket
while True:
    t = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    t.bind(("127.0.0.1", 0))
    try:
        u.bind(t.getsockname())
    except OSError:
        continue
    print(t.getsockname()[1])
    break
'
}

# json EXPRESSION <JSON: a Python expression over the document, called d. Text is
# printed as it is, everything else as JSON.
json() {
    "$PYTHON" -c '
import json, sys
d = json.load(sys.stdin)
r = eval(sys.argv[1])
print(r if isinstance(r, str) else json.dumps(r, sort_keys=True))
' "$1"
}

# --- the agent -------------------------------------------------------------

# agent_start NAME FLAG...: `muster agent` with free ports, a data folder, a
# services folder and a socket of its own. When it returns, the agent answers
# and these are set: AGENT_PID AGENT_DNS AGENT_HTTP AGENT_SOCKET AGENT_STORE
# AGENT_SERVICES AGENT_DATA. Starting the same NAME again keeps its folders and
# ports.
agent_start() {
    local name=$1
    shift
    local dir="$SCRATCH/$name"
    local lines
    local dns=()
    mkdir -p "$dir/services" "$dir/data"
    AGENT_SERVICES="$dir/services"
    AGENT_DATA="$dir/data"
    AGENT_SOCKET="$dir/agent.sock"
    [ -f "$dir/ports" ] && . "$dir/ports"
    case " $* " in
    *" --dns "*) ;; # One's own, of which the first becomes AGENT_DNS.
    *) dns=(--dns "127.0.0.1:${DNS_PORT:-0}") ;;
    esac
    touch "$SCRATCH/$name.out"
    lines=$(wc -l <"$SCRATCH/$name.out")
    spawn "$name" sh -c 'out=$1; shift; exec "$@" >>"$out"' sh \
        "$SCRATCH/$name.out" "$MUSTER" agent \
        --node "$name" --data-dir "$AGENT_DATA" --services "$AGENT_SERVICES" \
        --socket "$AGENT_SOCKET" "${dns[@]}" \
        --http "127.0.0.1:${HTTP_PORT:-0}" --advertise 127.0.0.1 "$@"
    AGENT_PID=$PID
    wait_until 20 "the start of agent $name" _agent_started "$name" "$lines"
    _agent_ports "$name" "$lines" "$dir/ports"
}

_agent_started() {
    kill -0 "$AGENT_PID" || bail "agent $1 ended at its start"
    tail -n "+$(($2 + 1))" "$SCRATCH/$1.out" | grep -q '"event": *"started"'
}

# The line of JSON that a starting agent prints holds the ports it really has.
_agent_ports() {
    local line
    line=$(tail -n "+$(($2 + 1))" "$SCRATCH/$1.out" | grep '"event": *"started"')
    DNS_PORT=$(printf '%s' "$line" | json 'd["dns"].rsplit(":", 1)[1]')
    HTTP_PORT=$(printf '%s' "$line" | json 'd["http"].rsplit(":", 1)[1]')
    AGENT_STORE=$(printf '%s' "$line" | json 'd.get("store") or ""')
    AGENT_DNS=$DNS_PORT
    AGENT_HTTP="127.0.0.1:$HTTP_PORT"
    printf 'DNS_PORT=%s\nHTTP_PORT=%s\n' "$DNS_PORT" "$HTTP_PORT" >"$3"
    unset DNS_PORT HTTP_PORT
}

# agent_stop: SIGTERM and wait; CODE is its exit code.
agent_stop() {
    end "$AGENT_PID" TERM
}

# web_start [PORT]: a web server (Python's) on a free port or on PORT. Sets
# WEB_PID and WEB_PORT; returns when it answers.
web_start() {
    WEB_PORT=${1:-$(free_port)}
    mkdir -p "$SCRATCH/www"
    echo "hello" >"$SCRATCH/www/index.html"
    spawn "web-$WEB_PORT" "$PYTHON" -m http.server --bind 127.0.0.1 \
        --directory "$SCRATCH/www" "$WEB_PORT"
    WEB_PID=$PID
    wait_until 15 "the web server" curl -fsS --max-time 1 \
        "http://127.0.0.1:$WEB_PORT/"
}

# nginx_start [PORT]: the same with Debian's nginx. WEB_PID and WEB_PORT.
nginx_start() {
    WEB_PORT=${1:-$(free_port)}
    local dir="$SCRATCH/nginx-$WEB_PORT"
    mkdir -p "$dir/html"
    echo "hello" >"$dir/html/index.html"
    cat >"$dir/nginx.conf" <<CONF
daemon off;
master_process off;
error_log $dir/error.log;
pid $dir/pid;
events {}
http {
    access_log off;
    client_body_temp_path $dir/body;
    proxy_temp_path $dir/proxy;
    fastcgi_temp_path $dir/fastcgi;
    uwsgi_temp_path $dir/uwsgi;
    scgi_temp_path $dir/scgi;
    server {
        listen 127.0.0.1:$WEB_PORT;
        root $dir/html;
    }
}
CONF
    spawn "nginx-$WEB_PORT" /usr/sbin/nginx -e "$dir/error.log" -c "$dir/nginx.conf"
    WEB_PID=$PID
    wait_until 15 "nginx" curl -fsS --max-time 1 "http://127.0.0.1:$WEB_PORT/"
}

# web_definition NAME PORT [INTERVAL [TAG]]: a sidecar file with an HTTP check,
# put into place in one step, as editors and tools should.
web_definition() {
    cat >"$SCRATCH/definition.tmp" <<JSON
{"service": {"name": "$1", "port": $2, "tags": ["${4:-v1}"],
  "checks": [{"http": "http://127.0.0.1:$2/", "interval": "${3:-1s}",
              "timeout": "1s"}]}}
JSON
    mv "$SCRATCH/definition.tmp" "$AGENT_SERVICES/$1.json"
}

# api PATH [CURL FLAG...]: over the Unix socket.
api() {
    local path=$1
    shift
    curl -sS --max-time 90 --unix-socket "$AGENT_SOCKET" "$@" "http://local$path"
}

# ask NAME [TYPE [DIG FLAG...]]: the short answer, sorted.
ask() {
    local name=$1 type=${2:-A}
    shift
    [ $# -gt 0 ] && shift
    dig +short +tries=1 +time=3 -p "$AGENT_DNS" @127.0.0.1 "$name" "$type" "$@" |
        LC_ALL=C sort
}

# rcode NAME [TYPE [DIG FLAG...]]: NOERROR, NXDOMAIN, SERVFAIL...
rcode() {
    local name=$1 type=${2:-A}
    shift
    [ $# -gt 0 ] && shift
    dig +tries=1 +time=3 -p "$AGENT_DNS" @127.0.0.1 "$name" "$type" "$@" |
        sed -n 's/.*status: \([A-Z]*\).*/\1/p'
}

# answers WANTED NAME [TYPE]: the short answer is WANTED (lines, sorted).
answers() {
    local wanted=$1
    shift
    [ "$(ask "$@")" = "$wanted" ]
}

# --- the store and etcd ----------------------------------------------------

# etcd_start NAME: Debian's etcd-server with one member; sets ETCD_PID and
# ETCD_URL.
etcd_start() {
    local client peer
    client=$(free_port)
    peer=$(free_port)
    spawn "$1" etcd --name "$1" --data-dir "$SCRATCH/$1.etcd" \
        --listen-client-urls "http://127.0.0.1:$client" \
        --advertise-client-urls "http://127.0.0.1:$client" \
        --listen-peer-urls "http://127.0.0.1:$peer" \
        --initial-advertise-peer-urls "http://127.0.0.1:$peer" \
        --initial-cluster "$1=http://127.0.0.1:$peer"
    ETCD_PID=$PID
    ETCD_URL="http://127.0.0.1:$client"
    wait_until 30 "etcd to be healthy" \
        curl -fsS --max-time 2 "$ETCD_URL/health"
}

# consul_start NAME [FLAG...]: the real Consul ($CONSUL) as `agent -dev`, alone and
# on free ports; NAME is its node's, if no FLAG says otherwise. Sets CONSUL_PID, CONSUL_HTTP, CONSUL_DNS.
consul_start() {
    local name=$1 port ports=()
    shift
    for port in server http dns serf-lan serf-wan grpc; do
        ports+=("-$port-port" "$(free_port)")
    done
    CONSUL_HTTP=127.0.0.1:${ports[3]}
    CONSUL_DNS=${ports[5]}
    spawn "$name" "$CONSUL" agent -dev -node "$name" -bind 127.0.0.1 \
        -client 127.0.0.1 "${ports[@]}" -hcl "disable_update_check = true" "$@"
    CONSUL_PID=$PID
    wait_until 30 "Consul's node in its catalogue" eval \
        "curl -fsS http://$CONSUL_HTTP/v1/health/state/passing | grep -q serfHealth"
}

# store_start NAME [FLAG...]: `muster store` with one member; the same NAME again
# keeps its folder and port. Sets STORE_PID and STORE_URL.
store_start() {
    local name=$1
    shift
    [ -f "$SCRATCH/$name.port" ] || free_port >"$SCRATCH/$name.port"
    STORE_URL="http://127.0.0.1:$(cat "$SCRATCH/$name.port")"
    spawn "$name" "$MUSTER" store --name "$name" \
        --data-dir "$SCRATCH/$name.etcd" --listen-client-urls "$STORE_URL" \
        --advertise-client-urls "$STORE_URL" \
        --listen-peer-urls http://127.0.0.1:0 "$@"
    STORE_PID=$PID
    wait_until 30 "store $name to be healthy" \
        curl -fsS --max-time 2 "$STORE_URL/health"
}

# ctl ARG...: etcdctl against STORE_URL.
ctl() {
    etcdctl --endpoints "$STORE_URL" "$@"
}

# --- a cluster of the store ------------------------------------------------

# cluster_names NAME...: choose ports, so that members can be started.
cluster_names() {
    local name
    CLUSTER=""
    for name in "$@"; do
        member_ports "$name"
        CLUSTER="$CLUSTER${CLUSTER:+,}$name=$(peer_url "$name")"
    done
}

member_ports() {
    free_port >"$SCRATCH/$1.port"
    free_port >"$SCRATCH/$1.peer"
}

client_url() {
    echo "${SCHEME:-http}://127.0.0.1:$(cat "$SCRATCH/$1.port")"
}

peer_url() {
    echo "${PEER_SCHEME:-http}://127.0.0.1:$(cat "$SCRATCH/$1.peer")"
}

# endpoints NAME...: with commas.
endpoints() {
    local name all=""
    for name in "$@"; do
        all="$all${all:+,}$(client_url "$name")"
    done
    echo "$all"
}

# member_spawn NAME [FLAG...]: a member of $CLUSTER; its pid is in $NAME_PID and
# $PID. Not waited for.
member_spawn() {
    local name=$1
    shift
    spawn "$name" "$MUSTER" store --name "$name" \
        --data-dir "$SCRATCH/$name.etcd" \
        --listen-client-urls "$(client_url "$name")" \
        --advertise-client-urls "$(client_url "$name")" \
        --listen-peer-urls "$(peer_url "$name")" \
        --initial-advertise-peer-urls "$(peer_url "$name")" \
        --initial-cluster "$CLUSTER" "$@"
    eval "${name}_PID=$PID"
}

healthy() {
    curl -fsS --max-time 2 "$(client_url "$1")/health" >/dev/null 2>&1
}

# member_wait NAME...: until each can answer a linearizable read.
member_wait() {
    local name
    for name in "$@"; do
        wait_until 30 "member $name to be healthy" healthy "$name"
    done
}

# ctl_of NAME ARG...: etcdctl against that member.
ctl_of() {
    local name=$1
    shift
    etcdctl --endpoints "$(client_url "$name")" "$@" 2>&1
}

# leader_of NAME...: the name of the one that leads, as they say; empty: none.
leader_of() {
    local name
    for name in "$@"; do
        if etcdctl --endpoints "$(client_url "$name")" --command-timeout 1s \
            endpoint status 2>/dev/null | cut -d, -f5 | grep -q true; then
            echo "$name"
            return
        fi
    done
}

has_leader() {
    [ -n "$(leader_of "$@")" ]
}

member_id_of() { # ASKED NAME
    ctl_of "$1" member list | grep "$(peer_url "$2")" | cut -d, -f1
}

# same_hash NAME...: HashKV is equal on all of them.
same_hash() {
    [ "$(etcdctl --endpoints "$(endpoints "$@")" endpoint hashkv 2>/dev/null |
        sed 's/.*, *//' | sort | uniq -c | awk '{ print $1 }')" = "$#" ]
}
