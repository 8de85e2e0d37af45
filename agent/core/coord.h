/*
 * coord.h - how far nodes are from each other, by what each has measured.
 *
 * Each agent measures its round trips to the store's members and keeps them at
 *
 *   /muster/v1/<dc>/coord/<node>    {"node": "edge-07", "rtt_us": {MEMBER: N}}
 *
 * under its lease. The members are landmarks: a node's coordinate has one
 * dimension for each of the first COORD_DIMS of them (in order of name), which
 * is the round trip to it, and a height, which is half the smallest one: what
 * there is between the node and its own site. The distance of two nodes is that
 * of their coordinates and both heights, as Consul's clients calculate it.
 *
 * A node without an agent has the coordinate that somebody else has written for
 * it
 * (/v1/coordinate/update), without a lease:
 *
 *   {"node": "printer", "vec": [8 numbers], "height": N}
 *
 * It is an estimate: good enough to tell a rack from the next town. A node that
 * has not measured a landmark stands in its middle.
 */
#pragma once

#include "agent/core/catalog.h"

#define COORD_DIMS        8  /* Consul's clients demand as many. */
#define COORD_MEMBERS_MAX 16 /* Measured by a node. */

struct coord {
    double vec[COORD_DIMS]; /* Seconds, like the following. */
    double height;
};

/* The round trip of the two. */
double coord_distance(const struct coord *a, const struct coord *b);

/* What /v1/coordinate/update is told, {"Node": ..., "Coord": {"Vec": [...],
 * "Height": ..., "Adjustment": ...}}: keys in any case, seconds. The adjustment
 * becomes a part of the height. ST_INVALID: err says what is wrong. */
enum status coord_read(struct arena *a, struct slice body,
                       const char **out_node, struct coord *out_coord,
                       struct err *err);
/* The record. */
struct slice coord_write(struct arena *a, const char *node,
                         const struct coord *at);

/* ---- What all nodes have measured --------------------------------- */

struct coords;

struct coords *coords_new(const char *dc);
void coords_free(struct coords *c); /* NULL is fine. */

/* As catalog_apply() gets them; other keys are passed over. With `full`, what
 * is not among `events` is gone. Records that cannot be read count as none.
 * Whether anything may be known that was not, or is no longer. */
bool coords_apply(struct coords *c, const struct catalog_event *events,
                  size_t events_count, bool full);

/* False: nothing is known. Names in any case. */
bool coords_find(const struct coords *c, const char *node,
                 struct coord *out_coord);
uint64_t coords_index(const struct coords *c); /* 1 at least. */

typedef void (*coords_fn)(void *ctx, const char *node, const struct coord *at);
void coords_each(const struct coords *c, coords_fn fn, void *ctx);

struct slice coords_key(const struct coords *c, struct arena *a,
                        const char *node);
/* Of all. */
struct slice coords_folder(const struct coords *c, struct arena *a);

/* ---- What this one measures --------------------------------------- */

struct coord_member {
    char name[128]; /* "10.0.0.1:2379" */
    double rtt_us;  /* Smoothed. */
    bool seen;      /* In this round. */
};

/* Zeroed at first. A round: begin, one add for each answer, end. */
struct coord_track {
    struct coord_member members[COORD_MEMBERS_MAX];
    size_t count;
};

void coord_track_begin(struct coord_track *t);
void coord_track_add(struct coord_track *t, const char *member,
                     uint64_t rtt_us);
/* Members that have not answered are forgotten. */
void coord_track_end(struct coord_track *t);

/* Whether our record says something else: a member more or less, or a round
 * trip that is another by more than a fifth and half a millisecond. If so, the
 * record to write is in the arena. */
bool coord_track_news(const struct coord_track *t, const struct coords *c,
                      const char *node, struct arena *a,
                      struct slice *out_value);
