/*
 * janitor.h - work that one agent of a datacenter does for all of them.
 *
 * The agents elect a janitor: it is the one whose lease holds the lock key
 * "lock/janitor" below the datacenter's root. All others see it in the watch
 * they have anyway, and stand up when it goes away.
 *
 * The work is cut into duties (dead nodes, sessions). Each hands out one
 * transaction at a time; the janitor guards it by the lock, so that nothing is
 * written by somebody who only believes to be the janitor. Duties are asked in
 * turn, and only while the replica follows the store.
 *
 *     janitor_add(j, &(struct janitor_duty){.name = "reaper", ...});
 */
#pragma once

#include "agent/core/sync.h"

struct janitor;
struct link;
struct link_update;
struct loop;

struct janitor_duty {
    const char *name; /* For the log; not copied. */
    void *ctx;
    /* We are the janitor from now on, or no longer. May be NULL. */
    void (*elected)(void *ctx, bool ours, uint64_t now_ms);
    /* What to write now: at most LIMIT_TXN_OPS - 1 operations, without live
     * key. False: nothing; *out_wake_ms is when to ask again (UINT64_MAX: when
     * the catalogue has changed or at janitor_poke()). Strings live in the
     * arena, or until the catalogue changes. Asked only of the janitor. */
    bool (*next)(void *ctx, uint64_t now_ms, struct arena *a,
                 struct sync_txn *out_txn, uint64_t *out_wake_ms);
    /* What became of it. SYNC_GUARDED: a record, or the lock, had changed. */
    void (*done)(void *ctx, enum sync_result result, uint64_t now_ms);
};

#define JANITOR_DUTIES_MAX 8

struct janitor_config {
    const char *datacenter;
    const char *node; /* Who we are, for the others to read. */
    const char *incarnation;
    uint64_t seed;
};

/* `link` is borrowed and outlives the janitor's work: stop the janitor, then
 * the link, then free the janitor. */
struct janitor *janitor_start(struct loop *loop, struct link *link,
                              const struct janitor_config *config);
void janitor_add(struct janitor *j, const struct janitor_duty *duty);

/* The catalogue has changed. */
void janitor_update(struct janitor *j, const struct link_update *update);
/* Ask the duties again at the end of this turn. */
void janitor_poke(struct janitor *j);

/* Whether we are the janitor; and who is, "" if unknown. */
bool janitor_is_ours(const struct janitor *j);
const char *janitor_name(const struct janitor *j);

/* No duty is asked any more. on_stopped comes later, once. */
typedef void janitor_stopped_fn(void *arg);
void janitor_stop(struct janitor *j, janitor_stopped_fn *on_stopped, void *arg);
void janitor_free(struct janitor *j); /* After link_stop(); NULL is fine. */
