"""Watches HAProxy's servers while instances come and go.

    dns_haproxy.py HAPROXY-SOCKET AGENT-HTTP SECONDS
"""

import http.client
import json
import socket
import sys
import threading
import time

SOCKET, AGENT, SECONDS = sys.argv[1], sys.argv[2], float(sys.argv[3])
NO_ADDRESS = 0x20  # srv_admin_state: out for want of an address.
SIZES = (5, 100, 200)
count = 0
failed = 0


def ok(title, good, got=""):
    global count, failed
    count += 1
    failed += not good
    print("%s %d - %s" % ("ok" if good else "not ok", count, title), flush=True)
    if not good:
        print("#   got %s" % (got,))


def haproxy(command):
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(SOCKET)
        s.sendall(command.encode() + b"\n")
        return b"".join(iter(lambda: s.recv(65536), b"")).decode()


def servers():
    """By backend: the slot of each address and port that is in use."""
    found = {"s%d" % n: {} for n in SIZES}
    for line in haproxy("show servers state").splitlines():
        words = line.split()
        if len(words) < 19 or words[1] not in found:
            continue
        if int(words[6]) & NO_ADDRESS == 0:
            found[words[1]][words[4] + ":" + words[18]] = words[3]
    return found


def until(seconds, condition):
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value or time.monotonic() > end:
            return value
        time.sleep(0.05)


def put(path, body=None):
    conn = http.client.HTTPConnection(AGENT, timeout=20)
    conn.request("PUT", path, json.dumps(body) if body else "")
    answer = conn.getresponse()
    answer.read()
    assert answer.status == 200, (path, answer.status)
    conn.close()


churned = 0
over = threading.Event()


def churn():
    """Instances of the services that fit whole, and of others, come and go."""
    global churned
    while not over.is_set():
        for name in ("s5", "s100", "other"):
            for i in range(4):
                put("/v1/agent/service/register", {
                    "Name": name, "ID": "%s-x%d" % (name, i), "Port": 7000 + i,
                    "Address": "10.251.%d.%d" % (churned % 250, i + 1)})
        for name in ("s5", "s100", "other"):
            for i in range(4):
                put("/v1/agent/service/deregister/%s-x%d" % (name, i))
        churned += 1


def filled():
    now = servers()
    return now if len(now["s5"]) == 5 and len(now["s100"]) == 100 and \
        len(now["s200"]) > 60 else None


first = until(30, filled)
ok("HAProxy has its servers", first is not None,
   {name: len(all_) for name, all_ in servers().items()})
if not first:
    sys.exit(1)
fits = until(10, lambda: len(servers()["s200"]) == len(first["s200"])) and first
thread = threading.Thread(target=churn)
thread.start()
gone = {name: set() for name in first}
moved = {name: set() for name in first}
most = {name: 0 for name in first}
looks = 0
end = time.monotonic() + SECONDS
while time.monotonic() < end or (churned < 5 and thread.is_alive()):
    now = servers()
    looks += 1
    for name, before in first.items():
        most[name] = max(most[name], len(now[name]))
        for address, slot in before.items():
            if address not in now[name]:
                gone[name].add(address)
            elif now[name][address] != slot:
                moved[name].add(address)
    time.sleep(0.02)
over.set()
thread.join()
ok("others came and went %d times, seen in %d looks" % (churned, looks),
   churned >= 5 and most["s5"] > 5 and most["s100"] > 100, (churned, most))
for name, before in first.items():
    ok("%s: none of %d servers was ever out" % (name, len(before)),
       not gone[name], gone[name])
    ok("%s: nor changed its place" % name, not moved[name], moved[name])
print("1..%d" % count)
sys.exit(1 if failed else 0)
