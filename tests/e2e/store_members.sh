# Three members become four and three again, as etcdctl asks for it.
. "$(dirname "$0")/lib.sh"

cluster_names a b c
member_spawn a
member_spawn b
member_spawn c
member_wait a b c

is "$(ctl_of a put one 1)" OK "a put on a"
is "$(ctl_of b get one --print-value-only)" 1 "is read on b"
is "$(ctl_of c put two 2)" OK "a put on c"
ok "HashKV is equal on all" same_hash a b c
is "$(ctl_of a member list | grep -c ', started, ')" 3 "three have started"
is "$(etcdctl --endpoints "$(endpoints a b c)" endpoint health 2>&1 |
    grep -c 'is healthy')" 3 "all are healthy"

# --- leadership moves on request
LEADER=$(leader_of a b c)
TARGET=$(echo a b c | tr ' ' '\n' | grep -v "$LEADER" | head -n 1)
like "$(ctl_of "$LEADER" move-leader "$(member_id_of a "$TARGET")")" \
    "Leadership transferred" "move-leader"
is "$(leader_of a b c)" "$TARGET" "the target leads"
like "$(ctl_of "$LEADER" move-leader "$(member_id_of a "$LEADER")")" \
    "no leader endpoint given" "move-leader needs the leader"

# --- leases through a follower
FOLLOWER=$LEADER
LEASE=$(ctl_of "$FOLLOWER" lease grant 60 | awk '{ print $2 }')
like "$(ctl_of "$FOLLOWER" lease keep-alive --once "$LEASE")" \
    "keepalived with TTL\(60\)" "a lease is renewed through a follower"
like "$(ctl_of "$FOLLOWER" lease timetolive "$LEASE")" \
    "granted with TTL\(60s\), remaining\((60|59)s\)" "and its time is told"
like "$(ctl_of "$FOLLOWER" lease keep-alive --once 1234)" \
    "lease not found" "one that is not there is none"

# --- a learner
add_learner() { ctl_of a member add d --learner --peer-urls "$(peer_url d)" | grep -q "added to cluster"; }
member_ports d
wait_until 20 "all members to be connected for 5 s" \
    add_learner
D=$(member_id_of a d)
like "$(ctl_of a member add d --learner --peer-urls "$(peer_url d)")" \
    "(Peer URLs|member ID) already exist" "the same URL again"
like "$(ctl_of "$TARGET" member promote "$D")" "in sync with leader" \
    "a learner that has nothing is not promoted"
FOUR="$CLUSTER,d=$(peer_url d)"
CLUSTER=$FOUR member_spawn d --initial-cluster-state existing
is_learner() { ctl_of d endpoint status | cut -d, -f6 | grep -q true; }
wait_until 20 "d to know that it learns" is_learner
like "$(ctl_of d put x y)" "rpc not supported for learner" "it takes no puts"
like "$(ctl_of d endpoint hashkv)" "rpc not supported for learner" \
    "nor tells its hash"
is "$(ctl_of d get one --consistency=s --print-value-only)" 1 \
    "it serves what it has"
promoted() { ctl_of "$FOLLOWER" member promote "$D" | grep -q promoted; }
wait_until 20 "a follower to have d promoted" promoted
like "$(ctl_of a member promote "$D")" "only promote a learner" \
    "once is enough"
member_wait d
is "$(ctl_of d put three 3)" OK "now it takes puts"
wait_until 10 "HashKV to be equal on four" same_hash a b c d

# --- an id and a URL that are not right
like "$(ctl_of a member remove 1234)" "member not found" "nobody to be removed"
like "$(ctl_of a member update 1234 --peer-urls http://127.0.0.1:1)" \
    "member not found" "nobody to be changed"
like "$(ctl_of a member update "$D" --peer-urls "$(peer_url b)")" \
    "Peer URLs already exists" "nor by another's URL"

# --- removed for ever
like "$(ctl_of b member remove "$D")" "removed from cluster" "d is removed"
_await_exit "$d_PID" 100 || bail "d does not end"
wait "$d_PID"
is $? 0 "it ends well"
like "$(cat "$SCRATCH/d.log")" "permanently removed" "and says why"
like "$(CLUSTER=$FOUR timeout 20 "$MUSTER" store --name d \
    --data-dir "$SCRATCH/d.etcd" --listen-client-urls http://127.0.0.1:0 \
    --listen-peer-urls http://127.0.0.1:0 2>&1)" "permanently removed" \
    "it cannot come back with its old data"

# --- lists that do not fit
like "$(timeout 20 "$MUSTER" store --name e --data-dir "$SCRATCH/e.etcd" \
    --listen-client-urls http://127.0.0.1:0 \
    --listen-peer-urls http://127.0.0.1:0 \
    --initial-advertise-peer-urls "$(peer_url d)" \
    --initial-cluster "$CLUSTER,e=$(peer_url d)" \
    --initial-cluster-state existing 2>&1)" "member count is unequal" \
    "who was not added cannot join"

# --- a majority must stay
LEADER=$(leader_of a b c)
KEPT=$(echo a b c | tr ' ' '\n' | grep -v "$LEADER" | head -n 1)
DEAD=$(echo a b c | tr ' ' '\n' | grep -v "$LEADER" | tail -n 1)
DEAD_ID=$(member_id_of "$LEADER" "$DEAD")
KEPT_ID=$(member_id_of "$LEADER" "$KEPT")
eval "end \$${DEAD}_PID KILL"
not_heard() { grep -q "member $DEAD_ID is not heard" "$SCRATCH/$LEADER.log"; }
wait_until 10 "the loss to be seen" not_heard
like "$(ctl_of "$LEADER" member remove "$KEPT_ID")" "unhealthy cluster" \
    "one of two that run cannot be removed"
like "$(ctl_of "$LEADER" member add x --peer-urls http://127.0.0.1:1)" \
    "unhealthy cluster" "nor one be added"
is "$(ctl_of "$LEADER" put still 1)" OK "nothing has changed"
member_spawn "$DEAD"
member_wait "$DEAD"

# --- the leader removes itself, and a restart needs no --initial-cluster
LEADER=$(leader_of a b c)
OTHER=$(echo a b c | tr ' ' '\n' | grep -v "$LEADER" | head -n 1)
LEADER_ID=$(member_id_of "$OTHER" "$LEADER")
leader_removed() { ctl_of "$OTHER" member remove "$LEADER_ID" | grep -q "removed from cluster"; }
wait_until 20 "all to be connected for 5 s and the leader removed" \
    leader_removed
REST=$(echo a b c | tr ' ' '\n' | grep -v "$LEADER")
# shellcheck disable=SC2086
wait_until 10 "another to lead" has_leader $REST
is "$(ctl_of "$OTHER" put four 4)" OK "the other two go on"
eval "end \$${OTHER}_PID TERM"
is "$CODE" 0 "one stops in order"
like "$(timeout 20 "$MUSTER" store --name other \
    --data-dir "$SCRATCH/$OTHER.etcd" --listen-client-urls http://127.0.0.1:0 \
    --listen-peer-urls http://127.0.0.1:0 2>&1)" \
    "holds the data of member .$OTHER., not of .other." \
    "another name does not get its data"
CLUSTER=nobody=http://127.0.0.1:1 member_spawn "$OTHER"
member_wait "$OTHER"
is "$(ctl_of "$OTHER" get four --print-value-only)" 4 "and is there again"

# --- alone
# shellcheck disable=SC2086
for name in $REST; do eval "end \$${name}_PID KILL"; done
member_spawn "$OTHER" --force-new-cluster
member_wait "$OTHER"
is "$(ctl_of "$OTHER" member list | wc -l)" 1 "--force-new-cluster: alone"
is "$(ctl_of "$OTHER" get one --print-value-only)" 1 "with all data"
is "$(ctl_of "$OTHER" put five 5)" OK "it takes puts"

done_testing
