# Snapshots change hands between etcd and ours: keys, history, leases and
# HashKV stay what they are, with one member and with three. What is damaged is
# refused, and a slow client harms nobody.
. "$(dirname "$0")/lib.sh"

# --- what is compared

# all_of URL REVISION: all keys as of then, with their numbers.
all_of() {
    etcdctl --endpoints "$1" get '' --prefix --rev "$2" -w json | json 'd["kvs"]'
}

# lease_of URL: what is granted, and the keys; not what is left of it.
lease_of() {
    etcdctl --endpoints "$1" lease timetolive "$LEASE" --keys |
        sed 's/remaining([0-9]*s)/remaining/'
}

hash_of() {
    etcdctl --endpoints "$1" endpoint hashkv | sed 's/.*, *//'
}

# same_world URL WHAT: it holds what $SOURCE holds.
same_world() {
    local revision
    is "$(hash_of "$1")" "$(hash_of "$SOURCE")" "$2: equal HashKV"
    for revision in 0 45 31; do
        is "$(all_of "$1" "$revision")" "$(all_of "$SOURCE" "$revision")" \
            "$2: equal keys, revision $revision"
    done
    is "$(lease_of "$1")" "$(lease_of "$SOURCE")" "$2: equal lease"
    is "$(etcdctl --endpoints "$1" lease list | sort)" \
        "$(etcdctl --endpoints "$SOURCE" lease list | sort)" "$2: equal leases"
    like "$(etcdctl --endpoints "$1" get key1 --rev 29 2>&1)" \
        "required revision has been compacted" "$2: what was compacted is gone"
}

# fill URL: versions, a deletion, a lease, and a compaction at revision 30.
fill() {
    local i
    for i in $(seq 1 20); do
        etcdctl --endpoints "$1" put "key$i" "first $i"
        etcdctl --endpoints "$1" put "key$i" "second $i"
    done >/dev/null
    LEASE=$(etcdctl --endpoints "$1" lease grant 1000 | awk '{ print $2 }')
    etcdctl --endpoints "$1" put leased x --lease "$LEASE" >/dev/null
    etcdctl --endpoints "$1" del key3 >/dev/null
    head -c 300000 /dev/zero | tr '\0' 'z' |
        etcdctl --endpoints "$1" put large >/dev/null
    for i in $(seq 4 9); do
        etcdctl --endpoints "$1" put "key$i" "third $i"
    done >/dev/null
    etcdctl --endpoints "$1" compaction 30 --physical >/dev/null
}

# --- members out of a file

# restored NAME FILE: a data directory of ours.
restored() {
    "$MUSTER" ctl snapshot restore "$2" --name "$1" \
        --data-dir "$SCRATCH/$1.etcd" --initial-cluster "$CLUSTER" \
        --initial-cluster-token "token-$1" \
        --initial-advertise-peer-urls "$(peer_url "$1")" "${@:3}"
}

# etcdctl_saves URL FILE
etcdctl_saves() {
    etcdctl --endpoints "$1" snapshot save "$2" >/dev/null 2>&1
}

# etcd_restored NAME FILE: one of etcd's.
etcd_restored() {
    etcdctl snapshot restore "$2" --name "$1" \
        --data-dir "$SCRATCH/$1.etcd" --initial-cluster "$CLUSTER" \
        --initial-advertise-peer-urls "$(peer_url "$1")" 2>/dev/null
}

etcd_spawn() {
    spawn "$1" etcd --name "$1" --data-dir "$SCRATCH/$1.etcd" \
        --listen-client-urls "$(client_url "$1")" \
        --advertise-client-urls "$(client_url "$1")" \
        --listen-peer-urls "$(peer_url "$1")"
}

quiet() {
    "$@" >/dev/null 2>&1
}

# All of a cluster stop: leaders hand over to each other meanwhile.
end_all() {
    local name
    for name in "$@"; do
        eval "end \$${name}_PID"
    done
}

# --- etcd's file, taken by both

etcd_start source
SOURCE=$ETCD_URL
fill "$SOURCE"
FILE="$SCRATCH/etcd.db"
like "$("$MUSTER" ctl --endpoints "$SOURCE" snapshot save "$FILE" 2>&1)" \
    "^Snapshot saved at $FILE$" "ctl snapshot save, of etcd"
ok "there is nothing beside the file" test ! -e "$FILE.part"
is "$(stat -c %a "$FILE")" 600 "only its owner may read it"
ok "etcdctl takes one too" etcdctl_saves "$SOURCE" "$SCRATCH/other.db"
for form in simple table json; do
    is "$("$MUSTER" ctl snapshot status "$FILE" -w "$form")" \
        "$(etcdctl snapshot status "$FILE" -w "$form")" \
        "status as etcdctl prints it, $form"
done
is "$("$MUSTER" ctl snapshot status "$FILE")" \
    "$(etcdctl snapshot status "$SCRATCH/other.db")" "both hold the same"

# --- into one member of ours
cluster_names one
like "$(restored one "$FILE")" "^restored [0-9]+ rows, revision 50, for" \
    "restored into one member"
# Its memory is measured: a sanitizer must not keep what was freed.
spawn one env ASAN_OPTIONS=quarantine_size_mb=1:thread_local_quarantine_size_kb=64 \
    "$MUSTER" store --name one --data-dir "$SCRATCH/one.etcd" \
    --listen-client-urls "$(client_url one)" \
    --advertise-client-urls "$(client_url one)" \
    --listen-peer-urls "$(peer_url one)"
one_PID=$PID
member_wait one
same_world "$(client_url one)" "one of ours"
is "$(ctl_of one member list | cut -d, -f3-5)" \
    " one, $(peer_url one), $(client_url one)" "it is the only member"

# --- a slow client costs little, and others are served meanwhile

# slow_way NAME URL: a way to URL that lets a megabyte through and then waits for
# $SCRATCH/NAME.go; nor does it carry before what the client says, or that it has
# gone. Sets WAY; $SCRATCH/NAME.waits is there once it waits.
slow_way() {
    local port
    port=$(free_port)
    WAY="http://127.0.0.1:$port"
    spawn "$1" "$PYTHON" -c '
import os, socket, sys, threading, time
name, port, there = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])

def wait():
    while not os.path.exists(name + ".go"):
        time.sleep(0.05)

def up(client, server):
    while data := client.recv(65536):
        if os.path.exists(name + ".waits"):
            wait()
        server.sendall(data)
    wait()
    server.shutdown(socket.SHUT_WR)

def down(server, client):
    total = 0
    while data := server.recv(65536):
        client.sendall(data)
        total += len(data)
        if total >= 1000000 and not os.path.exists(name + ".go"):
            open(name + ".waits", "w").close()
            wait()
    client.shutdown(socket.SHUT_WR)

listener = socket.create_server(("127.0.0.1", port))
open(name + ".way", "w").close()
client, _ = listener.accept()
server = socket.create_connection(("127.0.0.1", there))
threading.Thread(target=up, args=(client, server), daemon=True).start()
down(server, client)
' "$SCRATCH/$1" "$port" "${2##*:}"
    wait_until 10 "the way $1" test -e "$SCRATCH/$1.way"
}

anon_kib() {
    awk '/^RssAnon/ { print $2 }' "/proc/$one_PID/status"
}

head -c 1000000 /dev/urandom | tr '\0' 'z' >"$SCRATCH/value"
for i in $(seq 1 48); do
    ctl_of one put "big$i" <"$SCRATCH/value" >/dev/null
done
LAST=$(ctl_of one get big48 -w json | json 'd["header"]["revision"]')
BEFORE=$(anon_kib)
slow_way slow "$(client_url one)"
spawn save "$MUSTER" ctl --endpoints "$WAY" snapshot save "$SCRATCH/slow.db"
SAVE=$PID
wait_until 20 "the slow way to be full" test -e "$SCRATCH/slow.waits"
for i in $(seq 1 20); do
    ctl_of one put "meanwhile$i" x >/dev/null
done
is "$(ctl_of one get meanwhile20 --print-value-only)" x \
    "others are served while a client takes nothing"
GROWN=$(($(anon_kib) - BEFORE))
echo "# 48 MB to be sent, the member's memory has grown by $GROWN KiB"
ok "what is to be sent is not kept in memory" test "$GROWN" -lt 24576
touch "$SCRATCH/slow.go"
_await_exit "$SAVE" 600 || bail "the slow save does not end"
wait "$SAVE"
is "$?" 0 "the slow save ends well"
is "$("$MUSTER" ctl snapshot status "$SCRATCH/slow.db" -w json |
    json 'd["revision"]')" "$LAST" "it is of the moment when it was asked for"

# --- those that take nothing at all are given up in the end, see below
for i in 1 2 3; do
    slow_way "stuck$i" "$(client_url one)"
    spawn "save$i" "$MUSTER" ctl --endpoints "$WAY" snapshot save \
        "$SCRATCH/stuck$i.db"
    wait_until 20 "the way to be full" test -e "$SCRATCH/stuck$i.waits"
done
like "$("$MUSTER" ctl --endpoints "$(client_url one)" snapshot save \
    "$SCRATCH/fourth.db" 2>&1)" "too many requests" "three snapshots at once"

# --- into three, started without the flags of their beginning
cluster_names a b c
for name in a b c; do
    like "$(restored "$name" "$FILE" --initial-cluster-token three)" \
        "^restored .* rows" "restored into $name"
done
INITIAL=$CLUSTER
for name in a b c; do
    CLUSTER=wrong=http://127.0.0.1:1 member_spawn "$name"
done
CLUSTER=$INITIAL
member_wait a b c
same_world "$(client_url a)" "three of ours"
ok "HashKV is equal on all three" same_hash a b c
is "$(ctl_of b put after restore)" OK "they take puts"
is "$(ctl_of c get after --print-value-only)" restore "and agree on them"
like "$(ctl_of a get after -w json)" '"revision":51' \
    "revisions go on from those of the snapshot"

# --- ours, with what was written since, back to etcd: one and three
SOURCE=$(client_url a)
OURS="$SCRATCH/ours.db"
ok "etcdctl snapshot save, of ours" etcdctl_saves "$SOURCE" "$OURS"
is "$(etcdctl snapshot status "$OURS" -w json | json 'd["revision"]')" 51 \
    "it holds what was acknowledged just before"
is "$("$MUSTER" ctl snapshot status "$OURS")" \
    "$(etcdctl snapshot status "$OURS")" "status, of ours"
cluster_names single
ok "etcdctl restores it" etcd_restored single "$OURS"
etcd_spawn single
single_PID=$PID
member_wait single
same_world "$(client_url single)" "one of etcd's"
end_all single

cluster_names x y z
for name in x y z; do
    ok "etcdctl restores it into $name" etcd_restored "$name" "$OURS"
done
for name in x y z; do
    etcd_spawn "$name"
    eval "${name}_PID=$PID"
done
member_wait x y z
same_world "$(client_url x)" "three of etcd's"
ok "HashKV is equal on all three" same_hash x y z
is "$(ctl_of y put again 1)" OK "they take puts"
end_all x y z
end_all a b c

# --- a copy of a database, as etcd keeps it
cluster_names copy
cp "$SCRATCH/x.etcd/member/snap/db" "$SCRATCH/db"
like "$(restored copy "$SCRATCH/db" 2>&1)" "snapshot missing hash" \
    "a database without a sum is refused"
like "$(restored copy "$SCRATCH/db" --skip-hash-check)" \
    "^restored [0-9]+ rows, revision 52, for" "but not with --skip-hash-check"

# --- what is damaged or in the way
cluster_names none

# refused FILE WORDS WHAT: nothing is left of such a restore.
refused() {
    local out
    out=$(restored none "$1" 2>&1)
    is "$?" 1 "$3: refused"
    like "$out" "$2" "and it is said why"
    ok "nothing is left" test ! -e "$SCRATCH/none.etcd" -a \
        ! -e "$SCRATCH/none.etcd.restoring"
}

# flip FILE OFFSET: all bits of a byte.
flip() {
    "$PYTHON" -c '
import sys
with open(sys.argv[1], "r+b") as f:
    f.seek(int(sys.argv[2]))
    byte = f.read(1)[0]
    f.seek(int(sys.argv[2]))
    f.write(bytes([byte ^ 255]))
' "$1" "$2"
}

SIZE=$(stat -c %s "$FILE")
cp "$FILE" "$SCRATCH/bad.db"
flip "$SCRATCH/bad.db" $((SIZE / 2))
refused "$SCRATCH/bad.db" "bad.db is damaged: its SHA-256 is not" "a flipped byte"
like "$("$MUSTER" ctl snapshot status "$SCRATCH/bad.db" 2>&1)" \
    "is damaged: its SHA-256" "status finds it too"
cp "$FILE" "$SCRATCH/bad.db"
flip "$SCRATCH/bad.db" $((SIZE - 1))
refused "$SCRATCH/bad.db" "its SHA-256 is not" "a wrong sum"
head -c $((SIZE / 2 / 512 * 512)) "$FILE" >"$SCRATCH/bad.db"
refused "$SCRATCH/bad.db" "snapshot missing hash: it is cut short" "half a file"
head -c $((SIZE / 2 / 512 * 512 + 32)) "$FILE" >"$SCRATCH/bad.db"
refused "$SCRATCH/bad.db" "its SHA-256 is not" "half a file of a likely size"
like "$(restored none "$SCRATCH/bad.db" --skip-hash-check 2>&1)" "cut short" \
    "its form tells, too"
: >"$SCRATCH/bad.db"
refused "$SCRATCH/bad.db" "is empty" "an empty file"
refused "$SCRATCH/no.db" "no.db: No such file" "no file"
like "$(restored one "$FILE" 2>&1)" "one.etcd exists: choose another" \
    "a data directory that exists is refused"
CLUSTER=other=http://127.0.0.1:1 refused "$FILE" \
    "this member's name \"none\" \(--name\) is not in it" "another's cluster"

# --- who has taken nothing for a minute is given up
given_up() {
    [ "$(grep -c "it has taken nothing for 60 s" "$SCRATCH/one.log")" = 3 ]
}
wait_until 120 "three clients to be given up" given_up
ok "that makes room" quiet "$MUSTER" ctl --endpoints "$(client_url one)" \
    snapshot save "$SCRATCH/fourth.db"
# --- a member that dies leaves no half file
slow_way cut "$(client_url one)"
spawn broken "$MUSTER" ctl --endpoints "$WAY" snapshot save "$SCRATCH/cut.db"
BROKEN=$PID
wait_until 20 "the way to be full" test -e "$SCRATCH/cut.waits"
ok "what has come is in a file beside" test -s "$SCRATCH/cut.db.part"
end "$one_PID" KILL
touch "$SCRATCH/cut.go"
_await_exit "$BROKEN" 150 || bail "the save of a dead member does not end"
wait "$BROKEN"
is "$?" 1 "a save that breaks off fails"
like "$(cat "$SCRATCH/broken.log")" "^muster ctl snapshot save: $WAY: .*clos" \
    "it says from whom and why"
ok "no half file is left" test ! -e "$SCRATCH/cut.db" -a \
    ! -e "$SCRATCH/cut.db.part"
like "$("$MUSTER" ctl --endpoints "$(client_url one)" snapshot save \
    "$SCRATCH/no.db" 2>&1)" "connection refused" "nobody there: it is said"

done_testing
