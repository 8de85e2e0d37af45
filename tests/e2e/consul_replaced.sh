# An installation of Consul is replaced: its agent's configuration and its definitions
# of services and checks, as they are, give the same catalogue with our agent, at the
# same addresses, for its own command.
. "$(dirname "$0")/consul_lib.sh"

web_start
mkdir -p "$SCRATCH/consul.d" "$SCRATCH/data"
for port in http dns server serf_lan serf_wan; do
    eval "$port=$(free_port)"
done
cat >"$SCRATCH/agent.json" <<JSON
{"node_name": "one", "datacenter": "east", "data_dir": "$SCRATCH/data",
 "server": true, "bootstrap_expect": 1, "client_addr": "127.0.0.1",
 "bind_addr": "127.0.0.1", "advertise_addr": "127.0.0.1", "log_level": "INFO",
 "performance": {"raft_multiplier": 1}, "node_meta": {"rack": "r7"},
 "disable_update_check": true, "enable_local_script_checks": true,
 "dns_config": {"node_ttl": "5s", "service_ttl": {"*": "10s"}},
 "retry_join": [], "rejoin_after_leave": true, "verify_outgoing": false,
 "ports": {"http": $http, "dns": $dns, "server": $server, "serf_lan": $serf_lan,
           "serf_wan": $serf_wan, "grpc": -1}}
JSON
cat >"$SCRATCH/consul.d/web.json" <<JSON
{"service": {
  "id": "web-1", "name": "web", "tags": ["primary", "v2"], "port": $WEB_PORT,
  "address": "127.0.0.1", "meta": {"team": "shop", "version": "2.1"},
  "enable_tag_override": false, "weights": {"passing": 10, "warning": 1},
  "tagged_addresses": {"lan": {"address": "127.0.0.1", "port": $WEB_PORT},
                       "wan": {"address": "198.51.100.7", "port": 80}},
  "checks": [
    {"id": "web-http", "name": "its front page", "notes": "what customers see",
     "http": "http://127.0.0.1:$WEB_PORT/", "method": "GET",
     "header": {"X-Check": ["consul"]}, "interval": "1s", "timeout": "2s",
     "tls_skip_verify": true},
    {"name": "port", "tcp": "127.0.0.1:$WEB_PORT", "interval": "1s",
     "timeout": "2s", "success_before_passing": 2, "failures_before_critical": 3}]}}
JSON
cat >"$SCRATCH/consul.d/many.json" <<'JSON'
{"services": [
  {"name": "redis", "port": 6379, "tags": ["cache"], "enable_tag_override": true,
   "check": {"ttl": "1h", "status": "passing",
             "deregister_critical_service_after": "90m"}},
  {"id": "redis-b", "name": "redis", "port": 6380, "Tags": ["cache", "replica"],
   "check": {"TTL": "1h", "status": "warning", "Notes": "slow"}},
  {"name": "mail", "port": 25, "checks": [{"alias_service": "redis"}]},
  {"name": "bare"}]}
JSON
cat >"$SCRATCH/consul.d/checks.json" <<'JSON'
{"checks": [
  {"id": "disk", "name": "disk space", "ttl": "1h", "status": "passing",
   "notes": "by cron"},
  {"id": "redis-memory", "name": "memory", "service_id": "redis", "ttl": "1h",
   "status": "passing"}]}
JSON
cat >"$SCRATCH/consul.d/check.json" <<'JSON'
{"check": {"id": "load", "name": "load", "args": ["/bin/sh", "-c", "exit 0"],
           "interval": "1s", "timeout": "5s"}}
JSON

export CONSUL_HTTP_ADDR=127.0.0.1:$http
k() { "$CONSUL" "$@" 2>&1; }

# fields FILE: the answers of the HTTP API, with what Consul 1.8 has in them; without
# ids, indexes, what checks say, and what each has by itself: Consul's segment, the
# addresses that it tells again by their family, our store's member. An alias of Consul
# may be critical until it looks again, a minute later.
cat >"$SCRATCH/fields.py" <<'PY'
import json, sys
import urllib.request

def strip(d):
    if isinstance(d, list):
        return sorted((strip(x) for x in d), key=lambda x: json.dumps(x, sort_keys=True))
    if not isinstance(d, dict):
        return d
    if d.get("CheckID") == "service:mail":
        d = dict(d, Status="alias")
    drop = {"CreateIndex", "ModifyIndex", "Output", "Type", "Proxy", "Connect",
            "Definition", "PeerName", "ExposedPort", "Interval", "Timeout",
            "Datacenter", "ServiceTopology", "consul-network-segment", "lan_ipv4",
            "wan_ipv4"}
    return {k: strip(v) for k, v in d.items() if k not in drop
            and not (k in ("Meta", "TaggedAddresses") and not v)
            and not (k == "ID" and len(str(v)) == 36)}

def ours(d):
    return [c for c in d if not (isinstance(c, dict) and c.get("ServiceName") == "consul")]

base = "http://%s/v1/" % sys.argv[1]
for path in ("health/service/web", "health/service/web?passing",
             "health/service/redis", "health/service/redis?tag=replica",
             "health/service/mail", "health/service/bare", "health/node/one",
             "health/state/warning", "health/checks/redis", "agent/services",
             "agent/checks", "catalog/datacenters"):
    d = json.load(urllib.request.urlopen(base + path))
    print(path, json.dumps(strip(ours(d) if isinstance(d, list) else d), indent=1,
                           sort_keys=True))
PY
fields() { "$PYTHON" "$SCRATCH/fields.py" "$CONSUL_HTTP_ADDR"; }

# seen DIRECTORY: what an installation sees of its agent.
seen() {
    mkdir -p "$1"
    k catalog services -tags >"$1/services"
    k catalog nodes -node-meta=rack=r7 | awk '{ print $1, $3, $4 }' >"$1/nodes"
    k catalog nodes -service=web | awk '{ print $1, $3, $4 }' >"$1/nodes-of-web"
    fields >"$1/fields" 2>&1
    dig +short -p "$dns" @127.0.0.1 web.service.consul >"$1/a"
    dig +noall +answer -p "$dns" @127.0.0.1 v2.web.service.east.consul SRV |
        awk '{ print $2, $4, $5, $6, $7 }' >"$1/srv"
    dig +short -p "$dns" @127.0.0.1 one.node.consul >"$1/node"
}
# All checks have run, and what they found is in the catalogue.
settled() {
    [ "$(curl -fsS "http://$CONSUL_HTTP_ADDR/v1/health/service/web?passing" |
        json 'len(d)')" = 1 ] &&
        [ "$(curl -fsS "http://$CONSUL_HTTP_ADDR/v1/health/state/warning" |
            json 'sorted(c["CheckID"] for c in d)')" = \
            '["service:redis-b"]' ] &&
        [ "$(curl -fsS "http://$CONSUL_HTTP_ADDR/v1/health/checks/web" |
            json 'sorted(c["Status"] for c in d)')" = '["passing", "passing"]' ]
}

like "$("$CONSUL" validate "$SCRATCH/agent.json" "$SCRATCH/consul.d" 2>&1)" \
    "^Configuration is valid!$" "Consul's own opinion of the files"
spawn real "$CONSUL" agent -config-file "$SCRATCH/agent.json" \
    -config-dir "$SCRATCH/consul.d"
wait_until 60 "Consul's checks" settled
seen "$SCRATCH/before"
end "$PID"

ok "ours" "$MUSTER" validate "$SCRATCH"/consul.d/*.json
store_start store
mkdir -p "$SCRATCH/muster"
spawn ours "$MUSTER" agent --config "$SCRATCH/agent.json" \
    --services "$SCRATCH/consul.d" --data-dir "$SCRATCH/muster" \
    --socket "$SCRATCH/agent.sock" --store "$STORE_URL"
wait_until 60 "our checks" settled
same() {
    seen "$SCRATCH/after"
    diff -r "$SCRATCH/before" "$SCRATCH/after" >"$SCRATCH/differs"
}
for _ in 1 2 3; do
    same && break
done
for what in services nodes nodes-of-web fields a srv node; do
    is "$(cat "$SCRATCH/after/$what")" "$(cat "$SCRATCH/before/$what")" "the same $what"
done
like "$(cat "$SCRATCH/before/services")" "^web +primary,v2$" "with what the files say"
is "$(cat "$SCRATCH/before/a")" 127.0.0.1 "and a name"
done_testing
