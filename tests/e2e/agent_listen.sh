# A reload moves the HTTP API and its certificate: new listeners are there before
# old ones are closed, who is served is answered, and what cannot be had leaves
# everything as it was.
. "$(dirname "$0")/lib.sh"
own_network

CONFIG="$SCRATCH/agent.json"
SOCKET="$SCRATCH/agent.sock"
mkdir -p "$SCRATCH/services"
echo '{"service": {"name": "web", "port": 80, "address": "10.7.7.7"}}' \
    >"$SCRATCH/services/web.json"
openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=ca \
    -keyout "$SCRATCH/ca.key" -out "$SCRATCH/ca.pem" 2>/dev/null
for name in one two; do
    openssl req -newkey rsa:2048 -nodes -subj "/CN=$name.test" \
        -keyout "$SCRATCH/$name.key" -out "$SCRATCH/new.csr" 2>/dev/null
    openssl x509 -req -in "$SCRATCH/new.csr" -days 30 -CA "$SCRATCH/ca.pem" \
        -CAkey "$SCRATCH/ca.key" -CAcreateserial -out "$SCRATCH/$name.pem" \
        -extfile <(echo "subjectAltName=IP:127.0.0.1") 2>/dev/null
done
tls() { # NAME: what the configuration says of a certificate.
    echo '"tls": {"defaults": {"cert_file": "'"$SCRATCH/$1"'.pem",
        "key_file": "'"$SCRATCH/$1"'.key"}}'
}

configure() {
    echo "$1" >"$CONFIG.new"
    mv "$CONFIG.new" "$CONFIG"
}
reload() {
    "$MUSTER" reload --socket "$SOCKET" 2>&1
}
moved() { # JSON
    local said
    configure "$1"
    said=$(reload) || bail "the reload failed: $said"
}
services() { # URL
    curl -sS --max-time 5 --cacert "$SCRATCH/ca.pem" \
        "$1/v1/catalog/service/web" | json '[s["ServiceAddress"] for s in d]'
}
serves() { # URL
    [ "$(services "$1")" = '["10.7.7.7"]' ]
}
silent() { # URL
    ! curl -sS --max-time 5 -o "$SCRATCH/nothing" "$1/v1/status/leader"
}
shown() { # PORT: whose certificate.
    openssl s_client -connect "127.0.0.1:$1" </dev/null 2>/dev/null |
        openssl x509 -noout -subject
}

configure '{"ports": {"dns": -1, "http": 8500}}'
spawn one "$MUSTER" agent --dev --store-listen 127.0.0.1:0 --node one \
    --data-dir "$SCRATCH/data" --services "$SCRATCH/services" \
    --socket "$SOCKET" --advertise 127.0.0.1 --config "$CONFIG"
agent=$PID
wait_until 20 "the service" serves http://127.0.0.1:8500

# Who waits at the old port is answered when there is news.
poller() { # PORT
    local index
    index=$(curl -sS -D - -o "$SCRATCH/nothing" \
        "http://127.0.0.1:$1/v1/catalog/service/web" |
        tr -d '\r' | sed -n 's/^X-Consul-Index: //Ip')
    spawn poll curl -sS --max-time 60 \
        "http://127.0.0.1:$1/v1/catalog/service/web?index=$index&wait=60s"
    poll=$PID
}
poller 8500
waiting() {
    curl -sS --unix-socket "$SOCKET" http://local/v1/metrics |
        grep -q '^muster_http_waiting 1$'
}
wait_until 10 "the long poll" waiting
moved '{"ports": {"dns": -1, "http": 8600}}'
ok "the new port answers at once" serves http://127.0.0.1:8600
ok "and the old one no more" silent http://127.0.0.1:8500
ok "who waits there goes on waiting" waiting
echo '{"service": {"name": "web", "port": 81, "address": "10.7.7.7"}}' \
    >"$SCRATCH/services/web.json"
_await_exit "$poll" 100 || bail "the long poll hangs"
is "$(json 'd[0]["ServicePort"]' <"$SCRATCH/poll.log")" 81 "and is told of a change"

# --- the same port on all addresses, and back --------------------------------
moved '{"ports": {"dns": -1, "http": 8600}, "addresses": {"http": "0.0.0.0"}}'
ok "the same port on all addresses" serves http://127.0.0.7:8600
moved '{"ports": {"dns": -1, "http": 8600}}'
ok "and on one" serves http://127.0.0.1:8600
soon 10 "only" silent http://127.0.0.7:8600

# --- HTTPS ---------------------------------------------------------------------
moved '{"ports": {"dns": -1, "http": 8600, "https": 8501}, '"$(tls one)}"
ok "HTTPS is switched on" serves https://127.0.0.1:8501
like "$(shown 8501)" 'one\.test' "with its certificate"
moved '{"ports": {"dns": -1, "http": 8600, "https": 8501}, '"$(tls two)}"
like "$(shown 8501)" 'two\.test' "another certificate at the same port"
moved '{"ports": {"dns": -1, "http": 8600, "https": 8502}, '"$(tls two)}"
ok "another port" serves https://127.0.0.1:8502
soon 10 "instead of the old one" silent https://127.0.0.1:8501

# --- what cannot be had --------------------------------------------------------
spawn other "$PYTHON" -m http.server --bind 127.0.0.1 8700
wait_until 10 "another server" curl -s http://127.0.0.1:8700/
configure '{"ports": {"dns": 5300, "http": 8700, "https": 8503}, '"$(tls one)}"
out=$(reload)
is "$?" 1 "a port that is taken is refused"
like "$out" '127\.0\.0\.1:8700.*in use' "by its name"
ok "the old port stays" serves http://127.0.0.1:8600
ok "so does that of HTTPS" serves https://127.0.0.1:8502
like "$(shown 8502)" 'two\.test' "and its certificate"
ok "no other has come" silent https://127.0.0.1:8503
configure '{"ports": {"dns": -1, "http": 8600, "https": 8502}, '"$(tls none)}"
out=$(reload)
is "$?" 1 "a certificate that is missing is refused"
like "$out" 'none\.pem' "by its name"
ok "the old one stays" serves https://127.0.0.1:8502

# --- off and on ----------------------------------------------------------------
moved '{"ports": {"dns": -1, "http": -1}}'
soon 10 "HTTP off" silent http://127.0.0.1:8600
soon 10 "and HTTPS" silent https://127.0.0.1:8502
moved '{"ports": {"dns": -1, "http": 8500}}'
ok "on again" serves http://127.0.0.1:8500
poller 8500
wait_until 10 "another long poll" waiting
moved '{"ports": {"dns": -1, "http": 8600}}'
end "$agent"
is "$CODE" 0 "who still waits holds up no end"
done_testing
