"""One of many who want a lock, by Consul's HTTP API: lock_contender.py NAME
PORT LOCK FREEZE. Prints a line when it has the lock and when it lets go, with the
machine's monotonic clock, the lock's index, its name, and when it last asked for its
session to be renewed, for agent_locks.sh to judge. Of all who have the lock, the
first one to see the file FREEZE renames it to FREEZE.NAME and stops itself."""

import json
import os
import signal
import sys
import time
import urllib.error
import urllib.request

name, port, lock, freeze = sys.argv[1:5]
TTL_S = 10


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


def say(what, index, renewed):
    print(time.monotonic_ns(), what, index, name, renewed, flush=True)


def hold(index, renewed):
    """While the session's TTL lasts, and no longer: whoever was not given the
    processor for so long has the lock no more."""
    end = renewed + TTL_S * 1_000_000_000
    if time.monotonic_ns() >= end:
        return
    say("has", index, renewed)
    try:
        os.rename(freeze, f"{freeze}.{name}")
        os.kill(os.getpid(), signal.SIGSTOP)
    except FileNotFoundError:
        pass
    time.sleep(0.02)
    say("leaves" if time.monotonic_ns() < end else "lost", index, renewed)


def contend():
    renewed = time.monotonic_ns()
    session = ask("PUT", "session/create", json.dumps(
        {"Name": name, "TTL": f"{TTL_S}s", "LockDelay": "1s"}).encode())[0]["ID"]
    while True:
        now = time.monotonic_ns()
        if now - renewed > 3_000_000_000:
            ask("PUT", f"session/renew/{session}")
            renewed = now
        if ask("PUT", f"kv/{lock}?acquire={session}", name.encode())[0]:
            found, _ = entry()
            if found and found.get("Session") == session:
                hold(found["LockIndex"], renewed)
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
