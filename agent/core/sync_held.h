/*
 * sync_held.h - what the store holds of one node, as the replica shows it: the
 * node's own record, its checks and its instances, in the order of their keys.
 * What is shown of the store's past alone (ghosts) is not held.
 *
 * sync.h compares it with what this agent wants. Not what a guard holds
 * (guard.h).
 */
#pragma once

#include "agent/core/catalog.h"
#include "base/core/arena.h"

struct sync_held {
    struct slice key;
    uint64_t hash; /* Of the value. */
    int64_t mod_revision;
    bool ours; /* Its owner is the node; other writers' are left alone. */
    struct texts tags; /* Of an instance. */
};

struct sync_held_list {
    struct sync_held *items;
    size_t count;
    size_t cap;
    const char *node;
    struct arena *arena;
};

/* The list is the arena's; its strings are the catalogue's until that changes.
 */
struct sync_held_list sync_held_by(const struct catalog *catalog,
                                   const char *node, struct arena *a);

/* NULL: nothing is held under this key. */
const struct sync_held *sync_held_find(const struct sync_held_list *list,
                                       struct slice key);
