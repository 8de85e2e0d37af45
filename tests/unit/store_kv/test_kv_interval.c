#include <stdio.h>

#include "base/core/rng.h"
#include "suite.h"

#include "store/kv/interval.h"

enum {
    NODES = 300,
    POINTS = 100
};

/* One-letter keys; an end of 0 is open. */
struct node {
    struct interval interval; /* First, so that one is found from the other. */
    uint8_t from;
    uint8_t to;
    bool in;
    bool hit;
};

static void on_hit(void *ctx, struct interval *found)
{
    struct node *n = (struct node *)(void *)found;

    ++*(size_t *)ctx;
    n->hit = !n->hit; /* Twice would not be. */
}

static bool holds(const struct node *n, uint8_t point)
{
    return n->from <= point && (n->to == 0 || point < n->to);
}

static void check_point(const struct intervals *t, struct node *nodes,
                        uint8_t point)
{
    size_t hits = 0;
    size_t wrong = 0;

    for (size_t i = 0; i < NODES; i++) {
        nodes[i].hit = false;
    }
    intervals_stab(t, slice_of(&point, 1), &hits, on_hit);
    for (size_t i = 0; i < NODES; i++) {
        wrong += nodes[i].hit != (nodes[i].in && holds(&nodes[i], point));
    }
    ck_assert_uint_eq(wrong, 0);
}

static void node_pick(struct node *n, struct rng *rng)
{
    *n = (struct node){.from = (uint8_t)(1 + rng_below(rng, POINTS))};
    if (rng_below(rng, 5) > 0) {
        n->to = (uint8_t)(n->from + 1 + rng_below(rng, 20));
    }
    n->interval.range =
        key_range_of(slice_of(&n->from, 1), slice_of(&n->to, 1));
}

START_TEST(the_right_intervals_are_found)
{
    struct node *nodes = calloc(NODES, sizeof(*nodes));
    struct intervals t = {.seed = (uint32_t)_i + 1};
    struct rng rng;

    rng_init(&rng, (uint64_t)_i);
    for (unsigned step = 0; step < 1000; step++) {
        struct node *n = &nodes[rng_below(&rng, NODES)];

        if (n->in) {
            intervals_remove(&t, &n->interval);
            n->in = false;
        } else {
            node_pick(n, &rng);
            n->in = intervals_add(&t, &n->interval) == NULL;
        }
        intervals_verify(&t);
        check_point(&t, nodes, (uint8_t)(1 + rng_below(&rng, POINTS + 20)));
    }
    free(nodes);
}
END_TEST

START_TEST(an_equal_interval_is_given_back)
{
    struct intervals t = {.seed = 5};
    struct key_range r = key_range_of(slice_str("a"), slice_str("b"));
    struct interval one = {.range = r};
    struct interval two = {.range = r};

    ck_assert_ptr_null(intervals_add(&t, &one));
    ck_assert_ptr_eq(intervals_add(&t, &two), &one);
    ck_assert_ptr_eq(intervals_find(&t, &r), &one);
    r = key_range_of(slice_str("a"), slice_of("", 1));
    ck_assert_ptr_null(intervals_find(&t, &r));
}
END_TEST

UNIT_MAIN("kv_interval", {
    tcase_add_loop_test(tc, the_right_intervals_are_found, 0, 4);
    tcase_add_test(tc, an_equal_interval_is_given_back);
})
