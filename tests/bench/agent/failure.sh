#!/usr/bin/env bash
# How long failures are felt, with the settings that everybody has (a lease of
# 15 s): a host that dies, an agent that is killed and started again, a store that
# was away. Ends with 1 when one takes longer than promised.
# usage: tests/bench/agent/failure.sh [ROUNDS]                    (default 3)
#
# MUSTER is the program. Without a network: start.sh.
: "${MUSTER:=build/release/cli/muster}"
MUSTER=$(realpath "$MUSTER")
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/../../e2e/lib.sh"
rounds=${1:-3}

NAME=web.service.muster.internal
store_start store
agent_start two --store "$STORE_URL"
two=$AGENT_DNS
agent_start one --store "$STORE_URL"
one=$AGENT_DNS
"$MUSTER" register --socket "$AGENT_SOCKET" --name web --port 80 \
    --address 10.9.9.1 >/dev/null
on_two() { # ANSWER
    [ "$(AGENT_DNS=$two ask $NAME)" = "$1" ]
}
wait_until 20 "the service on the other host" on_two 10.9.9.1

# show WHAT COUNT LIMIT [UNIT]
show() {
    printf '%-58s %6d %s (at most %d)\n' "$1" "$2" "${4-ms}" "$3"
    [ "$2" -le "$3" ] || TESTS_FAILED=$((TESTS_FAILED + 1))
}

# From the last answer before a kill to the first one after it.
cat >"$SCRATCH/gap.py" <<'PY'
import select, signal, socket, struct, sys, time
question = struct.pack("!HHHHHH", 7, 0, 1, 0, 0, 0) + \
    b"\x03web\x07service\x06muster\x08internal\0\0\x01\0\x01"
going = True
def end(*_):
    global going
    going = False
signal.signal(signal.SIGTERM, end)
last, longest, wrong = time.monotonic(), 0, 0
print("asking", flush=True)
while going:
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.connect(("127.0.0.1", int(sys.argv[1])))
    try:
        s.send(question)
        if select.select([s], [], [], 0.05)[0]:
            reply = s.recv(4096)
            now = time.monotonic()
            longest, last = max(longest, now - last), now
            if reply[3] & 15 != 0 or reply[7] == 0:
                wrong += 1
                print("wrong: rcode", reply[3] & 15, flush=True)
    except OSError:
        pass
    s.close()
    time.sleep(0.001)
print(int(longest * 1000), wrong)
PY

for _ in $(seq "$rounds"); do
    spawn watch etcdctl --endpoints "$STORE_URL" watch --prefix \
        /muster/v1/dc1/inst/web/
    watch=$PID
    : >"$SCRATCH/gap.log"
    spawn gap "$PYTHON" "$SCRATCH/gap.py" "$one"
    gap=$PID
    wait_until 10 "the asker" grep -q asking "$SCRATCH/gap.log"
    end "$AGENT_PID" KILL
    begin=$(now_ms)
    agent_start one --store "$STORE_URL"
    started=$(($(now_ms) - begin))
    wait_until 20 "its lease" sh -c "curl -s --unix-socket $AGENT_SOCKET \
        http://local/v1/metrics | grep -q '^muster_in_sync 1'"
    end "$gap"
    grep wrong: "$SCRATCH/gap.log"
    read -r longest wrong <<<"$(tail -n 1 "$SCRATCH/gap.log")"
    show "kill -9 and start: longest time without an answer" "$longest" \
        $((started + 500))
    show "  answers that were wrong" "$wrong" 0 ""
    show "  events of its instances in the store" \
        "$(grep -c . "$SCRATCH/watch.log")" 0 ""
    end "$watch"

    end "$AGENT_PID" KILL
    show "a host dies: out of another one's DNS after" \
        "$(took_ms 30 "the end of the lease" on_two '')" 16000
    agent_start one --store "$STORE_URL"
    show "it is back: answered after" \
        "$(took_ms 30 "the host" on_two 10.9.9.1)" 5000

    end "$STORE_PID" KILL
    wait_until 20 "the agent to notice" sh -c "curl -si --unix-socket \
        $AGENT_SOCKET http://local/v1/catalog/services |
        grep -qi 'KnownLeader: false'"
    "$MUSTER" register --socket "$AGENT_SOCKET" --name "late-$RANDOM" --port 81 \
        --address 10.9.9.3 >/dev/null
    before=$(curl -s --unix-socket "$AGENT_SOCKET" http://local/v1/agent/services |
        json 'len(d)')
    store_start store
    in_store() {
        [ "$(ctl get --prefix /muster/v1/dc1/inst/ --keys-only | grep -c /one/)" = \
            "$before" ]
    }
    show "the store is back: what came meanwhile is in it after" \
        "$(took_ms 30 "the registration" in_store)" 5000
    wait_until 30 "the other agent" on_two 10.9.9.1
done
[ "$TESTS_FAILED" -eq 0 ]
