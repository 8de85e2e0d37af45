# Every setting of DNS answers is heard by a reload; a wrong one changes nothing.
. "$(dirname "$0")/lib.sh"

CONFIG="$SCRATCH/agent.json"
echo '{"node_meta": {"rack": "7"}}' >"$CONFIG"
agent_start one --dev --store-listen 127.0.0.1:0 --config "$CONFIG"
"$PYTHON" - >"$AGENT_SERVICES/all.json" <<'PY'
import json
print(json.dumps({"services": [
    {"name": "web", "id": "w%d" % i, "port": 80, "address": "10.0.0.%d" % i,
     "weights": {"passing": 1 if i else 60000, "warning": 1}}
    for i in range(40)] + [
    {"name": "warm", "port": 1, "address": "10.1.0.1",
     "check": {"ttl": "1h", "status": "warning"}},
    {"name": "sick", "port": 1, "address": "10.1.0.2",
     "check": {"ttl": "1h", "status": "critical"}}]}))
PY
whole() {
    [ "$(ask web.service.consul A +tcp | wc -l)" = 40 ]
}
wait_until 20 "the services" whole
raw() {
    dig +tries=1 +time=5 +ignore -p "$AGENT_DNS" @127.0.0.1 "$@"
}
flags() {
    raw "$@" | sed -n 's/^;; flags:\([^;]*\);.*/\1 /p'
}
count() { # SECTION OUTPUT
    printf '%s' "$2" | sed -n "s/.*$1: \([0-9]*\).*/\1/p"
}
firsts() {
    local i
    for i in 1 2 3 4 5 6 7 8 9 10; do
        dig +short +tcp -p "$AGENT_DNS" @127.0.0.1 web.service.consul | head -n 1
    done | grep -cx 10.0.0.0
}
size() {
    raw "$@" | sed -n 's/.*MSG SIZE *rcvd: //p'
}

is "$(count ANSWER "$(raw +noedns web.service.consul)")" 3 "3 answers without EDNS"
unlike "$(flags +noedns web.service.consul)" ' tc ' "no TC"
unlike "$(flags web.service.consul)" ' ra ' "no RA"
is "$(rcode one.node.other)" REFUSED "another domain is refused"
is "$(rcode sick.service.consul)" NXDOMAIN "a critical service is not there"
is "$(rcode _web._udp.service.consul SRV)" NXDOMAIN "_udp is a tag"
is "$(ask warm.service.consul)" 10.1.0.1 "one with a warning is"
compressed=$(size +bufsize=4096 web.service.consul)

cat >"$CONFIG" <<'JSON'
{"node_meta": {"rack": "7"}, "domain": "first.test", "alt_domain": "consul",
 "dns_config": {
    "node_ttl": "11s", "service_ttl": {"web": "12s"}, "only_passing": true,
    "a_record_limit": 30, "udp_answer_limit": 5, "enable_truncate": true,
    "disable_compression": true, "enable_additional_node_meta_txt": true,
    "soa": {"refresh": 13, "retry": 14, "expire": 15, "min_ttl": 16},
    "nodata_ttl": "17s", "when_none_healthy": "all", "order": "weighted",
    "subset": "stable", "always_ra": true, "edns_udp_size": 1400,
    "stale_mark": "0s", "srv_udp_is_tag": false}}
JSON
"$MUSTER" reload --socket "$AGENT_SOCKET" >/dev/null || bail "the reload failed"
has_domain() {
    answers 127.0.0.1 one.node.first.test
}
soon 10 "domain" has_domain
is "$(rcode one.node.muster.internal)" REFUSED "which the old one is not any more"
out=$(raw one.node.consul)
like "$out" '^one\.node\.consul\..*11.IN.A' "node_ttl"
like "$out" '^one\.node\.consul\..*TXT.*rack=7' "enable_additional_node_meta_txt"
like "$out" 'udp: 1400' "edns_udp_size"
like "$out" 'EDE: 3' "stale_mark"
like "$(raw web.service.consul)" '^web\.service\.consul\..*12.IN.A' "service_ttl"
is "$(ask warm.service.consul)" 10.1.0.1 \
    "only_passing: the one with a warning is a last resort now"
is "$(count ANSWER "$(raw +tcp web.service.consul)")" 30 "a_record_limit"
is "$(count ANSWER "$(raw +noedns web.service.consul)")" 5 "udp_answer_limit"
like "$(flags +noedns web.service.consul)" ' tc ' "enable_truncate"
like "$(flags web.service.consul)" ' ra ' "always_ra"
plain=$(size +bufsize=4096 web.service.consul)
ok "disable_compression ($compressed, now $plain for 10 less)" \
    [ "$plain" -gt "$compressed" ]
like "$(raw nothing.service.consul)" \
    '^consul\.[[:space:]]+16.IN.SOA.* 13 14 15 16$' "soa"
like "$(raw web.service.consul MX)" '^consul\.[[:space:]]+17.IN.SOA.* 17$' "nodata_ttl"
is "$(ask sick.service.consul)" 10.1.0.2 "when_none_healthy"
ok "order: the heavy one is first" [ "$(firsts)" -ge 9 ]
is "$(ask web.service.consul A +noedns +ignore)" \
    "$(ask web.service.consul A +noedns +ignore)" "subset"
is "$(rcode _web._udp.service.consul SRV)" NOERROR "srv_udp_is_tag"

sed -i 's/"weighted"/"nearest"/' "$CONFIG"
out=$("$MUSTER" reload --socket "$AGENT_SOCKET" 2>&1)
is "$?" 1 "a word that is none is refused"
like "$out" 'dns_config\.order.*nearest' "by its name"
like "$out" 'shuffle' "with those that there are"
is "$(ask one.node.first.test)" 127.0.0.1 "the settings before it stay"

# What is wrong may be found late, in a file that a key is in: nothing is new.
sed -e 's/"nearest"/"near"/' -e 's/"dns_config": {/&\
    "transfer": {"keys": [{"name": "k", "secret_file": "missing"}]},/' \
    -e '1s/{/{"recursors": ["127.0.0.1:9"],/' "$CONFIG" >"$CONFIG.new"
mv "$CONFIG.new" "$CONFIG"
out=$("$MUSTER" reload --socket "$AGENT_SOCKET" 2>&1)
is "$?" 1 "a file that is missing is refused"
like "$out" 'secret_file.*missing' "by its name"
is "$(rcode one.node.other)" REFUSED "and nothing is forwarded to the recursor beside it"
sed -i -e '/"transfer"/d' -e '1s/"recursors": \["127.0.0.1:9"\],//' \
    -e 's/"near"/"nearest"/' "$CONFIG"

# So does what old answers are: SERVFAIL once the replica is past max_stale.
sed -i 's/"nearest"/"near", "max_stale": "1s"/' "$CONFIG"
"$MUSTER" reload --socket "$AGENT_SOCKET" >/dev/null || bail "the reload failed"
is "$(ask one.node.first.test)" 127.0.0.1 "max_stale means nothing in contact"
done_testing
