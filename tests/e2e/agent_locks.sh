# A lock never has two holders: five contenders at two agents of a store of three
# members, while a holder, an agent and the store's leader are killed.
. "$(dirname "$0")/lib.sh"

LOG="$SCRATCH/history"
FREEZE="$SCRATCH/freeze"
contender() { # NAME PORT
    spawn "$1" sh -c 'exec "$@" >>"'"$LOG"'"' sh \
        "$PYTHON" "$HERE/lock_contender.py" "$1" "$2" locks/one "$FREEZE"
    eval "$1=$PID"
}
lines() { wc -l <"$LOG"; }
# goes_on WHAT: ten more holders than now.
goes_on() {
    local goal=$(($(lines) + 20))
    more() { [ "$(lines)" -ge "$goal" ]; }
    soon 60 "$1" more
}

cluster_names a b c
for m in a b c; do member_spawn "$m"; done
member_wait a b c
echo '{"lease_ttl": "6s"}' >"$SCRATCH/agent.json" # So that it is quicker.
agent_start two --config "$SCRATCH/agent.json" --store "$(endpoints b c a)"
TWO_PID=$AGENT_PID
TWO_PORT=${AGENT_HTTP##*:}
agent_start one --config "$SCRATCH/agent.json" --store "$(endpoints a b c)"
ONE_PORT=${AGENT_HTTP##*:}
: >"$LOG"

for name in m1 m2 m3; do contender "$name" "$ONE_PORT"; done
for name in n1 n2; do contender "$name" "$TWO_PORT"; done
goes_on "the lock goes round"

# It freezes itself, so that it is killed while it has the lock.
touch "$FREEZE"
frozen() { ls "$FREEZE".*; }
wait_until 30 "a holder to kill" frozen
KILLED=$(frozen)
KILLED=${KILLED##*.}
eval "kill -KILL \$$KILLED"
read -r _ _ had _ renewed < <(grep " has .* $KILLED " "$LOG" | tail -n 1)
goes_on "a holder was killed: when its TTL has passed others have the lock"
next=$(awk -v i="$had" '$2 == "has" && $3 > i { print $1; exit }' "$LOG")
ok "not before: 10 s after it was renewed" \
    test $((next - renewed)) -ge 10000000000

leader=$(leader_of a b c)
eval "kill -KILL \$${leader}_PID"
goes_on "the store's leader was killed: others have the lock"

kill -KILL "$TWO_PID"
goes_on "an agent was killed: who is at the other one has the lock"

for name in m1 m2 m3 n1 n2; do
    [ "$name" = "$KILLED" ] || eval "end \$$name KILL"
done
"$PYTHON" - "$LOG" <<'PY'
import sys
entries = [l.split() for l in open(sys.argv[1]) if len(l.split()) == 5]
events = sorted((int(t), what, int(i), who) for t, what, i, who, _ in entries
                if what != "lost")
has = [e for e in events if e[1] == "has"]
last, owner = 0, None
unfinished = []  # Had it, and never said that they left.
for at, what, index, who in events:
    if what == "has":
        # Whoever had it before has left, or was killed.
        if index <= last:
            sys.exit(f"{who} has the lock with index {index} after {last}")
        if owner:
            unfinished.append(owner[1])
        last, owner = index, (index, who)
    elif owner == (index, who):
        owner = None
    else:
        sys.exit(f"{who} leaves {index} while {owner} has it")
lost = [who for _, what, _, who, _ in entries if what == "lost"]
if len(unfinished) > 3 + len(lost):
    sys.exit(f"more than were killed did not leave: {unfinished}")
print(f"# {len(has)} times somebody had the lock, last index {last}")
PY
is $? 0 "never two holders, and the lock's index grows"
done_testing
