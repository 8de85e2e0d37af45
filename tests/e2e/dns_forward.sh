# Names of other zones go to the recursors, which may be down in part.
. "$(dirname "$0")/lib.sh"

# Another agent plays the upstream: it knows the zone "up.test".
agent_start up --dev --store-listen 127.0.0.1:0 --domain up.test
cat >"$AGENT_SERVICES/x.json" <<'JSON'
{"service": {"name": "far", "port": 1, "address": "10.7.7.7"}}
JSON
wait_until 10 "the upstream" answers 10.7.7.7 far.service.up.test
up=$AGENT_DNS

agent_start one --dev --store-listen 127.0.0.1:0 --alt-domain consul.test \
    --recursor "127.0.0.1:$(free_port)" --recursor "127.0.0.1:$up"
is "$(ask far.service.up.test)" 10.7.7.7 "the second recursor answers"
is "$(ask far.service.up.test A +tcp)" 10.7.7.7 "over TCP too"
is "$(rcode gone.service.up.test)" NXDOMAIN "NXDOMAIN is passed on"
like "$(dig -p "$AGENT_DNS" @127.0.0.1 far.service.up.test)" 'flags:.* ra' \
    "recursion is offered"

agent_start alone --dev --store-listen 127.0.0.1:0 \
    --recursor "127.0.0.1:$(free_port)"
is "$(rcode far.service.up.test A +time=10)" SERVFAIL \
    "SERVFAIL when no recursor answers"
done_testing
