#include "agent/core/pmap.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/core/check.h"
#include "base/core/rng.h"
#include "suite.h"

struct number {
    struct shared shared;
    unsigned value;
};

static unsigned numbers_alive;

static void number_free(struct shared *s)
{
    numbers_alive--;
    free(s);
}

static struct shared *number_new(unsigned value)
{
    struct number *n = malloc(sizeof(*n));

    CHECK(n != NULL);
    shared_init(&n->shared, number_free);
    n->value = value;
    numbers_alive++;
    return &n->shared;
}

enum {
    KEYS = 64,
    MAPS = 8,
    STEPS = 20000
};

/* The naive model: an array for each map. */
struct model {
    struct pmap map;
    unsigned values[KEYS]; /* 0: absent. */
};

static struct slice key_of(unsigned i, char text[8])
{
    int len = snprintf(text, 8, "k%u", i % KEYS);

    return slice_of(text, (size_t)len);
}

struct walk {
    const struct model *model;
    size_t count;
    char last[8];
};

static bool walk_key(void *ctx, struct slice key, struct shared *value)
{
    struct walk *w = ctx;
    char text[8] = "";
    unsigned index;

    memcpy(text, key.data, key.len);
    ck_assert_int_lt(strcmp(w->last, text), 0);
    index = (unsigned)atoi(text + 1);
    ck_assert_uint_eq(((struct number *)value)->value, w->model->values[index]);
    memcpy(w->last, text, sizeof(text));
    w->count++;
    return true;
}

static void compare(const struct model *m)
{
    struct walk w = {.model = m};
    size_t wanted = 0;

    for (unsigned i = 0; i < KEYS; i++) {
        wanted += m->values[i] != 0;
    }
    pmap_verify(&m->map);
    pmap_each(&m->map, (struct slice){0}, walk_key, &w);
    ck_assert_uint_eq(w.count, wanted);
    ck_assert_uint_eq(m->map.count, wanted);
}

static void change(struct model *m, struct rng *rng, unsigned step)
{
    char text[8];
    unsigned k = (unsigned)rng_below(rng, KEYS);
    struct slice key = key_of(k, text);

    switch (rng_below(rng, 4)) {
    case 0:
        ck_assert_int_eq(pmap_remove(&m->map, key), m->values[k] != 0);
        m->values[k] = 0;
        return;
    case 1: {
        struct shared **slot = pmap_slot(&m->map, key);

        ck_assert_int_eq(slot != NULL, m->values[k] != 0);
        if (slot != NULL && shared_is_sole(*slot)) {
            ((struct number *)*slot)->value = step;
            m->values[k] = step;
        }
        return;
    }
    default:
        pmap_put(&m->map, key, number_new(step));
        m->values[k] = step;
    }
}

/* Maps that share with each other never see each other's changes. */
START_TEST(shares_do_not_disturb_each_other)
{
    struct model models[MAPS] = {0};
    struct rng rng;

    rng_init(&rng, 4711);
    for (unsigned step = 1; step <= STEPS; step++) {
        struct model *m = &models[rng_below(&rng, MAPS)];

        if (rng_below(&rng, 20) == 0) {
            struct model *from = &models[rng_below(&rng, MAPS)];
            struct pmap copy = pmap_share(&from->map);

            pmap_release(&m->map);
            *m = *from;
            m->map = copy;
        } else {
            change(m, &rng, step);
        }
        if (step % 97 == 0) {
            for (unsigned i = 0; i < MAPS; i++) {
                compare(&models[i]);
            }
        }
    }
    for (unsigned i = 0; i < MAPS; i++) {
        pmap_release(&models[i].map);
    }
    ck_assert_uint_eq(numbers_alive, 0);
}
END_TEST

static bool first_key(void *ctx, struct slice key, struct shared *value)
{
    (void)value;
    memcpy(ctx, key.data, key.len);
    return false;
}

START_TEST(visit_starts_where_told)
{
    struct pmap m = {0};
    char key[8] = "";

    pmap_put(&m, slice_str("a/1"), number_new(1));
    pmap_put(&m, slice_str("b/1"), number_new(2));
    pmap_put(&m, slice_str("b/2"), number_new(3));
    pmap_put(&m, slice_str("c/1"), number_new(4));
    pmap_each(&m, slice_str("b/"), first_key, key);
    ck_assert_str_eq(key, "b/1");
    pmap_each(&m, slice_str("b/2"), first_key, key);
    ck_assert_str_eq(key, "b/2");
    pmap_release(&m);
}
END_TEST

UNIT_MAIN("pmap", {
    tcase_add_test(tc, shares_do_not_disturb_each_other);
    tcase_add_test(tc, visit_starts_where_told);
})
