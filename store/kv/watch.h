/*
 * watch.h - who is told of which change.
 *
 * A watcher is told of every change of its keys from its start revision on, in
 * order, once, and whole revisions at a time.
 *
 * **Pull, never call back.** kv_apply() only notes: each event is encoded once,
 * and every watcher concerned gets a reference in its queue. The owner asks at
 * the end of its turn:
 *
 *     while ((w = watch_ready(kv)) != NULL) {
 *         if (no room towards this client) {
 *             watch_pause(w);      - asked again only after watch_resume(w)
 *             continue;
 *         }
 *         watch_next(w, &notice);  - send it
 *     }
 *
 * **Slow watchers.** A paused watcher's queue is bounded (LIMIT_WATCH_BACKLOG
 * events, LIMIT_WATCH_BACKLOG_BYTES); past that it is dropped and the watcher
 * is "behind": it will read from history what it has missed, in slices, when it
 * is resumed. That is also how a watcher starts in the past. Nothing is lost
 * and nothing grows. If history was compacted meanwhile, it is told so and is
 * over.
 *
 * Not here: watch ids, fragments, created and canceled answers, timers of
 * progress_notify. They belong to the stream (store/api).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/core/bytes.h"

struct kv;
struct watcher;

struct watch_spec {
    struct slice key;       /* Not empty. Copied. */
    struct slice range_end; /* Empty: the one key; one zero byte: all from key.
                               Copied. */
    int64_t start_revision; /* 0 or below: from the next one. */
    bool no_put;
    bool no_delete;
    bool prev_kv;
    void *owner; /* For watch_owner(). */
};

/* Whether `key`, `range_end` as they came from the client can match anything at
 * all (etcd: "mvcc: watcher range is empty"). An empty key means the zero
 * byte: the caller replaces it. */
bool watch_range_ok(struct slice key, struct slice range_end);

/* A watcher whose start was compacted lives, too: its first notice is
 * WATCH_COMPACTED. */
struct watcher *watch_add(struct kv *kv, const struct watch_spec *spec);
void watch_free(struct watcher *w); /* At any time. NULL is fine. */
void *watch_owner(const struct watcher *w);

/* A watcher with something to say, or NULL. Fair: it goes to the end of the
 * line once it is asked. */
struct watcher *watch_ready(struct kv *kv);

/* Out of the line until resumed; its queue goes on, bounded. */
void watch_pause(struct watcher *w);
void watch_resume(struct watcher *w);

enum watch_notice_type {
    WATCH_NOTHING,   /* A slice of history held nothing for it. Ask later. */
    WATCH_EVENTS,    /* `events` */
    WATCH_COMPACTED, /* Canceled by compaction; free it. `compact_revision` */
};

struct watch_notice {
    enum watch_notice_type type;
    int64_t revision; /* For the header; never ahead of what is still to come
                         for this watcher. */
    int64_t compact_revision;
    size_t rows_read; /* Of history, for this; each about a microsecond. */

    /* Each one a whole field 11 of WatchResponse: tag, length, Event. All
     * events of the revisions concerned, in order. Borrowed until the next
     * call of a kv_ or watch_ function. */
    const struct slice *events;
    size_t events_count;
    size_t events_bytes; /* All together. */
};

/* What comes next for this watcher: the events of one revision, or a slice of
 * history (whole revisions). */
void watch_next(struct watcher *w, struct watch_notice *out_notice);

/* Everything up to the store's revision has been handed out: a progress notice
 * with that revision may be sent. */
bool watch_synced(const struct watcher *w);

/* Counts for metrics. */
struct watch_counts {
    size_t watchers;
    size_t behind;
    uint64_t events_total; /* Handed to watchers' queues or read for them. */
};
struct watch_counts watch_counts(const struct kv *kv);
