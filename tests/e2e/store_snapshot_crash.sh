# A process that dies at any point of taking a snapshot in, restoring one or
# saving one leaves the old state or the new, whole; and goes on from there.
#
# The points are the calls by which files change (store_fault.c counts them).
# Each is tried: the process dies just before the call.
. "$(dirname "$0")/lib.sh"
: "${STORE_FAULT_LIB:?the path of the helper library store_fault}"
: "${STORE_WRITER:?the path of the helper program store_writer}"

ACKS="$SCRATCH/acks"
POINTS="$SCRATCH/points"
: >"$ACKS"

# dying AT FROM OF COMMAND...: dies before the call AT, see store_fault.c; the
# calls are in $CALLS.
CALLS="$SCRATCH/calls"
dying() {
    rm -f "$CALLS"
    exec env LD_PRELOAD="$STORE_FAULT_LIB" \
        ASAN_OPTIONS=verify_asan_link_order=0 STORE_CRASH_LOG="$CALLS" \
        STORE_CRASH_AT="$1" STORE_CRASH_FROM="$2" STORE_CRASH_OF="$3" "${@:4}"
}

quiet() {
    "$@" >/dev/null 2>&1
}

# last_call: before which it died, without the scratch folder.
last_call() {
    tail -n 1 "$CALLS" | cut -d' ' -f2- | sed "s|$SCRATCH/||"
}

# --- a follower that only a snapshot can help

cluster_names a b c
for name in a b c; do
    member_spawn "$name" --snapshot-count 100
done
member_wait a b c
is "$(ctl_of a put old 1)" OK "a put that all have"
wait_until 20 "all to have it" same_hash a b c
revision_of() {
    ctl_of "$1" get x --consistency=s -w json | json 'd["header"]["revision"]'
}
OLD=$(revision_of c)
end "$c_PID"
cp -a "$SCRATCH/c.etcd" "$SCRATCH/c.old"

# The log keeps 5 000 entries for those who are behind.
enough() {
    [ "$(wc -l <"$ACKS")" -gt 6000 ]
}
wait_until 20 "a leader" has_leader a b
LEADER=$(leader_of a b)
spawn writer "$STORE_WRITER" write "127.0.0.1:$(cat "$SCRATCH/$LEADER.port")" \
    "$ACKS" 1
wait_until 120 "six thousand puts" enough
end "$PID" KILL
wait_until 20 "both to have them" same_hash a b
NEW=$(revision_of "$LEADER")

hash_at() { # NAME REVISION
    ctl_of "$1" endpoint hashkv --rev "$2" | sed 's/.*, *//'
}
for name in a b; do
    member_id_of a "$name" >"$SCRATCH/$name.id"
done
OLD_HASH=$(hash_at "$LEADER" "$OLD")
NEW_HASH=$(hash_at "$LEADER" "$NEW")

# --- what a crash has left

# state_of FOLDER: "old", "new" or what is wrong. A copy of it is started alone.
member_ports probe
state_of() {
    local revision hash
    rm -rf "$SCRATCH/probe.etcd"
    cp -a "$1" "$SCRATCH/probe.etcd"
    spawn probe "$MUSTER" store --name probe --data-dir "$SCRATCH/probe.etcd" \
        --listen-client-urls "$(client_url probe)" \
        --listen-peer-urls http://127.0.0.1:0 --force-new-cluster
    until healthy probe; do
        if ! kill -0 "$PID" 2>/dev/null; then
            STATE="it does not start: $(tail -n 1 "$SCRATCH/probe.log")"
            return
        fi
        sleep 0.02
    done
    revision=$(revision_of probe)
    hash=$(hash_at probe "$revision")
    end "$PID" KILL
    case "$revision $hash" in
    "$OLD $OLD_HASH") STATE=old ;;
    "$NEW $NEW_HASH") STATE=new ;;
    *) STATE="revision $revision, HashKV $hash" ;;
    esac
}

# c_spawn AT FROM OF: the follower, dying.
c_spawn() {
    rm -f "$CALLS"
    spawn c dying "$@" "$MUSTER" store --name c \
        --data-dir "$SCRATCH/c.etcd" --listen-client-urls "$(client_url c)" \
        --advertise-client-urls "$(client_url c)" \
        --listen-peer-urls "$(peer_url c)" --snapshot-count 100
    c_PID=$PID
}

# metric_of NAME LINE: its metrics have that line.
metric_of() {
    curl -fsS --max-time 2 "$(client_url "$1")/metrics" 2>/dev/null |
        grep -xF "$2" >/dev/null
}

# The other of the two that have everything leads: it does not remember what c
# had.
other_leader() {
    local before=$LEADER
    LEADER=$(echo a b | tr ' ' '\n' | grep -v "$before")
    moved() {
        ctl_of "$before" move-leader "$(cat "$SCRATCH/$LEADER.id")"
        metric_of "$LEADER" "etcd_server_is_leader 1"
    }
    wait_until 20 "$LEADER to lead" moved
}

# c_put FOLDER: its data directory is a copy of that. To the others, who have
# heard that it had more, that is a disk that has lost something; they are two
# without it, and nothing else is asked of it then than what a follower that was
# away would be.
c_put() {
    other_leader
    rm -rf "$SCRATCH/c.etcd"
    cp -a "$1" "$SCRATCH/c.etcd"
}

# c has what the others have.
caught_up() {
    metric_of c "etcd_debugging_mvcc_current_revision $NEW" && same_hash a b c
}

# died: it has died (0) or caught up with the others (1).
died() {
    local until=$(($(now_ms) + 60000))
    while kill -0 "$c_PID" 2>/dev/null; do
        [ "$(now_ms)" -lt "$until" ] || bail "c neither dies nor catches up"
        if healthy c && caught_up; then
            return 1
        fi
        sleep 0.02
    done
}

# goes_on POINT: whole, and catches up once nothing kills it.
goes_on() {
    local good=no
    wait "$c_PID" 2>/dev/null
    state_of "$SCRATCH/c.etcd"
    member_spawn c --snapshot-count 100
    wait_until 60 "c to catch up after $1" caught_up
    caught_up && good=yes
    end "$c_PID" KILL
    case "$STATE" in
    old | new) is "$good" yes "died before $1: $STATE, and catches up" ;;
    *) is "$STATE" "old or new" "died before $1" ;;
    esac
    echo "$STATE $1" >>"$POINTS"
}

# each_point FOLDER FROM OF: all of them, beginning with that data directory. How
# they ended is in $POINTS.
each_point() {
    local at=1 where
    : >"$POINTS"
    c_put "$1"
    c_spawn $at "$2" "$3"
    while died; do
        where=$(last_call)
        case "$2 $where" in
        "snapshot rename "*/backend) cp -a "$SCRATCH/c.etcd" "$SCRATCH/c.accepted" ;;
        esac
        goes_on "$where, from $2"
        at=$((at + 1))
        c_put "$1"
        c_spawn $at "$2" "$3"
    done
    end "$c_PID"
    echo "# $((at - 1)) points"
}

# The mark in the log is what decides.
old_then_new() {
    awk '$1 == "new" { seen = 1 } $1 == "old" && seen { exit 1 }' "$POINTS"
}

# --- at each point of taking it in
each_point "$SCRATCH/c.old" snapshot rest
for point in "old open .*/incoming/" "old write .*/incoming/" \
    "old mkdir .*/backend.new" "old fdatasync .*/backend.new/data.mdb" \
    "old unlink .*/incoming/" "new rename .*/backend," \
    "new rename .*/backend.new," "new fsync .*/member," \
    "new unlinkat .*/backend.old/data.mdb" "new rmdir .*/backend.old"; do
    ok "among them: $point" grep -Eq "^$point" "$POINTS"
done
ok "the old state counts until the new is accepted" old_then_new
each_point "$SCRATCH/c.old" snapshot log
ok "the same by the calls on the log" old_then_new
for point in "old pwrite" "new fdatasync"; do
    ok "among them: $point" grep -Eq "^$point .*/wal/" "$POINTS"
done

# --- its mark cannot be written: the member says so, ends, and can start again
c_put "$SCRATCH/c.old"
spawn c env LD_PRELOAD="$STORE_FAULT_LIB" ASAN_OPTIONS=verify_asan_link_order=0 \
    STORE_FAULT=snapshot "$MUSTER" store --name c \
    --data-dir "$SCRATCH/c.etcd" --listen-client-urls "$(client_url c)" \
    --advertise-client-urls "$(client_url c)" \
    --listen-peer-urls "$(peer_url c)" --snapshot-count 100
c_PID=$PID
c_ended() {
    ! kill -0 "$c_PID" 2>/dev/null
}
wait_until 60 "c to end by itself" c_ended
ok "the reason is in its log" grep -q "the member stops: .*see to the disk" \
    "$SCRATCH/c.log"
goes_on "the mark could be synced"

# --- at each point of the start that ends what such a crash cut short
each_point "$SCRATCH/c.accepted" start rest
for point in "rename .*/backend," "rename .*/backend.new," "fsync .*/member," \
    "unlinkat .*/backend.old/data.mdb" "rmdir .*/backend.old"; do
    ok "among them: $point" grep -Eq "^new $point" "$POINTS"
done
ok "all have the new state" test "$(grep -vc "^new " "$POINTS")" -eq 0
ok "no acknowledged put is lost" quiet "$STORE_WRITER" check \
    "127.0.0.1:$(cat "$SCRATCH/$LEADER.port")" "$ACKS"

# --- at each point of saving
FILE="$SCRATCH/file.db"
save() {
    "$MUSTER" ctl --endpoints "$(client_url "$LEADER")" snapshot save "$FILE"
}
at=1
until (dying $at start rest "$MUSTER" ctl --endpoints "$(client_url "$LEADER")" \
    snapshot save "$FILE") >/dev/null 2>&1; do
    WHERE=$(last_call)
    if [ -e "$FILE" ]; then
        ok "died before $WHERE: the file is whole" quiet "$MUSTER" ctl \
            snapshot status "$FILE"
    else
        ok "died before $WHERE: there is no file" true
    fi
    ok "and the next try saves one" quiet save
    rm -f "$FILE"
    at=$((at + 1))
    [ "$at" -lt 50 ] || bail "saving never ends well: $WHERE"
done
ok "there were points to die at" test "$at" -gt 3

# --- at each point of restoring
restore() {
    "$MUSTER" ctl snapshot restore "$FILE" --name probe \
        --data-dir "$SCRATCH/restored"
}
at=1
until (dying $at start '' "$MUSTER" ctl snapshot restore "$FILE" --name probe \
    --data-dir "$SCRATCH/restored") >/dev/null 2>&1; do
    WHERE=$(last_call)
    if [ -e "$SCRATCH/restored" ]; then
        state_of "$SCRATCH/restored"
        is "$STATE" new "died before $WHERE: the directory is whole"
    else
        ok "died before $WHERE: the next try makes it" quiet restore
    fi
    ok "nothing is left beside it" test ! -e "$SCRATCH/restored.restoring"
    rm -rf "$SCRATCH/restored"
    at=$((at + 1))
    [ "$at" -lt 200 ] || bail "restoring never ends well: $WHERE"
done
ok "there were points to die at" test "$at" -gt 10
state_of "$SCRATCH/restored"
is "$STATE" new "what was restored is what was saved"

done_testing
