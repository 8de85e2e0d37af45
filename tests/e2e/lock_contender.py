"""One of many who want a lock, by Consul's HTTP API: lock_contender.py NAME
PORT LOCK. Prints a line when it has the lock and when it lets go, with the
lock's index and the machine's monotonic clock, for agent_locks.sh to judge."""

import json
import sys
import time
import urllib.error
import urllib.request

name, port, lock = sys.argv[1:4]


def ask(method, path, body=None):
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/{path}", data=body, method=method)
    with urllib.request.urlopen(request, timeout=70) as reply:
        text = reply.read()
        return (json.loads(text) if text else None,
                int(reply.headers.get("X-Consul-Index") or 0))


def entry(query=""):
    try:
        found, index = ask("GET", f"kv/{lock}{query}")
        return found[0], index
    except urllib.error.HTTPError as e:
        if e.code != 404:
            raise
        return None, int(e.headers["X-Consul-Index"])


def say(what, index):
    print(time.monotonic_ns(), what, index, name, flush=True)


def contend():
    session = ask("PUT", "session/create", json.dumps(
        {"Name": name, "TTL": "10s", "LockDelay": "1s"}).encode())[0]["ID"]
    renewed = time.monotonic()
    while True:
        if time.monotonic() - renewed > 3:
            ask("PUT", f"session/renew/{session}")
            renewed = time.monotonic()
        if ask("PUT", f"kv/{lock}?acquire={session}", name.encode())[0]:
            found, _ = entry()
            if found and found.get("Session") == session:
                say("has", found["LockIndex"])
                time.sleep(0.02)
                say("leaves", found["LockIndex"])
            ask("PUT", f"kv/{lock}?release={session}", b"")
        else:
            found, index = entry()
            if found and "Session" in found:
                entry(f"?index={index}&wait=2s")
            else:
                time.sleep(0.1)  # A lock-delay.


while True:
    try:
        contend()
    except (urllib.error.URLError, OSError) as e:
        print(f"# {name}: {e}", file=sys.stderr, flush=True)
        time.sleep(2)
