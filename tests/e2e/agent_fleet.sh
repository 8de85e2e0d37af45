# A dozen agents under churn: each shows every change over DNS, and in the end
# each has what the store has, at the store's revisions. The same with a hundred
# agents and 5 000 instances: tests/bench/agent/hundred.sh.
. "$(dirname "$0")/lib.sh"
: "${DNS_WATCHERS:?the path of the helper program dns_watchers}"

mkdir "$SCRATCH/fleet"
fleet() {
    "$PYTHON" "$HERE/fleet.py" "$MUSTER" "$DNS_WATCHERS" "$SCRATCH/fleet" \
        12 360 5 30 >"$SCRATCH/fleet.log" 2>&1
}
ok "a fleet of twelve sees every change and agrees with the store" fleet
said=$(cat "$SCRATCH/fleet.log")
like "$said" '^12 agents have the store.s [0-9]+ instances.* 0 do not$' \
    "each catalogue is the store's"
like "$said" '^160 changes in .* 10 of them watched$' "the churn was whole"
done_testing
