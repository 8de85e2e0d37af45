# Whatever comes to a leader's peer port from strangers, under load: no member
# ends, none elects another leader, memory stays bounded, no write is lost.
. "$(dirname "$0")/lib.sh"

cluster_names a b c
# Patient members: a busy machine is no reason for an election.
for name in a b c; do
    member_spawn "$name" --heartbeat-interval 500 --election-timeout 10000
done
member_wait a b c
LEADER=$(leader_of a b c)
LEADER_PID=$(eval "echo \$${LEADER}_PID")
rss_mib() {
    awk '/^VmRSS/ { print int($2 / 1024) }' "/proc/$LEADER_PID/status"
}
raft_terms() {
    etcdctl --endpoints "$(endpoints a b c)" endpoint status -w json |
        grep -o '"raftTerm":[0-9]*' | sort -u
}
TERM_BEFORE=$(raft_terms)
RSS_BEFORE=$(rss_mib)

# Acknowledged writes, one a line.
writes() {
    local i=0
    while [ ! -e "$SCRATCH/enough" ]; do
        i=$((i + 1))
        [ "$(ctl_of "$LEADER" put "key$i" "$i")" = OK ] && echo "key$i"
    done
}
writes >"$SCRATCH/acknowledged" &
WRITES_PID=$!
PIDS="$PIDS $WRITES_PID"

RSS_MOST=0
spawn attacker "$PYTHON" "$HERE/peer_attacker.py" \
    "$(cat "$SCRATCH/$LEADER.peer")"
ATTACKER_PID=$PID
attacker_is_over() {
    local rss
    rss=$(rss_mib)
    [ "${rss:-0}" -le "$RSS_MOST" ] || RSS_MOST=$rss
    ! kill -0 "$ATTACKER_PID" 2>/dev/null
}
wait_until 200 "the attacker to be through" attacker_is_over
touch "$SCRATCH/enough"
wait "$WRITES_PID"
FOUND=$(cat "$SCRATCH/attacker.log")

like "$FOUND" "^garbage: sent$" "garbage was sent"
like "$FOUND" "^huge lengths: 400 413$" "impossible lengths are refused unread"
like "$FOUND" "^wrong ids: 404 412 404 404 412$" "strangers get no stream"
like "$FOUND" "^snapshots: 400( 500){5} 400( 500){5}$" \
    "snapshots that are none are refused, again and again"
like "$FOUND" "^slow ones that are left: 0$" "who is too slow is given up"
like "$FOUND" "^connections: 2000$" "many have connected"
like "$FOUND" "^after all: 200$" "then the port answers again"

for name in a b c; do
    ok "$name is still there" kill -0 "$(eval "echo \$${name}_PID")"
done
is "$(leader_of a b c)" "$LEADER" "the leader is the same"
is "$(raft_terms)" "$TERM_BEFORE" "in the same term"
echo "# $RSS_BEFORE MiB before, $RSS_MOST MiB at most; the build under test may" \
    "keep 256 MiB of what was freed"
ok "memory is bounded" [ "$RSS_MOST" -lt $((RSS_BEFORE + 800)) ]
COUNT=$(wc -l <"$SCRATCH/acknowledged")
echo "# $COUNT writes were acknowledged meanwhile"
ok "writes went on" [ "$COUNT" -gt 0 ]
ctl_of b get key --prefix --keys-only | grep . | sort >"$SCRATCH/present"
is "$(sort "$SCRATCH/acknowledged" | comm -23 - "$SCRATCH/present")" "" \
    "none that was acknowledged is lost"
wait_until 20 "HashKV to be equal" same_hash a b c
ok "HashKV is equal" same_hash a b c
done_testing
