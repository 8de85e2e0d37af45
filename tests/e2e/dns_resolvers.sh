# Resolvers between clients and the agent: unbound, which shows as little of a
# name as it can and believes that nothing lies below a name that is not there,
# and dnsmasq. What is not there is remembered for as long as the SOA says.
. "$(dirname "$0")/lib.sh"

cat >"$SCRATCH/agent.json" <<'JSON'
{"dns_config": {"service_ttl": {"cached": "60s"}, "soa": {"min_ttl": 1},
                "nodata_ttl": "1s", "always_ra": true}}
JSON
agent_start one --dev --store-listen 127.0.0.1:0 --config "$SCRATCH/agent.json"
cat >"$AGENT_SERVICES/all.json" <<'JSON'
{"services": [
  {"name": "web", "id": "web-1", "address": "10.0.0.1", "tags": ["blue", "eu.west"],
   "ports": [{"name": "http", "port": 80, "default": true},
             {"name": "admin", "port": 9000}],
   "meta": {"txt-path": "/v1", "grpc_config": "[{}]"}},
  {"name": "web", "id": "web-2", "port": 81, "address": "10.0.0.2",
   "tags": ["blue", "v2"]},
  {"name": "six", "port": 66, "address": "fd00::6"},
  {"name": "inner", "port": 1, "address": "one.node.consul"},
  {"name": "cached", "port": 1, "address": "10.0.0.3"}
]}
JSON
wait_until 10 "the services" answers 10.0.0.3 cached.service.consul

UNBOUND=$(free_port)
cat >"$SCRATCH/unbound.conf" <<CONF
server:
  interface: 127.0.0.1@$UNBOUND
  username: ""
  chroot: ""
  directory: "$SCRATCH"
  pidfile: ""
  use-syslog: no
  do-daemonize: no
  do-not-query-localhost: no
  module-config: "iterator"
  num-threads: 1
  qname-minimisation: yes
  qname-minimisation-strict: yes
  harden-below-nxdomain: yes
  harden-referral-path: no
  private-domain: "muster.internal"
  use-caps-for-id: yes
remote-control:
  control-enable: no
stub-zone:
  name: "muster.internal"
  stub-addr: 127.0.0.1@$AGENT_DNS
stub-zone:
  name: "consul"
  stub-addr: 127.0.0.1@$AGENT_DNS
CONF
spawn unbound unbound -c "$SCRATCH/unbound.conf"
DNSMASQ=$(free_port)
spawn dnsmasq dnsmasq --keep-in-foreground --conf-file=/dev/null --no-resolv \
    --no-hosts --port="$DNSMASQ" --listen-address=127.0.0.1 --bind-interfaces \
    --user="$(id -un)" --pid-file= --log-facility=- \
    --server="/muster.internal/127.0.0.1#$AGENT_DNS" \
    --server="/consul/127.0.0.1#$AGENT_DNS"

via() { # PORT NAME [TYPE]
    local port=$1
    shift
    dig +short +tries=2 +time=5 -p "$port" @127.0.0.1 "$@" | LC_ALL=C sort
}
via_code() { # PORT NAME [TYPE]
    local port=$1
    shift
    dig +tries=2 +time=5 -p "$port" @127.0.0.1 "$@" |
        sed -n 's/.*status: \([A-Z]*\).*/\1/p'
}
gets() { # PORT WANTED NAME [TYPE]
    local port=$1 wanted=$2
    shift 2
    [ "$(via "$port" "$@")" = "$wanted" ]
}
BOTH=$(printf '10.0.0.1\n10.0.0.2')
wait_until 10 "unbound" gets "$UNBOUND" "$BOTH" web.service.muster.internal
wait_until 10 "dnsmasq" gets "$DNSMASQ" "$BOTH" web.service.muster.internal

# NAME TYPE ANSWER, with | between lines; both domains, by each resolver.
while read -r name type wanted; do
    for domain in consul muster.internal; do
        wanted_here=$(printf "%s" "${wanted//DOMAIN/$domain}" | tr "|" "\n")
        is "$(via "$UNBOUND" "$name.$domain" "$type")" "$wanted_here" \
            "unbound: $name.$domain $type"
        is "$(via "$DNSMASQ" "$name.$domain" "$type")" "$wanted_here" \
            "dnsmasq: $name.$domain $type"
    done
done <<'ROWS'
web.service.dc1 A 10.0.0.1|10.0.0.2
web.service.dc1.dc A 10.0.0.1|10.0.0.2
blue.web.service A 10.0.0.1|10.0.0.2
v2.web.service A 10.0.0.2
eu.west.web.service A 10.0.0.1
v2.blue.web.service A 10.0.0.2
six.service AAAA fd00::6
_web._v2.service SRV 1 1 81 0a000002.addr.dc1.DOMAIN.
_web._v2 SRV 1 1 81 0a000002.addr.dc1.DOMAIN.
admin.port.web.service SRV 1 1 9000 0a000001.addr.dc1.DOMAIN.
0a000002.addr.dc1 A 10.0.0.2
one.node A 127.0.0.1
one.node.dc1 A 127.0.0.1
web.service TXT "/v1"
_grpc_config.web.service TXT "grpc_config=[{}]"
_web._tcp.service PTR web-1._web._tcp.service.DOMAIN.|web-2._web._tcp.service.DOMAIN.
web-2._web._tcp.service SRV 1 1 81 0a000002.addr.dc1.DOMAIN.
web-1._web._tcp.service TXT "path=/v1"
inner.service A 127.0.0.1|one.node.consul.
ROWS
like "$(via "$UNBOUND" _services._dns-sd._udp.consul PTR)" \
    '^_six\._tcp\.service\.consul\.$' "unbound: the types of DNS-SD"
is "$(via_code "$UNBOUND" web.service.consul HTTPS)" NOERROR "HTTPS: NODATA"
is "$(via_code "$UNBOUND" nothing.service.consul)" NXDOMAIN "unbound: NXDOMAIN"
is "$(via_code "$UNBOUND" service.consul)" NOERROR "an empty non-terminal"
is "$(via_code "$UNBOUND" nope.web.service.consul)" NXDOMAIN "no such tag"
is "$(via "$UNBOUND" blue.web.service.consul)" "$BOTH" \
    "which says nothing of the names beside it"

# What was not there a moment ago is there soon.
is "$(via_code "$UNBOUND" late.service.consul)" NXDOMAIN "unbound: not there yet"
is "$(via_code "$DNSMASQ" late.service.consul)" NXDOMAIN "dnsmasq: nor there"
is "$(via_code "$UNBOUND" web.service.consul AAAA)" NOERROR "no AAAA yet"
cat >"$AGENT_SERVICES/late.json" <<'JSON'
{"services": [
  {"name": "late", "port": 1, "address": "10.0.0.9"},
  {"name": "web", "id": "web-6", "port": 1, "address": "fd00::1"}
]}
JSON
wait_until 10 "the agent" answers 10.0.0.9 late.service.consul
soon 5 "unbound sees what has come" gets "$UNBOUND" 10.0.0.9 late.service.consul
soon 5 "so does dnsmasq" gets "$DNSMASQ" 10.0.0.9 late.service.consul
soon 5 "and the type that was missing" gets "$UNBOUND" fd00::1 \
    web.service.consul AAAA

# With a TTL and always_ra dnsmasq remembers.
queries() {
    api '/v1/metrics' | sed -n 's/^muster_dns_queries_total{.*udp.*} //p'
}
is "$(via "$DNSMASQ" cached.service.consul)" 10.0.0.3 "dnsmasq asks once"
before=$(queries)
for _ in 1 2 3 4 5; do
    via "$DNSMASQ" cached.service.consul >/dev/null
done
is "$(queries)" "$before" "and answers by itself for the service's TTL"
done_testing
