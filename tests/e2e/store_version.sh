# The cluster's version is the lowest of its members': one that is older holds it
# down, one that is newer does not push it up, and it never falls.
. "$(dirname "$0")/lib.sh"

cd "$SCRATCH" || bail "no scratch folder"

# A member of whom only /version is known: the text of FILE, and each question is
# a line of FILE.asked.
cat >other.py <<'PY'
import http.server
import sys

port, path = int(sys.argv[1]), sys.argv[2]


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        known = self.path == "/version"
        text = open(path).read() if known else ""
        body = text.encode()
        self.send_response(200 if known else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        if known:
            with open(path + ".asked", "a") as f:
                f.write(text + "\n")

    do_POST = do_GET

    def log_message(self, *args):
        pass


http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
PY
other_says() { # NAME VERSION
    echo "{\"etcdserver\": \"$2\",\"etcdcluster\":\"$2\"}" >"$1.new"
    mv "$1.new" "$1.version"
}
other_start() {
    spawn "$1" "$PYTHON" other.py "$(cat "$1.peer")" "$1.version"
}
cluster_version() { # NAME
    curl -fsS --max-time 2 "$(client_url "$1")/version" |
        sed 's/.*"etcdcluster":"\([^"]*\)".*/\1/'
}
version_is() { # VERSION NAME...
    local wanted=$1 name
    shift
    for name in "$@"; do
        [ "$(cluster_version "$name")" = "$wanted" ] || return 1
    done
}
asked_again() { # NAME: twice more than when it was last counted.
    [ "$(wc -l <"$1.version.asked")" -ge $((ASKED + 2)) ]
}

# --- one that is older
cluster_names a b c
other_says c 3.4.9
other_start c
member_spawn a
member_spawn b
member_wait a b
wait_until 20 "the lowest version" version_is 3.4.0 a b
is "$(cluster_version a)" 3.4.0 "the lowest of three counts"
is "$(cluster_version b)" 3.4.0 "and all know it"
like "$(curl -fsS "$(client_url a)/metrics")" \
    '^etcd_cluster_version\{cluster_version="3.4"\} 1' "so do the metrics"
is "$(ctl_of a endpoint status | cut -d, -f3 | tr -d ' ')" 3.5.16 \
    "endpoint status tells the member's own"
like "$(cat a.log b.log)" "the cluster's version is 3.4.0" "the log says so"

# --- which is replaced by a newer one
other_says c 3.6.1
wait_until 20 "the next version" version_is 3.5.0 a b
is "$(cluster_version a)" 3.5.0 "it rises when the oldest is renewed"

# --- and by an older one again: never back
ASKED=$(wc -l <c.version.asked)
other_says c 3.3.0
wait_until 30 "c to be asked twice" asked_again c
is "$(cluster_version a)" 3.5.0 "it does not fall"
ASKED=$(wc -l <c.version.asked)
echo "no version" >c.version
wait_until 30 "c to be asked twice" asked_again c
is "$(cluster_version b)" 3.5.0 "what is no version changes nothing"

# --- it is kept
end "$a_PID"
end "$b_PID"
member_spawn a
member_spawn b
member_wait a b
is "$(cluster_version a)" 3.5.0 "it survives a restart"
end "$a_PID"
end "$b_PID"

# --- one that is not there yet
cluster_names x y z
member_spawn x
member_spawn y
member_wait x y
wait_until 30 "the oldest version" version_is 3.0.0 x y
is "$(cluster_version x)" 3.0.0 "without all answers it begins with the oldest"
is "$(ctl_of x put one 1)" OK "and works"
other_says z 3.5.2
other_start z
wait_until 30 "the lowest version" version_is 3.5.0 x y
is "$(cluster_version y)" 3.5.0 "and rises when all have answered"

# --- one that leaves the others behind: it has its version put into the log
cat >propose.py <<'PY'
import sys
import urllib.request


def varint(value):
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def number(field, value):
    return varint(field << 3) + varint(value)


def part(field, value):
    return varint(field << 3 | 2) + varint(len(value)) + value


url, cluster, to, sender, version = sys.argv[1:]
request = part(100, number(1, 4711)) + part(1300, part(1, version.encode()))
message = number(1, 2) + number(2, int(to, 16)) + number(3, int(sender, 16))
message += part(7, part(4, request))
headers = {"X-Etcd-Cluster-ID": cluster, "X-Server-From": sender}
urllib.request.urlopen(urllib.request.Request(url + "/raft", message, headers))
PY
LEADER=$(leader_of x y)
CLUSTER_ID=$(curl -fsSi "$(peer_url x)/members" | tr -d '\r' |
    sed -n 's/^X-Etcd-Cluster-ID: //p')
"$PYTHON" propose.py "$(peer_url "$LEADER")" "$CLUSTER_ID" \
    "$(ctl_of x member list | grep "$(peer_url "$LEADER")" | cut -d, -f1)" \
    "$(ctl_of x member list | grep "$(peer_url z)" | cut -d, -f1)" 9.9.0 ||
    bail "the proposal was refused"
TOO_OLD="the cluster's version is 9.9.0, and this member can do 3.5.0 only"
# The leader's last act may come before it has told the other that the entry is
# committed; alone the other cannot find out.
ENDED=""
for name in x y; do
    pid=$(eval "echo \$${name}_PID")
    if ! _await_exit "$pid" 200; then
        [ "$name" != "$LEADER" ] || bail "$name leads and goes on"
        unlike "$(cat $name.log)" "version is 9.9.0" "$name was not told"
        end "$pid" TERM
        continue
    fi
    ENDED="$ENDED $name"
    wait "$pid"
    is $? 1 "$name ends"
    like "$(cat $name.log)" "$TOO_OLD" "and says why"
done
member_spawn x
member_spawn y
for name in $ENDED; do
    pid=$(eval "echo \$${name}_PID")
    _await_exit "$pid" 200 || bail "$name goes on"
    wait "$pid"
    is $? 1 "$name does not go on with this data either"
done
done_testing
