# A site's nsd and BIND are secondaries of the service zone: they get it by AXFR
# and then IXFR, signed, are told of each change, and say what we say.
. "$(dirname "$0")/lib.sh"
own_network
for address in 127.0.0.2 127.0.0.3; do # BIND listens on what interfaces have.
    ip addr add "$address/32" dev lo || bail "lo cannot have $address"
done

SECRET=$(openssl rand -base64 32)
OTHER=$(openssl rand -base64 32)
NSD=127.0.0.2
NSD_PORT=$(free_port)
BIND=127.0.0.3
BIND_PORT=$(free_port)
DOMAIN=muster.internal

cat >"$SCRATCH/transfer.json" <<CONF
{"dns_config": {"transfer": {
  "keys": [{"name": "site.example", "secret": "$SECRET"},
           {"name": "notify.example", "algorithm": "hmac-sha512",
            "secret_file": "$SCRATCH/notify.key"}],
  "allow": [{"networks": ["127.0.0.0/8"], "key": "site.example"}],
  "notify": [{"address": "$NSD:$NSD_PORT", "key": "notify.example"},
             {"address": "$BIND:$BIND_PORT", "key": "notify.example"}],
  "zones": ["$DOMAIN"],
  "notify_interval": "200ms"}}}
CONF
echo "$OTHER" >"$SCRATCH/notify.key"

agent() {
    agent_start one --dev --store-listen 127.0.0.1:0 \
        --config "$SCRATCH/transfer.json"
}
agent

# --- the secondaries --------------------------------------------------------

cat >"$SCRATCH/nsd.conf" <<CONF
server:
  ip-address: $NSD@$NSD_PORT
  username: ""
  chroot: ""
  pidfile: "$SCRATCH/nsd.pid"
  xfrdfile: "$SCRATCH/nsd.xfrd"
  database: ""
  zonelistfile: "$SCRATCH/nsd.zones"
  zonesdir: "$SCRATCH"
  xfrdir: "$SCRATCH"
  verbosity: 3
remote-control:
  control-enable: no
key:
  name: site.example
  algorithm: hmac-sha256
  secret: "$SECRET"
key:
  name: notify.example
  algorithm: hmac-sha512
  secret: "$OTHER"
zone:
  name: $DOMAIN
  zonefile: nsd.zone
  request-xfr: 127.0.0.1@$AGENT_DNS site.example
  allow-notify: 127.0.0.1 notify.example
CONF
cat >"$SCRATCH/named.conf" <<CONF
key "site.example" { algorithm hmac-sha256; secret "$SECRET"; };
key "notify.example" { algorithm hmac-sha512; secret "$OTHER"; };
options {
  directory "$SCRATCH";
  pid-file none;
  session-keyfile none;
  listen-on port $BIND_PORT { $BIND; };
  listen-on-v6 { none; };
  recursion no;
  dnssec-validation no;
  minimal-responses yes;
  serial-query-rate 1000;
};
controls { };
zone "$DOMAIN" {
  type secondary;
  file "bind.zone";
  masterfile-format text;
  primaries port $AGENT_DNS { 127.0.0.1 key site.example; };
  allow-notify { key notify.example; };
};
CONF
spawn nsd nsd -d -c "$SCRATCH/nsd.conf"
spawn named named -g -d 3 -c "$SCRATCH/named.conf"

serial_at() { # ADDRESS PORT
    dig +short +tries=1 +time=2 -p "$2" "@$1" "$DOMAIN" SOA | cut -d' ' -f3
}

serial() {
    serial_at 127.0.0.1 "$AGENT_DNS"
}

follows() { # ADDRESS PORT
    local ours theirs
    ours=$(serial)
    theirs=$(serial_at "$1" "$2")
    [ -n "$ours" ] && [ "$theirs" = "$ours" ]
}

both_follow() {
    follows "$NSD" "$NSD_PORT" && follows "$BIND" "$BIND_PORT"
}

soon 20 "nsd and BIND have the zone as it is" both_follow

# --- signatures -------------------------------------------------------------

signed() { # SECRET DIG-ARG...
    local secret=$1
    shift
    dig +tries=1 +time=5 -p "$AGENT_DNS" @127.0.0.1 \
        -y "hmac-sha256:site.example:$secret" "$@" 2>&1
}

like "$(signed "$SECRET" "$DOMAIN" AXFR)" "^;; XFR size: [0-9]+ records" \
    "dig transfers with the key"
like "$(signed "$OTHER" "$DOMAIN" AXFR)" "Transfer failed|BADSIG" \
    "and not with another secret"
like "$(signed "$OTHER" "$DOMAIN" SOA)" "status: NOTAUTH" \
    "a wrong signature is NOTAUTH"
like "$(signed "$SECRET" "$DOMAIN" SOA)" "status: NOERROR" \
    "a signed question is answered"
unlike "$(signed "$SECRET" "$DOMAIN" SOA)" "verify" "and the answer is signed"
is "$(dig +tries=1 +time=5 -p "$AGENT_DNS" @127.0.0.1 "$DOMAIN" AXFR |
    grep -c SOA)" 0 "without a signature there is no transfer"
is "$(rcode "$DOMAIN" AXFR +tcp -b 127.0.0.1)" "" "and dig is told so"
like "$(signed "$SECRET" consul AXFR)" "Transfer failed" \
    "a zone that is not for secondaries is not transferred"
like "$(signed "$SECRET" +notcp "$DOMAIN" IXFR=1)" "SOA" \
    "IXFR over UDP tells the serial"
like "$(kdig -p "$AGENT_DNS" @127.0.0.1 \
    -y "hmac-sha256:site.example:$SECRET" "$DOMAIN" AXFR 2>&1)" \
    "^;; Received .*messages" "kdig transfers, too"

# --- churn ------------------------------------------------------------------

"$PYTHON" - "$AGENT_SOCKET" <<'PY' || bail "the registrations failed"
import http.client, json, random, socket, sys

class Unix(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(sys.argv[1])

random.seed(7)
agent = Unix("local")

def call(path, body=None):
    agent.request("PUT", path, json.dumps(body) if body else None)
    reply = agent.getresponse()
    text = reply.read()
    if reply.status != 200:
        sys.exit("%s: %d %s" % (path, reply.status, text))

there = []
for i in range(80):
    if there and random.random() < 0.3:
        call("/v1/agent/service/deregister/"
             + there.pop(random.randrange(len(there))))
        continue
    name = "svc%d" % random.randrange(8)
    body = {"ID": "i%d" % i, "Name": name, "Port": 8000 + i,
            "Tags": random.sample(["v1", "v2", "a.b"], random.randrange(3)),
            "Meta": {"txt-n": str(i)}}
    kind = random.randrange(4)
    if kind == 1:
        body["Address"] = "10.9.0.%d" % random.randrange(1, 200)
    elif kind == 2:
        body["Address"] = "2001:db8::%x" % random.randrange(1, 200)
    elif kind == 3 and random.random() < 0.2:
        body["Address"] = "host%d.example.com" % i
    call("/v1/agent/service/register", body)
    there.append(body["ID"])
PY
settled() {
    local before
    before=$(serial)
    unchanged() { [ "$(serial)" = "$before" ]; }
    stays 1 unchanged && both_follow
}
soon 30 "both follow to the last change" settled

# Every name that was transferred is asked of all three.
signed "$SECRET" "$DOMAIN" AXFR | awk '$4 != "TSIG" && /^[^;]/ { print $1, $4 }' |
    sort -u >"$SCRATCH/names"
ok "there are hundreds of names" test "$(wc -l <"$SCRATCH/names")" -gt 300
all() { # ADDRESS PORT
    sed 's/$/ +norec +noall +answer +nocmd/' "$SCRATCH/names" |
        dig +tcp +keepopen -p "$2" "@$1" -f - |
        awk '{ $1 = tolower($1); print }' | LC_ALL=C sort -u
}
all 127.0.0.1 "$AGENT_DNS" >"$SCRATCH/ours"
all "$NSD" "$NSD_PORT" >"$SCRATCH/nsd.says"
all "$BIND" "$BIND_PORT" >"$SCRATCH/bind.says"
ok "we answer all of them" test "$(wc -l <"$SCRATCH/ours")" -gt 300
is "$(diff "$SCRATCH/ours" "$SCRATCH/nsd.says" | head)" "" "nsd says what we say"
is "$(diff "$SCRATCH/ours" "$SCRATCH/bind.says" | head)" "" \
    "BIND says what we say"
like "$(cat "$SCRATCH/named.log")" "got incremental response" "BIND used IXFR"
metric() {
    api /v1/metrics | grep -F "$1" | awk '{ print $NF }'
}
ok "differences were sent" test \
    "$(metric 'muster_dns_transfers_total{content="differences"}')" -ge 2
ok "NOTIFY was answered" test \
    "$(metric 'muster_dns_notify_total{result="answered"}')" -gt 2
ok "and its rate is limited: there were less than changes" test \
    "$(metric 'muster_dns_notify_total{result="sent"}')" -lt 160

# --- the agent dies -----------------------------------------------------------

before=$(serial)
end "$AGENT_PID" KILL
agent
ok "after a kill -9 the serial is not behind" test "$(serial)" -ge "$before"
is_newer() {
    [ "$(serial)" -gt "$before" ]
}
api /v1/agent/service/register -X PUT -d '{"Name": "late", "Port": 1}'
soon 20 "and it goes on" is_newer
# The differences up to then went with the process: RFC 1995, section 4, allows
# the whole zone, which begins and ends with its SOA.
out=$(signed "$SECRET" "$DOMAIN" "IXFR=$((before - 1))" | awk '/^[^;]/ && $4 != "TSIG"')
is "$(grep -c '[[:space:]]SOA[[:space:]]' <<<"$out")" 2 \
    "who asks for differences to a serial of long before gets the whole zone"
ok "with all its records" test "$(wc -l <<<"$out")" -gt 300
is "$(head -n 1 <<<"$out" | awk '{ print $7 }')" "$(serial)" "of the serial of now"
knows_late() { # ADDRESS PORT
    [ -n "$(dig +short +tries=1 +time=2 -p "$2" "@$1" \
        "late.service.$DOMAIN" A)" ]
}
soon 20 "and nsd has what came since" knows_late "$NSD" "$NSD_PORT"
soon 20 "and BIND" knows_late "$BIND" "$BIND_PORT"

# --- reload -------------------------------------------------------------------

echo '{}' >"$SCRATCH/transfer.json"
"$MUSTER" reload --socket "$AGENT_SOCKET" >/dev/null || bail "the reload failed"
refused() {
    signed "$SECRET" "$DOMAIN" AXFR | grep -q "Transfer failed"
}
soon 10 "without configuration there is no transfer any more" refused
unlike "$(cat "$SCRATCH"/one.log)" "$(printf %s "$SECRET" | cut -c1-20)" \
    "no secret is logged"
done_testing
