# A host's services once more, as SkyDNS's keys (which CoreDNS reads) and as
# endpoints of etcd's gRPC naming. They follow health, a reload and the host's
# lease; a restart is seen by nobody who reads them.
. "$(dirname "$0")/lib.sh"

etcd_start etcd
STORE_URL=$ETCD_URL
cat >"$SCRATCH/projections.json" <<'JSON'
{"lease_ttl": "5s", "skydns_prefix": "/skydns", "grpc_prefix": "/grpc"}
JSON
agent_start one --store "$STORE_URL" --config "$SCRATCH/projections.json"
"$MUSTER" register --socket "$AGENT_SOCKET" --name web --port 80 --tag v1 \
    --address 10.9.9.1 >/dev/null
api /v1/agent/check/register -X PUT \
    -d '{"Name": "beat", "CheckID": "beat", "ServiceID": "web", "TTL": "1h"}'

projected() {
    ctl get --prefix /skydns/ --keys-only
    ctl get --prefix /grpc/ --keys-only
}
keys_are() {
    [ "$(projected | sed '/^$/d' | tr '\n' ' ')" = "$1" ]
}
WEB="/skydns/internal/muster/web/one/web /grpc/web/10.9.9.1:80 "
wait_until 10 "the check's own status" sh -c \
    "etcdctl --endpoints $STORE_URL get --prefix /muster/v1/dc1/inst/web/ |
     grep -q critical"
ok "what is critical is not there" keys_are ''
api /v1/agent/check/pass/beat -X PUT
soon 10 "what passes is" keys_are "$WEB"
is "$(ctl get --print-value-only /skydns/internal/muster/web/one/web)" \
    '{"host":"10.9.9.1","port":80,"priority":1,"weight":1,"ttl":5}' \
    "as CoreDNS reads it"
is "$(ctl get --print-value-only /grpc/web/10.9.9.1:80 |
    json '[d["Op"], d["Addr"], d["Metadata"]["tags"]]')" \
    '[0, "10.9.9.1:80", ["v1"]]' "and a gRPC client"
like "$(api /v1/metrics)" '^muster_projected_keys 2$' "a metric counts them"

# By the words of the configuration.
sed -i 's,"/grpc","/other",' "$SCRATCH/projections.json"
api /v1/agent/reload -X PUT
soon 10 "a reload moves them" keys_are \
    "/skydns/internal/muster/web/one/web "
is "$(ctl get --prefix /other/ --keys-only | sed '/^$/d')" \
    /other/web/10.9.9.1:80 "to where they are wanted"
sed -i 's,"/other","/grpc",' "$SCRATCH/projections.json"
api /v1/agent/reload -X PUT
soon 10 "and back" keys_are "$WEB"
sed 's,"/grpc","/muster/v1",' "$SCRATCH/projections.json" >"$SCRATCH/bad.json"
like "$("$MUSTER" agent --config "$SCRATCH/bad.json" 2>&1)" \
    "bad.json:1.*grpc_prefix.*muster's own records" \
    "our own records are no place for them"

# A restart, seen by somebody who watches.
spawn watch etcdctl --endpoints "$STORE_URL" watch --prefix /skydns/
agent_stop
agent_start one --store "$STORE_URL" --config "$SCRATCH/projections.json"
# shellcheck disable=SC2317 # called by soon
same_lease() { # all of them, and the live key
    [ "$(for key in /skydns/internal/muster/web/one/web /grpc/web/10.9.9.1:80 \
        /muster/v1/dc1/live/one; do
        ctl get "$key" -w json | json 'd["kvs"][0]["lease"]'
    done | sort -u | wc -l)" = 1 ]
}
soon 10 "after a restart they are under the new lease" same_lease
is "$(grep -c '^DELETE' "$SCRATCH/watch.log")" 0 "and were never away"

# The store is emptied; the host dies.
ctl del --prefix / >/dev/null
soon 20 "what somebody has deleted with everything else is back" keys_are "$WEB"
end "$AGENT_PID" KILL
soon 20 "they go with the host's lease" keys_are ''

# Leaving takes them away at once.
agent_start one --store "$STORE_URL" --config "$SCRATCH/projections.json"
wait_until 20 "them" keys_are "$WEB"
"$MUSTER" leave --socket "$AGENT_SOCKET"
soon 5 "who leaves takes them along" keys_are ''
done_testing
