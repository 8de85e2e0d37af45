#include <stdio.h>

#include "base/core/rng.h"
#include "suite.h"

#include "store/kv/index.h"

static struct index_rev put_at(int64_t main)
{
    return (struct index_rev){.main = main};
}

static struct index_rev gone_at(int64_t main)
{
    return (struct index_rev){.main = main, .tombstone = true};
}

static struct slice key_of(uint64_t number, char out[32])
{
    return slice_of(out, (size_t)snprintf(out, 32, "key/%08llu",
                                          (unsigned long long)number));
}

static void add(struct index *x, uint64_t number, int64_t main)
{
    char text[32];
    struct index_key *k = index_find_or_add(x, key_of(number, text));

    index_push(x, k, put_at(main), main, k->version + 1);
}

static void count_drop(void *ctx, struct index_rev rev)
{
    (void)rev;
    ++*(size_t *)ctx;
}

/* Every order in which keys may come, and go. */
static const struct {
    const char *name;
    uint64_t step; /* Key i is number i * step modulo the count. */
} orders[] = {
    {"ascending", 1},
    {"descending", 4998},
    {"scattered", 2477},
};

enum {
    COUNT = 4999
};

START_TEST(keys_are_in_order_whatever_order_they_came_in)
{
    struct index x;
    struct index_cursor c;
    size_t drops = 0;
    char text[32];

    index_init(&x);
    for (uint64_t i = 0; i < COUNT; i++) {
        add(&x, i * orders[_i].step % COUNT, (int64_t)i + 2);
        if (i % 500 == 0) {
            index_verify(&x);
        }
    }
    index_verify(&x);
    ck_assert_uint_eq(x.entries, COUNT);
    c = index_seek(&x, slice_str("key/00002000x"));
    ck_assert(slice_eq(index_key_slice(index_here(&c)), key_of(2001, text)));
    c = index_seek(&x, slice_str("key/1"));
    ck_assert_ptr_null(index_here(&c));

    for (uint64_t i = 0; i < COUNT; i++) {
        struct index_key *k =
            index_find(&x, key_of(i * orders[_i].step % COUNT, text));

        index_push(&x, k, gone_at(COUNT + 2 + (int64_t)i), 0, 0);
        ck_assert(index_compact(&x, k, 3 * COUNT, &drops, count_drop));
        if (i % 500 == 0) {
            index_verify(&x);
        }
    }
    index_verify(&x);
    ck_assert_uint_eq(x.entries, 0);
    ck_assert_uint_eq(drops, 2 * COUNT);
    index_release(&x);
}
END_TEST

/* A key's life, and what each revision sees: '.' nothing, else the revision
 * found. Upper-case steps: P put, D delete, at 2, 3, 4 ... */
static const struct {
    const char *name;
    const char *life;
    int64_t compacted; /* 0: not */
    const char *seen;  /* At 1, 2, 3 ... */
    size_t left;       /* Revisions in the index. */
} lives[] = {
    {"one put", "P", 0, ".2", 1},
    {"overwritten", "PPP", 0, ".234", 3},
    {"deleted", "PPD", 0, ".23.", 3},
    {"deleted and back", "PDP", 0, ".2.4", 3},
    {"compacted to the newest", "PPP", 4, "...4", 1},
    {"compacted between", "PPP", 3, "..34", 2},
    {"a tombstone at the compacted revision stays", "PPD", 4, "....", 1},
    {"a tombstone before it goes", "PPDP", 5, "....5", 1},
    {"only the tombstone goes", "PDPP", 4, "...45", 2},
    {"compacted before its time", "PP", 1, ".23", 2},
};

START_TEST(a_revision_sees_what_was_there)
{
    struct index x;
    struct index_key *k;
    size_t drops = 0;

    index_init(&x);
    k = index_find_or_add(&x, slice_str("k"));
    for (size_t i = 0; lives[_i].life[i] != '\0'; i++) {
        int64_t main = (int64_t)i + 2;

        if (lives[_i].life[i] == 'P') {
            index_push(&x, k, put_at(main), main, 1);
        } else {
            index_push(&x, k, gone_at(main), 0, 0);
        }
    }
    if (lives[_i].compacted > 0) {
        ck_assert(
            !index_compact(&x, k, lives[_i].compacted, &drops, count_drop));
    }
    index_verify(&x);
    for (size_t i = 0; lives[_i].seen[i] != '\0'; i++) {
        struct index_rev rev;
        bool found = index_at(k, (int64_t)i + 1, &rev);

        ck_assert_msg(found == (lives[_i].seen[i] != '.'), "%s at %zu",
                      lives[_i].name, i + 1);
        if (found) {
            ck_assert_int_eq(rev.main, lives[_i].seen[i] - '0');
        }
    }
    ck_assert_uint_eq(index_revs_count(k), lives[_i].left);
    ck_assert_uint_eq(drops + lives[_i].left, strlen(lives[_i].life));
    index_release(&x);
}
END_TEST

START_TEST(random_adding_and_removing_keeps_the_tree_whole)
{
    struct rng rng;
    struct index x;
    size_t drops = 0;

    rng_init(&rng, 4711);
    index_init(&x);
    for (int64_t i = 2; i < 30000; i++) {
        char text[32];
        struct slice key = key_of(rng_below(&rng, 3000), text);
        struct index_key *k = index_find(&x, key);

        if (k == NULL) {
            k = index_find_or_add(&x, key);
            index_push(&x, k, put_at(i), i, 1);
        } else if (rng_below(&rng, 3) == 0) {
            index_push(&x, k, gone_at(i), 0, 0);
            ck_assert(index_compact(&x, k, i + 1, &drops, count_drop));
        }
        if (i % 1000 == 0) {
            index_verify(&x);
        }
    }
    index_verify(&x);
    index_release(&x);
}
END_TEST

UNIT_MAIN("kv_index", {
    tcase_add_loop_test(tc, keys_are_in_order_whatever_order_they_came_in, 0,
                        COUNT_OF(orders));
    tcase_add_loop_test(tc, a_revision_sees_what_was_there, 0, COUNT_OF(lives));
    tcase_add_test(tc, random_adding_and_removing_keeps_the_tree_whole);
})
