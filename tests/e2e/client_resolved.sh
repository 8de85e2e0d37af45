# systemd-resolved, as `muster setup-resolver resolved` configures it, asks the
# agent for its domains, and so does every program of the host that uses libc.
. "$(dirname "$0")/lib.sh"

# Installing it would change the machine's resolver, so it is only unpacked.
if [ -z "${MUSTER_OWN_NETWORK:-}" ]; then
    RESOLVED_DIR=$(mktemp -d)
    export RESOLVED_DIR
    (cd "$RESOLVED_DIR" && apt-get download -qq systemd-resolved &&
        dpkg -x systemd-resolved_*.deb .) >/dev/null 2>&1 ||
        bail "apt-get cannot download systemd-resolved"
fi
own_network
mv "$RESOLVED_DIR" "$SCRATCH/package"
RESOLVED="$SCRATCH/package/lib/systemd/systemd-resolved"
[ -x "$RESOLVED" ] ||
    bail "no systemd-resolved in its package"

# It asks nobody while only the loopback is up, wants its own user, which may be
# root here, and its own files, which may not be the machine's.
ip link add link0 type veth peer name link1
ip addr add 192.0.2.1/24 dev link0
ip link set link0 up
ip link set link1 up
for file in passwd group; do
    sed '/^systemd-resolve:/d' "/etc/$file" >"$SCRATCH/$file"
done
echo "systemd-resolve:x:0:0::/:/bin/false" >>"$SCRATCH/passwd"
echo "systemd-resolve:x:0:" >>"$SCRATCH/group"
mkdir "$SCRATCH/run" "$SCRATCH/etc"
mount --bind "$SCRATCH/passwd" /etc/passwd
mount --bind "$SCRATCH/group" /etc/group
mount --bind "$SCRATCH/run" /run
mount --bind "$SCRATCH/etc" /etc/systemd
mkdir -p /run/systemd/resolve

DNS_PORT=8600 HTTP_PORT=8500
agent_start one --dev --store-listen 127.0.0.1:0
api /v1/agent/service/register -fX PUT -d '{"Name": "web", "Port": 80,
    "Address": "10.4.0.1", "Tags": ["blue"]}'
wait_until 10 "the service" answers 10.4.0.1 web.service.consul

"$MUSTER" setup-resolver resolved >/etc/systemd/resolved.conf
spawn resolved "$RESOLVED"
own_resolver 127.0.0.53
stub() {
    dig +tries=1 +time=3 @127.0.0.53 "$@"
}
resolves() {
    stub web.service.consul +short | grep -qx 10.4.0.1
}
wait_until 15 "systemd-resolved" resolves

stub_status() {
    stub "$@" | sed -n 's/.*status: \([A-Z]*\).*/\1/p'
}
is "$(stub web.service.muster.internal +short)" 10.4.0.1 "the other domain"
is "$(stub blue.web.service.consul +short)" 10.4.0.1 "a tag"
is "$(stub _web._blue.service.consul SRV +short)" \
    "1 1 80 0a040001.addr.dc1.consul." "an SRV record"
is "$(stub -x 10.4.0.1 +short)" web.service.dc1.muster.internal. \
    "an address has its name"
is "$(stub_status nothing.service.consul)" NXDOMAIN "what is not there"
is "$(stub_status web.service.consul AAAA)" NOERROR "another type"
is "$(stub_status service.consul)" NOERROR "a name between"
is "$(getent ahosts web.service.consul | awk '{ print $1 }' | sort -u)" \
    10.4.0.1 "libc finds it"
is "$(getent hosts nothing.service.consul)" "" "and finds nothing where it is not"

# Names are lower case on the way; the question comes back as it was asked.
is "$(stub WeB.SerVice.Consul +noall +answer | awk '{ print $1 }')" \
    "WeB.SerVice.Consul." "the case of a question"

api /v1/agent/service/deregister/web -fX PUT
gone() {
    [ "$(stub_status web.service.consul)" = NXDOMAIN ]
}
soon 10 "a service that goes is gone for the host" gone
done_testing
