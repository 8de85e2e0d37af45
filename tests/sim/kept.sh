#!/usr/bin/env bash
# The seeds that have found something, once more.
# usage: kept.sh SIMULATE
set -euo pipefail

grep -v '^#' "$(dirname "$0")/seeds.txt" |
    while read -r profile seed _; do
        echo "$profile $seed"
        "$1" --seed "$seed" --profile "$profile"
    done
