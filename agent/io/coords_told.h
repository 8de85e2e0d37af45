/*
 * coords_told.h - what the agents of a datacenter tell of their round trips
 * (agent/core/coord.h), as the link to its store brings it.
 */
#pragma once

#include "agent/core/coord.h"
#include "agent/io/link.h"

struct coords_told;

/* It says something else than before. */
typedef void coords_told_fn(void *ctx, const struct coords *known);

/* on_known: NULL if nobody wants to know. */
struct coords_told *coords_told_new(struct link *link, const char *datacenter,
                                    coords_told_fn *on_known, void *ctx);
/* From now on nothing is asked any more. */
void coords_told_stop(struct coords_told *t);
void coords_told_free(struct coords_told *t); /* After link_stop(). NULL is
                                                 fine. */

/* The store has said something; the contact to it has changed. */
void coords_told_update(struct coords_told *t,
                        const struct link_update *update);
void coords_told_contact(struct coords_told *t);

const struct coords *coords_told_known(const struct coords_told *t);
/* Whether that is all there is. */
bool coords_told_loaded(const struct coords_told *t);
