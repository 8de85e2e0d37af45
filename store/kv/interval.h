/*
 * interval.h - a set of intervals of keys: which of them hold this key?
 *
 * A treap by begin and end, each node knowing how far its subtree reaches, so
 * that a question costs the depth plus what it finds. Intrusive: the owner
 * embeds the node and keeps the key bytes alive.
 */
#pragma once

#include "store/kv/request.h"

struct interval {
    struct key_range range; /* Never `single`. */
    struct interval *left;
    struct interval *right;
    const struct interval
        *farthest; /* The one of the subtree that ends last. */
    uint32_t priority;
};

struct intervals {
    struct interval *root;
    uint32_t seed;
};

/* Equal to one that is there: NULL is returned when added, else the present
 * one, and nothing was changed. */
struct interval *intervals_add(struct intervals *t, struct interval *node);
void intervals_remove(struct intervals *t, struct interval *node);
struct interval *intervals_find(const struct intervals *t,
                                const struct key_range *range);

typedef void interval_fn(void *ctx, struct interval *found);
void intervals_stab(const struct intervals *t, struct slice key, void *ctx,
                    interval_fn *on_found);

/* All of them, in order. Nothing may be added or removed meanwhile. */
void intervals_each(const struct intervals *t, void *ctx, interval_fn *on_each);

void intervals_verify(const struct intervals *t);
