# A damaged or failing disk is noticed, named, and never lied about.
. "$(dirname "$0")/lib.sh"
: "${STORE_FAULT_LIB:?the path of the helper library store_fault}"

# fill NAME COUNT: start it and put COUNT keys with recognisable values.
fill() {
    store_start "$1"
    for n in $(seq "$2"); do
        ctl put "key/$n" "value-of-$n-$(printf '%064d' "$n")" >/dev/null ||
            bail "cannot put key/$n"
    done
}

log_of() {
    printf '%s\n' "$SCRATCH/$1.etcd/member/wal"/*.wal | tail -1
}

# flip FILE TEXT: turn one bit of each TEXT in FILE: LMDB leaves old pages behind,
# and only one of them is in use.
flip() {
    python3 - "$1" "$2" <<'PY'
import sys
data = bytearray(open(sys.argv[1], "rb").read())
text = sys.argv[2].encode()
assert text in data, "not in the file"
while text in data:
    data[data.find(text)] ^= 1
open(sys.argv[1], "wb").write(data)
PY
}

# refuses NAME: a start that must fail; what it says is in $SAID.
refuses() {
    SAID=$(timeout 20 "$MUSTER" store --name "$1" \
        --data-dir "$SCRATCH/$1.etcd" \
        --listen-client-urls http://127.0.0.1:0 \
        --listen-peer-urls http://127.0.0.1:0 2>&1)
    CODE=$?
}

# --- a torn tail ---
# tear NAME PYTHON: change the end of the log; `end` is behind its last byte.
tear() {
    python3 - "$(log_of "$1")" "$2" <<'PY'
import sys
path = sys.argv[1]
data = bytearray(open(path, "rb").read())
end = len(data.rstrip(b"\0"))
exec(sys.argv[2])
open(path, "wb").write(data)
PY
}

fill torn 20
end "$STORE_PID" KILL
# The next record was being written when the power went: its first bytes are
# there, the rest is not.
tear torn 'end += -end % 8; data[end:end + 12] = b"\x5a" * 12'
store_start torn
is "$(ctl get key/20 --print-value-only)" "value-of-20-$(printf '%064d' 20)" \
    "after a torn tail everything that was acknowledged is there"
end "$STORE_PID"
BACKEND="$SCRATCH/torn.etcd/member/backend"
cp -a "$BACKEND" "$SCRATCH/torn.backend"
store_start torn
is "$(ctl put key/21 x)" OK "and writing goes on"
end "$STORE_PID" KILL
# The crash was quicker than the backend, which is behind the log then.
rm -rf "$BACKEND"
cp -a "$SCRATCH/torn.backend" "$BACKEND"
# The last record is one that the disk has not written to its end.
tear torn 'data[end - 8:end] = bytes(8)'
store_start torn
like "$(cat "$SCRATCH/torn.log")" "cut [0-9]+ bytes of an unfinished record" \
    "an unfinished record is cut off, and that is said"
is "$(ctl get --prefix key/ --keys-only | grep -c .)" 20 \
    "all before it is there"
end "$STORE_PID"

# --- the log is damaged in the middle ---
fill flipped 20
end "$STORE_PID" KILL
flip "$(log_of flipped)" "value-of-5-"
refuses flipped
ok "a damaged log is refused" test "$CODE" -eq 1
like "$SAID" "$(basename "$(log_of flipped)").*offset|byte [0-9]+" \
    "naming file and place"
like "$SAID" "restore|backup|snapshot" "and what to do"

# --- the backend is damaged ---
fill backend 20
end "$STORE_PID" # In order: all rows are in the backend now.
flip "$SCRATCH/backend.etcd/member/backend/data.mdb" "value-of-5-"
refuses backend
if [ "$CODE" -eq 1 ]; then
    ok "a damaged backend is refused at start" true
    like "$SAID" 'data\.mdb: table "key"' "naming table and row"
else
    bail "a damaged backend was opened"
fi

# --- the backend was cut short ---
fill cut 120
end "$STORE_PID" KILL
for part in 3 5 7; do # Tenths of it.
    cp -r "$SCRATCH/cut.etcd" "$SCRATCH/cut$part.etcd"
    file=$SCRATCH/cut$part.etcd/member/backend/data.mdb
    truncate -s $(($(stat -c %s "$file") / 40960 * part * 4096)) "$file"
    refuses "cut$part"
    is "$CODE" 1 "a backend cut to 0.$part of its length is refused"
    like "$SAID" "member/backend.*(restore|Restore)" "saying where and what to do"
done

# --- a full disk ---
# Files may not grow past this: what a full disk says to a writer.
mkdir -p "$SCRATCH/full.etcd"
PORT=$(free_port)
STORE_URL=http://127.0.0.1:$PORT
spawn full bash -c 'ulimit -f 8192; exec "$@"' bash "$MUSTER" store \
    --name full --data-dir "$SCRATCH/full.etcd" \
    --listen-client-urls "$STORE_URL" \
    --listen-peer-urls http://127.0.0.1:0
FULL=$PID
wait_until 20 "the store with little room" ctl endpoint health
written=0
while ctl put "big/$written" "$(head -c 60000 /dev/urandom | base64 -w0)" \
    >/dev/null 2>&1; do
    written=$((written + 1))
    [ "$written" -lt 400 ] || bail "the disk never became full"
done
_await_exit "$FULL" 150 || bail "the member with a full disk goes on"
wait "$FULL"
is "$?" 1 "a full disk stops the member"
like "$(cat "$SCRATCH/full.log")" \
    "the member stops: cannot (write|fill|commit) .*(File too large|No space)" \
    "saying why"
store_start full
is "$(ctl get --prefix big/ --keys-only | grep -c .)" "$written" \
    "with room again everything acknowledged is there"
end "$STORE_PID"

# --- a failed sync ---
PORT=$(free_port)
STORE_URL=http://127.0.0.1:$PORT
spawn sync env STORE_FAULT="$SCRATCH/fault" LD_PRELOAD="$STORE_FAULT_LIB" \
    ASAN_OPTIONS=verify_asan_link_order=0 "$MUSTER" store --name sync \
    --data-dir "$SCRATCH/sync.etcd" --listen-client-urls "$STORE_URL" \
    --listen-peer-urls http://127.0.0.1:0
SYNC=$PID
wait_until 20 "the store on a disk that will fail" ctl endpoint health
is "$(ctl put before x)" OK "the disk is well"
touch "$SCRATCH/fault"
unlike "$(ctl --command-timeout=5s put after x 2>&1)" "^OK" \
    "what could not be synced is not acknowledged"
# Whichever comes first: the log's sync, or the backend's with the put before.
_await_exit "$SYNC" 150 || bail "the member goes on after a failed sync"
wait "$SYNC"
is "$?" 1 "a failed sync stops the member"
like "$(cat "$SCRATCH/sync.log")" \
    "the member stops: cannot (sync .*wal|commit .*backend): Input/output error" \
    "saying why"
rm "$SCRATCH/fault"
store_start sync
is "$(ctl get before --print-value-only)" x "what was acknowledged is there"

done_testing
