"""Blocking queries: what is waited for, and what index there is."""
from .row import differs, get, put


def index(reply):
    return reply.headers["x-consul-index"]


def hash_of(reply):
    return reply.headers["x-consul-contenthash"]


ROWS = [
    get("/v1/health/service/plain?index=0", blocks=0.3),
    get("/v1/health/service/plain?index=1", blocks=0.3),
    get("/v1/health/service/plain", keep={"i": index}),
    get("/v1/health/service/plain?index={i}&wait=300ms", blocks=0.3),
    get("/v1/health/service/plain?index={i}&wait=300ms&stale", blocks=0.3),
    differs(get("/v1/health/service/plain?index=99999999&wait=300ms",
                blocks=0.3),
            "an index of the future is one of another store: the answer comes "
            "at once (3.6)", status=200, blocked=False),
    get("/v1/health/service/plain?index=x"),
    get("/v1/health/service/plain?index=-1"),
    get("/v1/health/service/plain?index="),
    get("/v1/health/service/plain?wait=x"),
    get("/v1/health/service/plain?wait="),
    get("/v1/health/service/plain?index=1&wait=5"),
    get("/v1/health/service/none", keep={"n": index}),
    get("/v1/health/service/none?index={n}&wait=200ms", blocks=0.2),
    get("/v1/catalog/service/none", keep={"n": index}),
    get("/v1/catalog/service/none?index={n}&wait=200ms", blocks=0.2),
    get("/v1/catalog/services", tags=True, keep={"n": index}),
    get("/v1/catalog/services?index={n}&wait=200ms", tags=True,
        blocks=0.2),
    get("/v1/catalog/nodes", keep={"n": index}),
    get("/v1/catalog/nodes?index={n}&wait=200ms", blocks=0.2),
    get("/v1/catalog/node/one", keep={"n": index}),
    get("/v1/catalog/node/one?index={n}&wait=200ms", blocks=0.2),
    get("/v1/catalog/node/none", keep={"n": index}),
    get("/v1/catalog/node/none?index={n}&wait=200ms", blocks=0.2),
    get("/v1/health/state/any", keep={"n": index}),
    get("/v1/health/state/any?index={n}&wait=200ms", blocks=0.2),
    get("/v1/kv/none", keep={"n": index}),
    get("/v1/kv/none?index={n}&wait=200ms", blocks=0.2),
    put("/v1/kv/poll", "1"),
    get("/v1/kv/poll", keep={"n": index}),
    get("/v1/kv/poll?index={n}&wait=200ms", blocks=0.2),
    get("/v1/kv/poll?index={n}&wait=200ms&raw", blocks=0.2),
    get("/v1/kv/?recurse", keep={"n": index}),
    get("/v1/kv/?recurse&index={n}&wait=200ms", blocks=0.2),
    get("/v1/session/list", keep={"n": index}),
    get("/v1/session/list?index={n}&wait=200ms", blocks=0.2),
    get("/v1/event/list?name=deploy", keep={"n": index}),
    get("/v1/event/list?name=deploy&index={n}&wait=200ms", blocks=0.2),
    get("/v1/coordinate/nodes?index=1&wait=200ms", ignore=[
        "Vec", "Error", "Adjustment", "Height"]),
    get("/v1/query/none", keep={"n": index}),
    get("/v1/agent/service/plain", keep={"h": hash_of}),
    get("/v1/agent/service/plain?hash={h}&wait=200ms", blocks=0.2),
    get("/v1/agent/service/plain?hash=odd", blocks=0.2),
    get("/v1/agent/service/plain?hash="),
    get("/v1/agent/service/none?hash=odd"),
    get("/v1/agent/services?index=1&wait=10s", blocks=0.3),
]
