# Three members under load while the leader is killed, paused and cut off: no
# acknowledged write is lost, what clients see is linearizable, all members end
# with the same data, and soon after a kill there is another leader.
#
# The members run in network namespaces of their own on a bridge, so that a
# member can be cut off; where namespaces are not allowed they share loopback,
# nobody is cut off, and the test says so.
. "$(dirname "$0")/lib.sh"
: "${CLUSTER_CLIENT:?the path of the helper program cluster_client}"

KILLS=${CLUSTER_KILLS:-10}
MEMBERS="a b c"
NET=m$$
BRIDGE=$NET


# --- the network

host_of() {
    case $1 in
    a) echo 10.213.7.1 ;;
    b) echo 10.213.7.2 ;;
    c) echo 10.213.7.3 ;;
    esac
}

net_down() {
    local m
    for m in $MEMBERS; do
        ip netns del "$NET$m" 2>/dev/null
    done
    ip netns del "$NET" 2>/dev/null
}

# A namespace for the bridge and the clients, one a member.
net_up() {
    local m
    ip netns add "$NET" || return 1
    ip -n "$NET" link set lo up &&
        ip -n "$NET" link add "$BRIDGE" type bridge &&
        ip -n "$NET" addr add 10.213.7.100/24 dev "$BRIDGE" &&
        ip -n "$NET" link set "$BRIDGE" up || return 1
    for m in $MEMBERS; do
        ip netns add "$NET$m" &&
            ip -n "$NET" link add "$NET$m" type veth peer name eth0 netns "$NET$m" &&
            ip -n "$NET" link set "$NET$m" master "$BRIDGE" up &&
            ip -n "$NET$m" addr add "$(host_of "$m")/24" dev eth0 &&
            ip -n "$NET$m" link set eth0 up &&
            ip -n "$NET$m" link set lo up || return 1
    done
}

trap 'net_down; _cleanup' EXIT
if net_up 2>"$SCRATCH/net.log"; then
    SPACES=1
else
    net_down
    SPACES=""
    echo "# no network namespaces here: nobody is cut off"
fi

# in_net COMMAND...: where the clients are.
in_net() {
    if [ -n "$SPACES" ]; then
        ip netns exec "$NET" "$@"
    else
        "$@"
    fi
}

url() { # MEMBER PORT
    if [ -n "$SPACES" ]; then
        echo "http://$(host_of "$1"):$2"
    else
        case $2 in
        2379) client_url "$1" ;;
        *) peer_url "$1" ;;
        esac
    fi
}

cluster_names a b c
ALL=""
for m in $MEMBERS; do
    ALL="$ALL${ALL:+,}$m=$(url "$m" 2380)"
done
CLIENTS=$(for m in $MEMBERS; do url "$m" 2379; done | paste -sd, -)

start() {
    local run=()
    [ -z "$SPACES" ] || run=(ip netns exec "$NET$1")
    spawn "$1" "${run[@]}" "$MUSTER" store --name "$1" \
        --data-dir "$SCRATCH/$1.etcd" --listen-client-urls "$(url "$1" 2379)" \
        --advertise-client-urls "$(url "$1" 2379)" \
        --listen-peer-urls "$(url "$1" 2380)" \
        --initial-advertise-peer-urls "$(url "$1" 2380)" --initial-cluster "$ALL"
    eval "${1}_PID=$PID"
}

pid_of() {
    eval "echo \$${1}_PID"
}

ask_ctl() {
    in_net etcdctl --command-timeout 2s "$@" 2>/dev/null
}

leader() {
    local m
    for m in $MEMBERS; do
        if ask_ctl --endpoints "$(url "$m" 2379)" endpoint status |
            cut -d, -f5 | grep -q true; then
            echo "$m"
            return
        fi
    done
}

there_is_a_leader() {
    LEADER=$(leader)
    [ -n "$LEADER" ]
}

all_healthy() {
    [ "$(in_net etcdctl --endpoints "$CLIENTS" endpoint health 2>&1 |
        grep -c 'is healthy')" = 3 ]
}

for m in $MEMBERS; do start "$m"; done
wait_until 30 "three members to be healthy" all_healthy

# --- the storm

LASTS=$((KILLS * 3 + 20))
spawn client in_net "$CLUSTER_CLIENT" "$LASTS" "$SCRATCH/pulse" \
    "$(echo "$CLIENTS" | sed 's,http://,,g')"
CLIENT=$PID
writes_come() { [ -s "$SCRATCH/pulse" ]; }
wait_until 10 "the first writes" writes_come

# after MS: a write that began after that moment has ended.
recovered() {
    awk -v t="$1" '$1 >= t { found = 1 } END { exit !found }' \
        <(tail -n 2000 "$SCRATCH/pulse")
}

: >"$SCRATCH/kills"
for _ in $(seq "$KILLS"); do
    wait_until 15 "a leader" there_is_a_leader
    before=$(now_ms)
    kill -KILL "$(pid_of "$LEADER")"
    after=$(now_ms)
    wait "$(pid_of "$LEADER")" 2>/dev/null
    echo "$before $after" >>"$SCRATCH/kills"
    wait_until 15 "writes after the leader was killed" recovered $((after + 1))
    start "$LEADER"
    wait_until 15 "the killed member to be back" all_healthy
done

wait_until 15 "a leader" there_is_a_leader
at=$(now_ms)
kill -STOP "$(pid_of "$LEADER")"
wait_until 15 "writes while the leader is paused" recovered $((at + 1))
kill -CONT "$(pid_of "$LEADER")"
ok "a paused leader is replaced" true
wait_until 15 "all to be well again" all_healthy

if [ -n "$SPACES" ]; then
    wait_until 15 "a leader" there_is_a_leader
    at=$(now_ms)
    ip -n "$NET" link set "$NET$LEADER" down
    wait_until 20 "writes while the leader is cut off" recovered $((at + 1))
    ip -n "$NET" link set "$NET$LEADER" up
    ok "a leader that is cut off is replaced" true
    wait_until 20 "all to be well again" all_healthy
fi

wait_until $((LASTS + 30)) "the clients to end" eval '! kill -0 "$CLIENT" 2>/dev/null'
wait "$CLIENT"
is $? 0 "what the clients saw is linearizable, and nothing is lost"
sed -n 's/^/# /p' "$SCRATCH/client.log"

same() {
    [ "$(in_net etcdctl --endpoints "$CLIENTS" endpoint hashkv 2>/dev/null |
        sed 's/.*, *//' | sort | uniq -c | awk '{ print $1 }')" = 3 ]
}
wait_until 10 "HashKV to be equal on all members" same
ok "HashKV is equal on all members" same

# From before each kill to the end of the first write that began after it.
outages=$(while read -r before after; do
    awk -v b="$before" -v a="$after" '$1 > a && (!end || $2 < end) { end = $2 }
        END { print end - b }' "$SCRATCH/pulse"
done <"$SCRATCH/kills" | sort -n)
median=$(echo "$outages" | awk '{ a[NR] = $1 } END { print a[int((NR + 1) / 2)] }')
worst=$(echo "$outages" | tail -n 1)
echo "# $KILLS kills of the leader: without one for $(echo "$outages" | paste -sd' ' -) ms"
ok "the median is at most 1.5 s (it is $median ms)" test "$median" -le 1500
ok "the worst is at most 3 s (it is $worst ms)" test "$worst" -le 3000

done_testing
