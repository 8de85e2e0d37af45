# A service that goes down leaves DNS, and returns to it, within its check's
# interval + timeout + 1 s.
. "$(dirname "$0")/lib.sh"

NAME=web.service.muster.internal
LIMIT_MS=3000 # Interval 1 s, timeout 1 s, and 1 s.

agent_start one --dev --store-listen 127.0.0.1:0
is "$(rcode $NAME)" NXDOMAIN "unknown before it is registered"

nginx_start
web_definition web "$WEB_PORT"
soon 10 "a sidecar file is enough" answers 127.0.0.1 $NAME
is "$(ask web.service.consul)" 127.0.0.1 "by its name in the second domain too"
is "$(ask v1.web.service.consul)" 127.0.0.1 "by its tag"
like "$(ask $NAME SRV)" "^1 1 $WEB_PORT one\.node\.dc1\.muster\.internal\.$" \
    "SRV has the port"

end "$WEB_PID" KILL
ms=$(took_ms 15 "the name to vanish" answers "" $NAME) || bail "it stays"
ok "gone from DNS after $ms ms" [ "$ms" -le $LIMIT_MS ]
is "$(rcode $NAME)" NXDOMAIN "as if unknown"
is "$(api '/v1/health/service/web?passing' | json 'len(d)')" 0 \
    "gone from passing instances"
is "$(api /v1/catalog/service/web | json 'len(d)')" 1 "still in the catalogue"
like "$("$MUSTER" services web --socket "$AGENT_SOCKET")" " critical " \
    "muster services shows it critical"

nginx_start "$WEB_PORT"
ms=$(took_ms 15 "the name to return" answers 127.0.0.1 $NAME) || bail "no return"
ok "back in DNS after $ms ms" [ "$ms" -le $LIMIT_MS ]

rm "$AGENT_SERVICES/web.json"
wait_until 10 "the removal to be seen" answers "" $NAME
is "$(api /v1/catalog/service/web)" "[]" "a removed file deregisters"
done_testing
