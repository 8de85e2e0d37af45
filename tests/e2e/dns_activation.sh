# The service manager has bound the DNS sockets: fewer than there are workers.
. "$(dirname "$0")/lib.sh"

port=$(free_port)
cat >"$SCRATCH/manager.py" <<'PY'
import os, socket, sys
port = int(sys.argv[1])
for i, kind in enumerate((socket.SOCK_DGRAM, socket.SOCK_STREAM)):
    s = socket.socket(socket.AF_INET, kind)
    s.bind(("127.0.0.1", port))
    if kind == socket.SOCK_STREAM:
        s.listen(16)
    fd = s.detach()
    if fd != 3 + i:
        os.dup2(fd, 3 + i)
    os.set_inheritable(3 + i, True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="2",
                  LISTEN_FDNAMES=sys.argv[2])
os.execv(sys.argv[3], sys.argv[3:])
PY

# managed NAMES FLAG...: becomes the agent; for spawn and subshells.
managed() {
    local names=$1
    shift
    exec "$PYTHON" "$SCRATCH/manager.py" "$port" "$names" "$MUSTER" agent --dev \
        --store-listen 127.0.0.1:0 --dns off --http off --node one \
        --data-dir "$SCRATCH/data" --services "$SCRATCH/services" \
        --socket "$SCRATCH/agent.sock" --advertise 127.0.0.1 "$@"
}
mkdir -p "$SCRATCH/services"
echo '{"service": {"name": "web", "port": 1, "address": "10.7.7.7"}}' \
    >"$SCRATCH/services/web.json"
spawn agent managed dns:dns --dns-threads 3
agent=$PID
AGENT_DNS=$port
wait_until 20 "the agent" answers 10.7.7.7 web.service.consul
is "$(ask web.service.consul A +tcp)" 10.7.7.7 "over TCP as well"
many() {
    local i
    for i in 1 2 3 4 5 6 7 8 9 10; do
        answers 10.7.7.7 web.service.consul A || return
        answers 10.7.7.7 web.service.consul A +tcp || return
    done
}
ok "all workers share the two sockets" many
end "$agent"
is "$CODE" 0 "it ends well"
like "$(managed dns 2>&1)" 'fewer names than LISTEN_FDS' \
    "a socket without a name is reported"
done_testing
