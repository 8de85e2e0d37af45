"""What a row of the comparison is."""


ANY = object()  # Whatever it is.


class Row:
    def __init__(self, method, path, body=None, **options):
        self.method = method
        self.path = path
        self.body = body
        self.headers = options.pop("headers", {})
        # Keys of JSON objects whose values are not compared.
        self.ignore = set(options.pop("ignore", ()))
        # Only the kinds of values are compared.
        self.shape = options.pop("shape", False)
        # Lists of tags, in any order.
        self.tags = options.pop("tags", False)
        # What both answers must have in them, since clients look for it.
        self.words = options.pop("words", None)
        # Why ours differs, where, and what is there: {"status": 409, "text": ANY};
        # "*": anywhere.
        self.why = options.pop("why", None)
        self.ours = options.pop("ours", {})
        # Ask until this is true of the JSON, on both.
        self.until = options.pop("until", None)
        # Names for parts of the answer: {"session": lambda reply: ...}; later
        # rows write {session}.
        self.keep = options.pop("keep", {})
        # The answer takes at least so many seconds, or does not, on both.
        self.blocks = options.pop("blocks", None)
        self.note = options.pop("note", "")
        assert not options, options
        assert bool(self.why) == bool(self.ours), path


def differs(row, why, **ours):
    """The row, with ours to be so, and whatever else follows from that."""
    row.why, row.ours = why, dict(ours, **{"*": ANY})
    return row


def absent(path):
    """A part of Consul that is not in ours, on purpose."""
    return differs(Row("GET", path), "the service mesh, raft, gossip, audits and "
                   "logs of Consul are not built", status=404)


def get(path, **options):
    return Row("GET", path, **options)


def put(path, body=None, **options):
    return Row("PUT", path, body, **options)


def delete(path, **options):
    return Row("DELETE", path, **options)
