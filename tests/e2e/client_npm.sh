# The npm package `consul`, unmodified: registers, queries, and watches. A watch
# tells of real changes only, and of all of them, over a restart of the agent and
# a store that was replaced too.
. "$(dirname "$0")/lib.sh"

npm install --prefix "$SCRATCH/npm" --no-audit --no-fund --silent consul@2 \
    >"$SCRATCH/npm.log" 2>&1 || bail "npm cannot install its package consul"

store_start store
agent_start one --store "$STORE_URL"
cat >"$SCRATCH/npm/watch.js" <<'JS'
// Prints a line for each event of a watch, and carries out lines of its input.
const Consul = require("consul");
const consul = new Consul({host: "127.0.0.1", port: Number(process.argv[2])});
const say = (what) => console.log(JSON.stringify(what));

const watch = consul.watch({
  method: consul.health.service,
  options: {service: "pay", passing: true, wait: "10s"},
  backoffFactor: 100,
  backoffMax: 500,
});
watch.on("change", (found) => {
  say({change: found.map((i) => i.Service.ID + ":" + i.Service.Port).sort()});
});
watch.on("error", (e) => say({error: String(e.message)}));
watch.on("end", () => say({end: true}));

const commands = {
  register: (c) => consul.agent.service.register({
    name: "pay", id: c.id, port: c.port, address: "10.9.0.1",
    check: {ttl: "60s"},
  }),
  pass: (c) => consul.agent.check.pass({id: "service:" + c.id, note: c.note}),
  fail: (c) => consul.agent.check.fail("service:" + c.id),
  deregister: (c) => consul.agent.service.deregister(c.id),
  maintenance: (c) => consul.agent.service.maintenance(
    {id: c.id, enable: c.enable, reason: "work"}),
  services: () => consul.catalog.service.list(),
  nodes: () => consul.catalog.service.nodes("pay"),
  self: async () => (await consul.agent.self()).Config.NodeName,
  members: async () => (await consul.agent.members()).map((m) => m.Name),
  near: async () => (await consul.health.service(
    {service: "pay", near: "_agent", filter: 'Service.Port == 7001'}))
    .map((i) => i.Service.ID),
  leader: async () => typeof await consul.status.leader(),
};
let before = Promise.resolve();
require("readline").createInterface({input: process.stdin}).on("line", (line) => {
  const c = JSON.parse(line);
  before = before.then(() => commands[c.do](c)).then(
    (result) => say({did: c.do, result: result === undefined ? null : result}),
    (e) => say({did: c.do, failed: String(e.message)}));
});
JS

mkfifo "$SCRATCH/commands"
touch "$SCRATCH/said"
spawn watch sh -c 'exec node "$1" "$2" <"$3" >"$4"' sh \
    "$SCRATCH/npm/watch.js" "${AGENT_HTTP##*:}" "$SCRATCH/commands" \
    "$SCRATCH/said"
exec 9>"$SCRATCH/commands"

# tell JSON: a command for the client; its answer is the next line with "did".
ASKED=0
tell() {
    ASKED=$((ASKED + 1))
    printf '%s\n' "$1" >&9
    wait_until 20 "the answer to $1" told "$ASKED"
    ANSWER=$(grep '"did"' "$SCRATCH/said" | tail -n 1)
}
told() {
    [ "$(grep -c '"did"' "$SCRATCH/said")" -eq "$1" ]
}

changes() {
    grep '"change"' "$SCRATCH/said"
}
last_change() { # WANTED
    [ "$(changes | tail -n 1)" = "{\"change\":$1}" ]
}

soon 10 "a watch begins with what there is" last_change '[]'
tell '{"do":"register","id":"pay-1","port":7001}'
is "$ANSWER" '{"did":"register","result":null}' "a service is registered"
tell '{"do":"pass","id":"pay-1","note":"fine"}'
soon 10 "passing is a change" last_change '["pay-1:7001"]'
tell '{"do":"register","id":"pay-2","port":7002}'
tell '{"do":"pass","id":"pay-2"}'
soon 10 "so is a second instance" last_change '["pay-1:7001","pay-2:7002"]'

services() { tell '{"do":"services"}' && [ "$ANSWER" = "$1" ]; }
soon 10 "the catalogue has it, and the store's member" services \
    '{"did":"services","result":{"consul":[],"pay":[]}}'
tell '{"do":"self"}'
is "$ANSWER" '{"did":"self","result":"one"}' "self"
tell '{"do":"members"}'
is "$ANSWER" '{"did":"members","result":["one"]}' "members"
tell '{"do":"leader"}'
is "$ANSWER" '{"did":"leader","result":"string"}' "the leader is a string"
tell '{"do":"near"}'
is "$ANSWER" '{"did":"near","result":["pay-1"]}' "near and filter are understood"

# Beats and other services are no change: the number of events stays.
count=$(changes | wc -l)
for i in 1 2 3 4 5; do
    tell '{"do":"pass","id":"pay-1","note":"beat '"$i"'"}'
done
api /v1/agent/service/register -fX PUT -d '{"Name": "other", "Port": 1}'
wait_until 10 "the other service" answers "1 1 1 one.node.dc1.consul." \
    other.service.consul SRV
tell '{"do":"maintenance","id":"pay-2","enable":true}'
soon 10 "maintenance is a change" last_change '["pay-1:7001"]'
is "$(changes | wc -l)" "$((count + 1))" "beats and other services were none"

agent_stop
is "$CODE" 0 "the agent stops"
agent_start one --store "$STORE_URL"
tell '{"do":"maintenance","id":"pay-2","enable":false}'
soon 10 "the watch goes on after a restart of the agent" \
    last_change '["pay-1:7001","pay-2:7002"]'

# A store that is replaced by an empty one: the agent writes its records again,
# at lower revisions, and the watch sees what comes after.
end "$STORE_PID"
rm -rf "$SCRATCH/store.etcd"
store_start store
tell '{"do":"fail","id":"pay-1"}'
soon 30 "and after a store that was replaced" last_change '["pay-2:7002"]'
tell '{"do":"deregister","id":"pay-2"}'
soon 10 "and sees the last one go" last_change '[]'
unlike "$(cat "$SCRATCH/said")" '"end"|Watch not supported' \
    "the watch never gave up"
done_testing
