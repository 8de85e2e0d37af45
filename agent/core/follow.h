/*
 * follow.h - a client that follows services: GET /v1/stream.
 *
 * One JSON object a line (NDJSON):
 *
 *   {"op":"put","index":7,"service":"web","node":"edge","id":"w1",
 *    "status":"passing","entry":{"Node":...,"Service":...,"Checks":[...]}}
 *   {"op":"del","index":8,"service":"web","node":"edge","id":"w1"}
 *   {"op":"sync","index":8,"full":true}
 *   {"op":"stale","index":8}
 *
 * "sync": all that was known at this index has been told. With "full", what was
 * put since the beginning is all there is; else it adds to what the client had
 * (which it has shown by ?index=, or by having been told). "stale": the store
 * is out of reach, and what was told may be old; the next "sync" ends that.
 *
 * A follower holds the snapshot that its client has been told, so that a client
 * that reads slowly gets the difference between then and now, however much
 * happened in between, and never a backlog.
 */
#pragma once

#include "agent/core/api.h"

struct follow;

/* Strings are copied. An index that this store has given, with none of the
 * services changed since, spares the client the beginning. */
struct follow *follow_new(const struct api_follow *wanted);
void follow_free(struct follow *f); /* NULL is fine. */

enum follow_step {
    FOLLOW_DONE, /* The client knows what there is. */
    FOLLOW_MORE, /* `room` is used up: call again when that was sent. */
    FOLLOW_FULL  /* One service does not fit into `out`: give up. */
};

/* Append lines until about `room` bytes are there, or the client knows all. */
enum follow_step follow_next(struct follow *f, const struct api_view *view,
                             size_t room, struct buf *out);

/* The client was not sent what there was for some time: it is told with a
 * "sync" when it has caught up. */
void follow_behind(struct follow *f);
