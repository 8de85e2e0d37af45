# The agent reaches a store that speaks TLS and asks for client certificates, by
# address or name; it refuses one whose certificate is not the CA's, or for
# another host.
. "$(dirname "$0")/lib.sh"

cd "$SCRATCH" || bail "no scratch folder"
make_ca() {
    openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj "/CN=$1" \
        -keyout "$1.key" -out "$1.crt" 2>/dev/null
}
make_cert() {
    openssl req -newkey rsa:2048 -nodes -subj "/CN=$2" \
        -keyout "$2.key" -out "$2.csr" 2>/dev/null
    printf 'subjectAltName=IP:127.0.0.1,IP:::1,DNS:localhost\nextendedKeyUsage=serverAuth,clientAuth\n' \
        >"$2.ext"
    openssl x509 -req -in "$2.csr" -CA "$1.crt" -CAkey "$1.key" \
        -CAcreateserial -days 2 -extfile "$2.ext" -out "$2.crt" 2>/dev/null
}
make_ca ca
make_ca stranger
make_cert ca server
make_cert ca client

port=$(free_port)
url="https://127.0.0.1:$port"
listen="$url,https://127.0.0.2:$port"
v6=""
if "$PYTHON" -c 'import socket; socket.socket(socket.AF_INET6).bind(("::1", 0))'; then
    v6="https://[::1]:$port"
    listen="$listen,$v6"
else
    echo "# no IPv6 here: it is not tried"
fi
spawn store "$MUSTER" store --name s --data-dir "$SCRATCH/s.etcd" \
    --listen-peer-urls http://127.0.0.1:0 \
    --listen-client-urls "$listen" --advertise-client-urls "$url" \
    --cert-file server.crt --key-file server.key \
    --client-cert-auth --trusted-ca-file ca.crt
secure_health() {
    curl -fsS --cacert ca.crt --cert client.crt --key client.key "$url/health"
}
wait_until 30 "the store" secure_health
ok "no certificate, no answer" sh -c \
    "! curl -fsS --cacert ca.crt $url/health >/dev/null 2>&1"
is "$(etcdctl --endpoints "$url" --cacert ca.crt --cert client.crt \
    --key client.key put a b)" OK "etcdctl with a certificate"
like "$("$MUSTER" ctl --endpoints "$url" --cacert ca.crt --cert client.crt \
    --key client.key snapshot save s.db 2>/dev/null)" "^Snapshot saved at s.db" \
    "muster ctl with a certificate"
like "$("$MUSTER" ctl --endpoints "$url" --cacert stranger.crt \
    --cert client.crt --key client.key snapshot save s.db 2>&1)" "certificate" \
    "muster ctl does not trust a stranger"
like "$("$MUSTER" ctl --endpoints "$url" --cert client.crt snapshot save s.db \
    2>&1)" "--cert and --key: both or none" "half a certificate"

agent_start one --store "$url" --store-cacert ca.crt --store-cert client.crt \
    --store-key client.key
web_start
web_definition web "$WEB_PORT"
wait_until 15 "the service in DNS" answers 127.0.0.1 web.service.consul
like "$(etcdctl --endpoints "$url" --cacert ca.crt --cert client.crt \
    --key client.key get --prefix /muster/v1 --keys-only)" /inst/web/ \
    "the agent registers over TLS"

agent_start two --store "$url" --store-cacert stranger.crt \
    --store-cert client.crt --store-key client.key
wait_until 15 "the refusal to be logged" \
    grep -Eiq 'certificate' "$SCRATCH/two.log"
is "$(api /v1/catalog/services -o /dev/null -w '%{http_code}')" 500 \
    "a store that the CA does not know is not trusted"

# --- one store by its other names
tls_agent() { # NAME STORE
    agent_start "$1" --store "$2" --store-cacert ca.crt \
        --store-cert client.crt --store-key client.key
}
for store in "https://localhost:$port/" ${v6:+"$v6"}; do
    tls_agent three "$store"
    wait_until 15 "the service by $store" answers 127.0.0.1 web.service.consul
    ok "the agent reaches $store" answers 127.0.0.1 web.service.consul
    agent_stop
done

tls_agent four "https://127.0.0.2:$port"
wait_until 15 "the refusal to be logged" \
    grep -Eiq '127.0.0.2.*(certificate|mismatch)' "$SCRATCH/four.log"
is "$(api /v1/catalog/services -o /dev/null -w '%{http_code}')" 500 \
    "a certificate for another host is not trusted"
agent_stop
tls_agent four "https://127.0.0.2:$port,https://localhost:$port"
wait_until 15 "the service by the other" answers 127.0.0.1 web.service.consul
ok "a member that cannot be trusted is passed over" \
    answers 127.0.0.1 web.service.consul
done_testing
