# Whatever the store has acknowledged survives kill -9, with its revision.
. "$(dirname "$0")/lib.sh"
: "${STORE_WRITER:?the path of the helper program store_writer}"

ROUNDS=${CRASH_ROUNDS:-30}
ACKS="$SCRATCH/acks"
: >"$ACKS"

more_than() {
    [ "$(wc -l <"$ACKS")" -gt "$1" ]
}

for round in $(seq "$ROUNDS"); do
    store_start one --snapshot-count 2000
    spawn writer "$STORE_WRITER" write "${STORE_URL#http://}" "$ACKS" "$round"
    writer=$PID
    # At any moment: the number of acknowledged puts to wait for is random.
    wait_until 30 "acknowledged puts" \
        more_than $(($(wc -l <"$ACKS") + RANDOM % 1000))
    end "$STORE_PID" KILL
    _await_exit "$writer" 150 || bail "the writer did not notice"
    wait "$writer" || bail "the writer failed in round $round"
done

store_start one --snapshot-count 2000
count=$(wc -l <"$ACKS")
ok "puts were acknowledged in $ROUNDS rounds" test "$count" -ge "$ROUNDS"
checked=$("$STORE_WRITER" check "${STORE_URL#http://}" "$ACKS" \
    2>"$SCRATCH/check.log")
ok "each has its value and its revision" test $? -eq 0
is "$checked" "$count" "all $count were asked for"
done_testing
