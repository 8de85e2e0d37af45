/*
 * sessions.h - ends the sessions that are over: a duty of the janitor.
 *
 * While we are the janitor all sessions are known here. One whose TTL has
 * passed (its leased key has gone), whose node was lost or whose check has
 * turned critical is ended as agent/core/session_end.h says, one after the
 * other. Everything is guarded by what was read, so it does no harm if two
 * agents believe to be the janitor.
 */
#pragma once

#include <stdint.h>

#include "agent/io/janitor.h"

struct sessions;

struct sessions *sessions_start(struct loop *loop, struct link *link,
                                const char *datacenter);

/* To be added to the janitor. */
struct janitor_duty sessions_duty(struct sessions *s);

struct sessions_stats {
    uint64_t known; /* 0 unless we are the janitor. */
    uint64_t ended;
};

struct sessions_stats sessions_stats(const struct sessions *s);

/* Nothing is begun any more. on_stopped comes later, once. */
void sessions_stop(struct sessions *s, void (*on_stopped)(void *arg),
                   void *arg);
void sessions_free(struct sessions *s); /* After link_stop(); NULL is fine. */
