# Flags, configuration files, and what is said about mistakes in them.
. "$(dirname "$0")/lib.sh"

mkdir "$SCRATCH/services"
cat >"$SCRATCH/agent.json" <<JSON
{
  "node_name": "from-file",
  "datacenter": "east",
  "data_dir": "$SCRATCH/data",
  "services": "$SCRATCH/services",
  "socket": "$SCRATCH/agent.sock",
  "dns": "127.0.0.1:0",
  "http": "off",
  "dev": true,
  "store_listen": "127.0.0.1:0",
  "advertise": "127.0.0.1"
}
JSON
spawn agent "$MUSTER" agent --config "$SCRATCH/agent.json"
agent=$PID
AGENT_SOCKET="$SCRATCH/agent.sock"
answers_http() {
    api /v1/agent/self
}
wait_until 20 "the agent" answers_http
is "$(api /v1/agent/self | json 'd["Config"]["NodeName"]')" from-file \
    "the file's name"
is "$(api /v1/agent/self | json 'd["Config"]["Datacenter"]')" east \
    "the file's datacenter"
started=$(grep '"event": *"started"' "$SCRATCH/agent.log")
is "$(printf '%s' "$started" | json 'd["http"]')" null "no TCP listener"
is "$(stat -c %a "$AGENT_SOCKET")" 660 "the socket's mode"
end "$agent"
is "$CODE" 0 "ends with 0"

spawn agent "$MUSTER" agent --config "$SCRATCH/agent.json" --node from-flag
agent=$PID
wait_until 20 "the agent" answers_http
is "$(api /v1/agent/self | json 'd["Config"]["NodeName"]')" from-flag \
    "a flag wins over the file"

is "$(api /v1/agent/version | json 'd["HumanVersion"]')" 1.16.0 \
    "the level of the API"
sed -i 's/"advertise"/"api_level": "1.20.3", "advertise"/' "$SCRATCH/agent.json"
api /v1/agent/reload -fX PUT
is "$(api /v1/agent/self | json 'd["Config"]["Version"]')" 1.20.3 \
    "another one, by a reload"

# A second agent on the same data folder, and one on a port that is taken.
out=$("$MUSTER" agent --config "$SCRATCH/agent.json" 2>&1)
is "$?" 1 "a second agent on the same folder does not start"
like "$out" "$SCRATCH" "and says where"
end "$agent"

refused() {
    local what=$1 wanted=$2
    shift 2
    out=$(timeout 20 "$MUSTER" agent "$@" 2>&1)
    ok "$what: does not start" [ $? -ne 0 ]
    like "$out" "$wanted" "$what: says so"
}
printf '{\n  "nod_name": "x"\n}\n' >"$SCRATCH/bad.json"
refused "an unknown key" 'bad\.json:2.*nod_name' --config "$SCRATCH/bad.json"
printf '{\n  "datacenter": 7\n}\n' >"$SCRATCH/bad.json"
refused "a wrong type" 'bad\.json:2.*datacenter' --config "$SCRATCH/bad.json"
printf '{' >"$SCRATCH/bad.json"
refused "no JSON" 'bad\.json:' --config "$SCRATCH/bad.json"
refused "no such file" 'none\.json' --config "$SCRATCH/none.json"
refused "a bad address" 'dns' --dev --dns nonsense --data-dir "$SCRATCH/x"
refused "a bad store" 'store' --store ftp://x --data-dir "$SCRATCH/x" \
    --dns 127.0.0.1:0 --http off --socket off
done_testing
