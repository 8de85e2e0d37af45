"""Paths, methods, encodings, and what both were given in files."""
from .row import Row, absent, delete, differs, get, put


def count(n):
    return lambda d: len(d) == n


def passing(d):
    return len(d) > 0 and all(k["Status"] == "passing"
                              for i in d for k in i["Checks"])


SETTLED = [
    get("/v1/health/state/any", until=lambda d: len(d) >= 7, note="settled"),
    get("/v1/health/service/web", until=count(2)),
    get("/v1/health/service/plain", until=passing),
    get("/v1/catalog/services", tags=True, until=lambda d: "consul" in d),
]

FILES = [
    get("/v1/agent/services"),
    get("/v1/agent/checks"),
    get("/v1/agent/service/web-1"),
    get("/v1/agent/service/web-2"),
    get("/v1/agent/service/plain"),
    get("/v1/agent/service/named"),
    get("/v1/catalog/services", tags=True),
    get("/v1/catalog/service/web"),
    get("/v1/catalog/service/plain"),
    get("/v1/catalog/service/named"),
    get("/v1/catalog/nodes"),
    get("/v1/catalog/node/one"),
    get("/v1/catalog/node-services/one"),
    get("/v1/health/service/web"),
    get("/v1/health/service/plain"),
    get("/v1/health/service/named"),
    get("/v1/health/checks/web"),
    get("/v1/health/node/one"),
    get("/v1/health/state/any"),
]

AS_IT_IS = "a path is taken as it is, since keys may have // and .."

OLD = ("older clients, python3-consul among them, change with GET (7.10)")
ALSO = "HEAD reads and POST writes (3.0)"

PATHS = [
    differs(get("/"), "the way to the page is not kept for ever", status=307),
    get("/v1"),
    get("/v1/"),
    get("/v1/nothing"),
    get("/v1/agent"),
    get("/v1/agent/nothing"),
    get("/v1/catalog"),
    get("/v1/catalog/nothing"),
    get("/v1/health/nothing"),
    get("/v2/agent/self"),
    get("/V1/agent/services"),
    get("/v1/Agent/services"),
    get("/v1/agent/services/"),
    differs(get("/v1//agent/services"), AS_IT_IS, status=404),
    differs(get("/v1/agent/../agent/services"), AS_IT_IS, status=404),
    get("/v1/catalog/service/"),
    get("/v1/health/service/"),
    get("/v1/health/node/"),
    get("/v1/health/checks/"),
    get("/v1/health/state/"),
    get("/v1/catalog/node/"),
    get("/v1/catalog/node-services/"),
    differs(get("/v1/agent/service/"), "a name is missing: 400 as elsewhere",
            status=400),
    get("/v1/health/service/we%62"),
    get("/v1/catalog/service/we%62"),
    get("/v1/catalog/service/a%2Fb"),
    get("/v1/catalog/service/%zz"),
]

METHODS = [Row(method, path) for path in (
    "/v1/agent/self", "/v1/agent/services", "/v1/agent/checks",
    "/v1/agent/members", "/v1/agent/service/web-1",
    "/v1/catalog/services", "/v1/catalog/nodes", "/v1/catalog/node/one",
    "/v1/catalog/service/web", "/v1/catalog/datacenters",
    "/v1/health/service/web", "/v1/health/state/any", "/v1/health/node/one",
    "/v1/health/checks/web", "/v1/status/leader", "/v1/status/peers",
    "/v1/event/list", "/v1/session/list", "/v1/coordinate/nodes",
) for method in ("PUT", "DELETE")] + [Row(method, path) for path in (
    "/v1/agent/service/register", "/v1/agent/check/register",
    "/v1/agent/check/update/none", "/v1/agent/maintenance",
    "/v1/agent/service/maintenance/none", "/v1/agent/reload",
    "/v1/agent/leave", "/v1/agent/force-leave/none", "/v1/catalog/register",
    "/v1/catalog/deregister", "/v1/session/create",
    "/v1/session/destroy/none", "/v1/session/renew/none",
    "/v1/event/fire/none", "/v1/txn",
) for method in ("GET", "DELETE")] + [
    differs(get(path), OLD, status=status) for path, status in (
        ("/v1/agent/service/deregister/none", 404),
        ("/v1/agent/check/pass/none", 404),
        ("/v1/agent/check/warn/none", 404),
        ("/v1/agent/check/fail/none", 404),
        ("/v1/agent/check/deregister/none", 404),
        ("/v1/agent/join/none", 200))
] + [delete(path) for path in (
    "/v1/agent/service/deregister/none", "/v1/agent/check/pass/none",
    "/v1/agent/check/deregister/none", "/v1/agent/join/none")
] + [differs(Row(method, path, body), ALSO, status=status)
     for method, path, body, status in (
         ("POST", "/v1/agent/check/pass/none", None, 404),
         ("POST", "/v1/catalog/register", "{}", 400),
         ("POST", "/v1/kv/x", "1", 200),
         ("POST", "/v1/query/none", None, 400),
         ("HEAD", "/v1/agent/services", None, 200),
         ("HEAD", "/v1/catalog/nodes", None, 200),
         ("HEAD", "/v1/catalog/service/web", None, 200),
         ("HEAD", "/v1/status/leader", None, 200))
     ] + [
    delete("/v1/kv/x"),
    Row("POST", "/v1/catalog/nodes"),
    Row("PATCH", "/v1/kv/x"),
    Row("POST", "/v1/query", "{"),
    differs(delete("/v1/query"), ALSO, status=405),
    Row("OPTIONS", "/v1/catalog/nodes"),
    Row("OPTIONS", "/v1/agent/self"),
    Row("OPTIONS", "/v1/agent/service/register"),
    Row("OPTIONS", "/v1/kv/x"),
    Row("OPTIONS", "/v1/nothing"),
]

FORMS = [
    get("/v1/catalog/nodes?pretty"),
    get("/v1/catalog/nodes?pretty=1"),
    get("/v1/catalog/service/web?pretty="),
    differs(get("/v1/catalog/service/web",
                headers={"Accept-Encoding": "gzip"}, note="gzip"),
            "nothing is compressed: who asks is on the same host", status=200),
    get("/v1/catalog/datacenters"),
    get("/v1/catalog/datacenters", headers={"Accept": "text/html"}),
    get("/v1/catalog/nodes?dc=dc1"),
    get("/v1/catalog/nodes?dc=dc9"),
    get("/v1/catalog/services?dc=dc9"),
    get("/v1/health/service/web?dc=dc9"),
    get("/v1/kv/x?dc=dc9"),
    get("/v1/catalog/nodes?dc="),
    get("/v1/catalog/nodes?unknown=1"),
    get("/v1/catalog/nodes?%zz=1"),
    get("/v1/catalog/nodes?a=1;b=2"),
    get("/v1/catalog/nodes?stale"),
    get("/v1/catalog/nodes?stale=1"),
    get("/v1/catalog/nodes?consistent"),
    get("/v1/catalog/nodes?stale&consistent"),
    get("/v1/catalog/service/web?cached"),
    get("/v1/health/service/web?cached"),
    get("/v1/health/service/web?cached&consistent"),
    get("/v1/health/service/web?cached",
        headers={"Cache-Control": "max-age=60"}, note="max-age"),
    differs(get("/v1/health/service/web?cached",
                headers={"Cache-Control": "max-age=x"}, note="bad max-age"),
            "an answer is never older than another: Cache-Control is not read "
            "(1.5)", status=200),
    get("/v1/catalog/nodes?stale&max_stale=10s"),
    get("/v1/catalog/nodes?stale&max_stale=x"),
    get("/v1/catalog/nodes?token=none"),
    get("/v1/catalog/nodes", headers={"X-Consul-Token": "none"}),
    get("/v1/catalog/nodes", headers={"Authorization": "Bearer none"}),
    get("/v1/status/leader", shape=True),
    get("/v1/status/peers", shape=True),
    get("/v1/operator/raft/configuration", shape=True),
    get("/v1/status/leader?dc=dc9"),
    get("/v1/coordinate/datacenters", ignore=["Coordinates"]),
    get("/v1/coordinate/node/none"),
    differs(put("/v1/coordinate/update", {
        "Node": "one", "Segment": "", "Coord": {
            "Vec": [0.1] * 8, "Error": 1.5, "Adjustment": 0,
            "Height": 1e-05}}),
        "an agent measures for itself (3.4.5)", status=409),
    differs(put("/v1/coordinate/update",
                {"Node": "none", "Coord": {"Vec": [0.1] * 8}}),
            "there is no such node", status=404),
    put("/v1/coordinate/update", "{"),
    put("/v1/coordinate/update", {"Node": "one", "Coord": {"Vec": [1]}}),
    put("/v1/acl/bootstrap"),
    get("/v1/acl/tokens"),
    get("/v1/acl/policies"),
    get("/v1/acl/token/self"),
    get("/v1/acl/list"),
    get("/v1/acl/info/none"),
    put("/v1/acl/create", {"Name": "x"}),
] + [absent(path) for path in (
    "/v1/operator/autopilot/health",
    "/v1/operator/autopilot/configuration", "/v1/operator/keyring",
    "/v1/config/service-defaults", "/v1/connect/ca/roots",
    "/v1/connect/intentions", "/v1/agent/connect/ca/roots",
    "/v1/internal/ui/services", "/v1/internal/ui/nodes",
    "/v1/discovery-chain/web", "/v1/catalog/gateway-services/none",
    "/v1/agent/monitor?loglevel=none", "/v1/agent/host",
    "/v1/acl/roles", "/v1/acl/auth-methods", "/v1/acl/binding-rules",
    "/v1/acl/replication")
]

ROWS = SETTLED + FILES + PATHS + METHODS + FORMS
