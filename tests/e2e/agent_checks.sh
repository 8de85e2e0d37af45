# Checks with real servers and programs, thresholds, maintenance, and what of all
# this survives a restart. Other types of checks: agent_check_types.sh.
. "$(dirname "$0")/lib.sh"

agent_start one --dev --store-listen 127.0.0.1:0
web_start
touch "$SCRATCH/healthy"
cat >"$AGENT_SERVICES/all.json" <<JSON
{"services": [
  {"name": "http", "port": 1, "address": "10.0.0.1", "check":
    {"http": "http://127.0.0.1:$WEB_PORT/", "interval": "1s", "timeout": "1s"}},
  {"name": "missing", "port": 1, "address": "10.0.0.2", "check":
    {"http": "http://127.0.0.1:$WEB_PORT/none", "interval": "1s"}},
  {"name": "tcp", "port": 1, "address": "10.0.0.3", "check":
    {"tcp": "127.0.0.1:$WEB_PORT", "interval": "1s"}},
  {"name": "refused", "port": 1, "address": "10.0.0.4", "check":
    {"tcp": "127.0.0.1:1", "interval": "1s"}},
  {"name": "exec", "port": 1, "address": "10.0.0.5", "check":
    {"args": ["ls", "$SCRATCH/healthy"], "interval": "1s"}},
  {"name": "warned", "port": 1, "address": "10.0.0.10", "check":
    {"args": ["false"], "interval": "1s"}},
  {"name": "slow", "port": 1, "address": "10.0.0.6", "check":
    {"args": ["sh", "-c", "echo \$\$ >>$SCRATCH/slow; sleep 60 & sleep 60"],
     "interval": "1s", "timeout": "1s"}},
  {"name": "patient", "port": 1, "address": "10.0.0.7", "check":
    {"args": ["sh", "-c", "ls $SCRATCH/healthy || { echo >>$SCRATCH/failures; exit 2; }"],
     "interval": "1s",
     "failures_before_critical": 3}},
  {"name": "beat", "port": 1, "address": "10.0.0.8", "check": {"ttl": "2s"}}
]}
JSON
# What all checks say, a line each; looked at again when it is not what is
# waited for.
look() {
    api /v1/agent/checks | json \
        '"\n".join(i.replace("service:", "") + " " + c["Status"] + " " +
                   c["Output"].split("\n")[0] for i, c in d.items())' \
        >"$SCRATCH/checks.txt"
}
said() { # ID, a pattern of status and output
    grep -Eq "^$1 $2" "$SCRATCH/checks.txt" ||
        { look && grep -Eq "^$1 $2" "$SCRATCH/checks.txt"; }
}
status() {
    look
    sed -n "s/^$1 \([a-z]*\) .*/\1/p" "$SCRATCH/checks.txt"
}
output() {
    look
    sed -n "s/^$1 [a-z]* //p" "$SCRATCH/checks.txt"
}
has_status() {
    said "$1" "$2 "
}
look
soon 10 "http passes" has_status http passing
soon 10 "tcp passes" has_status tcp passing
soon 10 "exec passes" has_status exec passing
soon 10 "404 is critical" has_status missing critical
soon 10 "and says so" said missing "critical .*: 404"
soon 10 "a refused connection says so" said refused "critical .*refused"
is "$(status refused)" critical "and is critical"
soon 10 "a check that takes too long is critical" said slow "critical .*timeout"
gone() { # With its session, nothing of the first run is left.
    ! pgrep -s "$(head -n 1 "$SCRATCH/slow")" >/dev/null
}
soon 10 "and killed with all it has started" gone
soon 10 "exit code 1 is a warning" has_status warned warning
is "$(ask warned.service.consul)" 10.0.0.10 "which stays in DNS"
is "$(ask exec.service.consul)" 10.0.0.5 "passing is in DNS"
is "$(ask refused.service.consul)" "" "critical is not"

api /v1/agent/check/pass/service:beat -X PUT
like "$(api '/v1/agent/history?service_id=beat')" '"Status":"passing"' \
    "ttl passes when told"
soon 10 "and is critical when nothing is heard, and says why" \
    said beat "critical TTL expired"

rm "$SCRATCH/healthy"
soon 10 "the file's absence is noticed" has_status exec critical
soon 20 "and by the one with patience" has_status patient critical
ok "after three failures, not before" [ "$(wc -l <"$SCRATCH/failures")" -ge 3 ]
touch "$SCRATCH/healthy"
soon 6 "and recovers" has_status patient passing

# By the API, programs are run only if the operator allows it.
is "$(api /v1/agent/check/register -X PUT -o /dev/null -w '%{http_code}' \
    -d '{"Name": "evil", "Args": ["true"], "Interval": "10s"}')" 403 \
    "exec by the API is off"

# What the API does not know it ignores, and says so.
like "$(api /v1/agent/check/register -X PUT -o /dev/null -D - \
    -d '{"Name": "odd", "TTL": "600s", "Colour": 1, "Notez": ""}' | tr -d '\r')" \
    '^X-Muster-Warning: .*Colour: unknown.*Notez: unknown.*"notes"' \
    "unknown fields of the API are named in a header"
api /v1/agent/check/pass/odd -X PUT
is "$(api /v1/agent/service/register -X PUT -o /dev/null -w '%{http_code}' \
    -d '{"Name": "mesh", "Connect": {"SidecarService": {}}}')" 400 \
    "sidecars of a mesh are refused"

# Maintenance takes a service out, a check of the node takes all out.
api '/v1/agent/service/maintenance/http?enable=true&reason=new+disks' -X PUT
soon 5 "a service in maintenance leaves DNS" answers "" http.service.consul
echo '{"check": {"name": "disk", "args": ["ls", "'"$SCRATCH/disk"'"], "interval": "1s"}}' \
    >"$AGENT_SERVICES/disk.json"
soon 10 "a node check of a file is critical" has_status disk critical
soon 5 "and vetoes all services" answers "" tcp.service.consul
touch "$SCRATCH/disk"
soon 10 "until it passes" answers 10.0.0.3 tcp.service.consul
like "$(api '/v1/agent/history?service_id=patient')" \
    '"Status":"passing".*"Status":"critical".*"Status":"passing"' \
    "the history has what happened to a service"

# A restart keeps statuses until the first result, and maintenance.
api /v1/agent/service/register -X PUT -d '{"Name": "kept", "Port": 1,
    "Address": "10.0.0.9", "Check": {"TTL": "600s"}}'
api '/v1/agent/check/pass/service:kept?note=remember' -X PUT
end "$AGENT_PID" KILL
agent_start one --dev --store-listen 127.0.0.1:0
is "$(status kept)" passing "a TTL check is still passing after kill -9"
is "$(output kept)" remember "with its output"
is "$(ask kept.service.consul)" 10.0.0.9 "what the API registered is in DNS"
is "$(api /v1/agent/checks | json 'd["_service_maintenance:http"]["Notes"]')" \
    "new disks" "maintenance is kept, with its reason"
is "$(ask http.service.consul)" "" "its service stays out of DNS"
api '/v1/agent/service/maintenance/http?enable=false' -X PUT
soon 10 "until maintenance ends" answers 10.0.0.1 http.service.consul
api '/v1/agent/maintenance?enable=true&reason=kernel' -X PUT
agent_stop
agent_start one --dev --store-listen 127.0.0.1:0 --enable-script-checks
is "$(api /v1/agent/checks | json 'd["_node_maintenance"]["Notes"]')" kernel \
    "maintenance of the node is kept, too"
is "$(ask kept.service.consul)" "" "and nothing of it is in DNS"
is "$(api /v1/agent/check/register -X PUT -o /dev/null -w '%{http_code}' \
    -d '{"Name": "fine", "Args": ["true"], "Interval": "10s"}')" 200 \
    "exec by the API, if enabled"
soon 10 "it runs" sh -c "curl -s --unix-socket $AGENT_SOCKET \
    http://l/v1/agent/checks | grep -q '\"fine\".*passing'"
done_testing
