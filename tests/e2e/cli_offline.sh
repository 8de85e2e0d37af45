# What the command line does without an agent: help, mistakes, validate.
. "$(dirname "$0")/lib.sh"

out=$("$MUSTER" help)
is "$?" 0 "help"
for command in agent store services nodes register deregister validate reload \
    leave guard force-leave ctl version; do
    like "$out" "^  $command " "help lists $command"
    page=$("$MUSTER" "$command" --help)
    is "$?" 0 "$command --help"
    like "$page" '^examples:' "$command --help has examples"
done
"$MUSTER" >/dev/null 2>&1
is "$?" 2 "no command"
out=$("$MUSTER" sotre 2>&1)
is "$?: $out" '2: muster: unknown command "sotre"; did you mean "store"?' \
    "a mistyped command"
out=$("$MUSTER" store --data-dri x 2>&1)
is "$?: $out" \
    "2: muster store: unknown flag --data-dri; did you mean --data-dir?" \
    "a mistyped flag"
out=$("$MUSTER" agent --dsn 127.0.0.1:0 2>&1)
is "$?" 2 "a mistyped flag of the agent"
like "$out" "did you mean --dns" "has a suggestion"
out=$("$MUSTER" ctl snapshot sav f 2>&1)
is "$?: $out" \
    '2: muster ctl: unknown command "snapshot sav"; did you mean "save"' \
    "a mistyped command of ctl"
for command in save status restore; do
    like "$("$MUSTER" ctl snapshot "$command" --help)" '^examples:' \
        "ctl snapshot $command --help has examples"
done
like "$("$MUSTER" version)" '^muster [0-9]+\.[0-9]+\.[0-9]+$' "version"
out=$("$MUSTER" services --socket "$SCRATCH/none.sock" 2>&1)
is "$?" 3 "no agent"

# What is going to be JSON has to be UTF-8.
bytes=$(printf 'a\377')
for line in "session create --name" "lock --node" "register --tag" \
    "acl policy create --name" "acl token create --policy-name"; do
    # shellcheck disable=SC2086 # Words.
    out=$("$MUSTER" $line "$bytes" 2>&1)
    like "$?: $out" '^2: .*: the value is not UTF-8$' "$line BYTES"
done
out=$("$MUSTER" acl policy create --name p --rules "$bytes" 2>&1)
like "$?: $out" '^1: .* --rules: .* not UTF-8$' "rules that are no text"
out=$("$MUSTER" store --name "$bytes" --data-dir "$SCRATCH/none" 2>&1)
like "$?: $out" '^1: muster store: --name: ' "a member's name that is no text"
out=$("$MUSTER" agent --dev --node "$bytes" 2>&1)
like "$?: $out" '^2: .*--node: is not UTF-8$' "a node's name that is no text"

# Symbolic links: called as etcd, the program is the store.
ln -s "$MUSTER" "$SCRATCH/etcd"
like "$("$SCRATCH/etcd" --help)" '^usage: muster store ' "called as etcd"

cat >"$SCRATCH/good.json" <<'JSON'
{"service": {"name": "web", "port": 80, "check": {"tcp": "127.0.0.1:80",
 "interval": "10s"}}}
JSON
cat >"$SCRATCH/bad.json" <<'JSON'
{
  "service": {
    "name": "web",
    "prot": 80
  }
}
JSON
printf '{"service": ' >"$SCRATCH/broken.json"
out=$("$MUSTER" validate "$SCRATCH/good.json")
is "$?: $out" "0: $SCRATCH/good.json: valid: 1 service, 1 check" "a good file"
out=$("$MUSTER" validate - <"$SCRATCH/good.json")
is "$?" 0 "from standard input"
out=$("$MUSTER" validate "$SCRATCH/good.json" "$SCRATCH/bad.json" 2>&1)
is "$?" 1 "one bad file is enough"
like "$out" "good.json: valid" "the good one is said to be good"
like "$out" "bad\.json:4: .*prot" "file, line and field of the bad one"
out=$("$MUSTER" validate "$SCRATCH/broken.json" 2>&1)
is "$?" 1 "no JSON"
like "$out" 'broken\.json:1' "file and line"
out=$("$MUSTER" validate "$SCRATCH/missing.json" 2>&1)
is "$?" 1 "a missing file"
out=$("$MUSTER" validate "$SCRATCH" 2>&1)
is "$?" 1 "a folder with bad files"
is "$("$MUSTER" validate --json "$SCRATCH" | json '[f["Valid"] for f in d]')" \
    "[false, false, true]" "validate --json"

# --- how a resolver is told to ask the agent --------------------------------

like "$("$MUSTER" setup-resolver dnsmasq)" "^server=/consul/127.0.0.1#8600$" \
    "setup-resolver dnsmasq"
like "$("$MUSTER" setup-resolver bind --dns "[::1]:53" --domain a.b)" \
    "forwarders \{ ::1 port 53; \};" "an IPv6 address and another domain"
out=$("$MUSTER" setup-resolver powerdns 2>&1)
is "$?" 2 "a resolver that is not known"
like "$out" "one of resolved, dnsmasq, unbound or bind" "names those that are"
out=$("$MUSTER" setup-resolver bind --dns ::1 2>&1)
is "$?" 2 "an address without a port"

# --- output that does not arrive ---------------------------------------------

out=$("$MUSTER" help 2>&1 >/dev/full)
is "$?" 1 "a disk that is full is a failure"
like "$out" "not all of the output" "and it is said"
"$MUSTER" help | head -n 1 >/dev/null
is "${PIPESTATUS[0]}" 0 "a reader that has seen enough is none"
done_testing
