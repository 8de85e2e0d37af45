# What an attacker does to an agent's ports, folders and disk: the agent goes on
# answering meanwhile, and is as it was afterwards.
. "$(dirname "$0")/lib.sh"

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
    -keyout "$SCRATCH/key.pem" -out "$SCRATCH/cert.pem" -days 2 -subj /CN=one \
    -addext subjectAltName=IP:127.0.0.1 2>/dev/null
cat >"$SCRATCH/agent.json" <<JSON
{"dot": "127.0.0.1:0", "tls": {"defaults": {"cert_file": "$SCRATCH/cert.pem",
                                            "key_file": "$SCRATCH/key.pem"}}}
JSON
agent_start one --dev --store-listen 127.0.0.1:0 --dns-threads 1 \
    --config "$SCRATCH/agent.json"
DOT=$(grep started "$SCRATCH/one.out" | json 'd["dot"].rsplit(":", 1)[1]')
echo '{"service": {"name": "web", "port": 1, "address": "10.7.7.7"}}' \
    >"$AGENT_SERVICES/web.json"
wait_until 20 "the service" answers 10.7.7.7 web.service.consul

# --- handshakes ------------------------------------------------------------------

# While the agent is stopped, two hundred clients begin a handshake, and then one
# asks over UDP. How many of them have been answered before that one? The kernel
# knows when each answer came.
cat >"$SCRATCH/shakes.py" <<'PY'
import os, signal, socket, ssl, struct, sys, time
SO_TIMESTAMPNS = 35
LAST_DATA_RECV = 52  # In struct tcp_info: milliseconds ago.
pid, dns, dot, count = map(int, sys.argv[1:])
out = ssl.MemoryBIO()
try:
    ssl.create_default_context().wrap_bio(
        ssl.MemoryBIO(), out, server_hostname="one").do_handshake()
except ssl.SSLWantReadError:
    hello = out.read()
def files():
    return len(os.listdir("/proc/%d/fd" % pid))
before = files()
held = [socket.create_connection(("127.0.0.1", dot)) for _ in range(count)]
until = time.time() + 20
while files() < before + count and time.time() < until:
    time.sleep(0.01)
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
udp.settimeout(20)
os.kill(pid, signal.SIGSTOP)
for s in held:
    s.sendall(hello)
udp.sendto(struct.pack(">6H", 1, 256, 1, 0, 0, 0) +
           b"\3web\7service\6consul\0\0\1\0\1", ("127.0.0.1", dns))
os.kill(pid, signal.SIGCONT)
seconds, ns = struct.unpack("@ll", udp.recvmsg(512, 64)[1][0][2][:16])
answered = seconds + ns / 1e9
earlier = 0
for s in held:
    s.settimeout(20)
    try:
        s.recv(1, socket.MSG_PEEK)
    except ConnectionResetError:
        continue  # On a slow machine its time was over before its turn.
    info = s.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
    ago, = struct.unpack_from("@I", info, LAST_DATA_RECV)
    earlier += time.time() - ago / 1000 < answered
print("few" if earlier < count / 2 else "%d of %d" % (earlier, count))
PY
is "$("$PYTHON" "$SCRATCH/shakes.py" "$AGENT_PID" "$AGENT_DNS" "$DOT" 200 2>&1)" \
    few "one handshake in a turn: two hundred hold no question up"

# --- lines -----------------------------------------------------------------------

# Fifty clients send thousands of requests each and read nothing.
cat >"$SCRATCH/lines.py" <<'PY'
import socket, sys
held = []
for _ in range(50):
    s = socket.socket(socket.AF_UNIX)
    s.connect(sys.argv[1])
    s.setblocking(False)
    try:
        while True:
            s.send(b"LOOKUP web\n" * 1000)
    except BlockingIOError:
        held.append(s)
print("held", flush=True)
sys.stdin.read()
PY
mkfifo "$SCRATCH/lines.in"
"$PYTHON" "$SCRATCH/lines.py" "$SCRATCH/one/agent.lines" <"$SCRATCH/lines.in" \
    >"$SCRATCH/held.log" 2>&1 &
LINES_PID=$!
PIDS="$PIDS $LINES_PID"
exec 7>"$SCRATCH/lines.in"
wait_until 30 "the requests" grep -q held "$SCRATCH/held.log"
soon 20 "a flood of lines: HTTP answers" \
    curl -fsSo /dev/null --max-time 5 "http://$AGENT_HTTP/v1/status/leader"
ok "and so does DNS" answers 10.7.7.7 web.service.consul
exec 7>&-
end "$LINES_PID"

# --- what lies in the services folder ----------------------------------------------

mkfifo "$AGENT_SERVICES/fifo.json"
ln -s loop.json "$AGENT_SERVICES/loop.json"
ln -s /dev/zero "$AGENT_SERVICES/zero.json"
ln -s nowhere "$AGENT_SERVICES/gone.json"
mkdir "$AGENT_SERVICES/folder.json"
truncate -s 1G "$AGENT_SERVICES/big.json"
printf '%20000s' "" | tr ' ' '[' >"$AGENT_SERVICES/deep.json"
printf '\377\376{"service": 1}' >"$AGENT_SERVICES/bytes.json"
echo '{"service": {"name": "web", "port": 2, "address": "10.7.7.8"}}' \
    >"$AGENT_SERVICES/twin.json"
echo '{"service": {"name": "late", "port": 2, "address": "10.7.7.9"}}' \
    >"$AGENT_SERVICES/zz.json"
soon 20 "a hostile folder: a good file behind all others is read" \
    answers 10.7.7.9 late.service.consul
ok "what was there before stays" answers 10.7.7.7 web.service.consul
faulty() {
    [ "$(api /v1/agent/self | json 'len(d["Stats"]["file_faults"])')" = 9 ]
}
soon 20 "and each of the others is told" faulty

agent_stop
is "$CODE" 0 "it ends well"

# --- no room on the disk -------------------------------------------------------------

# A file size limit fails writes as a full disk does, and sends a signal, too.
store_start store
ulimit -S -f 300 # KiB
agent_start two --store "$STORE_URL"
ulimit -S -f unlimited
register() { # NAME
    api /v1/agent/service/register -X PUT -o /dev/null -w '%{http_code}' -d \
        "{\"Name\": \"$1\", \"Address\": \"10.7.7.7\", \"Meta\": {$FILL}}"
}
FILL=$("$PYTHON" -c 'print(",".join("\"m%d\": \"%s\"" % (i, "x" * 500)
                                    for i in range(16)))')
CODE=""
for i in $(seq 100); do
    CODE=$(register "s$i")
    [ "$CODE" = 200 ] || break
done
is "$CODE" 500 "a disk without room: a registration is refused ($i)"
ok "what was acknowledged is answered" answers 10.7.7.7 s1.service.consul
prlimit --pid "$AGENT_PID" --fsize=unlimited
is "$(register again)" 200 "with room again it is not"
end "$AGENT_PID" KILL
agent_start two --store "$STORE_URL"
is "$(api /v1/agent/services | json "all('s%d' % n in d for n in range(1, $i))")" \
    true "and all is there after a crash"
agent_stop
done_testing
