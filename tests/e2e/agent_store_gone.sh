# The store is stopped: DNS and HTTP keep answering, nothing becomes empty, and
# what was registered meanwhile appears when the store is back.
. "$(dirname "$0")/lib.sh"

NAME=web.service.muster.internal

store_start store
web_start
agent_start one --store "$STORE_URL"
web_definition web "$WEB_PORT"
wait_until 15 "the service in DNS" answers 127.0.0.1 $NAME

header() {
    api "$1" -D - -o "$SCRATCH/body" | tr -d '\r' | sed -n "s/^$2: //Ip"
}
is "$(header /v1/catalog/services X-Consul-KnownLeader)" true "connected"

end "$STORE_PID" KILL
leaderless() {
    [ "$(header /v1/catalog/services X-Consul-KnownLeader)" = false ]
}
soon 20 "HTTP says that the store is away" leaderless

still() {
    answers 127.0.0.1 $NAME &&
        [ "$(api '/v1/health/service/web?passing' | json 'len(d)')" = 1 ]
}
# Longer than the lease of 15 s: its end is not seen, and must not be guessed.
ok "DNS and HTTP keep answering for 18 s" stays 18 still
ok "LastContact grows" \
    [ "$(header /v1/catalog/services X-Consul-LastContact)" -gt 0 ]
is "$(api '/v1/health/service/web?consistent' -o /dev/null -w '%{http_code}')" \
    500 "a consistent read says so"
is "$(cat "$SCRATCH/body" >/dev/null; api '/v1/health/service/web?consistent')" \
    "No cluster leader" "in the words that clients know"
is "$(api /v1/agent/service/register -X PUT -o /dev/null -w '%{http_code}' \
    -d '{"Name": "late", "Port": 1, "Address": "10.0.0.9"}')" \
    200 "a registration is taken"
is "$(ask unknown.service.consul)" "" "an unknown name stays unknown"

store_start store
soon 30 "what was registered meanwhile is written" \
    sh -c "etcdctl --endpoints $STORE_URL get --prefix /muster/v1 | grep -q late"
soon 15 "and answered" answers 10.0.0.9 late.service.consul
is "$(ask $NAME)" 127.0.0.1 "the first service is still there"
done_testing
