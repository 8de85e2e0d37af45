# Two agents on a cluster of three members, each of them asked 100 times a second
# while members are killed, frozen and lose leadership: no wrong answer, no
# missing one, no instance lost, and what is registered meanwhile appears.
. "$(dirname "$0")/lib.sh"
: "${DNS_WITNESS:?the path of the helper program dns_witness}"

MEMBERS="a b c"
CHANGES=$SCRATCH/changes

# shellcheck disable=SC2086
{
    cluster_names $MEMBERS
    for m in $MEMBERS; do member_spawn "$m"; done
    member_wait $MEMBERS
    STORE=$(endpoints $MEMBERS)
}

# --- two agents, each with services that must never be missing

register() { # ID NAME ADDRESS
    api /v1/agent/service/register -X PUT \
        -d "{\"ID\": \"$1\", \"Name\": \"$2\", \"Address\": \"$3\", \"Port\": 80}"
}

# The outage below is longer than this.
echo '{"lease_ttl": "10s"}' >"$SCRATCH/agent.json"
agent_start one --store "$STORE" --config "$SCRATCH/agent.json"
ONE="$AGENT_DNS:${AGENT_HTTP##*:}"
ONE_SOCKET=$AGENT_SOCKET
register web1 web 10.1.0.1
register web2 web 10.1.0.2
register db db 10.1.0.3
agent_start two --store "$STORE" --config "$SCRATCH/agent.json"
TWO="$AGENT_DNS:${AGENT_HTTP##*:}"
TWO_SOCKET=$AGENT_SOCKET
register web3 web 10.2.0.1
register mail mail 10.2.0.2
web="10.1.0.1
10.1.0.2
10.2.0.1"
for dns in "${ONE%%:*}" "${TWO%%:*}"; do
    AGENT_DNS=$dns
    wait_until 15 "all of web" answers "$web" web.service.consul
    wait_until 15 "the database" answers 10.1.0.3 db.service.consul
    wait_until 15 "mail" answers 10.2.0.2 mail.service.consul
done

# stat SOCKET NAME: of /v1/agent/self.
stat() {
    AGENT_SOCKET=$1 api /v1/agent/self | json "d['Stats']['muster']['$2']" 2>/dev/null
}

# metric SOCKET NAME
metric() {
    AGENT_SOCKET=$1 api /v1/metrics | awk -v n="$2" '$1 == n { print $2 }'
}

# used_by SOCKET: the name of the member that the agent uses.
used_by() {
    local m target
    target=$(stat "$1" store_endpoint)
    for m in $MEMBERS; do
        [ "$(client_url "$m")" != "http://$target" ] || echo "$m"
    done
}

# --- the witness is not blind

witness_says() { grep -q "$1" "$SCRATCH/blind.log"; }
spawn blind "$DNS_WITNESS" "$CHANGES" "$ONE" "$TWO" web=10.1.0.1 \
    db=10.1.0.3,10.1.0.4 gone=10.1.0.5
for complaint in "web.*other addresses" "web.*number of targets" \
    "db.*other addresses" "gone.*another code"; do
    wait_until 10 "a complaint" witness_says "$complaint"
done
end "$PID"
is "$CODE" 1 "the witness sees what is wrong"

# --- the storm

spawn witness "$DNS_WITNESS" "$CHANGES" "$ONE" "$TWO" \
    web=10.1.0.1,10.1.0.2,10.2.0.1 db=10.1.0.3 mail=10.2.0.2
WITNESS=$PID

# seen MS: at both agents something has appeared that was registered after then.
seen() {
    kill -0 "$WITNESS" || bail "the witness has gone"
    awk -v t="$1" '$1 > t && $3 == "appears" { seen[$4] = 1 }
        END { exit !(seen["agent0"] && seen["agent1"]) }' "$CHANGES"
}

# goes_on WHAT: registrations get through, from now on.
goes_on() {
    wait_until 30 "registrations: $1" seen "$(now_ms)"
}

pid_of() {
    eval "echo \$${1}_PID"
}

# phase NAME: what happens from here on is called so.
: >"$SCRATCH/phases"
phase() {
    echo "$(now_ms) $1" >>"$SCRATCH/phases"
}

# kill_one NAME: it is back when this returns.
kill_one() {
    kill -KILL "$(pid_of "$1")"
    wait "$(pid_of "$1")" 2>/dev/null
    goes_on "$1 is dead"
    member_spawn "$1"
    member_wait "$1"
}

# others NAME...: the members without these.
others() {
    local m
    for m in $MEMBERS; do
        case " $* " in
        *" $m "*) ;;
        *) echo "$m" ;;
        esac
    done
}

goes_on "in peace"

phase "leader killed"
# shellcheck disable=SC2086
LEADER=$(leader_of $MEMBERS)
kill_one "$LEADER"
for m in $(others "$LEADER"); do
    phase "$m killed"
    kill_one "$m"
done

phase "member of agent one frozen"
m=$(used_by "$ONE_SOCKET")
kill -STOP "$(pid_of "$m")"
elsewhere() { [ "$(used_by "$ONE_SOCKET")" != "$m" ]; }
wait_until 20 "agent one to leave it" elsewhere
goes_on "a member is frozen"
kill -CONT "$(pid_of "$m")"
member_wait "$m"

phase "leader frozen"
# shellcheck disable=SC2086
LEADER=$(leader_of $MEMBERS)
kill -STOP "$(pid_of "$LEADER")"
goes_on "the leader is frozen"
kill -CONT "$(pid_of "$LEADER")"
member_wait "$LEADER"

phase "leader moved"
for _ in 1 2 3; do
    # shellcheck disable=SC2086
    wait_until 10 "a leader" has_leader $MEMBERS
    # shellcheck disable=SC2086
    LEADER=$(leader_of $MEMBERS)
    TARGET=$(others "$LEADER" | head -n 1)
    like "$(ctl_of "$LEADER" move-leader "$(member_id_of "$LEADER" "$TARGET")")" \
        "Leadership transferred" "leadership moves to $TARGET"
    goes_on "$TARGET leads"
done

# Longer than the leases: the new leader must give them their whole time again.
phase "all dead for 12 s"
for m in $MEMBERS; do
    kill -KILL "$(pid_of "$m")"
    wait "$(pid_of "$m")" 2>/dev/null
done
begun=$(now_ms)
twelve_seconds() { [ $(($(now_ms) - begun)) -ge 12000 ]; }
wait_until 20 "twelve seconds" twelve_seconds
for m in $MEMBERS; do member_spawn "$m"; done
# shellcheck disable=SC2086
member_wait $MEMBERS
goes_on "all are back"
phase "end"

end "$WITNESS"
is "$CODE" 0 "no wrong answer and no missing one"
sed 's/^/# /' "$SCRATCH/witness.log"

for socket in "$ONE_SOCKET" "$TWO_SOCKET"; do
    is "$(metric "$socket" muster_lease_losses_total)" 0 "no lease was lost"
    is "$(metric "$socket" muster_lease_grants_total)" 1 "nor another granted"
    is "$(metric "$socket" muster_store_lists_total)" 1 \
        "the watch resumed each time, nothing was read anew"
    echo "# $(metric "$socket" muster_store_failures_total) times to another member"
done
# shellcheck disable=SC2086
soon 10 "HashKV is equal on all members" same_hash $MEMBERS

# The longest way from a change to its answer at the other agent, by phase.
awk 'FNR == NR { at[n++] = $1; $1 = ""; name[n - 1] = $0; next }
    { for (i = 0; i < n && at[i] <= $1; i++) {}
      i--; count[i]++; ms = $2 - $1
      if (ms > worst[i]) worst[i] = ms }
    END { for (i = -1; i < n; i++) if (count[i])
        printf "# %5d ms at most, %4d changes:%s\n", worst[i], count[i],
            i < 0 ? " in peace" : name[i] }' "$SCRATCH/phases" "$CHANGES"

done_testing
