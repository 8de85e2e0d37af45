/*
 * watch_hub.h - the inside of watch.h: who watches what, who is ready.
 *
 * Watchers of one key hang on that key in a hash table; watchers of an interval
 * hang on the interval in a tree (interval.h). Both kinds are a "watched", so a
 * change costs one look-up, one walk down the tree, and a pointer a watcher.
 */
#pragma once

#include <sys/queue.h>

#include "store/kv/interval.h"
#include "store/kv/record.h"
#include "store/kv/watch.h"

struct watched; /* All watchers of one key or of one interval. */

TAILQ_HEAD(watch_line, watcher);

struct watch_hub {
    struct watched *by_key; /* uthash */
    struct intervals intervals;
    struct watch_line line; /* Those with something to say, fair. */
    struct watch_counts counts;

    /* What the last notice lent out. */
    struct record **lent;
    size_t lent_count;
    size_t lent_cap;
    struct slice *slices;
    size_t slices_cap;
    struct buf history; /* Events made from the table. */
};

void watch_hub_init(struct watch_hub *hub);
void watch_hub_release(struct watch_hub *hub);

/* A revision is complete: these are its records. */
void watch_notify(struct kv *kv, struct record *const *records, size_t count);

/* The state is about to be replaced by one that is further: what was lent out
 * is given back. */
void watch_hub_forget_pending(struct watch_hub *hub);

/* It was replaced: revisions above `before` have come without being told. */
void watch_hub_jumped(struct kv *kv, int64_t before);

void watch_hub_verify(const struct kv *kv);
