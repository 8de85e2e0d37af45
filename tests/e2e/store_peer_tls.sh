# Members that show each other certificates: who has one of another CA, for
# another name, or none, is refused, says so and is named; nobody else notices.
. "$(dirname "$0")/lib.sh"

cd "$SCRATCH" || bail "no scratch folder"
make_ca() {
    openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj "/CN=$1" \
        -keyout "$1.key" -out "$1.crt" 2>/dev/null
}
make_cert() { # CA FILE CN
    openssl req -newkey rsa:2048 -nodes -subj "/CN=$3" \
        -keyout "$2.key" -out "$2.csr" 2>/dev/null
    printf 'subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n' \
        >"$2.ext"
    openssl x509 -req -in "$2.csr" -CA "$1.crt" -CAkey "$1.key" \
        -CAcreateserial -days 2 -extfile "$2.ext" -out "$2.crt" 2>/dev/null
}
make_ca ca
make_ca stranger
make_cert ca good member
make_cert ca other somebody
make_cert stranger alien member

PEER_SCHEME=https
cluster_names a b c
tls_spawn() { # NAME CERTIFICATE
    member_spawn "$1" --peer-cert-file "$2.crt" --peer-key-file "$2.key" \
        --peer-trusted-ca-file ca.crt --peer-client-cert-auth \
        --peer-cert-allowed-cn member
}
tls_spawn a good
tls_spawn b good
tls_spawn c good
member_wait a b c
is "$(ctl_of a put one 1)" OK "a cluster over TLS takes a put"
is "$(ctl_of c get one --print-value-only)" 1 "and another member has it"

# --- strangers on the peer port
asks_peer() { # curl's FLAG...
    curl -fsS --max-time 5 --cacert ca.crt "$@" "$(peer_url a)/version"
}
like "$(asks_peer --cert good.crt --key good.key)" '"etcdserver"' \
    "the peer port answers who has a certificate"
for cert in other alien; do
    ok "it does not answer $cert" sh -c "! curl -fsS --max-time 5 \
        --cacert ca.crt --cert $cert.crt --key $cert.key \
        $(peer_url a)/version >/dev/null 2>&1"
done
ok "it does not answer who has none" sh -c "! curl -fsS --max-time 5 \
    --cacert ca.crt $(peer_url a)/version >/dev/null 2>&1"
ok "it does not answer in the clear" sh -c "! curl -fsS --max-time 5 \
    http://127.0.0.1:$(cat a.peer)/version >/dev/null 2>&1"

# --- a member that comes back with what does not do
C_PEER="127.0.0.1:$(cat c.peer)"
TERM_BEFORE=""
raft_term() {
    ctl_of a endpoint status -w json | grep -o '"raftTerm":[0-9]*'
}
settled() { # The two that are left have a leader between them.
    local leader
    leader=$(leader_of a b)
    [ -n "$leader" ]
}
logged_since() { # NAME REGEX: in what it has logged since it was marked.
    tail -n "+$(cat "$1.mark")" "$1.log" | grep -Em 1 -- "$2"
}
mark_logs() {
    local name
    for name in a c; do
        echo $(($(wc -l <"$name.log") + 1)) >"$name.mark"
    done
}
refused_as() { # WHAT A_SAYS C_SAYS
    local what=$1
    local a_line="connection from 127.0.0.1:[0-9]+ refused: TLS: .*($2)"
    local c_line="member [0-9a-f]+ at 127.0.0.1:[0-9]+ is not reached: .*($3)"
    wait_until 30 "a to refuse c, $what" logged_since a "$a_line"
    wait_until 30 "c to say that it is refused, $what" logged_since c "$c_line"
    like "$(logged_since a "$a_line")" "refused" "$what: a says whom and why"
    like "$(logged_since c "$c_line")" "not reached" "$what: c says so, too"
}
try_c() { # WHAT A_SAYS C_SAYS, then how to start it
    local what=$1 a_says=$2 c_says=$3
    shift 3
    end "$c_PID"
    mark_logs
    wait_until 20 "a and b to have a leader" settled
    TERM_BEFORE=$(raft_term)
    "$@"
    refused_as "$what" "$a_says" "$c_says"
    is "$(ctl_of a put "$what" 2)" OK "$what: the others go on"
    is "$(raft_term)" "$TERM_BEFORE" "$what: and keep their leader"
    ok "$what: c is not healthy" sh -c "! curl -fsS --max-time 2 \
        $(client_url c)/health >/dev/null 2>&1"
}
try_c "of another CA" "issuer certificate" \
    "alert|certificate" tls_spawn c alien
try_c "of another name" "name mismatch" \
    "alert|certificate" tls_spawn c other
bare_spawn() {
    spawn c "$MUSTER" store --name c --data-dir "$SCRATCH/c.etcd" \
        --listen-client-urls "$(client_url c)" \
        --advertise-client-urls "$(client_url c)" \
        --listen-peer-urls "http://$C_PEER" \
        --initial-advertise-peer-urls "https://$C_PEER" \
        --initial-cluster "$CLUSTER" --peer-trusted-ca-file ca.crt
    c_PID=$PID
}
try_c "without one" "did not return a certificate" \
    "alert|certificate" bare_spawn

# --- and with what does
end "$c_PID"
tls_spawn c good
member_wait c
wait_until 20 "HashKV to be equal" same_hash a b c
ok "with its own again, c has caught up" same_hash a b c
is "$(ctl_of c get 'without one' --print-value-only)" 2 "and serves it"
done_testing
