#include "dns/core/cache.h"

#include <stdio.h>

#include "base/core/rng.h"
#include "tests/unit/suite.h"

static const struct hash_key hash_key = {3, 5};

static enum dns_cache_state get(struct dns_cache *c, const char *key,
                                uint64_t now_ms, struct dns_cached *out)
{
    return dns_cache_get(c, slice_str(key), now_ms, out);
}

static void put(struct dns_cache *c, const char *key, const char *reply,
                uint32_t ttl_s, uint64_t now_ms)
{
    dns_cache_put(c, slice_str(key), slice_str(reply), ttl_s, now_ms);
    dns_cache_verify(c);
}

static void upstream_fails(struct dns_cache *c, const char *key,
                           uint64_t now_ms)
{
    struct dns_cache_failure failure = {
        .extended_error = 22, .fail_ms = 2000, .hold_ms = 30000};

    dns_cache_fail(c, slice_str(key), &failure, now_ms);
    dns_cache_verify(c);
}

/* One story a row: an answer of 10 s comes at 0 ("p"), upstream fails at 0 or
 * at 12 s ("f", "F"); what is found at each time. M miss, . fresh, s stale, h
 * held, X failed. */
static const struct {
    const char *name;
    const char *before;
    uint32_t stale_max_s;
    uint64_t at_ms;
    char found;
} rows[] = {
    {"nothing", "", 0, 0, 'M'},
    {"fresh", "p", 0, 9999, '.'},
    {"its time is over", "p", 0, 10000, 'M'},
    {"stale", "p", 60, 10000, 's'},
    {"stale to the end", "p", 60, 69999, 's'},
    {"too stale", "p", 60, 70000, 'M'},
    {"held after a failed refresh", "pF", 60, 13000, 'h'},
    {"until the hold is over", "pF", 60, 42000, 's'},
    {"a hold does not make it younger", "pF", 20, 30000, 'M'},
    {"no hold without serve-stale", "pF", 0, 13000, 'X'},
    {"a failure is remembered", "f", 60, 1999, 'X'},
    {"for a short time", "f", 60, 2000, 'M'},
    {"an answer ends a failure", "fp", 60, 1000, '.'},
    {"a failure does not harm a fresh answer", "pf", 0, 1000, '.'},
};

START_TEST(found_by_row)
{
    static const char states[] = {'M', '.', 's', 'h', 'X'};
    struct dns_cache_limits limits = {.bytes = 65536,
                                      .stale_max_s = rows[_i].stale_max_s};
    struct dns_cache *c = dns_cache_new(&limits, hash_key);
    struct dns_cached found = {0};
    char state;

    for (const char *at = rows[_i].before; *at != '\0'; at++) {
        if (*at == 'p') {
            put(c, "a", "answer", 10, 0);
        } else {
            upstream_fails(c, "a", *at == 'F' ? 12000 : 0);
        }
    }
    state = states[get(c, "a", rows[_i].at_ms, &found)];
    ck_assert_msg(state == rows[_i].found, "%s: %c", rows[_i].name, state);
    if (state == '.' || state == 's' || state == 'h') {
        ck_assert(slice_eq(found.reply, slice_str("answer")));
        ck_assert_uint_eq(found.age_s, rows[_i].at_ms / 1000);
    }
    if (state == 'X') {
        ck_assert_int_eq(found.extended_error, 22);
    }
    dns_cache_verify(c);
    dns_cache_free(c);
}
END_TEST

START_TEST(keys_tell_questions_apart)
{
    static const char name[] = "\3Www\7Example";
    static const char lower[] = "\3www\7example";
    struct dns_cache_key a;
    struct dns_cache_key b;

    dns_cache_key_make(&a, slice_of(name, sizeof(name)), 1, false, false);
    dns_cache_key_make(&b, slice_of(lower, sizeof(lower)), 1, false, false);
    ck_assert(slice_eq(dns_cache_key_slice(&a), dns_cache_key_slice(&b)));
    for (int i = 1; i < 8; i++) {
        dns_cache_key_make(&b, slice_of(lower, sizeof(lower)), i & 4 ? 257 : 1,
                           i & 1, i & 2);
        ck_assert(!slice_eq(dns_cache_key_slice(&a), dns_cache_key_slice(&b)));
    }
}
END_TEST

START_TEST(a_ttl_of_zero_is_not_kept)
{
    struct dns_cache_limits limits = {.bytes = 65536};
    struct dns_cache *c = dns_cache_new(&limits, hash_key);
    struct dns_cached found;

    put(c, "a", "before", 10, 0);
    put(c, "a", "now", 0, 1000);
    ck_assert_int_eq(get(c, "a", 1000, &found), DNS_CACHE_MISS);
    dns_cache_free(c);
}
END_TEST

START_TEST(nothing_is_kept_without_room)
{
    struct dns_cache_limits limits = {0};
    struct dns_cache *c = dns_cache_new(&limits, hash_key);
    struct dns_cached found;

    put(c, "a", "answer", 10, 0);
    upstream_fails(c, "a", 0);
    ck_assert_int_eq(get(c, "a", 0, &found), DNS_CACHE_MISS);
    dns_cache_free(c);
}
END_TEST

START_TEST(the_largest_is_an_eighth)
{
    struct dns_cache_limits limits = {.bytes = 80000};
    struct dns_cache *c = dns_cache_new(&limits, hash_key);
    static const uint8_t large[10000];
    struct dns_cached found;

    dns_cache_put(c, slice_str("l"), slice_of(large, sizeof(large)), 9, 0);
    ck_assert_int_eq(get(c, "l", 0, &found), DNS_CACHE_MISS);
    dns_cache_put(c, slice_str("l"), slice_of(large, 8000), 9, 0);
    ck_assert_int_eq(get(c, "l", 0, &found), DNS_CACHE_FRESH);
    dns_cache_verify(c);
    dns_cache_free(c);
}
END_TEST

/* What is in use outlives a flood of names that are asked once. */
START_TEST(a_flood_does_not_push_out_what_is_used)
{
    struct dns_cache_limits limits = {.bytes = 1 << 20, .entries = 100};
    struct dns_cache *c = dns_cache_new(&limits, hash_key);
    struct dns_cached found;
    struct dns_cache_size size;
    char key[32];

    for (int i = 0; i < 10; i++) {
        (void)snprintf(key, sizeof(key), "hot%d", i);
        put(c, key, "answer", 1000, 0);
    }
    for (int i = 0; i < 5000; i++) {
        (void)snprintf(key, sizeof(key), "hot%d", i % 10);
        ck_assert_int_eq(get(c, key, 0, &found), DNS_CACHE_FRESH);
        (void)snprintf(key, sizeof(key), "random%d", i);
        put(c, key, "no", 1000, 0);
    }
    dns_cache_size(c, &size);
    ck_assert_uint_eq(size.entries, 100);
    ck_assert_uint_eq(size.evicted, 4910);
    limits.entries = 20;
    dns_cache_limit(c, &limits);
    dns_cache_verify(c);
    dns_cache_size(c, &size);
    ck_assert_uint_eq(size.entries, 20);
    dns_cache_free(c);
}
END_TEST

/* Beside a model that forgets nothing: what the cache has is what was put in
 * last, and it never has what the model has not. */
enum {
    MODEL_KEYS = 40,
    MODEL_STEPS = 20000
};

struct remembered {
    bool is;
    uint64_t expires_ms;
    uint64_t stored_ms;
    unsigned version;
};

static void check_against(struct dns_cache *c, const struct remembered *m,
                          const char *key, uint64_t now_ms)
{
    struct dns_cached found;
    char reply[64];
    enum dns_cache_state state = get(c, key, now_ms, &found);

    if (state == DNS_CACHE_MISS) {
        return; /* Evicted, maybe. */
    }
    ck_assert_msg(m->is, "%s was never put in", key);
    (void)snprintf(reply, sizeof(reply), "%s version %u", key, m->version);
    ck_assert(slice_eq(found.reply, slice_str(reply)));
    ck_assert_uint_eq(found.age_s, (now_ms - m->stored_ms) / 1000);
    ck_assert_int_eq(state == DNS_CACHE_FRESH, now_ms < m->expires_ms);
    ck_assert_uint_lt(now_ms, m->expires_ms + 5000);
}

START_TEST(agrees_with_a_model)
{
    struct dns_cache_limits limits = {
        .bytes = 8192, .entries = 0, .stale_max_s = 5};
    struct dns_cache *c = dns_cache_new(&limits, hash_key);
    struct remembered model[MODEL_KEYS] = {0};
    struct rng rng;
    uint64_t now_ms = 0;

    rng_init(&rng, 4711);
    for (unsigned step = 0; step < MODEL_STEPS; step++) {
        unsigned k = (unsigned)rng_below(&rng, MODEL_KEYS);
        struct remembered *m = &model[k];
        char key[32];
        char reply[64];

        (void)snprintf(key, sizeof(key), "key%u", k);
        now_ms += rng_below(&rng, 300);
        if (rng_below(&rng, 3) == 0) {
            uint32_t ttl_s = (uint32_t)rng_below(&rng, 20);

            *m = (struct remembered){.is = ttl_s > 0,
                                     .version = step,
                                     .stored_ms = now_ms,
                                     .expires_ms = now_ms + ttl_s * 1000};
            (void)snprintf(reply, sizeof(reply), "%s version %u", key, step);
            dns_cache_put(c, slice_str(key), slice_str(reply), ttl_s, now_ms);
        } else {
            check_against(c, m, key, now_ms);
        }
        if (step % 1000 == 0) {
            limits.entries = (size_t)rng_below(&rng, MODEL_KEYS);
            dns_cache_limit(c, &limits);
        }
        dns_cache_verify(c);
    }
    dns_cache_free(c);
}
END_TEST

UNIT_MAIN("dns_cache", {
    tcase_add_loop_test(tc, found_by_row, 0, COUNT_OF(rows));
    tcase_add_test(tc, keys_tell_questions_apart);
    tcase_add_test(tc, a_ttl_of_zero_is_not_kept);
    tcase_add_test(tc, nothing_is_kept_without_room);
    tcase_add_test(tc, the_largest_is_an_eighth);
    tcase_add_test(tc, a_flood_does_not_push_out_what_is_used);
    tcase_add_test(tc, agrees_with_a_model);
})
