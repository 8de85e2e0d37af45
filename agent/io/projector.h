/*
 * projector.h - keeps this host's projections (agent/core/projection.h) in the
 * store.
 */
#pragma once

#include "agent/core/projection.h"

struct link;
struct loop;
struct projector;

/* `link` and `local` outlive it. */
struct projector *projector_start(struct loop *loop, struct link *link,
                                  const struct local *local,
                                  const struct projection_settings *settings);
void projector_set(struct projector *p,
                   const struct projection_settings *settings);

/* The local state, the catalogue or the contact has changed: look, at the end
 * of this turn. */
void projector_poke(struct projector *p);
/* The store may have another content than it had. */
void projector_forget(struct projector *p);

/* As link_hooks wants it; after projector_stop(), too. */
bool projector_farewell(struct projector *p, int64_t lease, struct arena *a,
                        struct sync_txn *out_txn);

size_t projector_count(const struct projector *p); /* Keys that stand. */

/* Calls on_stopped once, maybe from within. An answer may come until the link
 * has stopped; free it then. */
void projector_stop(struct projector *p, void (*on_stopped)(void *arg),
                    void *arg);
void projector_free(struct projector *p); /* NULL is fine. */
