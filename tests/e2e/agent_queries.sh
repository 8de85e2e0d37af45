# Prepared queries, by curl, dig, Debian's python3-consul and the npm package
# `consul`, both unmodified: made, executed over HTTP and DNS, changed, deleted;
# kept with the replica; gone with their session.
. "$(dirname "$0")/lib.sh"

npm install --prefix "$SCRATCH/npm" --no-audit --no-fund --silent consul@2 \
    >"$SCRATCH/npm.log" 2>&1 || bail "npm cannot install its package consul"

store_start store
agent_start one --store "$STORE_URL"

for i in 1 2 3; do
    api /v1/agent/service/register -X PUT -d "{\"Name\": \"web\", \"ID\": \"w$i\",
        \"Address\": \"10.0.0.$i\", \"Port\": 800$i, \"Tags\": [\"v$i\"],
        \"Meta\": {\"team\": \"t$i\"},
        \"Check\": {\"TTL\": \"1h\", \"Status\": \"passing\"}}"
done

# --- made and executed ------------------------------------------------------

header() { # header PATH NAME
    api "$1" -o /dev/null -D - | tr -d '\r' | sed -n "s/^$2: //Ip"
}
make() { # make JSON: the new query's id.
    api /v1/query -X POST -d "$1" | json 'd["ID"]'
}
executed() { # executed NAME[?PARAMETERS]: ids of instances, sorted.
    api "/v1/query/${1%%\?*}/execute${1#"${1%%\?*}"}" |
        json '" ".join(sorted(n["Service"]["ID"] for n in d["Nodes"]))'
}
id=$(make '{"Name": "front", "DNS": {"TTL": "17s"},
    "Service": {"Service": "web", "Tags": ["!v3"]}}')
is "$(executed front)" "w1 w2" "a query chooses by tags, by its name"
is "$(executed "$id")" "w1 w2" "and by its id"
is "$(executed 'front?limit=1' | wc -w | tr -d ' ')" 1 "a limit is kept"
is "$(api /v1/query/front/execute | json '[d["Service"], d["Datacenter"], d["Failovers"], d["DNS"]["TTL"]]')" \
    '["web", "dc1", 0, "17s"]' "the reply tells of the rest"
is "$(api /v1/query/none/execute)" "Query not found" "none is 404"
is "$(api "/v1/query/$id" | json 'd[0]["Name"]')" front "it can be read"

front=$(printf '10.0.0.1\n10.0.0.2')
soon 5 "DNS answers by its name" answers "$front" front.query.consul
is "$(ask _front._tcp.query.consul SRV | cut -d ' ' -f 3 | sort)" \
    "$(printf '8001\n8002')" "and with ports, as RFC 2782 would have it"
is "$(ask front.query.dc1.muster.internal)" "$front" "in both domains"
is "$(dig +noall +answer -p "$AGENT_DNS" @127.0.0.1 front.query.consul |
    tr '\t' ' ' | tr -s ' ' | cut -d ' ' -f 2 | sort -u)" 17 "with its own TTL"
is "$(rcode nobody.query.consul)" NXDOMAIN "an unknown name is NXDOMAIN"
is "$(rcode query.consul)" NOERROR "what lies above is not"

api /v1/agent/check/fail/service:w1 -X PUT
soon 5 "a failing instance is out" answers 10.0.0.2 front.query.consul
is "$(executed front)" w2 "of HTTP, too"
api /v1/agent/check/pass/service:w1 -X PUT

# --- templates ---------------------------------------------------------------

make '{"Name": "geo-", "Template": {"Type": "name_prefix_match",
    "Regexp": "^geo-(.*?)-([^-]+?)$"},
    "Service": {"Service": "${match(1)}", "Tags": ["${match(2)}"]}}' >/dev/null
is "$(executed geo-web-v3)" w3 "a template is filled in by the name"
soon 5 "in DNS, too" answers 10.0.0.3 geo-web-v3.query.consul
is "$(rcode geo-web-v9.query.consul)" NXDOMAIN "none that fits is NXDOMAIN"
is "$(api /v1/query/geo-web-v3/explain | json 'd["Query"]["Service"]["Tags"]')" \
    '["v3"]' "explain shows what becomes of it"
make '{"Name": "meta", "Service": {"Service": "web",
    "ServiceMeta": {"team": "t2"}}}' >/dev/null
is "$(executed meta)" w2 "meta data chooses"
soon 5 "DNS looks at meta data, too" answers 10.0.0.2 meta.query.consul

# --- changes and polls ---------------------------------------------------------

index=$(header "/v1/query/$id" X-Consul-Index)
curl -sS --max-time 60 --unix-socket "$AGENT_SOCKET" \
    "http://local/v1/query/$id?index=$index&wait=40s" >"$SCRATCH/poll" &
POLL=$!
make '{"Name": "beside", "Service": {"Service": "web"}}' >/dev/null
ok "a poll of one query sleeps on when another is made" kill -0 "$POLL"
api "/v1/query/$id" -X PUT -d '{"Name": "front", "Service": {"Service": "web"}}'
wait "$POLL"
is "$(json 'd[0]["Service"]["Tags"]' <"$SCRATCH/poll")" "[]" "and wakes for its own"
is "$(executed front)" "w1 w2 w3" "the change counts at once"
is "$(api /v1/query -X POST -d '{"Name": "FRONT", "Service": {"Service": "x"}}')" \
    "name 'FRONT' aliases an existing query name" "names are given once"

# --- the command line ----------------------------------------------------------

cli() { "$MUSTER" query "$@" --socket "$AGENT_SOCKET" 2>&1; }
query='{"Name": "cli", "Service": {"Service": "web", "Tags": ["v1"]}}'
like "$(echo "$query" | cli apply -)" '^made [0-9a-f-]{36}$' "muster query apply"
like "$(echo "$query" | cli apply -)" '^changed [0-9a-f-]{36}$' \
    "and again: the one of that name"
like "$(cli list)" '^cli +web +v1 ' "list"
like "$(cli list)" '^geo-\* +\$\{match\(1\)\}' "a template in it"
like "$(cli execute cli)" '^w1 +one +10\.0\.0\.1:8001 +passing +v1' "execute"
is "$(cli read CLI | json 'd["Name"]')" cli "read"
is "$(cli explain geo-web-v2 | json 'd["Service"]["Service"]')" web "explain"
like "$(cli delete cli)" '^deleted ' "delete"
out=$(cli execute cli)
is "$? $out" "4 muster query: Query not found" "what is not there: exit 4"

# --- sessions --------------------------------------------------------------------

session=$(api /v1/session/create -X PUT -d '{"Name": "s", "TTL": "10s"}' |
    json 'd["ID"]')
make "{\"Name\": \"bound\", \"Session\": \"$session\",
    \"Service\": {\"Service\": \"web\", \"Tags\": [\"v2\"]}}" >/dev/null
is "$(executed bound)" w2 "a query can be bound to a session"
soon 5 "DNS has it" answers 10.0.0.2 bound.query.consul
api "/v1/session/destroy/$session" -X PUT >/dev/null
gone() { [ "$(api /v1/query/bound/execute)" = "Query not found" ]; }
soon 5 "it goes with the session" gone
soon 5 "from DNS, too" answers "" bound.query.consul

# --- other people's clients --------------------------------------------------------

out=$("$PYTHON" - "${AGENT_HTTP##*:}" <<'PY' 2>&1
import sys
import consul

c = consul.Consul(host="127.0.0.1", port=int(sys.argv[1]))
made = c.query.create("web", name="python", tags=["v1"], onlypassing=True,
                      nearestn=2, datacenters=["dc9"], ttl="5s")
assert len(made["ID"]) == 36, made
found = c.query.get(made["ID"])
assert found[0]["Name"] == "python", found
assert found[0]["Service"]["Failover"] == {
    "NearestN": 2, "Datacenters": ["dc9"]}, found
assert found[0]["DNS"]["TTL"] == "5s", found
assert "python" in [q["Name"] for q in c.query.list()]
nodes = c.query.execute("python")["Nodes"]
assert [n["Service"]["ID"] for n in nodes] == ["w1"], nodes
assert c.query.explain("python")["Query"]["Name"] == "python"
assert c.query.update(made["ID"], service="web", name="python", tags=["v2"])
nodes = c.query.execute(made["ID"], near="_agent", limit=1)["Nodes"]
assert [n["Service"]["ID"] for n in nodes] == ["w2"], nodes
regexp = c.query.create("${match(1)}", name="py-", regexp="^py-(.*)$")
assert len(c.query.execute("py-web")["Nodes"]) == 3
assert c.query.delete(regexp["ID"])
assert c.query.delete(made["ID"])
assert "python" not in [q["Name"] for q in c.query.list()]
print("python is content")
PY
)
is "$out" "python is content" "python3-consul's query.*"

cat >"$SCRATCH/npm/query.js" <<'JS'
const assert = require("assert");
const Consul = require("consul");
const consul = new Consul({host: "127.0.0.1", port: Number(process.argv[2])});
const ids = (reply) => reply.Nodes.map((n) => n.Service.ID).sort().join(" ");

(async () => {
  const made = await consul.query.create({
    name: "npm", service: {service: "web", tags: ["v3"], onlypassing: true},
    dns: {ttl: "9s"}});
  assert.strictEqual(made.ID.length, 36);
  const read = await consul.query.get(made.ID);
  assert.strictEqual(read.Name, "npm");
  assert.strictEqual(read.DNS.TTL, "9s");
  assert((await consul.query.list()).some((q) => q.Name === "npm"));
  assert.strictEqual(ids(await consul.query.execute("npm")), "w3");
  await consul.query.explain("npm"); // It expects a list, Consul has none.
  await consul.query.update({query: made.ID, name: "npm",
    service: {service: "web"}});
  assert.strictEqual(ids(await consul.query.execute(
    {query: "npm", near: "_agent"})), "w1 w2 w3");
  await consul.query.destroy(made.ID);
  await assert.rejects(consul.query.execute("npm"), /not found/);
  console.log("npm is content");
})().catch((e) => { console.log(e); process.exit(1); });
JS
is "$(node "$SCRATCH/npm/query.js" "${AGENT_HTTP##*:}" 2>&1)" \
    "npm is content" "npm consul's query.*"

# --- without the store ------------------------------------------------------------------

end "$STORE_PID" KILL
agent_stop
agent_start one --store "$STORE_URL"
is "$(executed 'front?stale')" "w1 w2 w3" \
    "a restarted agent executes it with the store gone"
is "$(ask geo-web-v3.query.consul)" 10.0.0.3 "over DNS, too"
is "$(api /v1/query -X POST -o /dev/null -w '%{http_code}' \
    -d '{"Name": "late", "Service": {"Service": "web"}}')" 500 \
    "but none can be made"
store_start store
made() { make '{"Name": "late", "Service": {"Service": "web"}}' | grep -q .; }
soon 30 "until the store is back" made
done_testing
