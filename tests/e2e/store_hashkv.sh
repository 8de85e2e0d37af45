# The same operations on Debian's etcd-server and on us: the same answers, field
# by field, and the same HashKV.
. "$(dirname "$0")/lib.sh"
: "${STORE_TWIN:?the path of the helper program store_twin}"

etcd_start reference
store_start ours
for seed in 1 2 3; do
    said=$("$STORE_TWIN" "${ETCD_URL#http://}" "${STORE_URL#http://}" \
        "$seed" "${TWIN_STEPS:-1500}" 2>&1)
    ok "seed $seed: all answers are alike" test $? -eq 0
    printf '%s\n' "$said" | tail -n 12 | sed 's/^/# /'
done
done_testing
