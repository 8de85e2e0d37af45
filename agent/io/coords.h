/*
 * coords.h - measures round trips to the store's members, tells what matters,
 * and keeps what the other agents tell (agent/core/coord.h).
 *
 * A round: each member is connected to, one after the other, and asked for its
 * status a few times; the quickest answer counts. What is measured leaves this
 * host only when it has changed much, and in every other round at most.
 */
#pragma once

#include "agent/core/coord.h"
#include "agent/io/link.h"

struct coords_watch;

struct coords_config {
    const char *datacenter;
    const char *node;
    uint64_t every_ms; /* A round; 0: this agent does not tell. */
    /* A member, as in link_peers(), has been asked. May be NULL. */
    void (*on_asked)(void *ctx, const char *member, bool answered);
    /* coords_known() says something else. May be NULL. */
    void (*on_known)(void *ctx, const struct coords *known);
    void *ctx;
};

struct coords_watch *coords_start(struct loop *loop, struct link *link,
                                  const struct coords_config *config);

/* Begin a round at least this often, whatever is told; 0: as configured. */
void coords_hurry(struct coords_watch *w, uint64_t every_ms);

const struct coords *coords_known(const struct coords_watch *w);

/* The store has said something; the contact to it has changed. */
void coords_update(struct coords_watch *w, const struct link_update *update);
void coords_contact(struct coords_watch *w);

/* on_stopped comes later, once. After link_stop(): free. */
void coords_stop(struct coords_watch *w, void (*on_stopped)(void *arg),
                 void *arg);
/* The host leaves: delete what it has told, which may be under a lease of
 * before a restart. Once; then false. */
bool coords_leave(struct coords_watch *w, struct arena *a,
                  struct sync_txn *out_txn);
void coords_watch_free(struct coords_watch *w); /* NULL is fine. */
