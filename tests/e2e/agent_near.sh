# Round trips are measured, told when they matter, and put the near first; no poll
# of services wakes for them. The store's member stands behind a slow proxy.
. "$(dirname "$0")/lib.sh"

cat >"$SCRATCH/proxy.py" <<'PY'
# Passes bytes on, each way after half of the milliseconds in a file.
import asyncio, sys
async def pump(reader, writer):
    queue = asyncio.Queue()
    async def send():
        while True:
            due, data = await queue.get()
            await asyncio.sleep(max(0, due - asyncio.get_running_loop().time()))
            if not data:
                writer.close()
                return
            writer.write(data)
    sender = asyncio.create_task(send())
    while True:
        try:
            data = await reader.read(65536)
        except OSError:
            data = b""
        delay = float(open(sys.argv[2]).read()) / 2000
        queue.put_nowait((asyncio.get_running_loop().time() + delay, data))
        if not data:
            return await sender
async def serve(reader, writer):
    there = await asyncio.open_connection("127.0.0.1", int(sys.argv[3]))
    await asyncio.gather(pump(reader, there[1]), pump(there[0], writer),
                         return_exceptions=True)
async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", int(sys.argv[1]))
    print("ready", flush=True)
    await server.serve_forever()
asyncio.run(main())
PY

STORE=$(free_port)
PEER=$(free_port)
FRONT=$(free_port)
echo 100 >"$SCRATCH/delay"
spawn proxy "$PYTHON" "$SCRATCH/proxy.py" "$FRONT" "$SCRATCH/delay" "$STORE"
wait_until 15 "the proxy" grep -q ready "$SCRATCH/proxy.log"
spawn store "$MUSTER" store --name s --data-dir "$SCRATCH/s" \
    --listen-client-urls "http://127.0.0.1:$STORE" \
    --advertise-client-urls "http://127.0.0.1:$FRONT" \
    --listen-peer-urls "http://127.0.0.1:$PEER" \
    --initial-advertise-peer-urls "http://127.0.0.1:$PEER" \
    --initial-cluster "s=http://127.0.0.1:$PEER"
wait_until 20 "the store" curl -fsS "http://127.0.0.1:$STORE/health"
echo '{"round_trip_interval": "400ms",
    "dns_config": {"order": "near", "near_min_healthy": 1}}' \
    >"$SCRATCH/agent.json"
agent_start one --store "http://127.0.0.1:$STORE" --config "$SCRATCH/agent.json"
etcdctl() {
    command etcdctl --endpoints "127.0.0.1:$STORE" "$@"
}

vec() { # The first dimension, in milliseconds; there is one member.
    api "/v1/coordinate/node/$1" | json 'round(d[0]["Coord"]["Vec"][0] * 1000)'
}
measured() { # FROM TO
    local ms
    ms=$(vec one 2>/dev/null) && [ "$ms" -ge "$1" ] && [ "$ms" -lt "$2" ]
}
soon 20 "the member's round trip is measured" measured 100 250
like "$(etcdctl get /muster/v1/dc1/coord/one --print-value-only)" \
    "^\{\"node\":\"one\",\"rtt_us\":\{\"127.0.0.1:$FRONT\":[0-9]+\}\}$" \
    "and told in a record of its own"
is "$(api /v1/coordinate/datacenters | json \
    '[d[0]["Datacenter"], d[0]["Coordinates"][0]["Node"]]')" '["dc1", "one"]' \
    "/v1/coordinate/datacenters has this agent's"
is "$(api /v1/agent/self | json 'd["Coord"]["Height"] > 0.049')" true \
    "/v1/agent/self, too"

# Hosts at different distances; the list is in order of name otherwise.
host() { # NAME ZONE MICROSECONDS
    api /v1/catalog/register -X PUT -d "{\"Node\": \"$1\",
        \"Address\": \"10.0.0.1\", \"NodeMeta\": {\"zone\": \"$2\"},
        \"Service\": {\"Service\": \"web\", \"ID\": \"$1\"}}" >/dev/null
    [ "$3" = none ] || etcdctl put "/muster/v1/dc1/coord/$1" \
        "{\"node\":\"$1\",\"rtt_us\":{\"127.0.0.1:$FRONT\":$3}}" >/dev/null
}
host a-far x 900000
host b-near x 110000
host c-unknown x none
api /v1/agent/service/register -X PUT -d '{"Name": "web", "ID": "own"}'
order() {
    api "/v1/health/service/web?near=$1" | json \
        '" ".join(i["Node"]["Node"] for i in d)'
}
ordered() {
    [ "$(order "$1")" = "$2" ]
}
soon 10 "near=_agent: nearest first" ordered _agent \
    "one b-near a-far c-unknown"
soon 10 "near=NODE: its zone goes before round trips" ordered b-near \
    "b-near a-far c-unknown one"

# Somebody else may say where a host without an agent stands, until it goes.
is "$(api /v1/coordinate/update -X PUT -o /dev/null -w '%{http_code}' -d \
    '{"Node": "c-unknown", "Coord": {"Vec": [0.11, 0, 0, 0, 0, 0, 0, 0],
      "Height": 0.055}}')" 200 "/v1/coordinate/update"
soon 10 "which counts from then on" ordered b-near "b-near c-unknown a-far one"
like "$("$MUSTER" rtt --socket "$AGENT_SOCKET" b-near c-unknown)" \
    '^Estimated b-near <-> c-unknown rtt: 110\.' "muster rtt"
api /v1/catalog/deregister -X PUT -d '{"Node": "c-unknown"}' >/dev/null
is "$(api /v1/coordinate/node/c-unknown -o /dev/null -w '%{http_code}')" 404 \
    "and goes with it"
host c-unknown x none
# The same in DNS, in every answer.
in_dns() {
    local i
    for i in 1 2 3 4 5; do
        [ "$(dig +short -p "$AGENT_DNS" @127.0.0.1 web.service.consul SRV |
            sed 's/.* \([^.]*\)\.node.*/\1/' | tr '\n' ' ')" = "$1 " ] || return 1
    done
}
soon 10 "DNS: nearest first" in_dns "one b-near a-far c-unknown"

# It takes longer now: the record changes, and only polls of coordinates wake.
poll() { # NAME PATH
    local index
    index=$(api "$2" -D - -o /dev/null | tr -d '\r' |
        sed -n 's/^X-Consul-Index: //Ip')
    spawn "$1" curl -sS --unix-socket "$AGENT_SOCKET" -o "$SCRATCH/$1.json" \
        "http://local$2?index=$index&wait=60s"
}
poll services /v1/catalog/services
poll service /v1/health/service/web
poll nodes /v1/catalog/nodes
poll coordinates /v1/coordinate/nodes
echo 500 >"$SCRATCH/delay"
soon 30 "a great change is measured" measured 250 2000
wait_until 10 "the poll of coordinates" test -s "$SCRATCH/coordinates.json"
like "$(ls "$SCRATCH")" '^coordinates.json$' "a poll of coordinates wakes"
unlike "$(ls "$SCRATCH")" '^(services|service|nodes).json$' "others sleep on"

"$MUSTER" leave --socket "$AGENT_SOCKET"
soon 20 "who leaves takes its coordinate along" sh -c "[ -z \"\$(ETCDCTL_API=3 \
    etcdctl --endpoints 127.0.0.1:$STORE get /muster/v1/dc1/coord/one)\" ]"

# Nobody measures who must not.
echo '{"round_trip_interval": "0s"}' >"$SCRATCH/agent.json"
agent_start two --store "http://127.0.0.1:$STORE" --config "$SCRATCH/agent.json"
soon 10 "others are known nevertheless" sh -c "curl -sS --unix-socket \
    '$AGENT_SOCKET' http://local/v1/coordinate/nodes | grep -q a-far"
is "$(api /v1/coordinate/node/two -o /dev/null -w '%{http_code}')" 404 \
    "an agent that does not measure is nowhere"
done_testing
