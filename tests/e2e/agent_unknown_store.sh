# An agent that never reached a store does not lie: SERVFAIL, 500 and `ready` 503,
# never NXDOMAIN or an empty list.
. "$(dirname "$0")/lib.sh"

agent_start one --store "http://127.0.0.1:$(free_port)"
is "$(rcode web.service.muster.internal)" SERVFAIL "DNS: SERVFAIL"
is "$(api /v1/catalog/services -o /dev/null -w '%{http_code}')" 500 \
    "catalogue: 500"
is "$(api /v1/health/service/web -o /dev/null -w '%{http_code}')" 500 \
    "health: 500"
is "$(api /v1/agent/ready -o /dev/null -w '%{http_code}')" 503 "not ready"
is "$(api /v1/agent/live -o /dev/null -w '%{http_code}')" 200 "alive"

web_start
web_definition web "$WEB_PORT"
soon 10 "its own services are answered" answers 127.0.0.1 \
    web.service.muster.internal
is "$(rcode other.service.muster.internal)" SERVFAIL "others are not known"

agent_start two --dev --store-listen 127.0.0.1:0
soon 10 "an agent with a store is ready" api /v1/agent/ready -f
done_testing
