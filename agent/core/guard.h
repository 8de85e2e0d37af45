/*
 * guard.h - does not believe that very many hosts died at once.
 *
 * A lease that is lost may mean that a host is dead, or that the store, the
 * network or a switch had a bad minute. One by one, losses are believed. The
 * guard begins when
 *
 *   nodes     within the window at least min_nodes and more than `percent` of
 *             those that had a lease lost it
 *   service   a service that had at least three healthy instances has none
 *             left, by lost leases alone
 *   emptied   the store has lost what it had: it is empty, or it is another
 *             one that lacks more than `percent` of the nodes
 *   operator  somebody has switched it on
 *
 * While it is active, the nodes lost within the window, and those lost from
 * then on, are held: of unknown liveness, not dead. It ends when what is
 * missing has come down to half of what triggered it, after max_ms, or by the
 * operator. What is deregistered is gone at once, guard or not, and never
 * triggers it.
 *
 * After a gap (the store was out of reach, the machine slept) all that was lost
 * meanwhile is seen at once. It counts as lost now; but after a gap of max_ms
 * it is believed, for a guard that had begun then would be over.
 *
 * Pure: catalogues and time come in; what the catalogue is to show comes out
 * (catalog_hold(), catalog_refill()).
 */
#pragma once

#include "agent/core/catalog.h"

enum guard_mode {
    GUARD_AUTO,
    GUARD_ON,  /* Active, for as long as the operator wants. */
    GUARD_OFF, /* Losses are believed, whatever comes. */
};

const char *guard_mode_text(enum guard_mode mode);
/* False: not "on", "off" or "auto". */
bool guard_mode_parse(const char *text, enum guard_mode *out_mode);

struct guard_limits {
    uint32_t min_nodes;
    uint32_t percent;   /* 1 to 100 */
    uint64_t window_ms; /* At least 1. */
    uint64_t max_ms;
};

/* 5 nodes, 25 %, 60 s, 15 min. */
extern const struct guard_limits guard_limits_default;

enum guard_cause {
    GUARD_CAUSE_NONE, /* Not active. */
    GUARD_CAUSE_NODES,
    GUARD_CAUSE_SERVICE,
    GUARD_CAUSE_EMPTIED,
    GUARD_CAUSE_OPERATOR,
};

struct guard;

struct guard *guard_new(const struct guard_limits *limits,
                        enum guard_mode mode);
void guard_free(struct guard *g); /* NULL is fine. */

/* The catalogue from one snapshot to the next. */
struct guard_input {
    const struct catalog *before;
    const struct catalog *after;
    struct texts lives; /* catalog_changes.lives */
    uint64_t gap_ms;    /* Since `before` was current; 0: it was until now. */
    bool replaced;      /* By a full read of a store that is another one, or
                           has gone back. */
};

/* What to do about it. Texts are in the arena. */
struct guard_work {
    bool refill;          /* First: catalog_refill(after, before). */
    struct texts hold;    /* Then: catalog_hold(). */
    struct texts release; /* The same. */
    const char *said;     /* For the log: why it began or ended; else NULL. */
};

void guard_update(struct guard *g, const struct guard_input *in,
                  uint64_t now_ms, struct arena *a,
                  struct guard_work *out_work);

/* Time has passed; `catalog` is the present one, as after the work done. */
void guard_tick(struct guard *g, const struct catalog *catalog, uint64_t now_ms,
                struct arena *a, struct guard_work *out_work);
/* When guard_tick() has something to do; UINT64_MAX: never. */
uint64_t guard_due_ms(const struct guard *g);

/* The operator's word, and limits read anew; both take effect at once. */
void guard_set_mode(struct guard *g, enum guard_mode mode,
                    const struct catalog *catalog, uint64_t now_ms,
                    struct arena *a, struct guard_work *out_work);
void guard_set_limits(struct guard *g, const struct guard_limits *limits);

struct guard_status {
    enum guard_mode mode;
    enum guard_cause cause;
    const char *why;      /* "" when not active; good until the next call. */
    uint64_t began_ms;    /* If active. */
    size_t held;          /* Nodes. */
    bool store_emptied;   /* What is shown is not what the store has. */
    uint64_t activations; /* So far. */
};

struct guard_status guard_status(const struct guard *g);
