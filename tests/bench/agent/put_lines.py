"""Registers what comes in, one body a line, with the agent at HOST:PORT.

    put_lines.py HOST:PORT [PATH]       (default /v1/catalog/register)

Waits for a leader first, and ends when all was acknowledged.
"""

import http.client
import sys
import time


def ask(agent, method, path, body=None):
    agent.request(method, path, body)
    reply = agent.getresponse()
    return reply.status, reply.read()


def main():
    path = sys.argv[2] if len(sys.argv) > 2 else "/v1/catalog/register"
    until = time.monotonic() + 30
    while True:
        agent = http.client.HTTPConnection(sys.argv[1], timeout=30)
        try:
            if ask(agent, "GET", "/v1/status/leader")[1] not in (b'""', b""):
                break
        except OSError:
            pass
        if time.monotonic() > until:
            sys.exit("%s has no leader" % sys.argv[1])
        time.sleep(0.05)
    for line in sys.stdin:
        status, text = ask(agent, "PUT", path, line.encode())
        if status != 200:
            sys.exit("%s: %d %s: %s" % (path, status, text, line))


main()
