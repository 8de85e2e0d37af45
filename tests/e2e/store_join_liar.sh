# A member that joins asks the others who is in the cluster; one that answers with as
# much as may be read, and nothing else, is no member that answers.
. "$(dirname "$0")/lib.sh"

cat >"$SCRATCH/liar.py" <<'PY'
import http.server


class Liar(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = b"[]".ljust(1024 * 1024)
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Liar)
print("port", server.server_port, flush=True)
server.serve_forever()
PY
spawn liar "$PYTHON" "$SCRATCH/liar.py"
wait_until 10 "the liar" grep -q '^port ' "$SCRATCH/liar.log"
port=$(sed -n 's/^port //p' "$SCRATCH/liar.log")
spawn joining "$MUSTER" store --name b --data-dir "$SCRATCH/b" \
    --listen-client-urls http://127.0.0.1:0 --listen-peer-urls http://127.0.0.1:0 \
    --initial-advertise-peer-urls http://127.0.0.1:1 --initial-cluster-state existing \
    --initial-cluster "a=http://127.0.0.1:$port,b=http://127.0.0.1:1"
soon 20 "it says that nobody answers" grep -q 'no member of the cluster answers' \
    "$SCRATCH/joining.log"
ok "and goes on asking" kill -0 "$PID"
done_testing
