# bash completion offers what the program itself says it has.
. "$(dirname "$0")/lib.sh"
. "$ROOT/contrib/completion/muster.bash"

# complete_line WORD...: what is offered for the last word.
complete_line() {
    COMP_WORDS=("$MUSTER" "$@")
    COMP_CWORD=$#
    COMPREPLY=()
    _muster
    echo "${COMPREPLY[*]}"
}

is "$(complete_line stor)" store "a command"
is "$(complete_line v)" "validate version" "several commands"
is "$(complete_line services --pa)" --passing "a flag"
is "$(complete_line ctl sn)" snapshot "a group of ctl"
is "$(complete_line ctl snapshot re)" restore "and what is in it"
is "$(complete_line ctl snapshot restore --skip)" --skip-hash-check "its flags"
is "$(complete_line store --listen-c)" --listen-client-urls "a flag of the store"
touch "$SCRATCH/file.json"
is "$(complete_line validate "$SCRATCH/fi")" "$SCRATCH/file.json" "a file"
is "$(complete_line agent --data-dir "$SCRATCH/fi")" "$SCRATCH/file.json" \
    "a file as a flag's value"

agent_start one --dev --store-listen 127.0.0.1:0
export MUSTER_SOCKET=$AGENT_SOCKET
cat >"$AGENT_SERVICES/web.json" <<'JSON'
{"service": {"name": "web", "port": 80, "address": "10.0.0.1"}}
JSON
offered() {
    [ "$(complete_line services we)" = web ]
}
soon 10 "a service of the running agent" offered
is "$(complete_line nodes o)" one "a host"
is "$(complete_line kv ex)" export "a word of kv"
"$MUSTER" kv put app/host x >/dev/null
is "$(complete_line kv get a)" app/ "a key"
is "$(complete_line catalog n)" nodes "a list of the catalogue"
done_testing
