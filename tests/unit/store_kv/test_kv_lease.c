#include <stdio.h>

#include "base/core/rng.h"
#include "suite.h"

#include "store/kv/kv.h"
#include "store/kv/lease.h"

/* etcd's least TTL from its two flags. */
static const struct {
    uint64_t election_ms;
    uint64_t heartbeat_ms;
    int64_t least_s;
} least[] = {
    {1000, 100, 2}, {4000, 100, 6},   {500, 100, 1},
    {1000, 250, 2}, {50000, 100, 75},
};

START_TEST(the_least_ttl_is_etcds)
{
    ck_assert_int_eq(
        kv_lease_ttl_min(least[_i].election_ms, least[_i].heartbeat_ms),
        least[_i].least_s);
}
END_TEST

/* Time goes on by one second a step; every lease must be reported in the very
 * step in which its time is up, counted from its last renewal. */
START_TEST(leases_expire_on_time_whatever_happens)
{
    enum {
        LEASES = 200
    };
    uint64_t due[LEASES + 1] = {0};
    struct lessor l = {0};
    struct rng rng;

    rng_init(&rng, (uint64_t)_i);
    lessor_lead(&l, 0);
    for (uint64_t now = 0; now < 400; now++) {
        int64_t ids[LEASES];
        size_t count = lessor_expired(&l, now * 1000, ids, LEASES);
        int64_t id = 1 + (int64_t)rng_below(&rng, LEASES);
        struct lease *lease = lease_find(&l, id);

        for (size_t i = 0; i < count; i++) {
            ck_assert_uint_eq(due[ids[i]], now);
            due[ids[i]] = 0;
            lease_remove(&l, lease_find(&l, ids[i]));
        }
        for (int64_t i = 1; i <= LEASES; i++) {
            ck_assert(due[i] == 0 || due[i] > now);
        }
        lease = lease_find(&l, id);
        if (lease == NULL) {
            int64_t ttl_s = 1 + (int64_t)rng_below(&rng, 50);

            (void)lease_add(&l, id, ttl_s, 0, now * 1000);
            due[id] = now + (uint64_t)ttl_s;
        } else if (rng_below(&rng, 2) == 0) {
            due[id] = now + (uint64_t)lease_renew(&l, lease, now * 1000);
        }
        lessor_verify(&l);
    }
    lessor_release(&l);
}
END_TEST

START_TEST(a_checkpoint_shortens_the_next_leaders_time)
{
    struct lessor l = {0};
    struct lease *lease = lease_add(&l, 1, 100, 0, 0);
    int64_t id;

    lease_checkpoint(lease, 30);
    lessor_lead(&l, 1000);
    ck_assert_int_eq(lease_remaining_s(lease, 1000), 30);
    ck_assert_uint_eq(lessor_expired(&l, 30999, &id, 1), 0);
    ck_assert_int_eq(lease_renew(&l, lease, 30999), 100);
    ck_assert_int_eq(lease_remaining_s(lease, 30999), 100);
    lessor_follow(&l);
    lessor_lead(&l, 40000);
    ck_assert_int_eq(lease_remaining_s(lease, 40000), 100);
    lessor_release(&l);
}
END_TEST

UNIT_MAIN("kv_lease", {
    tcase_add_loop_test(tc, the_least_ttl_is_etcds, 0, COUNT_OF(least));
    tcase_add_loop_test(tc, leases_expire_on_time_whatever_happens, 0, 4);
    tcase_add_test(tc, a_checkpoint_shortens_the_next_leaders_time);
})
