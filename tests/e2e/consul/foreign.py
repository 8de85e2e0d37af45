"""Records for a host that has an agent. Last, since Consul forgets things then."""
from .catalog import deregister, register
from .row import differs

FOREIGN = "a record of a host that has an agent is refused (3.4.5)"

ROWS = [
    differs(register({"Node": "one", "Address": "127.0.0.1",
                      "Service": {"Service": "foreign"}}), FOREIGN,
            status=409),
    differs(deregister({"Node": "one", "ServiceID": "foreign"}), FOREIGN,
            status=409),
]
