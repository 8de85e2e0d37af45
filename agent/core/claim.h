/*
 * claim.h - decides whether this agent may register under its node name.
 *
 * Two hosts may have been given one name. The second one, which has another
 * node id, must not disturb the first: it writes nothing until the first one's
 * live key has been gone for twice the lease's time, by this agent's own
 * monotonic clock. Who has seen nothing yet waits that long once, so a host
 * that replaces a dead one is late by that, never early. Names are compared in
 * lower case, as keys hold them.
 *
 * A store that has lost everything frees no name: whose it was is remembered.
 *
 * Pure: catalogues and time come in. Whatever is decided here, the live key is
 * put only if it is absent, so that of several who wait one gets the name.
 */
#pragma once

#include "agent/core/catalog.h"

struct claim {
    const char *node;
    const char *node_id;
    uint64_t wait_ms; /* After the other one's end. */

    bool taken;        /* Somebody else has the name, or had it last. */
    bool alive;        /* Its live key was there when we looked last. */
    uint64_t since_ms; /* When it was seen alive last, or dead first. */
    char other_id[64]; /* Its node id, cut if it is longer. */
};

/* Strings are borrowed. */
void claim_init(struct claim *c, const char *node, const char *node_id,
                uint64_t lease_ttl_ms);

enum claim_news {
    CLAIM_SAME,
    CLAIM_IN_USE,    /* From now on: another agent has the name. */
    CLAIM_ABANDONED, /* The one that has it is not alive; we wait. */
};

/* The catalogue, as the store has it now. */
enum claim_news claim_look(struct claim *c, const struct catalog *catalog,
                           uint64_t now_ms);

/* The store has just shown the live key of another agent. */
enum claim_news claim_refused(struct claim *c, const char *other_id,
                              uint64_t now_ms);

/* Contact was lost meanwhile: what happened then is not known, so that waiting
 * begins anew. */
void claim_contact(struct claim *c, uint64_t now_ms);

/* Whether to try it. */
bool claim_may(const struct claim *c, uint64_t now_ms);

/* The live key is ours. True: it was somebody else's before. */
bool claim_won(struct claim *c);
