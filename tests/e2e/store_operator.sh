# What unlucky operators do to three members: each is told what is wrong, and
# nothing that was acknowledged is lost.
. "$(dirname "$0")/lib.sh"

cluster_names a b c
member_spawn a
member_spawn b
member_spawn c
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
member_spawn b --initial-cluster-state existing
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

done_testing
