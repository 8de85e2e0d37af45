# A reload moves where DNS is answered: new addresses are bound before old ones
# are closed, one that stays misses no question, and a port that cannot be had
# leaves everything as it was. dig asks throughout.
. "$(dirname "$0")/lib.sh"
own_network

CONFIG="$SCRATCH/agent.json"
SOCKET="$SCRATCH/agent.sock"
mkdir -p "$SCRATCH/services"
echo '{"service": {"name": "web", "port": 80, "address": "10.7.7.7"}}' \
    >"$SCRATCH/services/web.json"

# configure JSON: what the configuration says from now on.
configure() {
    echo "$1" >"$CONFIG.new"
    mv "$CONFIG.new" "$CONFIG"
}
reload() {
    "$MUSTER" reload --socket "$SOCKET" 2>&1
}
moved() { # JSON
    configure "$1"
    reload >/dev/null || bail "the reload failed: $(reload)"
}
web() { # ADDRESS PORT [DIG FLAG...]
    local address=$1 port=$2
    shift 2
    dig +short +tries=1 +time=3 -p "$port" "@$address" web.service.consul "$@"
}
serves() { # ADDRESS PORT
    [ "$(web "$@")" = 10.7.7.7 ] && [ "$(web "$@" +tcp)" = 10.7.7.7 ]
}
silent() { # ADDRESS PORT
    ! dig +tries=1 +time=1 -p "$2" "@$1" web.service.consul >/dev/null
}

# watcher NAME DIG-FLAG...: asks again and again until $SCRATCH/over is
# there; each answer is a line in $SCRATCH/NAME.answers.
watcher() {
    local name=$1
    shift
    # shellcheck disable=SC2016 # for the shell that is started
    spawn "$name" bash -c 'until [ -e "$1/over" ]; do
            dig +short +tries=1 +time=3 web.service.consul "${@:3}" \
                >>"$1/$2.answers" 2>&1 || echo "dig failed" >>"$1/$2.answers"
        done' bash "$SCRATCH" "$name" "$@"
    PIDS_WATCH="${PIDS_WATCH:-} $PID"
}

configure '{"ports": {"dns": 5300}, "addresses": {"dns": "127.0.0.1 127.0.0.2"}}'
spawn one "$MUSTER" agent --dev --store-listen 127.0.0.1:0 --node one \
    --data-dir "$SCRATCH/data" --services "$SCRATCH/services" --http off \
    --socket "$SOCKET" --advertise 127.0.0.1 --config "$CONFIG"
agent=$PID
wait_until 20 "the service" serves 127.0.0.1 5300
watcher udp @127.0.0.1 -p 5300
watcher tcp @127.0.0.1 -p 5300 +tcp

ok "both addresses" serves 127.0.0.2 5300
moved '{"ports": {"dns": 5300}, "addresses": {"dns": "127.0.0.1 127.0.0.3"}}'
ok "a new address is there when the reload is answered" serves 127.0.0.3 5300
soon 10 "an old one is not any more" silent 127.0.0.2 5300

# --- what cannot be had ----------------------------------------------------
spawn other "$PYTHON" -c '
import signal, socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("127.0.0.5", 5300))
print("bound", flush=True)
signal.pause()'
wait_until 10 "somebody else on 127.0.0.5" grep -q bound "$SCRATCH/other.log"
configure '{"ports": {"dns": 5300}, "domain": "new.test",
    "addresses": {"dns": "127.0.0.4 127.0.0.5"}}'
out=$(reload)
is "$?" 1 "an address that is taken is refused"
like "$out" '127\.0\.0\.5:5300.*in use' "by its name"
ok "the old addresses stay" serves 127.0.0.3 5300
ok "and the other new one has not come" silent 127.0.0.4 5300
is "$(dig +tries=1 -p 5300 @127.0.0.1 one.node.new.test |
    sed -n 's/.*status: \([A-Z]*\).*/\1/p')" REFUSED "nor has anything else"
configure '{"ports": {"dns": 5300}, "addresses": {"dns": "192.0.2.1"}}'
out=$(reload)
like "$out" '192\.0\.2\.1:5300.*[Cc]annot assign' "one that is not ours, too"
is "$(kill -0 "$agent" && echo runs)" runs "the agent goes on"

# --- all addresses, and back -----------------------------------------------
moved '{"ports": {"dns": 5300}, "addresses": {"dns": "127.0.0.1 127.0.0.2"}}'
ok "one comes back" serves 127.0.0.2 5300
moved '{"ports": {"dns": 5301}, "addresses": {"dns": "127.0.0.1"},
    "dns": ["127.0.0.1:5300", "0.0.0.0:5301"]}'
ok "another port on all addresses" serves 127.0.0.9 5301
kill -HUP "$agent"
ok "SIGHUP with nothing new" serves 127.0.0.9 5301

touch "$SCRATCH/over"
for pid in $PIDS_WATCH; do
    _await_exit "$pid" 100 || bail "a dig hangs"
done
for name in udp tcp; do
    is "$(sort -u "$SCRATCH/$name.answers")" 10.7.7.7 \
        "$name: no question missed where the address stayed ($(wc -l \
            <"$SCRATCH/$name.answers") of them)"
done

# --- with TLS ----------------------------------------------------------------
for name in first second; do
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
        -keyout "$SCRATCH/$name.key" -out "$SCRATCH/$name.pem" -days 2 \
        -subj "/CN=$name" -addext "subjectAltName=DNS:$name" 2>/dev/null
done
dot() { # PORT CERTIFICATE: what the configuration says.
    echo '{"ports": {"dns": 5300, "dot": '"$1"'}, "tls": {"defaults": {
        "cert_file": "'"$SCRATCH/$2"'.pem", "key_file": "'"$SCRATCH/$2"'.key"}}}'
}
secure() { # PORT CERTIFICATE
    kdig +short +timeout=5 +retry=0 +tls-ca="$SCRATCH/$2.pem" \
        +tls-hostname="$2" -p "$1" @127.0.0.1 web.service.consul |
        grep -qx 10.7.7.7
}
moved "$(dot 8853 first)"
ok "DNS over TLS is switched on" secure 8853 first
moved "$(dot 8853 second)"
soon 10 "another certificate at the same port" secure 8853 second
configure "$(dot 8854 third)"
out=$(reload)
is "$?" 1 "a certificate that is missing is refused"
like "$out" 'third\.pem' "by its name"
ok "the old one stays" secure 8853 second
moved "$(dot 8854 second)"
ok "another port" secure 8854 second
closed() {
    ! secure 8853 second
}
soon 10 "instead of the old one" closed
moved '{"ports": {"dns": 5300}}'
ok "plain DNS was there throughout" serves 127.0.0.1 5300

# --- off and on ------------------------------------------------------------
moved '{"ports": {"dns": -1}}'
soon 10 "DNS off" silent 127.0.0.1 5300
moved '{"ports": {"dns": 53}}'
ok "on again, on port 53" serves 127.0.0.1 53
like "$(cat "$SCRATCH/one.log")" 'dns listens on 127\.0\.0\.1:53$' \
    "the log says where"
end "$agent"
configure '{"ports": {"dns": -1}}'
spawn two "$MUSTER" agent --dev --store-listen 127.0.0.1:0 --node one \
    --data-dir "$SCRATCH/data" --services "$SCRATCH/services" --http off \
    --socket "$SOCKET" --advertise 127.0.0.1 --config "$CONFIG"
agent=$PID
wait_until 20 "the start" grep -q '"started"' "$SCRATCH/two.log"
ok "an agent without DNS" silent 127.0.0.1 5300
moved '{"ports": {"dns": 5300}}'
ok "gets it by a reload" serves 127.0.0.1 5300
end "$agent"
is "$CODE" 0 "and ends well"
done_testing
