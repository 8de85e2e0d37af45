# What unlucky operators do to three members: each is told what is wrong, and
# nothing that was acknowledged is lost.
. "$(dirname "$0")/lib.sh"

cluster_names a b c
: "${STORE_WRITER:?the path of the helper program store_writer}"
member_spawn a --snapshot-count 100
member_spawn b --snapshot-count 100
member_spawn c --snapshot-count 100
member_wait a b c
is "$(ctl_of a put one 1)" OK "three members take a put"

# refused NAME [FLAG...]: a start that must fail; what it says is in $SAID.
refused() {
    local name=$1
    shift
    SAID=$(timeout 20 "$MUSTER" store --name "$name" \
        --data-dir "$SCRATCH/$name.etcd" \
        --listen-client-urls http://127.0.0.1:0 \
        --listen-peer-urls http://127.0.0.1:0 \
        --initial-advertise-peer-urls "$(peer_url "$name")" \
        --initial-cluster "$CLUSTER" "$@" 2>&1)
    is $? 1 "the start fails"
}

# --- one loses its folder, and is started as if it were new
published() { ctl_of a member list | grep -c "http.*, http" | grep -qx 3; }
wait_until 10 "all to have published their URLs" published
B=$(member_id_of a b)
end "$b_PID" KILL
mv "$SCRATCH/b.etcd" "$SCRATCH/b.lost"
refused b
like "$SAID" "member $B .*has already been bootstrapped.*member remove $B" \
    "a member that has lost its data is told to join anew"
refused b --initial-cluster-state existing
like "$SAID" "member $B .*has already been bootstrapped" \
    "and does not get its old place as one that was added either"

# --- with another token it is alone, and told so
member_spawn b --initial-cluster-token other
told_other() { grep -q "is not reached: it is of another cluster" "$SCRATCH/b.log"; }
soon 10 "another token: the others are of another cluster" told_other
end "$b_PID"
rm -rf "$SCRATCH/b.etcd"

# --- it joins anew, as it was told
removed() { ctl_of a member remove "$B" | grep -q "removed from cluster"; }
added() { ctl_of a member add b --peer-urls "$(peer_url b)" | grep -q "added to cluster"; }
wait_until 20 "b to be removed" removed
wait_until 20 "b to be added" added
member_spawn b --initial-cluster-state existing --snapshot-count 100
member_wait b
is "$(ctl_of b get one --print-value-only)" 1 "it has everything again"
soon 10 "HashKV is equal on all" same_hash a b c

# --- snapshots of and into what is no file
save() { "$MUSTER" ctl --endpoints "$(client_url a)" snapshot save "$1" 2>&1; }
mkfifo "$SCRATCH/pipe"
mkdir "$SCRATCH/folder"
for name in pipe folder; do
    like "$(save "$SCRATCH/$name")" "$name is there already, and is no file" \
        "a snapshot does not take the place of a $name"
    like "$(timeout 20 "$MUSTER" ctl snapshot status "$SCRATCH/$name" 2>&1)" \
        "$name is no file" "nor is a $name taken for one"
done
ok "the pipe is still one" test -p "$SCRATCH/pipe"

# --- one whose disk cannot hold a snapshot is not sent it again and again
end "$c_PID"
for n in $(seq 8); do
    head -c 900000 /dev/urandom | base64 -w0 |
        etcdctl --endpoints "$(client_url a)" put "big/$n" >/dev/null ||
        bail "cannot put big/$n"
done
# So many that the log does not reach back to c.
A=$(client_url a)
spawn writer "$STORE_WRITER" write "${A#http://}" "$SCRATCH/acks" 1
WRITER=$PID
behind() { [ "$(wc -l <"$SCRATCH/acks")" -gt 6000 ]; }
wait_until 60 "the log to be cut" behind
end "$WRITER" KILL
cat >"$SCRATCH/little" <<LITTLE
#!/bin/bash
ulimit -f 8192 # KiB: files may not grow past that.
exec "$MUSTER" "\$@"
LITTLE
chmod +x "$SCRATCH/little"
MUSTER="$SCRATCH/little" member_spawn c --snapshot-count 100
patient() { cat "$SCRATCH/a.log" "$SCRATCH/b.log" | grep -q "has not taken the snapshot.* in $1 ms"; }
soon 20 "the leader waits a little after a snapshot in vain" patient 250
soon 20 "and longer after the third" patient 1000
like "$(cat "$SCRATCH/c.log")" "cannot write it: File too large; the snapshot is not taken" \
    "the member says why it takes none"
is "$(ctl_of a put still 1)" OK "the others go on"
end "$c_PID"
member_spawn c --snapshot-count 100
member_wait c
soon 20 "with room it has everything" same_hash a b c

done_testing
