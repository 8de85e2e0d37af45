#!/usr/bin/env bash
# A hundred agents on one machine against one store, under churn.
# usage: tests/bench/agent/hundred.sh [AGENTS [INSTANCES [SECONDS [RATE]]]]
#                                                    (default 100 5000 60 50)
#
# MUSTER is the program (default: build/release/cli/muster); dns_watchers of the
# same build looks on. Prints how long it takes until all know all, from a change
# to its answer over DNS (of each agent, and of the last), CPU and memory an
# agent. Ends with 1 when a catalogue differs from the store at the end.
set -euo pipefail

cd "$(dirname "$0")/../../.."
MUSTER=$(realpath "${MUSTER:-build/release/cli/muster}")
watchers=$(dirname "$MUSTER")/../tests/e2e/dns_watchers
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
ulimit -n "$(ulimit -Hn)"
/usr/bin/python3 tests/e2e/fleet.py "$MUSTER" "$watchers" "$scratch" \
    "${1:-100}" "${2:-5000}" "${3:-60}" "${4:-50}"
