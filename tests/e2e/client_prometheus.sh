# Debian's Prometheus, unmodified, finds its targets by dns_sd and by http_sd: new
# instances come, removed ones go. (Debian leaves consul_sd out of it; what that
# asks is in agent_requests.)
. "$(dirname "$0")/lib.sh"
own_network

echo '{"node_meta": {"zone": "b"}}' >"$SCRATCH/agent.json"
DNS_PORT=53 HTTP_PORT=8500
agent_start one --dev --store-listen 127.0.0.1:0 --config "$SCRATCH/agent.json"
own_resolver 127.0.0.1

register() { # ID PORT [TAG...]
    local id=$1 port=$2 tags
    shift 2
    tags=$(printf '"%s",' "$@")
    api /v1/agent/service/register -fX PUT -d '{"Name": "app", "ID": "'"$id"'",
        "Address": "127.0.0.1", "Port": '"$port"', "Tags": ['"${tags%,}"'],
        "Meta": {"team": "pay"}}'
}

wait_until 10 "the agent's registration" answers "127.0.0.1" one.node.consul
ok "an instance is registered" register app-1 9001 blue v2
soon 10 "it is in DNS" answers "1 1 9001 7f000001.addr.dc1.consul." \
    app.service.consul SRV

cat >"$SCRATCH/prometheus.yml" <<'YAML'
global: {scrape_interval: 1s, scrape_timeout: 900ms}
scrape_configs:
  - job_name: http
    http_sd_configs:
      - {url: "http://127.0.0.1:8500/v1/prometheus/sd?service=app", refresh_interval: 1s}
  - job_name: blue
    http_sd_configs:
      - refresh_interval: 1s
        url: "http://127.0.0.1:8500/v1/prometheus/sd?passing&filter=blue+in+Service.Tags"
  - job_name: dns
    dns_sd_configs:
      - {names: [app.service.consul], type: SRV, refresh_interval: 1s}
  - job_name: dns_a
    dns_sd_configs:
      - {names: [app.service.consul], type: A, port: 9001, refresh_interval: 1s}
YAML
PROMETHEUS=http://127.0.0.1:9090
spawn prometheus prometheus --config.file="$SCRATCH/prometheus.yml" \
    --storage.tsdb.path="$SCRATCH/tsdb" --web.listen-address=127.0.0.1:9090 \
    --log.level=warn
wait_until 30 "Prometheus" curl -fsS "$PROMETHEUS/-/ready"

# targets JOB: what it would scrape, sorted.
targets() {
    curl -fsS --max-time 2 "$PROMETHEUS/api/v1/targets?state=active" |
        json '" ".join(sorted(t["discoveredLabels"]["__address__"]
              for t in d["data"]["activeTargets"]
              if t["scrapePool"] == "'"$1"'"))'
}

targets_are() { # JOB WANTED
    [ "$(targets "$1")" = "$2" ]
}

soon 30 "http_sd finds it" targets_are http "127.0.0.1:9001"
soon 10 "and by its tag" targets_are blue "127.0.0.1:9001"
soon 10 "and dns_sd by SRV" targets_are dns "7f000001.addr.dc1.consul:9001"
soon 10 "and by A" targets_are dns_a "127.0.0.1:9001"

label() { # NAME
    curl -fsS "$PROMETHEUS/api/v1/targets?state=active" |
        json '[t for t in d["data"]["activeTargets"]
               if t["scrapePool"] == "http"][0]["discoveredLabels"]["'"$1"'"]'
}

while read -r name wanted; do
    is "$(label "__meta_consul_$name")" "$wanted" "label $name"
done <<'ROWS'
address 127.0.0.1
dc dc1
health passing
metadata_zone b
node one
service app
service_address 127.0.0.1
service_id app-1
service_metadata_team pay
service_port 9001
tags ,blue,v2,
ROWS

ok "a second instance is registered" register app-2 9002 green
soon 10 "http_sd adds it" targets_are http "127.0.0.1:9001 127.0.0.1:9002"
soon 10 "dns_sd adds it" targets_are dns \
    "7f000001.addr.dc1.consul:9001 7f000001.addr.dc1.consul:9002"
is "$(targets blue)" "127.0.0.1:9001" "another tag is left out"

ok "the second is put into maintenance" \
    api "/v1/agent/service/maintenance/app-2?enable=true" -fX PUT
soon 10 "dns_sd leaves it out" targets_are dns "7f000001.addr.dc1.consul:9001"
health_is() { # WANTED
    curl -fsS "$PROMETHEUS/api/v1/targets?state=active" |
        json '" ".join(sorted(t["discoveredLabels"]["__meta_consul_health"]
              for t in d["data"]["activeTargets"]
              if t["scrapePool"] == "http"))' | grep -qx "$1"
}
soon 10 "http_sd shows it" health_is "maintenance passing"

ok "the first is removed" api /v1/agent/service/deregister/app-1 -fX PUT
soon 10 "http_sd drops it" targets_are http "127.0.0.1:9002"
soon 10 "the tag is gone" targets_are blue ""

done_testing
