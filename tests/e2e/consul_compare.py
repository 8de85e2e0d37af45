"""Two agents are asked the same, and what they answer is compared.

    consul_compare.py CONSUL_ADDRESS OUR_ADDRESS [PATTERN]

The rows are in consul/*.py. A row whose answers differ fails, unless the row or
a rule of consul/rules.py says why ours is to be another one; then ours has to
be exactly that, and a reason that is no longer needed fails, too. Rows are asked
in their order: they build on each other. Prints what differs, and what does on
purpose; PATTERN chooses among the former.
"""
import http.client
import json
import re
import sys
import time

sys.path.insert(0, __file__.rsplit("/", 1)[0])
from consul import rules, tables  # noqa: E402
from consul.row import ANY  # noqa: E402

SETTLE_SECONDS = 5
KINDS = {int: "number", float: "number"}
UUID = re.compile(
    "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


class Side:
    """One of the agents: its connection, and what rows have kept of it."""

    def __init__(self, name, address):
        self.name = name
        self.address = address
        self.kept = {}
        self.connection = None

    def fill(self, text):
        for name, value in self.kept.items():
            text = text.replace("{%s}" % name, str(value))
        return text

    def ask(self, row):
        body = row.body
        if body is not None and not isinstance(body, (str, bytes)):
            body = json.dumps(body)
        if isinstance(body, str):
            body = self.fill(body).encode()
        for attempt in (1, 2):
            if self.connection is None:
                host, port = self.address.rsplit(":", 1)
                self.connection = http.client.HTTPConnection(
                    host, int(port), timeout=15)
            try:
                return self._ask(row, body)
            except (http.client.HTTPException, OSError):
                self.connection.close()
                self.connection = None
        return Reply(self, None, b"", 0)

    def _ask(self, row, body):
        c = self.connection
        c.putrequest(row.method, self.fill(row.path),
                     skip_accept_encoding=True)
        for name, value in row.headers.items():
            c.putheader(name, self.fill(value))
        if body is not None:
            c.putheader("Content-Length", str(len(body)))
        begin = time.monotonic()
        c.endheaders(body)
        got = c.getresponse()
        return Reply(self, got, got.read(), time.monotonic() - begin)

    def symbol(self, found):
        """An id that a row has kept is known by its name."""
        for name, value in self.kept.items():
            if value == found.group(0):
                return "id-of-" + name
        return "id-of-somebody"


class Reply:
    """Status, headers and body of an answer, and the body as JSON."""

    def __init__(self, side, got, body, seconds):
        self.side = side
        self.status = got.status if got else "closed"
        self.headers = {k.lower(): v for k, v in got.getheaders()} if got else {}
        self.bytes = body
        self.seconds = seconds
        self.json = rules.NOTHING
        if self.headers.get("content-type", "").startswith("application/json"):
            try:
                self.json = json.loads(body)
            except ValueError:
                pass

    def text(self):
        return self.bytes.decode("utf-8", "replace")

    def document(self, row):
        """What is compared: everything, without what cannot be equal."""
        result = {"status": self.status}
        for name in rules.HEADERS:
            if name in self.headers:
                result[name] = self.headers[name]
        for name, value in self.headers.items():
            if name.startswith("x-consul-"):
                result[name] = rules.header(name, value)
        if self.json is rules.NOTHING:
            result["text"] = UUID.sub("id", self.text())
        else:
            result["body"] = rules.plain(self._plain(self.json, row, ""))
            if row.tags and isinstance(result["body"], dict):
                result["body"] = {k: sorted(v)
                                  for k, v in result["body"].items()}
        if row.blocks is not None:
            result["blocked"] = self.seconds >= row.blocks
        return result

    def _plain(self, value, row, key):
        if key in row.ignore:
            return "ignored"
        if key in rules.OPAQUE:
            return type(value).__name__
        if isinstance(value, dict):
            return {self._word(k): self._plain(v, row, k)
                    for k, v in value.items()}
        if isinstance(value, list):
            return [self._plain(v, row, key) for v in value]
        if row.shape and value is not None:
            return KINDS.get(type(value), type(value).__name__)
        if isinstance(value, str):
            return self._word(value)
        if key in rules.INDEXES and isinstance(value, int):
            return "index" if value > 0 else 0
        return value

    def _word(self, text):
        return UUID.sub(self.side.symbol, text)


def differences(path, theirs, ours):
    """Pairs that differ: (path, theirs, ours), NOTHING for what is missing."""
    if isinstance(theirs, dict) and isinstance(ours, dict):
        for key in sorted(set(theirs) | set(ours)):
            yield from differences(path + "." + key,
                                   theirs.get(key, rules.NOTHING),
                                   ours.get(key, rules.NOTHING))
    elif (isinstance(theirs, list) and isinstance(ours, list)
          and len(theirs) == len(ours)):
        for i, (a, b) in enumerate(zip(theirs, ours)):
            yield from differences("%s.%d" % (path, i), a, b)
    elif type(theirs) is not type(ours) or theirs != ours:
        yield path, theirs, ours


class Verdict:
    def __init__(self, row, theirs, ours):
        a, b = theirs.document(row), ours.document(row)
        self.used = set()
        self.left = []
        for name, want in row.ours.items():
            if want is not ANY and b.get(name) != want:
                self.left.append(("." + name, want, b.get(name)))
        for path, x, y in differences("", a, b):
            head = path.split(".")[1]
            if {path[1:], head, "*"} & set(row.ours):
                self.used.add("row")
                continue
            rule = rules.find(path, x, y, a, b)
            if rule is None:
                self.left.append((path, x, y))
            else:
                self.used.add(rule)
        if row.words is not None:
            for side, reply in (("Consul", theirs), ("muster", ours)):
                if row.words not in reply.text():
                    self.left.append(("words of " + side, row.words,
                                      reply.text()))
        if row.why and "row" not in self.used and not self.left:
            self.left.append(("the reason is not needed", row.why, ""))


def settle(row, sides):
    """Ask until the row's condition holds on both."""
    for side in sides:
        until = time.monotonic() + SETTLE_SECONDS
        while True:
            reply = side.ask(row)
            try:
                if row.until(reply.json):
                    break
            except (KeyError, IndexError, TypeError):
                pass
            if time.monotonic() > until:
                return "%s did not come to it: %s" % (side.name, reply.text())
            time.sleep(0.02)
    return None


def play(row, sides):
    """The verdict, or words on why there is none."""
    if row.until is not None:
        trouble = settle(row, sides)
        if trouble:
            return trouble
    replies = [side.ask(row) for side in sides]
    for side, reply in zip(sides, replies):
        for name, get in row.keep.items():
            try:
                side.kept[name] = get(reply)
            except (KeyError, IndexError, TypeError):
                return "%s has no %s: %s" % (side.name, name, reply.text())
    return Verdict(row, *replies)


def show(value):
    if value is rules.NOTHING:
        return "-"
    text = json.dumps(value)
    return text if len(text) < 700 else text[:500] + " ... " + text[-150:]


def main():
    pattern = re.compile(sys.argv[3]) if len(sys.argv) > 3 else None
    sides = [Side("Consul", sys.argv[1]), Side("muster", sys.argv[2])]
    failed = same = 0
    purposes = {}
    count = 0
    for family, row in tables.rows():
        count += 1
        what = "%s: %s %s%s" % (family, row.method, row.path,
                                " (%s)" % row.note if row.note else "")
        verdict = play(row, sides)
        if isinstance(verdict, str):
            left, used = [(verdict, rules.NOTHING, rules.NOTHING)], set()
        else:
            left, used = verdict.left, verdict.used
        if left:
            failed += 1
            if pattern is None or pattern.search(what):
                print("# row %d differs: %s" % (count, what))
                for path, a, b in left:
                    print("#   %s\n#     consul: %s\n#     muster: %s" %
                          (path, show(a), show(b)))
            continue
        same += not used
        for name in used:
            reason = row.why if name == "row" else rules.REASONS[name]
            purposes.setdefault(reason, []).append(what)
    print("# %d rows: %d equal, %d differ on purpose, %d fail" %
          (count, same, count - same - failed, failed))
    for reason, rows in sorted(purposes.items()):
        print("# on purpose, %d rows: %s" % (len(rows), reason))
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
