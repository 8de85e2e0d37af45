# The service manager has bound every listener: DNS, DNS over TLS, HTTP, HTTPS
# and the Unix socket.
. "$(dirname "$0")/lib.sh"

cat >"$SCRATCH/manager.py" <<'PY'
import os, socket, sys
names, ports, path, command = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:]
kinds = {"dns": (socket.SOCK_DGRAM, socket.SOCK_STREAM)}
made = []
for name in names.split():
    if name == "unix":
        s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        s.bind(path)
        made.append(("http", s))
        continue
    port = 0
    for kind in kinds.get(name, (socket.SOCK_STREAM,)):
        s = socket.socket(socket.AF_INET, kind)
        s.bind(("127.0.0.1", port))
        if kind == socket.SOCK_STREAM:
            s.listen(16)
        port = s.getsockname()[1]
        made.append((name, s))
    with open(ports, "a") as out:
        print(name, port, file=out)
fds = [os.dup(s.detach()) for _, s in made]
fds = [os.dup2(fd, 100 + i) for i, fd in enumerate(fds)]
for i, fd in enumerate(fds):
    os.dup2(fd, 3 + i)
    os.set_inheritable(3 + i, True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(made)),
                  LISTEN_FDNAMES=":".join(name for name, _ in made))
os.execv(command[0], command)
PY

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
    -keyout "$SCRATCH/key.pem" -out "$SCRATCH/cert.pem" -days 2 -subj /CN=one \
    -addext subjectAltName=IP:127.0.0.1 2>/dev/null
cat >"$SCRATCH/agent.json" <<JSON
{"tls": {"defaults": {"cert_file": "$SCRATCH/cert.pem",
                      "key_file": "$SCRATCH/key.pem"}}}
JSON
mkdir -p "$SCRATCH/services"
echo '{"service": {"name": "web", "port": 1, "address": "10.7.7.7"}}' \
    >"$SCRATCH/services/web.json"

# managed NAMES FLAG...: becomes the agent; for spawn and subshells.
managed() {
    local names=$1
    shift
    exec "$PYTHON" "$SCRATCH/manager.py" "$names" "$SCRATCH/ports" \
        "$SCRATCH/handed.sock" "$MUSTER" agent --dev --dns off --http off \
        --store-listen 127.0.0.1:0 --node one --data-dir "$SCRATCH/data" \
        --services "$SCRATCH/services" --socket "$SCRATCH/own.sock" \
        --advertise 127.0.0.1 "$@"
}

spawn agent managed "dns dot http https unix" --config "$SCRATCH/agent.json"
agent=$PID
wait_until 20 "the start" grep -q '"started"' "$SCRATCH/agent.log"
port() {
    sed -n "s/^$1 //p" "$SCRATCH/ports"
}
AGENT_DNS=$(port dns)
ok "DNS" wait_until 20 "the service" answers 10.7.7.7 web.service.consul
is "$(kdig +short +tls -p "$(port dot)" @127.0.0.1 web.service.consul)" \
    10.7.7.7 "DNS over TLS"
leader=/v1/status/leader
ok "HTTP" curl -fsSo /dev/null "http://127.0.0.1:$(port http)$leader"
ok "HTTPS" curl -fsSo /dev/null --cacert "$SCRATCH/cert.pem" \
    "https://127.0.0.1:$(port https)$leader"
ok "the Unix socket" curl -fsSo /dev/null --unix-socket "$SCRATCH/handed.sock" \
    "http://local$leader"
ok "instead of the one that would have been made" test ! -e "$SCRATCH/own.sock"
like "$(cat "$SCRATCH/agent.log")" \
    "\"http\":\"127.0.0.1:$(port http)\".*\"socket\":\"$SCRATCH/handed.sock\"" \
    "it says where it is"
end "$agent"
is "$CODE" 0 "it ends well"
ok "the service manager's socket stays" test -S "$SCRATCH/handed.sock"

rm "$SCRATCH/handed.sock"
like "$(managed https 2>&1)" 'https: .* needs tls.defaults.cert_file' \
    "HTTPS without a certificate is reported"
like "$(managed "http http" 2>&1)" 'two sockets are called "http"' \
    "and one too many"
done_testing
