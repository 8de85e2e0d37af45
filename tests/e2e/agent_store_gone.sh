# The store is away for a while: DNS and HTTP keep answering, nothing becomes
# empty, answers say that they are old. What is registered and what changes
# meanwhile, over a restart of the agent too, is written when it is back.
. "$(dirname "$0")/lib.sh"

NAME=web.service.muster.internal

store_start store
web_start
echo '{"dns_config": {"service_ttl": {"*": "120s"}}}' >"$SCRATCH/ttl.json"
agent_start one --store "$STORE_URL" --config "$SCRATCH/ttl.json"
web_definition web "$WEB_PORT"
api /v1/agent/service/register -X PUT -d '{"Name": "job", "Port": 1,
    "Address": "10.9.9.1", "Check": {"CheckID": "beat", "TTL": "1h"}}'
api /v1/agent/check/pass/beat -X PUT
wait_until 15 "the service in DNS" answers 127.0.0.1 $NAME
wait_until 15 "the other one" answers 10.9.9.1 job.service.consul

header() {
    api "$1" -D - -o "$SCRATCH/body" | tr -d '\r' | sed -n "s/^$2: //Ip"
}
dig_web() {
    dig +tries=1 +time=3 -p "$AGENT_DNS" @127.0.0.1 $NAME
}
ttl_is() {
    dig_web | grep -Eq "^$NAME\.[[:space:]]+$1[[:space:]]"
}
is "$(header /v1/catalog/services X-Consul-KnownLeader)" true "connected"
ok "the TTL is as configured" ttl_is 120

end "$STORE_PID" KILL
gone=$(now_ms)
leaderless() {
    [ "$(header /v1/catalog/services X-Consul-KnownLeader)" = false ]
}
soon 20 "HTTP says that the store is away" leaderless
ok "LastContact grows" \
    [ "$(header /v1/catalog/services X-Consul-LastContact)" -gt 0 ]
is "$(api '/v1/health/service/web?consistent' -o "$SCRATCH/body" \
    -w '%{http_code}') $(cat "$SCRATCH/body")" "500 No cluster leader" \
    "a consistent read says so in the words that clients know"
is "$(api /v1/agent/service/register -X PUT -o /dev/null -w '%{http_code}' \
    -d '{"Name": "late", "Port": 1, "Address": "10.0.0.9"}')" \
    200 "a registration is taken"
is "$(api '/v1/agent/service/register?sync=1s' -X PUT -o /dev/null \
    -w '%{http_code}' -d '{"Name": "late", "Port": 1, "Address": "10.0.0.9"}')" \
    202 "whoever waits for the store is told that it is not there"
is "$(rcode unknown.service.consul)" NXDOMAIN "an unknown name stays unknown"
status() {
    api /v1/agent/checks | json 'd["beat"]["Status"]'
}
api /v1/agent/check/fail/beat -X PUT
api /v1/agent/check/warn/beat -X PUT

marked() {
    dig_web | grep -q 'EDE: 3 (Stale Answer'
}
soon 20 "DNS answers are marked as old" marked
echo "# after $(($(now_ms) - gone)) ms"
ok "with a TTL of 30 s at most" ttl_is 30
like "$(api /v1/metrics)" '^muster_replica_age_seconds ([1-9][0-9]|9)' \
    "a metric has the age"

# Killed and started again meanwhile.
end "$AGENT_PID" KILL
agent_start one --store "$STORE_URL" --config "$SCRATCH/ttl.json"
still() {
    answers 127.0.0.1 $NAME &&
        [ "$(api '/v1/health/service/web?passing' | json 'len(d)')" = 1 ]
}
# In all longer than the lease of 15 s: its end is not seen, and must not be
# guessed. (contrib/dev/soak waits for ten minutes.)
ok "DNS and HTTP go on answering" stays "${AWAY_SECONDS:-12}" still
is "$(status)" warning "the last status is kept"
api /v1/agent/service/register -X PUT \
    -d '{"Name": "later", "Port": 1, "Address": "10.0.0.10"}'
is "$(sed '1,/replica: [1-9]/d' "$SCRATCH/one.log" | grep -c 'trying again')" 1 \
    "that the store is away is said once"

store_start store
begin=$(now_ms)
stored() {
    ctl get --prefix /muster/v1/dc1/inst >"$SCRATCH/stored" &&
        grep -q '/inst/late/' "$SCRATCH/stored" &&
        grep -q '/inst/later/' "$SCRATCH/stored" &&
        grep -q '"id":"beat".*"status":"warning"' "$SCRATCH/stored"
}
soon 30 "what was registered and what changed meanwhile is written" stored
echo "# $(($(now_ms) - begin)) ms after its return"
soon 15 "and answered" answers 10.0.0.9 late.service.consul
soon 15 "all of it" answers 10.0.0.10 later.service.consul
is "$(ask $NAME)" 127.0.0.1 "the first service is still there"
soon 5 "with its own TTL" ttl_is 120
ok "and no mark" sh -c "! dig -p $AGENT_DNS @127.0.0.1 $NAME | grep -q EDE"
done_testing
