"""Who asks in tests/bench/agent/consul.sh.

    consul_ask.py start DNS PID             prints ms of PID's life until it answers
    consul_ask.py bodies COUNT              instances for PUT /v1/catalog/register
    consul_ask.py services NAME COUNT       for PUT /v1/agent/service/register
    consul_ask.py wait URL COUNT            until so many instances are passing
    consul_ask.py register HTTP DNS ROUNDS  prints p50 and p99 in ms
    consul_ask.py polls HTTP COUNT PID      prints MiB resident while they wait
"""

import http.client
import json
import os
import socket
import struct
import sys
import time
import urllib.request

DOMAIN = "muster.internal"


class Dns:
    def __init__(self, port):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.connect(("127.0.0.1", int(port)))
        self.socket.settimeout(2)

    def answers(self, name):
        """How many answers; an error when nobody listens."""
        labels = b"".join(bytes([len(part)]) + part.encode()
                          for part in (name + "." + DOMAIN).split("."))
        self.socket.send(struct.pack(">6H", 7, 0, 1, 0, 0, 0) + labels
                         + struct.pack(">BHH", 0, 1, 1))
        return struct.unpack(">H", self.socket.recv(4096)[6:8])[0]


def until(seconds, what, condition, pause_s=0.0):
    limit = time.perf_counter() + seconds
    while True:
        try:
            if condition():
                return
        except (OSError, http.client.HTTPException):
            pass
        if time.perf_counter() > limit:
            sys.exit("waited in vain for " + what)
        time.sleep(pause_s)


def begun_s(pid):
    """When the process began, on the clock of time.clock_gettime(BOOTTIME)."""
    with open("/proc/%s/stat" % pid, encoding="ascii") as stat:
        ticks = int(stat.read().rsplit(")", 1)[1].split()[19])
    return ticks / os.sysconf("SC_CLK_TCK")


def start(port, pid):
    dns = Dns(port)
    until(60, "the first answer", lambda: dns.answers("bench.node") == 1, 0.001)
    now = time.clock_gettime(time.CLOCK_BOOTTIME)
    print("%.0f" % ((now - begun_s(pid)) * 1000))


def bodies(count):
    for i in range(int(count)):
        ident = "s%d-%d" % (i % 100, i)
        print(json.dumps({
            "Node": "host-%d" % (i % 500),
            "Address": "10.1.%d.%d" % (i % 500 // 250, i % 250),
            "Service": {"ID": ident, "Service": "s%d" % (i % 100),
                        "Tags": ["v3", "eu"], "Port": 8000 + i % 1000,
                        "Meta": {"team": "pay"}},
            "Check": {"CheckID": "c%d" % i, "Name": "up", "Status": "passing",
                      "ServiceID": ident}}))


def services(name, count):
    for i in range(1, int(count) + 1):
        print(json.dumps({
            "Name": name, "ID": "%s-%d" % (name, i), "Port": 8000 + i,
            "Address": "10.2.0.%d" % i, "Tags": ["v3", "eu"],
            "Meta": {"team": "pay"}, "Check": {"TTL": "1h", "Status": "passing"}}))


def wait(url, count):
    def passing():
        with urllib.request.urlopen(url, timeout=10) as reply:
            return len(json.load(reply)) == int(count)
    until(30, url, passing, 0.05)


def put(agent, path, body):
    agent.request("PUT", path, body)
    reply = agent.getresponse()
    text = reply.read()
    if reply.status != 200:
        sys.exit("%s: %d %s" % (path, reply.status, text))


def register(where, port, rounds):
    agent = http.client.HTTPConnection(where)
    dns = Dns(port)
    times = []
    for i in range(int(rounds)):
        name = "new%d" % i
        body = json.dumps({"Name": name, "Port": 80, "Address": "10.0.0.1",
                           "Check": {"TTL": "60s", "Status": "passing"}})
        begin = time.perf_counter()
        put(agent, "/v1/agent/service/register", body)
        until(10, name, lambda n=name: dns.answers(n + ".service") == 1)
        times.append((time.perf_counter() - begin) * 1000)
        put(agent, "/v1/agent/service/deregister/" + name, "")
    times.sort()
    print("%.2f %.2f" % (times[len(times) // 2],
                         times[min(len(times) - 1, len(times) * 99 // 100)]))


def polls(where, count, pid):
    """Ten a service, of the services of the world."""
    host, port = where.split(":")
    agent = http.client.HTTPConnection(where)
    waiting = []
    for i in range(int(count)):
        path = "/v1/health/service/a%d?passing" % (i // 10 % 1000)
        agent.request("GET", path)
        reply = agent.getresponse()
        reply.read()
        s = socket.create_connection((host, int(port)))
        s.sendall(("GET %s&index=%s&wait=600s HTTP/1.1\r\nHost: localhost\r\n\r\n" % (
            path, reply.getheader("X-Consul-Index"))).encode())
        waiting.append(s)
    # One more question, behind all of them, has been answered when they wait.
    agent.request("GET", "/v1/catalog/service/a0")
    agent.getresponse().read()
    time.sleep(1)
    for s in waiting:
        s.setblocking(False)
        try:
            s.recv(1)
            sys.exit("a poll was answered or refused")
        except BlockingIOError:
            pass
    with open("/proc/%s/status" % pid, encoding="ascii") as status:
        kib = [line for line in status if line.startswith("VmRSS")][0].split()[1]
    print("%.1f" % (int(kib) / 1024))


COMMANDS = {"start": start, "bodies": bodies, "services": services, "wait": wait,
            "register": register, "polls": polls}

if __name__ == "__main__":
    COMMANDS[sys.argv[1]](*sys.argv[2:])
