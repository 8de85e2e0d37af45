/*
 * reaper.h - decides which dead nodes' records are removed, and when.
 *
 * A node whose live key is gone longer than its reap timeout goes, with all its
 * checks and instances. Never while a guard is active (the loss may be the
 * store's), never one without an agent, and at most one in a hundred nodes a
 * minute, though at least one: a mistake can be seen before it is complete.
 *
 * How long a node is dead is what this agent has seen itself, by its monotonic
 * clock. Who has just started has seen nothing, so a reaping may come late,
 * never early.
 *
 * Pure: catalogues and time come in, transactions come out.
 */
#pragma once

#include "agent/core/catalog.h"
#include "agent/core/sync.h"

struct reaper;

struct reaper *reaper_new(void);
void reaper_free(struct reaper *r); /* NULL is fine. */

/* Look who is dead: at the start and whenever liveness has changed. Every agent
 * does, so that a new janitor knows. */
void reaper_look(struct reaper *r, const struct catalog *catalog,
                 uint64_t now_ms);

/* What is to be removed now: one transaction, a part of a node or all of it,
 * guarded by its being dead still. False: nothing; *out_wake_ms says when there
 * may be. Strings are the catalogue's or lie in the arena. */
bool reaper_next(struct reaper *r, const struct catalog *catalog,
                 uint64_t now_ms, struct arena *a, struct sync_txn *out_txn,
                 uint64_t *out_wake_ms);
/* Of what reaper_next() gave: whether it was written. */
void reaper_done(struct reaper *r, bool written, uint64_t now_ms);

/* All records of a node, or as many as one transaction holds, guarded by its
 * live key's being as it is: absent, unless the caller knows that it means
 * nothing. True: they are all. */
bool reaper_removal(const struct catalog *catalog, const struct catalog_node *n,
                    struct arena *a, struct sync_txn *out_txn);

/* The node that is being removed, or was last; "" if none. */
const char *reaper_node(const struct reaper *r);

struct reaper_stats {
    uint64_t nodes;   /* Removed. */
    uint64_t records; /* The same. */
    uint64_t dead;    /* Nodes that are waiting for it. */
};

struct reaper_stats reaper_stats(const struct reaper *r);
