/*
 * watch_queue.h - a watcher's insides, for watch.c and watch_next.c.
 */
#pragma once

#include <uthash.h>

#include "store/kv/watch_hub.h"

LIST_HEAD(watchers, watcher);

/* All watchers of one key (in the hash table) or of one interval (in the
 * tree). `interval` comes first, so that the one is found from the other. */
struct watched {
    struct interval interval;
    struct watchers watchers;
    UT_hash_handle hh;
    uint8_t bytes[]; /* key, range_end */
};

struct watcher {
    struct kv *kv;
    void *owner;
    struct watched *watched;
    LIST_ENTRY(watcher) entry;
    TAILQ_ENTRY(watcher) line;
    int64_t next; /* Nothing before this revision is for it. When behind: where
                     to go on in history. */
    bool behind;
    bool paused;
    bool in_line;
    bool no_put;
    bool no_delete;
    bool prev_kv;

    /* A ring of events that wait, with a reference each. */
    struct record **queue;
    size_t first;
    size_t count;
    size_t cap; /* A power of two, or 0. */
    size_t bytes;
};

static inline struct record **queue_at(const struct watcher *w, size_t i)
{
    return &w->queue[(w->first + i) & (w->cap - 1)];
}

/* Not behind, not filtered. */
bool watcher_wants(const struct watcher *w, int64_t main, bool tombstone);

/* Into the line, if it has something to say and may. */
void watcher_line_up(struct watcher *w);

/* Drop the references of the last notice. */
void watch_give_back(struct watch_hub *hub);
