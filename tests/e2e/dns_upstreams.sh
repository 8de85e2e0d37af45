# Names of others, asked of real servers: unbound for most, BIND and knot for
# domains of their own, one that is silent, one that refuses, one that lies; on
# behalf of glibc's and c-ares' resolvers and dig. Each has an address of its own.
. "$(dirname "$0")/lib.sh"
own_network
ip addr add 10.9.9.9/32 dev lo || bail "no second address"
ip addr add 127.0.0.3/8 dev lo || bail "BIND listens on what an interface has"

# --- upstream ---------------------------------------------------------------

unbound_conf() { # ADDRESS ACCESS
    cat <<CONF
server:
  interface: $1
  access-control: 127.0.0.0/8 $2
  username: ""
  chroot: ""
  directory: "$SCRATCH"
  pidfile: ""
  use-syslog: no
  do-daemonize: no
  num-threads: 1
  module-config: "iterator"
  local-zone: "test." static
  local-data: "test. 60 SOA ns.test. h.test. 1 1 1 1 60"
  local-data: "www.up.test. 300 A 10.7.7.7"
  local-data: "www.up.test. 300 AAAA fd00::7"
  local-data: "brief.up.test. 1 A 10.7.7.8"
  local-zone: "bank." static
  local-data: "bank. 60 SOA ns.bank. h.bank. 1 1 1 1 60"
remote-control:
  control-enable: no
CONF
}
unbound_conf 127.0.0.2 allow >"$SCRATCH/unbound.conf"
spawn unbound unbound -c "$SCRATCH/unbound.conf"
UNBOUND=$PID
unbound_conf 127.0.0.6 refuse >"$SCRATCH/refusing.conf"
spawn refusing unbound -c "$SCRATCH/refusing.conf"

zone() { # NAME: a zone with an address and a name that has sixty
    printf '$TTL 300\n@ SOA ns h 1 1 1 1 60\n@ NS ns\nns A 127.0.0.3\n'
    printf 'www A 10.8.8.%s\n' "$1"
    for i in $(seq 60); do echo "sixty A 10.8.1.$i"; done
}
zone 3 >"$SCRATCH/corp.zone"
zone 4 >"$SCRATCH/lab.zone"
cat >"$SCRATCH/named.conf" <<CONF
options {
  directory "$SCRATCH"; pid-file none; session-keyfile "$SCRATCH/session.key";
  listen-on { 127.0.0.3; }; listen-on-v6 { none; };
  recursion yes; allow-query { any; }; max-udp-size 512; dnssec-validation no;
};
controls { };
zone "corp.test" { type master; file "corp.zone"; };
CONF
spawn named named -g -c "$SCRATCH/named.conf"
cat >"$SCRATCH/knot.conf" <<CONF
server:
    rundir: "$SCRATCH"
    listen: 127.0.0.4@53
database:
    storage: "$SCRATCH"
template:
  - id: default
    storage: "$SCRATCH"
    journal-content: none
zone:
  - domain: lab.corp.test
    file: lab.zone
CONF
spawn knot knotd -c "$SCRATCH/knot.conf"
spawn silent "$PYTHON" -c '
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("127.0.0.5", 53))
while True:
    s.recv(4096)
'
spawn liar "$PYTHON" "$HERE/dns_liar.py" 127.0.0.7

upstream() { # ADDRESS NAME
    dig +short +tries=1 +time=1 "@$1" "$2" | grep -q '^[0-9]'
}
wait_until 20 "unbound" upstream 127.0.0.2 www.up.test
wait_until 20 "named" upstream 127.0.0.3 www.corp.test
wait_until 20 "knot" upstream 127.0.0.4 www.lab.corp.test
wait_until 20 "the liar" upstream 127.0.0.7 x.liar.test

# --- the agent --------------------------------------------------------------

config() { # RECURSORS FROM
    cat >"$SCRATCH/agent.json" <<JSON
{"recursors": $1, "recursion_from": $2,
 "recursors_for": {"corp.test": ["127.0.0.3"], "lab.corp.test": ["127.0.0.4"],
                   "liar.test": "127.0.0.7"},
 "dns_config": {"recursor_timeout": "500ms", "cache": {"serve_stale": true}}}
JSON
}
three='["127.0.0.5", "127.0.0.6", "127.0.0.2"]'
config "$three" '[]'
agent_start one --dev --store-listen 127.0.0.1:0 --config "$SCRATCH/agent.json" \
    --dns 127.0.0.53:53
cat >"$AGENT_SERVICES/all.json" <<'JSON'
{"services": [{"name": "web", "port": 80, "address": "10.0.0.1"},
              {"name": "ext", "port": 443, "address": "www.up.test"}]}
JSON
ours() { # NAME [TYPE [FLAG...]]
    dig +short +tries=1 +time=5 @127.0.0.53 "$@"
}
all_of() {
    dig +tries=1 +time=5 @127.0.0.53 "$@"
}
metric() { # NAME
    api /v1/agent/metrics?format=prometheus | sed -n "s/^$1 //p"
}
web_is_there() {
    [ "$(ours web.service.consul)" = 10.0.0.1 ]
}
wait_until 10 "a service of ours" web_is_there

is "$(ours www.up.test)" 10.7.7.7 "past the silent and the refusing one"
is "$(ours www.up.test AAAA)" fd00::7 "AAAA"
like "$(all_of gone.up.test)" 'status: NXDOMAIN' "NXDOMAIN is final"
is "$(metric 'muster_dns_upstream_queries_total{recursor="127.0.0.5:53"}')" 1 \
    "the silent one is asked once, then last"
is "$(ours www.corp.test)" 10.8.8.3 "a domain with a recursor of its own"
is "$(ours www.lab.corp.test)" 10.8.8.4 "the longest domain counts"
is "$(ours sixty.corp.test | wc -l)" 60 "truncated over UDP, whole over TCP"
is "$(ours sixty.lab.corp.test A +tcp | wc -l)" 60 "over TCP from the start"
out=$(all_of ext.service.consul SRV)
like "$out" 'www\.up\.test\..*IN.A.10\.7\.7\.7' "an SRV target comes with its A"
like "$out" 'www\.up\.test\..*IN.AAAA.fd00::7' "and its AAAA"
older() {
    [ "$(all_of www.up.test | sed -n 's/^www.*\t\([0-9]*\)\tIN\tA.*/\1/p')" -lt 300 ]
}
soon 5 "TTLs are counted down" older

# --- lies -------------------------------------------------------------------

for name in wrongid wrongname poison; do
    is "$(ours $name.liar.test)" 192.0.2.1 "$name: the truth"
done
is "$(ours www.bank)" "" "what nobody had asked for is not remembered"
is "$(ours long.liar.test A +tcp | wc -l)" 2000 "64 KiB over TCP"
like "$(all_of garbage.liar.test)" 'status: SERVFAIL' "garbage"
out=$(all_of silent.liar.test)
like "$out" 'status: SERVFAIL' "silence"
like "$out" 'EDE: 22' "and why"
like "$out" 'flags:.* ra' "recursion is offered all the same"

# --- real stub resolvers ----------------------------------------------------

own_resolver 127.0.0.53
is "$(getent ahostsv4 www.up.test | awk '/STREAM/ { print $1 }')" 10.7.7.7 \
    "glibc: A"
is "$(getent hosts www.up.test | awk '{ print $1 }')" fd00::7 \
    "glibc: AAAA"
is "$(getent hosts web.service.consul | awk '{ print $1 }')" 10.0.0.1 \
    "glibc: a service of ours"
is "$(getent ahostsv4 sixty.corp.test | grep -c STREAM)" 60 "glibc goes on over TCP"
ok "glibc: a name that is not there" test -z "$(getent hosts gone.up.test)"
cares() {
    "$PYTHON" - "$@" <<'PY'
import select, sys
import pycares
found = []
channel = pycares.Channel(timeout=5, tries=1)
def done(result, error):
    found.append(pycares.errno.errorcode[error] if error else
                 " ".join(sorted(result.addresses)))
channel.gethostbyname(sys.argv[1], 2, done)
while not found:
    r, w = channel.getsock()
    ready = select.select(r, w, [], 5)
    for fd in ready[0]:
        channel.process_fd(fd, pycares.ARES_SOCKET_BAD)
    for fd in ready[1]:
        channel.process_fd(pycares.ARES_SOCKET_BAD, fd)
print(found[0])
PY
}
is "$(cares www.corp.test)" 10.8.8.3 "c-ares: a name of others"
is "$(cares web.service.consul)" 10.0.0.1 "c-ares: a service of ours"
is "$(cares sixty.lab.corp.test | wc -w)" 60 "c-ares goes on over TCP"
is "$(cares gone.up.test)" ARES_ENOTFOUND "c-ares: a name that is not there"

# --- who may ask; reload ----------------------------------------------------

out=$(all_of www.corp.test -b 10.9.9.9)
like "$out" 'status: REFUSED' "a client that is not listed"
like "$out" 'EDE: 18' "and why"
is "$(ours web.service.consul -b 10.9.9.9)" 10.0.0.1 "our names it may ask"
config "$three" '["10.9.9.0/24"]'
"$MUSTER" reload --socket "$AGENT_SOCKET" >/dev/null
listed() {
    [ "$(ours www.corp.test -b 10.9.9.9)" = 10.8.8.3 ]
}
soon 10 "listed by a reload" listed
config '["127.0.0.53"]' '[]'
out=$("$MUSTER" reload --socket "$AGENT_SOCKET" 2>&1)
like "$out" 'one of our own addresses' "a reload that would make a loop is refused"
is "$(ours www.corp.test -b 10.9.9.9)" 10.8.8.3 "and changes nothing"
out=$("$MUSTER" agent --dev --store-listen 127.0.0.1:0 --data-dir "$SCRATCH/x" \
    --socket off --http off --dns 0.0.0.0:5353 --recursor 10.9.9.9:5353 2>&1)
like "$out" 'one of our own addresses' "so is a start, on all addresses of the host"

# --- upstream gone ----------------------------------------------------------

is "$(ours brief.up.test)" 10.7.7.8 "a TTL of a second"
end "$UNBOUND"
stale() {
    all_of brief.up.test >"$SCRATCH/stale"
    grep -q 'EDE: 3' "$SCRATCH/stale"
}
soon 20 "it is served when it has expired and upstream is gone" stale
like "$(cat "$SCRATCH/stale")" '^brief\.up\.test\.[[:space:]]+30[[:space:]]+IN[[:space:]]+A[[:space:]]' \
    "with a TTL of 30 s"
is "$(ours www.up.test)" 10.7.7.7 "what is remembered needs nobody"
done_testing
