# A service whose address is a host name of somebody else: the chain is whole, with
# A and AAAA, in little packets too, and remembered as upstream or the service says.
. "$(dirname "$0")/lib.sh"

# Another agent plays the upstream. Its CNAME has an hour, its addresses 40 s.
cat >"$SCRATCH/up.json" <<'JSON'
{"dns_config": {"service_ttl": {"far": "40s", "cdn": "1h"}}}
JSON
agent_start up --dev --store-listen 127.0.0.1:0 --domain up.test --alt-domain "" \
    --config "$SCRATCH/up.json"
cat >"$AGENT_SERVICES/x.json" <<'JSON'
{"services": [
  {"name": "far", "id": "far-1", "port": 1, "address": "10.7.7.7"},
  {"name": "far", "id": "far-2", "port": 1, "address": "10.7.7.8"},
  {"name": "far", "id": "far-3", "port": 1, "address": "10.7.7.9"},
  {"name": "far", "id": "far-4", "port": 1, "address": "10.7.7.10"},
  {"name": "far", "id": "far-6", "port": 1, "address": "fd00::7"},
  {"name": "cdn", "port": 1, "address": "far.service.up.test"}
]}
JSON
wait_until 10 "the upstream" answers fd00::7 far.service.up.test AAAA
up=$AGENT_DNS

cat >"$SCRATCH/one.json" <<'JSON'
{"dns_config": {"service_ttl": {"short": "5s", "long": "2h"}, "cache": {"bytes": 0}}}
JSON
agent_start one --dev --store-listen 127.0.0.1:0 --config "$SCRATCH/one.json" \
    --recursor "127.0.0.1:$up"
cat >"$AGENT_SERVICES/x.json" <<'JSON'
{"services": [
  {"name": "unset", "port": 443, "address": "cdn.service.up.test"},
  {"name": "short", "port": 443, "address": "cdn.service.up.test"},
  {"name": "long", "port": 443, "address": "cdn.service.up.test"},
  {"name": "inner", "port": 443, "address": "short.service.consul"}
]}
JSON
# Upstream is asked in letters of any case, and what it said is remembered: TTLs
# have begun to run down.
chain() { # NAME TYPE [FLAG...]: "owner TTL type data", as they come
    local name=$1 type=$2
    shift 2
    dig +noall +answer +tries=1 +time=5 -p "$AGENT_DNS" @127.0.0.1 "$@" "$name" \
        "$type" | awk '{ print tolower($1), $2, $4, tolower($5) }'
}
# The same with TTLs that have run down a little as intervals.
intervals() {
    printf '%s\n' "$1" | awk '{
        if ($2 > 20 && $2 <= 40) $2 = "20-40"
        else if ($2 > 3500 && $2 <= 3600) $2 = "3500-3600"
        print }'
}
whole() {
    [ "$(chain inner.service.consul A | wc -l)" = 7 ]
}
wait_until 20 "the chain" whole

out=$(intervals "$(chain unset.service.consul A)")
is "$(printf '%s' "$out" | head -n 2)" \
    "unset.service.consul. 0 CNAME cdn.service.up.test.
cdn.service.up.test. 3500-3600 CNAME far.service.up.test." \
    "the CNAMEs in order, upstream's with its own TTL"
is "$(printf '%s' "$out" | grep -c ' 20-40 A 10.7.7.')" 4 "all addresses, likewise"
is "$(intervals "$(chain unset.service.consul AAAA | tail -n 1)")" \
    "far.service.up.test. 20-40 AAAA fd00::7" "AAAA"
out=$(chain short.service.consul A)
is "$(printf '%s' "$out" | awk '$2 > 5' | wc -l)" 0 "no TTL above the service's"
out=$(intervals "$(chain long.service.consul A)")
is "$(printf '%s' "$out" | awk '{ print $2 }' | sort -nu | tr '\n' ' ')" \
    "20-40 3500-3600 7200 " "nor is any raised to it"
out=$(chain short.service.consul A +noedns +ignore)
is "$(printf '%s' "$out" | grep -c ' A ')" 4 \
    "without EDNS the chain still ends in its addresses"
out=$(chain inner.service.consul A)
is "$(printf '%s' "$out" | awk '{ print $3 }' | head -n 3 | tr '\n' ' ')" \
    "CNAME CNAME CNAME " "one of our own names leads to it"
is "$(printf '%s' "$out" | awk '$2 > 5' | wc -l)" 0 "with the TTL of the one between"
done_testing
