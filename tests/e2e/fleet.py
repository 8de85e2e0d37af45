"""Many agents on one machine against one store, under churn.

    fleet.py MUSTER WATCHERS FOLDER AGENTS INSTANCES SECONDS RATE

WATCHERS is the program dns_watchers. Starts a store of one member and AGENTS
agents, each with its own loopback address, all in one process group, which
register INSTANCES instances together (20 a service name). Then RATE changes a
second for SECONDS: instances get another port, fail, recover, come and go. Two
more a second are watched over DNS on every agent.

At the end every agent's catalogue must equal what is in the store: the same
instances at the same revisions. Prints times and memory; ends with 1 when a
catalogue differs or a change was not seen.
"""

import base64
import http.client
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time

MUSTER, WATCHERS, FOLDER = sys.argv[1:4]
AGENTS, INSTANCES, SECONDS, RATE = map(int, sys.argv[4:8])
SERVICES = max(1, INSTANCES // 20)
WATCHED_A_SECOND = 2
WRITERS = 8  # Changes under way at a time.
LIMIT = 120  # Seconds for what has to come some time.

random.seed(1)


class Agent:
    def __init__(self, number):
        self.number = number
        self.name = "node-%03d" % number
        self.address = "127.%d.%d.1" % (10 + number // 250, number % 250)
        self.folder = os.path.join(FOLDER, self.name)
        self.failed = set()
        self.lock = threading.Lock()  # One caller at a time.
        self.extra = False

    def start(self, store, group):
        os.makedirs(self.folder + "/services")
        mine = range(self.number, INSTANCES, AGENTS)
        with open(self.folder + "/services/all.json", "w") as f:
            json.dump({"services": [instance(self, i) for i in mine]}, f)
        self.ids = ["i%d" % i for i in mine]
        with open(self.folder + "/out", "w") as out, \
                open(self.folder + "/log", "w") as log:
            self.process = subprocess.Popen(
                [MUSTER, "agent", "--node", self.name, "--store", store,
                 "--data-dir", self.folder + "/data",
                 "--services", self.folder + "/services",
                 "--socket", self.folder + "/agent.sock", "--http", "off",
                 "--dns", self.address + ":0", "--advertise", self.address,
                 "--log-level", "warn"],
                stdin=subprocess.DEVNULL, stdout=out, stderr=log,
                preexec_fn=lambda: os.setpgid(0, group))
        self.connection = None

    def started(self):
        for line in open(self.folder + "/out"):
            if '"started"' in line:
                self.dns = json.loads(line)["dns"]
                return True
        if self.process.poll() is not None:
            sys.exit(open(self.folder + "/log").read() +
                     "\n%s ended" % self.name)
        return False

    def call(self, method, path, body=None):
        if self.connection is None:
            self.connection = http.client.HTTPConnection("127.0.0.1", 1)
            self.connection.sock = socket.socket(socket.AF_UNIX)
            self.connection.sock.connect(self.folder + "/agent.sock")
        self.connection.request(method, path,
                                json.dumps(body) if body else None)
        reply = self.connection.getresponse()
        text = reply.read()
        if reply.status != 200:
            sys.exit("%s %s: %d %s" % (method, path, reply.status, text))
        return text

    def hang_up(self):
        """An agent ends a connection that says nothing for a while."""
        self.connection = None

    def metric(self, name):
        for line in self.call("GET", "/v1/metrics").decode().splitlines():
            if line.startswith(name + " "):
                return int(float(line.split()[1]))

    def memory(self):
        """Resident and proportional MiB."""
        kinds = {}
        for line in open("/proc/%d/smaps_rollup" % self.process.pid):
            words = line.split()
            if words[0] in ("Rss:", "Pss:"):
                kinds[words[0]] = int(words[1]) / 1024
        return kinds["Rss:"], kinds["Pss:"]

    def cpu(self):
        fields = open("/proc/%d/stat" % self.process.pid).read().split()
        return (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")

    def catalogue(self):
        seen = {}
        for service in json.loads(self.call("GET", "/v1/catalog/services")):
            path = "/v1/health/service/" + service
            for entry in json.loads(self.call("GET", path)):
                s = entry["Service"]
                seen[service, entry["Node"]["Node"], s["ID"]] = (
                    s["Port"], s["ModifyIndex"],
                    sorted((c["CheckID"], c["Status"])
                           for c in entry["Checks"] if c["ServiceID"]))
        return seen


def instance(agent, number, port=None):
    name = "service-%03d" % (number % SERVICES)
    return {"name": name, "id": "i%d" % number,
            "port": port or 1024 + number, "address": agent.address,
            "tags": ["v%d" % (number % 3), "eu"],
            "meta": {"team": "pay", "version": "1.%d" % (number % 7)},
            "check": {"ttl": "1h", "status": "passing",
                      "id": "c%d" % number}}


def register(agent, body):
    agent.call("PUT", "/v1/agent/service/register", body)


def extra(agent, port):
    return {"Name": "extra", "ID": "extra-" + agent.name, "Port": port,
            "Address": agent.address}


def watched(agent, port):
    return {"Name": "watched-" + agent.name, "Port": port,
            "Address": agent.address}


def change(agent):
    """One of what happens in a fleet: a check turns, a service moves, comes or
    goes."""
    kind = random.choice(("check", "check", "move", "come or go"))
    if kind == "check":
        number = int(random.choice(agent.ids)[1:])
        ill = number in agent.failed
        (agent.failed.remove if ill else agent.failed.add)(number)
        agent.call("PUT", "/v1/agent/check/%s/c%d" %
                   ("pass" if ill else "fail", number))
    elif kind == "come or go" and agent.extra:
        agent.call("PUT", "/v1/agent/service/deregister/extra-" + agent.name)
        agent.extra = False
    else:
        register(agent, extra(agent, random.randrange(1, 60000)))
        agent.extra = True


def wait_for(what, condition):
    until = time.monotonic() + LIMIT
    while not condition():
        if time.monotonic() > until:
            sys.exit("waited in vain for " + what)
        time.sleep(0.05)


def store_start():
    """The store leads the process group."""
    log = open(FOLDER + "/store.log", "w")
    ports = []
    for _ in range(2):
        s = socket.socket()
        s.bind(("127.0.0.1", 0))
        ports.append(s)
    client, peer = ("http://127.0.0.1:%d" % s.getsockname()[1] for s in ports)
    for s in ports:
        s.close()
    process = subprocess.Popen(
        [MUSTER, "store", "--name", "s1", "--data-dir", FOLDER + "/store",
         "--listen-client-urls", client, "--advertise-client-urls", client,
         "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
         "--initial-cluster", "s1=" + peer],
        stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        preexec_fn=lambda: os.setpgid(0, 0))
    return process, client


def store_content(store):
    """As Agent.catalogue(), read from the keys themselves."""
    text = subprocess.run(
        ["etcdctl", "--endpoints", store, "get", "--prefix",
         "/muster/v1/dc1/inst/", "-w", "json"], check=True,
        stdout=subprocess.PIPE, env={**os.environ, "ETCDCTL_API": "3"}).stdout
    seen = {}
    for kv in json.loads(text).get("kvs", []):
        service, node, identity = base64.b64decode(
            kv["key"]).decode().split("/")[-3:]
        value = json.loads(base64.b64decode(kv["value"]))
        seen[service, node, identity] = (
            value["port"], kv["mod_revision"],
            sorted((c["id"], c.get("status", "passing"))
                   for c in value.get("checks", [])))
    return seen


def at(sorted_list, share):
    return sorted_list[min(len(sorted_list) - 1, int(len(sorted_list) * share))]


def show(what, times):
    times = sorted(times)
    print("%-36s p50 %7.2f  p90 %7.2f  p99 %7.2f  max %7.2f ms" %
          (what, at(times, .5), at(times, .9), at(times, .99), times[-1]))


class Churn:
    """RATE changes a second, made by independent hosts: none waits for another.
    A change that is begun late for lack of time counts from when it was due.
    """

    def __init__(self, agents, watchers):
        self.agents, self.watchers = agents, watchers
        self.calls, self.each, self.last = [], [], []  # Milliseconds.
        self.failure = None
        self.steps = iter(range(SECONDS * RATE))
        self.take = threading.Lock()
        self.begin = time.monotonic()

    def due(self, second):
        """Waits until then, and returns when that was."""
        due = self.begin + second
        time.sleep(max(0, due - time.monotonic()))
        return due

    def make(self):
        while not self.failure:
            with self.take:
                step = next(self.steps, None)
            if step is None:
                return
            due = self.due(step / RATE)
            agent = random.choice(self.agents)
            with agent.lock:
                change(agent)
            self.calls.append(1000 * (time.monotonic() - due))

    def watch(self):
        """Beside them, changes whose answers over DNS are waited for."""
        ports = {}
        for step in range(SECONDS * WATCHED_A_SECOND):
            if self.failure:
                return
            self.due(step / WATCHED_A_SECOND)
            agent = random.choice(self.agents)
            port = ports[agent.name] = ports.get(agent.name, 2000) + 1
            at_once = time.monotonic_ns()
            with agent.lock:
                register(agent, watched(agent, port))
            self.watchers.stdin.write("watched-%s.service.consul %d %d\n" %
                                      (agent.name, port, at_once))
            self.watchers.stdin.flush()
            times = self.watchers.stdout.readline().split()
            if "-" in times or len(times) != len(self.agents):
                sys.exit("a change was not seen: %s" % times)
            times = [int(t) / 1000 for t in times]
            self.each += times
            self.last.append(max(times))

    def guarded(self, work):
        try:
            work()
        except BaseException as problem:  # Also sys.exit: it ends a thread only.
            self.failure = problem

    def run(self):
        work = [self.make] * WRITERS + [self.watch]
        threads = [threading.Thread(target=self.guarded, args=(w,))
                   for w in work]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self.failure:
            raise self.failure
        took = time.monotonic() - self.begin
        made = len(self.calls) + len(self.last)
        print("%d changes in %.1f s: %.1f a second, %d of them watched" %
              (made, took, made / took, len(self.last)))
        show("a change's HTTP call, from when due", self.calls)
        show("change to DNS, each agent", self.each)
        show("change to DNS, the last agent", self.last)


def compare(agents, store):
    wait_for("all agents at the store's revision", lambda: len(
        {a.metric("muster_replica_revision") for a in agents}) == 1)
    wanted = store_content(store)
    different = 0
    for agent in agents:
        agent.hang_up()
        got = agent.catalogue()
        if got != wanted:
            different += 1
            for key in sorted(set(got) | set(wanted)):
                if got.get(key) != wanted.get(key):
                    print("%s: %s is %s, in the store %s" % (
                        agent.name, key, got.get(key), wanted.get(key)))
                    break
    print("%d agents have the store's %d instances at its revisions, "
          "%d do not" % (len(agents) - different, len(wanted), different))
    return different == 0 and len(wanted) >= INSTANCES


def memory(agents, when):
    rss, pss = zip(*(a.memory() for a in agents))
    print("memory %-27s RSS %.1f to %.1f, median %.1f MiB; PSS median %.1f" %
          (when, min(rss), max(rss), at(sorted(rss), .5), at(sorted(pss), .5)))


def run(group, store):
    agents = [Agent(i) for i in range(AGENTS)]
    begin = time.monotonic()
    for agent in agents:
        agent.start(store, group)
    wait_for("all agents' start", lambda: all(a.started() for a in agents))
    # And the member of the store.
    wait_for("all instances on all agents", lambda: all(
        a.metric("muster_catalog_instances") == INSTANCES + 1 for a in agents))
    print("%d agents, %d instances of %d services: known to all after %.1f s" %
          (AGENTS, INSTANCES, SERVICES, time.monotonic() - begin))
    memory(agents, "before the churn")
    for agent in agents:
        register(agent, watched(agent, 2000))
    watchers = subprocess.Popen(
        [WATCHERS] + [a.dns for a in agents], stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, text=True)
    used = sum(a.cpu() for a in agents)
    begin = time.monotonic()
    Churn(agents, watchers).run()
    used = sum(a.cpu() for a in agents) - used
    print("CPU an agent: %.2f %% of a core" %
          (100 * used / (time.monotonic() - begin) / AGENTS))
    watchers.stdin.close()
    watchers.wait()
    equal = compare(agents, store)
    memory(agents, "after the churn")
    return 0 if equal else 1


def main():
    store, url = store_start()
    try:
        return run(store.pid, url)
    finally:
        os.killpg(store.pid, signal.SIGKILL)
        store.wait()


sys.exit(main())
