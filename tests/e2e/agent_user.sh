# Started as root, the agent binds DNS on port 53 and is nobody from then on,
# with no right left in any of its threads.
. "$(dirname "$0")/lib.sh"
root_network

# Everybody may go through the scratch folder, as through /var/lib.
chmod 755 "$SCRATCH"

fails() { # FLAG...: what it says; it must not start.
    "$MUSTER" agent --dev --store-listen 127.0.0.1:0 --dns off --http off \
        --socket off --data-dir "$SCRATCH/$1" --services "$SCRATCH" \
        --advertise 127.0.0.1 "${@:2}" 2>&1
}

# status FIELD: what the threads say of it, each value once.
status() {
    cat /proc/"$AGENT_PID"/task/*/status |
        awk -v field="$1:" '$1 == field { $1 = ""; print }' | sort -u
}

# --- what it becomes ---------------------------------------------------------

# The data folder is made by the agent, for its user.
agent_start one --dev --store-listen 127.0.0.1:0 --user nobody --group nogroup \
    --dns 127.0.0.1:53 --data-dir "$SCRATCH/made/data" \
    --socket "$SCRATCH/made/run/agent.sock"
AGENT_SOCKET="$SCRATCH/made/run/agent.sock"
echo '{"service": {"name": "web", "port": 1, "address": "10.7.7.7", "checks": [
  {"name": "who", "args": ["sh", "-c", "id -un; id -Gn; grep CapEff /proc/self/status"],
   "interval": "1s"}]}}' >"$AGENT_SERVICES/web.json"
ok "DNS answers on port 53" wait_until 20 "the service" answers 10.7.7.7 \
    web.service.consul
is "$AGENT_DNS" 53 "it is that port"
nobody=$(id -u nobody)
group=$(getent group nogroup | cut -d: -f3)
is "$(status Uid)" " $nobody $nobody $nobody $nobody" "all threads are nobody"
is "$(status Gid)" " $group $group $group $group" "and of its group"
is "$(status Groups | tr -d ' ')" "$group" "with none of root's groups"
for field in CapInh CapPrm CapEff CapAmb; do
    is "$(status $field)" " 0000000000000000" "no thread has a right: $field"
done
is "$(status NoNewPrivs)" " 1" "and none can get one"
is "$(stat -c %U "$SCRATCH/made/data" "$SCRATCH/made/run" \
    "$SCRATCH/made/data/state.mdb" "$AGENT_SOCKET" | sort -u)" nobody \
    "what it made on disk is its own"

# --- what goes on working ----------------------------------------------------

one_line() {
    api /v1/health/checks/web | json 'd[0]["Output"].replace("\n", " ")' |
        grep -q 'nobody nogroup CapEff:.0000000000000000'
}
ok "programs of checks run as nobody" wait_until 20 "the check" one_line
ok "a reload works" api /v1/agent/reload -X PUT -f
agent_stop
is "$CODE" 0 "it ends well"

agent_start one --dev --store-listen 127.0.0.1:0 --user nobody \
    --dns 127.0.0.1:53 --data-dir "$SCRATCH/made/data" \
    --socket "$SCRATCH/made/run/agent.sock"
ok "and starts again on what it has left" wait_until 20 "the service" \
    answers 10.7.7.7 web.service.consul
agent_stop

# Ports are bound before root's rights are given up; a reload has them no more.
echo '{"addresses": {"dns": "127.0.0.1"}, "ports": {"dns": 53}}' \
    >"$SCRATCH/user.json"
spawn two "$MUSTER" agent --dev --store-listen 127.0.0.1:0 --user nobody \
    --http off --node one --data-dir "$SCRATCH/made/data" \
    --services "$AGENT_SERVICES" --socket "$SCRATCH/made/run/agent.sock" \
    --advertise 127.0.0.1 --config "$SCRATCH/user.json"
agent=$PID
AGENT_SOCKET="$SCRATCH/made/run/agent.sock"
wait_until 20 "the service" answers 10.7.7.7 web.service.consul
echo '{"addresses": {"dns": "127.0.0.1 127.0.0.2"}, "ports": {"dns": 53}}' \
    >"$SCRATCH/user.json"
like "$("$MUSTER" reload --socket "$AGENT_SOCKET" 2>&1)" \
    '127\.0\.0\.2:53: Permission denied.*service manager.*restart the agent' \
    "a low port that a reload would need is refused, with what to do"
is "$(ask web.service.consul)" 10.7.7.7 "the old one is answered"
echo '{"dns": ["127.0.0.1:53", "127.0.0.2:5300"]}' >"$SCRATCH/user.json"
"$MUSTER" reload --socket "$AGENT_SOCKET" >/dev/null
is "$(dig +short -p 5300 @127.0.0.2 web.service.consul)" 10.7.7.7 \
    "a high one it gets"
is "$(ask web.service.consul)" 10.7.7.7 "beside the low one, which it keeps"
end "$agent"

# --- what is refused, and how ------------------------------------------------

mkdir "$SCRATCH/roots" && chmod 755 "$SCRATCH/roots"
like "$(fails roots --user nobody)" \
    'data folder .*/roots belongs to "root", and "nobody" may not write it: chown -R nobody ' \
    "a data folder of root's"
chown nobody "$SCRATCH/roots" && touch "$SCRATCH/roots/state.mdb"
chmod 600 "$SCRATCH/roots/state.mdb"
like "$(fails roots --user nobody)" 'belongs to "root".*chown -R nobody' \
    "a file of root's in it"
like "$(fails new --user no-such-user)" 'there is no user "no-such-user"' \
    "an unknown user"
like "$(fails new --user nobody --group no-such-group)" \
    'there is no group "no-such-group"' "an unknown group"
like "$(fails new --group nogroup)" 'group: needs user' "a group alone"
like "$(fails new --user 54321)" 'user 54321 has no entry.*group' \
    "a number without a group"
like "$(export MUSTER; setpriv --reuid nobody --clear-groups --regid nogroup \
    "$MUSTER" agent --user daemon --data-dir "$SCRATCH/new" 2>&1)" \
    'only root can become "daemon"' "somebody who is not root"
done_testing
