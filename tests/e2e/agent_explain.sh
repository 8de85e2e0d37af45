# Why an instance is in an answer or not, and how it came to be so.
. "$(dirname "$0")/lib.sh"

cat >"$SCRATCH/agent.json" <<'CONF'
{"dns_config": {"a_record_limit": 1, "service_ttl": {"*": "7s"}}}
CONF
agent_start one --dev --store-listen 127.0.0.1:0 --config "$SCRATCH/agent.json"
register() {
    api /v1/agent/service/register -X PUT -d "$1"
}
register '{"Name": "web", "ID": "w1", "Port": 80, "Address": "10.0.0.1",
    "Tags": ["v1"], "Check": {"TTL": "60s", "Status": "passing"}}'
register '{"Name": "web", "ID": "w2", "Port": 80, "Address": "10.0.0.2",
    "Tags": ["v2"], "Check": {"TTL": "60s", "Status": "passing"}}'
register '{"Name": "web", "ID": "w3", "Port": 80, "Address": "fd00::3",
    "Tags": ["v2"], "Check": {"TTL": "60s", "Status": "passing"}}'
api '/v1/agent/check/fail/service:w2?note=the+disk+is+full' -X PUT
api '/v1/agent/check/pass/service:w2' -X PUT
api '/v1/agent/check/fail/service:w2?note=the+disk+is+full' -X PUT
wait_until 10 "three instances" sh -c "[ \"\$(curl -s --unix-socket $AGENT_SOCKET \
    'http://local/v1/catalog/service/web' | grep -o ServiceID | wc -l)\" = 3 ]"
wait_until 10 "w2 to fail" sh -c "[ \"\$(curl -s --unix-socket $AGENT_SOCKET \
    'http://local/v1/health/service/web?passing' | grep -o '\"ID\":\"w.\"' |
    tr -d '\n')\" = '\"ID\":\"w1\"\"ID\":\"w3\"' ]"

why() { # EXPRESSION PATH
    api "$2" | json "$1"
}
all='[[i["ID"], i["DNS"]["In"], i["DNS"]["Why"].split()[0], i["Passing"]]
      for i in d["Instances"]]'
is "$(why "$all" /v1/explain/web)" \
    '[["w1", true, "in", true], ["w2", false, "a", false], ["w3", true, "in", true]]' \
    "of a service: who is in its SRV answer"
is "$(why "d['Instances'][1]['Why']" /v1/explain/web)" \
    '["check service:w2 (Service '"'web'"' check) is critical: the disk is full"]' \
    "and which check is to blame, in its words"
is "$(why "$all" '/v1/explain/web?type=A')" \
    '[["w1", true, "in", true], ["w2", false, "a", false], ["w3", false, "it", true]]' \
    "the other family has no A record"
is "$(why "$all" '/v1/explain/dns?name=v2.web.service.consul&type=AAAA')" \
    '[["w1", false, "it", true], ["w2", false, "a", false], ["w3", true, "in", true]]' \
    "of a name: the tag that it asks for"
is "$(why "[d['DNS'][k] for k in ('Code', 'TTL', 'TTLSource')]" \
    '/v1/explain/dns?name=web.service.consul&type=A')" '["NOERROR", 7, "service_ttl"]' \
    "code, TTL and where that comes from"
is "$(why "d['DNS']['Code']" '/v1/explain/dns?name=none.service.consul')" \
    NXDOMAIN "a missing service"
is "$(why "d['Replica']['KnownLeader']" /v1/explain/web)" true "the replica's age"
register '{"Name": "web", "ID": "w4", "Port": 80, "Address": "10.0.0.4"}'
wait_until 10 "w4" sh -c "curl -s --unix-socket $AGENT_SOCKET \
    http://local/v1/catalog/service/web | grep -q w4"
soon 5 "one of two is beyond the limit of A records" sh -c \
    "curl -s --unix-socket $AGENT_SOCKET 'http://local/v1/explain/web?type=A' |
    grep -q 'not in this client'"
is "$(api '/v1/explain/dns?name=x&type=BLUE' -o /dev/null -w '%{http_code}')" \
    400 "an unknown type is refused"
like "$("$MUSTER" explain web --socket "$AGENT_SOCKET")" \
    '^w2 +one +critical +out +check service:w2 .*the disk is full$' \
    "muster explain says so in a table"
register '{"Name": "two", "ID": "t1", "Port": 81, "Address": "10.0.0.5",
    "Checks": [{"CheckID": "t1:a", "TTL": "60s", "Status": "warning"},
               {"CheckID": "t1:b", "TTL": "60s", "Status": "critical"}]}'
blamed() { "$MUSTER" explain two --socket "$AGENT_SOCKET" | grep -Eq '^t1 .* out +check t1:b '; }
soon 10 "the gravest check is the one that it names" blamed
like "$("$MUSTER" explain v2.web.service.consul --socket "$AGENT_SOCKET")" \
    '^v2\.web\.service\.consul SRV: NOERROR, 1 of 1 records' "also of a DNS name"

agent_start two --store "$AGENT_STORE"
elsewhere() {
    "$MUSTER" explain web --socket "$AGENT_SOCKET" |
        grep -Eq '^w2 +one +critical +out +check service:w2 .*the disk is full$'
}
soon 10 "another host knows the words, too" elsewhere
is "$(api '/v1/health/checks/web' | json 'sorted(c["Output"] for c in d)')" \
    '["", "", "the disk is full"]' "and shows them as the check's output"

done_testing
