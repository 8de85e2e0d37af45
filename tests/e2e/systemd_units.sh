# The units are understood by systemd without a word of complaint, and leave the
# services little to do harm with.
. "$(dirname "$0")/lib.sh"

# They name the program where it is installed; systemd looks whether it is there.
units="$SCRATCH/units"
mkdir "$units"
for unit in "$ROOT"/contrib/systemd/*; do
    sed "s|/usr/bin/muster|$MUSTER|" "$unit" >"$units/${unit##*/}"
done
for unit in "$units"/*; do
    name=${unit##*/}
    is "$(SYSTEMD_UNIT_PATH="$units:" systemd-analyze verify --man=no "$unit" 2>&1 |
        grep -F "muster-")" "" "$name has no fault"
done
for name in muster-agent muster-store; do
    ok "$name.service is hardened" systemd-analyze security --no-pager \
        --offline=yes --threshold=40 "$units/$name.service"
    like "$(cat "$units/$name.service")" '^Type=notify' "and speaks to systemd"
    like "$(cat "$units/$name.service")" '^WatchdogSec=' "and is looked after"
done

# What cmake installs names the program where it installs it.
ok "cmake --install" cmake --install "${MUSTER%/cli/muster}" --prefix "$SCRATCH/opt"
for unit in muster-agent.service muster-store.service muster-dns.socket muster-http.socket; do
    is "$(SYSTEMD_UNIT_PATH="$SCRATCH/opt/lib/systemd/system:" systemd-analyze verify \
        --man=no "$SCRATCH/opt/lib/systemd/system/$unit" 2>&1 | grep -F "muster-")" "" \
        "$unit as installed has no fault"
done
for page in README.md checks.md dns.md queries.md datacenters.md; do
    ok "$page is installed" test -s "$SCRATCH/opt/share/doc/muster/$page"
done
done_testing
