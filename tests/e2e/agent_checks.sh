# Every type of check, thresholds, and statuses that survive a restart.
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
    {"args": ["sleep", "60"], "interval": "1s", "timeout": "1s"}},
  {"name": "patient", "port": 1, "address": "10.0.0.7", "check":
    {"args": ["sh", "-c", "ls $SCRATCH/healthy || { echo >>$SCRATCH/failures; exit 2; }"],
     "interval": "1s",
     "failures_before_critical": 3}},
  {"name": "beat", "port": 1, "address": "10.0.0.8", "check": {"ttl": "2s"}}
]}
JSON
status() {
    api /v1/agent/checks | json "d['service:$1']['Status']"
}
output() {
    api /v1/agent/checks | json "d['service:$1']['Output']"
}
has_status() {
    [ "$(status "$1")" = "$2" ]
}
soon 10 "http passes" has_status http passing
soon 10 "tcp passes" has_status tcp passing
soon 10 "exec passes" has_status exec passing
soon 10 "404 is critical" has_status missing critical
tried() {
    output "$1" | grep -q "$2"
}
soon 10 "and says so" tried missing 404
soon 10 "a refused connection says so" tried refused refused
is "$(status refused)" critical "and is critical"
soon 10 "a check that takes too long is critical" tried slow '[Tt]ime'
soon 10 "exit code 1 is a warning" has_status warned warning
is "$(ask warned.service.consul)" 10.0.0.10 "which stays in DNS"
is "$(ask exec.service.consul)" 10.0.0.5 "passing is in DNS"
is "$(ask refused.service.consul)" "" "critical is not"

api /v1/agent/check/pass/service:beat -X PUT
is "$(status beat)" passing "ttl passes when told"
soon 5 "and is critical when nothing is heard" has_status beat critical
like "$(output beat)" 'TTL expired' "and says why"

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

# A restart keeps statuses until the first result.
api /v1/agent/service/register -X PUT -d '{"Name": "kept", "Port": 1,
    "Address": "10.0.0.9", "Check": {"TTL": "600s"}}'
api '/v1/agent/check/pass/service:kept?note=remember' -X PUT
end "$AGENT_PID" KILL
agent_start one --dev --store-listen 127.0.0.1:0
is "$(status kept)" passing "a TTL check is still passing after kill -9"
is "$(output kept)" remember "with its output"
is "$(ask kept.service.consul)" 10.0.0.9 "what the API registered is in DNS"
agent_stop
agent_start one --dev --store-listen 127.0.0.1:0 --enable-script-checks
is "$(api /v1/agent/check/register -X PUT -o /dev/null -w '%{http_code}' \
    -d '{"Name": "fine", "Args": ["true"], "Interval": "10s"}')" 200 \
    "exec by the API, if enabled"
soon 10 "it runs" sh -c "curl -s --unix-socket $AGENT_SOCKET \
    http://l/v1/agent/checks | grep -q '\"fine\".*passing'"
done_testing
