#!/usr/bin/env bash
# A seed tells the same story each time: no address, clock or leftover memory
# gets into it.
# usage: repeats.sh SIMULATE
set -euo pipefail

for profile in $("$1" --list | cut -d ' ' -f 1); do
    first=$("$1" --seed 7 --profile "$profile" --trace | sha256sum)
    again=$(env PADDING="$(printf '%5000s' x)" \
        "$1" --seed 7 --profile "$profile" --trace | sha256sum)
    if [ "$first" != "$again" ]; then
        echo "profile $profile, seed 7: two runs differ"
        exit 1
    fi
done
