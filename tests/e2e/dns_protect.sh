# Strangers over UDP get short answers, and not too many; whoever is known, or
# shows a cookie, notices nothing.
. "$(dirname "$0")/lib.sh"
own_network
ip addr add 198.51.100.1/24 dev lo
ip addr add 198.51.100.7/24 dev lo
ip addr add 203.0.113.5/24 dev lo

# settings RATE EXEMPT [UDP_MAX_REMOTE]
settings() {
    cat >"$SCRATCH/new.json" <<JSON
{"dns_config": {"udp_max_remote": ${3:-1232}, "rrl": {"responses_per_second": $1, "slip": 2, "exempt": [$2]}}}
JSON
    mv "$SCRATCH/new.json" "$SCRATCH/agent.json"
}
settings 20 ""
agent_start one --dev --store-listen 127.0.0.1:0 --dns-threads 1 \
    --config "$SCRATCH/agent.json" --dns 0.0.0.0:0
for i in 1 2 3 4 5 6 7 8 9 10 11 12; do
    echo "{\"id\": \"w$i\", \"name\": \"web\", \"port\": 80, \"address\": \"10.1.0.$i\"}"
done | "$PYTHON" -c '
import sys
print("{\"services\": [" + ",".join(sys.stdin.read().split("\n")[:-1]) + "]}")' \
    >"$AGENT_SERVICES/web.json"
complete() { [ "$(ask web.service.consul SRV +tcp | wc -l)" = 12 ]; }
wait_until 10 "the service" complete

# ask_from CLIENT FLAG...: one SRV question over UDP from that address.
ask_from() {
    local client=$1
    shift
    dig +tries=1 +time=3 +ignore +bufsize=4096 -b "$client" -p "$AGENT_DNS" \
        @198.51.100.1 web.service.consul SRV "$@"
}
like "$(ask_from 198.51.100.7 +nocookie)" 'flags:.* tc.*ANSWER: 0' \
    "a stranger's large answer is only TC"
like "$(dig +nocookie +tries=1 +bufsize=4096 -b 198.51.100.7 -p "$AGENT_DNS" \
    @198.51.100.1 web.service.consul SRV)" 'ANSWER: 12' "and comes over TCP"
like "$(dig +tries=1 +bufsize=4096 -p "$AGENT_DNS" @127.0.0.1 \
    web.service.consul SRV)" 'ANSWER: 12' "loopback gets it at once"
cookie=$(ask_from 198.51.100.7 +cookie=0123456789abcdef |
    sed -n 's/^; COOKIE: \([0-9a-f]*\) (good)/\1/p')
is "${#cookie}" 48 "a cookie is given"
like "$(ask_from 198.51.100.7 +cookie="$cookie")" 'ANSWER: 12' \
    "with it the stranger is believed"
like "$(ask_from 203.0.113.5 +cookie="$cookie")" 'flags:.* tc' \
    "nobody else is"

# flood CLIENT COUNT: "answered truncated silent", the last two as yes or no.
flood() {
    "$PYTHON" - "$1" "$2" "$AGENT_DNS" <<'PY'
import socket, struct, sys
client, count, port = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind((client, 0))
s.connect(("198.51.100.1", port))
s.settimeout(1)
name = b"\4none\7service\6consul\0"
full = cut = 0
for i in range(count):
    s.send(struct.pack(">6H", i, 256, 1, 0, 0, 0) + name + struct.pack(">2H", 1, 1))
try:
    while full + cut < count:
        r = s.recv(4096)
        if r[2] & 2: cut += 1
        else: full += 1
except socket.timeout:
    pass
print("all" if full == count else "some" if full < count / 2 else "most", cut > 0,
      full + cut < count)
PY
}
is "$(flood 198.51.100.7 200)" "some True True" "a flood is cut down"
is "$(flood 127.0.0.1 200)" "all False False" "loopback is not"
settings 20 '"203.0.113.0/24"'
kill -HUP "$AGENT_PID"
exempt() { [ "$(flood 203.0.113.5 200)" = "all False False" ]; }
soon 20 "a network is exempt after a reload" exempt

# What a remote client may get in one datagram, whatever it says that it takes.
like "$(ask_from 203.0.113.5)" 'ANSWER: 12' "1 232 bytes hold them all"
settings 20 '"203.0.113.0/24"' 512
kill -HUP "$AGENT_PID"
smaller() { ask_from 203.0.113.5 | grep -q 'ANSWER: [1-9],'; }
soon 20 "512 do not, after a reload" smaller
like "$(ask_from 127.0.0.1)" 'ANSWER: 12' "loopback is not limited"
settings 20 '"203.0.113.0/24"'

# Bytes that are no query, over UDP and TCP: it goes on answering.
"$PYTHON" - "$AGENT_DNS" "$ROOT"/tests/fuzz/corpus/dns_*/* <<'PY'
import socket, struct, sys
at = ("127.0.0.1", int(sys.argv[1]))
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for path in sys.argv[2:]:
    packet = open(path, "rb").read()[1:]
    if len(packet) < 60000:
        u.sendto(packet, at)
    t = socket.create_connection(at)
    t.sendall(struct.pack(">H", len(packet) & 0xffff) + packet)
    t.close()
PY
ok "it answers after malformed packets" complete
like "$(api '/v1/agent/metrics?format=prometheus')" \
    'muster_dns_malformed_total\{reason="name"\} [1-9]' "which are counted"

# A secret that survives: the cookie of before is good after a restart.
agent_stop
agent_start one --dev --store-listen 127.0.0.1:0 --dns-threads 1 \
    --config "$SCRATCH/agent.json" --dns "0.0.0.0:$AGENT_DNS"
wait_until 10 "the service" complete
like "$(ask_from 198.51.100.7 +cookie="$cookie")" 'ANSWER: 12' \
    "a cookie is good after a restart"
done_testing
