# Ten thousand connections that say nothing, bytes that are no TLS or nothing in
# it, and no descriptor left: DNS and HTTP go on answering, and recover.
. "$(dirname "$0")/lib.sh"

ulimit -n 13000 || bail "this needs 13000 open files"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
    -keyout "$SCRATCH/key.pem" -out "$SCRATCH/cert.pem" -days 2 -subj /CN=one \
    -addext subjectAltName=IP:127.0.0.1 2>/dev/null
DOT=$(free_port)
cat >"$SCRATCH/agent.json" <<JSON
{"dot": "127.0.0.1:$DOT", "https": "127.0.0.1:0",
 "tls": {"defaults": {"cert_file": "$SCRATCH/cert.pem",
                      "key_file": "$SCRATCH/key.pem"}}}
JSON
agent_start one --dev --store-listen 127.0.0.1:0 --config "$SCRATCH/agent.json"
HTTPS=$(grep started "$SCRATCH/one.out" | json 'd["https"].rsplit(":", 1)[1]')
echo '{"service": {"name": "web", "port": 1, "address": "10.7.7.7"}}' \
    >"$AGENT_SERVICES/web.json"
wait_until 20 "the service" answers 10.7.7.7 web.service.consul

serves() {
    [ "$(ask web.service.consul)" = 10.7.7.7 ] &&
        [ "$(ask web.service.consul A +tcp)" = 10.7.7.7 ] &&
        curl -fsSo /dev/null --max-time 3 "http://$AGENT_HTTP/v1/status/leader"
}
files() {
    find "/proc/$AGENT_PID/fd" -mindepth 1 | wc -l
}
before=$(files)
few() {
    [ "$(files)" -le $((before + 20)) ]
}

# --- half-open connections -----------------------------------------------------

# As many as are asked for, from as many networks, each with the first bytes of
# something; they are held until the end of input.
cat >"$SCRATCH/half.py" <<'PY'
import selectors, socket, sys
port, count, first = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3].encode()
held = []
for i in range(count):
    s = socket.socket()
    s.bind(("127.%d.%d.1" % (1 + i // 250, i % 250), 0))
    s.settimeout(20)
    try:
        s.connect(("127.0.0.1", port))
        s.sendall(first)
    except OSError:
        continue  # Closed already: it is one too many.
    held.append(s)
print("held", flush=True)
sys.stdin.read()
PY
# hold NAME PORT COUNT BYTES: until the descriptor is closed. Its pid is in $PID.
hold() {
    mkfifo "$SCRATCH/$1.in"
    "$PYTHON" "$SCRATCH/half.py" "$2" "$3" "$4" <"$SCRATCH/$1.in" \
        >"$SCRATCH/$1.log" 2>&1 &
    PID=$!
    PIDS="$PIDS $PID"
    exec 7>"$SCRATCH/$1.in"
    wait_until 90 "the connections of $1" grep -q held "$SCRATCH/$1.log"
}
hold dns "$AGENT_DNS" 10000 "x"
is "$(ask web.service.consul)" 10.7.7.7 "10 000 half-open to DNS: UDP answers"
is "$(ask web.service.consul A +tcp)" 10.7.7.7 "and so does TCP"
ok "and HTTP" curl -fsSo /dev/null "http://$AGENT_HTTP/v1/status/leader"
# A worker has 1 024, and a little of its own.
bound=$((before + $(nproc) * 1024 + 50))
ok "they are bounded" test "$(files)" -le "$bound"
end "$PID"
exec 7>&-
soon 30 "they are gone" few

hold http "${AGENT_HTTP##*:}" 10000 "GET /v1"
is "$(ask web.service.consul)" 10.7.7.7 "10 000 half-open to HTTP: DNS answers"
is "$(ask web.service.consul A +tcp)" 10.7.7.7 "over TCP, too"
ok "and the Unix socket" api /v1/status/leader -o /dev/null
soon 30 "and HTTP, once they had their time" serves
end "$PID"
exec 7>&-
soon 30 "they are gone" few

# --- TLS -------------------------------------------------------------------------

# Bytes instead of TLS, and bytes in it that are nothing.
cat >"$SCRATCH/garbage.py" <<'PY'
import random, socket, ssl, sys
rng = random.Random(7858)
context = ssl.create_default_context(cafile=sys.argv[1])
def bytes_of(n):
    return bytes(rng.getrandbits(8) for _ in range(n))
hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
closed = 0
for port in sys.argv[2:]:
    for i in range(150):
        s = socket.create_connection(("127.0.0.1", int(port)), timeout=20)
        try:
            if i % 3 == 0:
                s.sendall(bytes_of(rng.randrange(1, 600)))
            elif i % 3 == 1:
                s.sendall(hello + bytes_of(rng.randrange(0, 600)))
            else:
                s = context.wrap_socket(s, server_hostname="127.0.0.1")
                if i % 2:  # A length and what it does not promise.
                    s.sendall(b"\0\x0c" + bytes_of(12))
                s.sendall(bytes_of(rng.randrange(1, 3000)))
            s.shutdown(socket.SHUT_WR)
            while s.recv(4096):
                pass
        except (ConnectionError, ssl.SSLError):
            pass
        closed += 1
        s.close()
print("closed", closed)
PY
is "$("$PYTHON" "$SCRATCH/garbage.py" "$SCRATCH/cert.pem" "$DOT" "$HTTPS" 2>&1)" \
    "closed 300" "whatever comes over TLS is closed"
is "$(kdig +short +tls -p "$DOT" @127.0.0.1 web.service.consul)" 10.7.7.7 \
    "DNS over TLS answers"
ok "and HTTPS" curl -fsSo /dev/null --cacert "$SCRATCH/cert.pem" \
    "https://127.0.0.1:$HTTPS/v1/status/leader"
soon 30 "nothing is left of them" few
agent_stop
is "$CODE" 0 "it ends well"

# --- no descriptors ----------------------------------------------------------------

(
    ulimit -n 100
    exec "$MUSTER" agent --dev --store-listen 127.0.0.1:0 --node one \
        --data-dir "$AGENT_DATA" --services "$AGENT_SERVICES" \
        --socket "$AGENT_SOCKET" --dns "127.0.0.1:$AGENT_DNS" \
        --http "$AGENT_HTTP" --advertise 127.0.0.1
) >>"$SCRATCH/one.log" 2>&1 </dev/null &
AGENT_PID=$!
PIDS="$PIDS $AGENT_PID"
wait_until 20 "the service" answers 10.7.7.7 web.service.consul
before=$(files)
hold few "$AGENT_DNS" 80 "x"
is "$(ask web.service.consul)" 10.7.7.7 "with no descriptor left UDP answers"
end "$PID"
exec 7>&-
soon 30 "and with descriptors all do" serves
agent_stop
is "$CODE" 0 "it ends well"
done_testing
