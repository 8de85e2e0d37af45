# What one host has written, another one's `consistent` read has: at once, and
# each time. `stale` and default reads never wait for the store.
. "$(dirname "$0")/lib.sh"

store_start store
agent_start one --store "$STORE_URL"
one=$AGENT_SOCKET
agent_start two --store "$STORE_URL"
two=$AGENT_SOCKET
register() { # PORT: through agent one, and in the store when this returns
    curl -sS --max-time 20 --unix-socket "$one" -X PUT -o /dev/null \
        -w '%{http_code}' 'http://local/v1/agent/service/register?sync=15s' \
        -d '{"Name": "web", "Address": "10.9.9.1", "Port": '"$1"'}'
}
port() { # FLAG: what agent two says
    api "/v1/health/service/web$1" | json 'd[0]["Service"]["Port"] if d else 0'
}
wrong=0
for p in $(seq 1001 1018); do
    [ "$(register "$p")" = 200 ] || bail "port $p was not written in time"
    seen=$(port '?consistent')
    [ "$seen" = "$p" ] || {
        wrong=$((wrong + 1))
        echo "# written $p, read $seen"
    }
done
is "$wrong" 0 "18 writes on one host, each read on the other one"

# The store does not answer: only `consistent` needs it.
kill -STOP "$STORE_PID"
is "$(port '?stale') $(port '')" "1018 1018" "stale and default are answered"
is "$(api '/v1/health/service/web?consistent' -o "$SCRATCH/body" \
    -w '%{http_code}') $(cat "$SCRATCH/body")" "500 No cluster leader" \
    "consistent gives up"
kill -CONT "$STORE_PID"
again() {
    [ "$(port '?consistent')" = 1018 ]
}
soon 20 "and is answered with the store back" again
done_testing
