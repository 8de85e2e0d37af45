/*
 * session_end.h - ends a session: lets go what it holds, then removes it.
 *
 * Anybody may try, and go on where another one has stopped: each transaction is
 * guarded by the session and by the entries as they were read. A session that
 * holds more than fits into one is marked first, so that it can lock nothing
 * more. What was locked is released or deleted, as the session has it, and in
 * the same moment gets a key under a lease of the lock-delay; until that ends
 * nobody may lock it.
 *
 *     session_end_step() gives an ask; its answer is handed to the next step
 */
#pragma once

#include "agent/core/kv.h"
#include "agent/core/session.h"

#define SESSION_END_QUERIES 8  /* Prepared queries that go with it at once. */
#define SESSION_END_BATCH   32 /* Entries let go in one transaction. */

enum session_end_why {
    SESSION_END_ASKED,   /* Whether it lives or not. */
    SESSION_END_IF_OVER, /* Only if it does not live any more. */
};

enum session_end_next {
    SESSION_END_ASK,   /* Carry out *ask. */
    SESSION_END_GONE,  /* The session is no more. */
    SESSION_END_LIVES, /* It is not over; nothing was done. */
};

/* Begins zeroed but for the first two. */
struct session_end {
    const char *id;
    enum session_end_why why;
    unsigned step;
    int64_t lease;
};

/* `seen` and `done`: the last answers that have read, and not, as api_flow has
 * them; NULL at first. */
enum session_end_next session_end_step(struct session_end *e, struct arena *a,
                                       const char *dc,
                                       const struct catalog *catalog,
                                       const struct store_answer *seen,
                                       const struct store_answer *done,
                                       struct store_ask *ask);
