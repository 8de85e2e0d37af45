# lib.sh - an agent to measure: release build, own folders and ports, pinned to
# CPU 0 when $PINNED is set. Sets $scratch, $agent (its pid) and $http.
# shellcheck shell=bash disable=SC2034

cd "$(dirname "${BASH_SOURCE[0]}")/../../.." || exit 1
MUSTER=$(realpath "${MUSTER:-build/release/cli/muster}")
scratch=$(mktemp -d)
mkdir "$scratch/services"
echo "${CONFIG:-{\"log_level\": \"warn\"\}}" >"$scratch/agent.json"
${PINNED:+taskset -c 0} "$MUSTER" agent --dev --node bench \
    --data-dir "$scratch/data" --services "$scratch/services" \
    --socket "$scratch/agent.sock" --dns 127.0.0.1:0 --http 127.0.0.1:0 \
    --store-listen 127.0.0.1:0 --advertise 127.0.0.1 \
    --config "$scratch/agent.json" >"$scratch/out" 2>"$scratch/log" &
agent=$!
finish() {
    kill "$agent" 2>/dev/null || true
    wait "$agent" 2>/dev/null || true
    rm -rf "$scratch"
}
trap finish EXIT
for _ in $(seq 400); do
    grep -q started "$scratch/out" && break
    kill -0 "$agent" 2>/dev/null || {
        cat "$scratch/log" >&2
        exit 1
    }
    sleep 0.05
done
http=$(grep started "$scratch/out" |
    /usr/bin/python3 -c 'import json, sys; print(json.load(sys.stdin)["http"])')

# register NAME COUNT: instances with a TTL check that passes.
register() {
    local i
    for i in $(seq "$2"); do
        printf '{"Name": "%s", "ID": "%s-%d", "Port": %d, "Address": "10.0.%d.%d",
"Tags": ["v3", "eu"], "Meta": {"team": "pay"},
"Check": {"TTL": "1h", "Status": "passing"}}' \
            "$1" "$1" "$i" $((8000 + i)) $((i / 250)) $((i % 250 + 1)) |
            curl -sS --fail --unix-socket "$scratch/agent.sock" -X PUT \
                -d @- http://local/v1/agent/service/register || return
    done
    until [ "$(curl -sS "http://$http/v1/health/service/$1?passing" |
        grep -o '"Service":{' | wc -l)" = "$2" ]; do
        sleep 0.05
    done
}
