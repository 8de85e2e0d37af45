/*
 * state.h - what this agent must remember by itself: who it is, what was
 * registered by the API, maintenance, check statuses.
 *
 * Lives in DATA-DIR/state.mdb. agent/core says what an item is; this module
 * stores items and brings them back. A damaged file is moved aside, loudly: the
 * agent then starts with what its files say.
 */
#pragma once

#include <uv.h>

#include "agent/core/local.h"

struct state;

/* Open or create. ST_IO: the file cannot be used; out_err says why. */
enum status state_open(uv_loop_t *loop, const char *path,
                       struct state **out_state, struct err *out_err);

/* A UUID and a random word, made at the first start and kept. */
const char *state_node_id(const struct state *s);
const char *state_incarnation(const struct state *s);

/* Give all items back to a fresh local state. */
void state_restore(struct state *s, struct local *local, struct local_time now);

/* Take over what changed. Urgent items are written at once, others within a
 * second. True: some were urgent, and an answer that depends on them waits for
 * state_sync(). What could not be written goes back to `local`, which must live
 * until the state is closed, and is tried again with the next save. */
bool state_save(struct state *s, struct local *local, struct local_time now);

/* on_durable comes once, later, when everything saved so far is on disk, or
 * with the status of the failure. */
typedef void state_durable_fn(void *arg, enum status st, const struct err *err);
void state_sync(struct state *s, state_durable_fn *on_durable, void *arg);

/* Write the rest and close; on_closed comes later, once. */
typedef void state_closed_fn(void *arg);
void state_close(struct state *s, state_closed_fn *on_closed, void *arg);
