# Sidecar files: lists, changes, and a bad one that does no harm.
. "$(dirname "$0")/lib.sh"

agent_start one --dev --store-listen 127.0.0.1:0

cat >"$AGENT_SERVICES/many.json" <<'JSON'
{"services": [
  {"name": "db", "port": 5432, "tags": ["primary"], "address": "10.1.2.3"},
  {"name": "db", "id": "db-2", "port": 5433, "address": "10.1.2.4"}
]}
JSON
soon 10 "a file may hold a list" answers "$(printf '10.1.2.3\n10.1.2.4')" \
    db.service.consul
is "$(ask primary.db.service.consul)" 10.1.2.3 "one by its tag"

cat >"$AGENT_SERVICES/many.json" <<'JSON'
{"services": [
  {"name": "db", "port": 5432, "tags": ["primary"], "address": "10.1.2.3"},
  {"name": "db", "id": "db-2", "port": 70000, "address": "10.1.2.4"}
]}
JSON
_reported() {
    grep -q 'many.json:3: .*service "db.*port: 70000' "$SCRATCH/one.log"
}
soon 10 "a bad file is reported with file, line, service and field" _reported
is "$(ask db.service.consul)" "$(printf '10.1.2.3\n10.1.2.4')" \
    "the last good registration stays"
out=$("$MUSTER" validate "$AGENT_SERVICES" 2>&1)
is $? 1 "muster validate fails"
like "$out" 'many\.json:3: .*port.*70000' "and says the same"
like "$(api /v1/agent/self)" 'many\.json' "agent/self has it too"

cat >"$AGENT_SERVICES/many.json" <<'JSON'
{"service": {"name": "db", "port": 5432, "address": "10.9.9.9"}}
JSON
soon 10 "a mended file is taken" answers 10.9.9.9 db.service.consul
out=$("$MUSTER" validate "$AGENT_SERVICES/many.json")
is $? 0 "muster validate agrees"
done_testing
