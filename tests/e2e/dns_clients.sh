# dig, drill and kdig get what they ask for, over UDP and TCP, in any case of
# letters, and right answers for what is not there.
. "$(dirname "$0")/lib.sh"

agent_start one --dev --store-listen 127.0.0.1:0
cat >"$AGENT_SERVICES/all.json" <<'JSON'
{"services": [
  {"name": "web", "id": "web-1", "port": 8081, "address": "10.0.0.1",
   "tags": ["blue"], "weights": {"passing": 20, "warning": 1}},
  {"name": "web", "id": "web-2", "port": 8082, "address": "10.0.0.2"},
  {"name": "six", "port": 66, "address": "fd00::6"}
]}
JSON
NAME=web.service.muster.internal
wait_until 10 "the services" answers "$(printf '10.0.0.1\n10.0.0.2')" $NAME

is "$(ask blue.$NAME)" 10.0.0.1 "a tag"
is "$(ask _web._blue.service.consul SRV | cut -d' ' -f1-3)" "1 20 8081" \
    "RFC 2782 form, weight and port"
is "$(ask _web._tcp.service.consul SRV | wc -l)" 2 "_tcp is no tag"
is "$(ask six.service.consul AAAA)" fd00::6 "AAAA"
is "$(ask one.node.consul)" 127.0.0.1 "a node"
is "$(ask 0a000001.addr.dc1.consul)" 10.0.0.1 "an address in hex"
is "$(ask 2.0.0.10.in-addr.arpa PTR)" web.service.dc1.muster.internal. "PTR"
like "$(ask muster.internal SOA)" "^ns\.muster\.internal\. hostmaster\." "SOA"
is "$(ask muster.internal NS)" one.node.dc1.muster.internal. "NS"
is "$(ask ns.muster.internal)" 127.0.0.1 "the name server's address"
is "$(ask web.service.dc1.consul | wc -l)" 2 "with the datacenter"

out=$(dig +tcp -p "$AGENT_DNS" @127.0.0.1 WeB.sErViCe.cOnSuL SRV)
like "$out" '^WeB\.sErViCe\.cOnSuL\..*SRV' "letters come back as they were"
like "$out" 'flags:.* aa' "authoritative"
like "$out" '^0a000001\.addr\.dc1\.consul\..*A.*10\.0\.0\.1' \
    "SRV targets have their address in the additional section"

is "$(rcode nothing.service.consul)" NXDOMAIN "an unknown service"
out=$(dig -p "$AGENT_DNS" @127.0.0.1 nothing.service.consul)
like "$out" 'AUTHORITY: 1' "with the SOA"
out=$(dig -p "$AGENT_DNS" @127.0.0.1 $NAME MX)
like "$out" 'status: NOERROR' "another type of a known name is no NXDOMAIN"
like "$out" 'ANSWER: 0, AUTHORITY: 1' "but NODATA with the SOA"
is "$(rcode service.consul)" NOERROR "an empty non-terminal exists"
is "$(rcode six.service.consul A)" NOERROR "no A for an IPv6 service: NODATA"
is "$(rcode example.org)" REFUSED "other zones are refused without recursors"
is "$(rcode $NAME A +edns=1 +noednsneg)" BADVERS "unknown EDNS version"
is "$(rcode consul AXFR)" "" "no zone transfer"

out=$(drill -p "$AGENT_DNS" "$NAME" @127.0.0.1 A)
like "$out" 'rcode: NOERROR' "drill: NOERROR"
is "$(printf '%s' "$out" | grep -c '10\.0\.0\.[12]$')" 2 "drill: both addresses"
out=$(drill -t -p "$AGENT_DNS" "$NAME" @127.0.0.1 SRV)
is "$(printf '%s' "$out" | grep -c 'IN.SRV.1 ')" 2 "drill over TCP: SRV"
out=$(kdig +short -p "$AGENT_DNS" @127.0.0.1 "$NAME" A | sort)
is "$out" "$(printf '10.0.0.1\n10.0.0.2')" "kdig"
out=$(kdig +tcp +keepopen -p "$AGENT_DNS" @127.0.0.1 "$NAME" A six.service.consul \
    AAAA)
like "$out" 'fd00::6' "kdig: two questions on one connection"

# 60 instances: cut to fit, and whole over TCP.
"$PYTHON" - >"$AGENT_SERVICES/many.json" <<'PY'
import json
print(json.dumps({"services": [
    {"name": "many", "id": "many-%d" % i, "port": 1000 + i,
     "address": "10.2.0.%d" % i} for i in range(1, 61)]}))
PY
whole() {
    [ "$(ask many.service.consul SRV +tcp | wc -l)" = 60 ]
}
soon 10 "60 SRV records over TCP" whole
out=$(dig +noedns +ignore -p "$AGENT_DNS" @127.0.0.1 many.service.consul)
size=$(printf '%s' "$out" | sed -n 's/.*MSG SIZE *rcvd: //p')
ok "without EDNS at most 512 bytes ($size)" [ "$size" -le 512 ]
is "$(printf '%s' "$out" | grep -c '^many.*IN.A')" 3 "and three answers"
size=$(dig +bufsize=1232 +ignore -p "$AGENT_DNS" @127.0.0.1 \
    many.service.consul SRV | sed -n 's/.*MSG SIZE *rcvd: //p')
ok "with EDNS 1232 at most that ($size)" [ "$size" -le 1232 ]

agent_start two --dev --store-listen 127.0.0.1:0 --dns 127.0.0.1:0 \
    --dns '[::1]:0'
V6=$(tail -1 "$SCRATCH/two.out" | json 'd["dns_all"][1].rsplit(":", 1)[1]')
wait_until 10 "the node" answers 127.0.0.1 two.node.consul
is "$(dig +short -p "$V6" @::1 two.node.consul)" 127.0.0.1 \
    "several addresses to listen on"
is "$(dig +short +tcp -p "$V6" @::1 two.node.consul)" 127.0.0.1 "by TCP, too"
done_testing
