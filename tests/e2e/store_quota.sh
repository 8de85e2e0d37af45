# A store that has used its quota refuses to grow, says so, and comes back.
. "$(dirname "$0")/lib.sh"

store_start small --quota-backend-bytes $((4 * 1024 * 1024))
VALUE=$(head -c 75000 /dev/urandom | base64 -w0)

# Puts until one is refused; what it says is in $SAID.
SAID=
written=0
while SAID=$(ctl put "big/$written" "$VALUE" 2>&1); do
    written=$((written + 1))
    [ "$written" -lt 200 ] || bail "the quota was never met"
done
like "$SAID" "etcdserver: mvcc: database space exceeded" \
    "writes are refused after $written puts"
ok "not before there was much" test "$written" -ge 20
alarmed() {
    ctl alarm list | grep -q 'alarm:NOSPACE'
}
wait_until 10 "the alarm" alarmed
like "$(curl -sS "$STORE_URL/health")" '"ALARM NOSPACE"' "health tells"
like "$(ctl lease grant 60 2>&1)" "database space exceeded" "no leases either"
is "$(ctl get --prefix big/ --keys-only | grep -c .)" "$written" "reads go on"
is "$(ctl del --prefix big/)" "$written" "deletes go on"
REVISION=$(ctl get x -w json | json 'd["header"]["revision"]')
ctl compaction --physical "$REVISION" >/dev/null
like "$(ctl put big/0 "$VALUE" 2>&1)" "database space exceeded" \
    "the alarm holds until it is disarmed"
freed() {
    ctl alarm disarm >/dev/null && ctl put big/0 "$VALUE"
}
wait_until 20 "room after compaction and disarming" freed
is "$(ctl alarm list)" "" "the alarm is gone"
is "$(ctl get big/0 --print-value-only)" "$VALUE" "writes go on"
done_testing
