# shellcheck shell=bash
# Sourced by the scripts here: requests as files, CPU time, ports, the end.
export ETCDCTL_API=3
SCRATCH=$(mktemp -d "${TMPDIR:-/var/tmp}/muster-bench.XXXXXX")
PIDS=""
# shellcheck disable=SC2086 # Several.
trap 'kill $PIDS 2>/dev/null; wait; rm -rf "$SCRATCH"' EXIT

free_port() {
    python3 -c 'import socket
s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# body FILE KIND ARG...: a gRPC message with a request.
body() {
    python3 - "$@" <<'PY'
import struct, sys
out, kind, args = sys.argv[1], sys.argv[2], sys.argv[3:]
def varint(n):
    b = b""
    while n > 127:
        b += bytes([n & 127 | 128]); n >>= 7
    return b + bytes([n])
def field(n, v):
    return varint(n << 3 | 2) + varint(len(v)) + v
key = args[0].encode()
if kind == "put":
    m = field(1, key) + field(2, b"v" * int(args[1]))
elif kind == "range":
    m = field(1, key)
elif kind == "prefix":
    m = field(1, key) + field(2, key[:-1] + bytes([key[-1] + 1]))
open(out, "wb").write(b"\0" + struct.pack(">I", len(m)) + m)
PY
}

# cpu_us PID: user and system time used so far, of all threads.
cpu_us() {
    awk -v hz="$(getconf CLK_TCK)" \
        '{ sub(/.*\) /, ""); print int(($12 + $13) * 1000000 / hz) }' \
        "/proc/$1/stat"
}

fail() {
    echo "$*" >&2
    exit 1
}
