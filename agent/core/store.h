/*
 * store.h - what a request asks of the store, and what the store says.
 *
 * A request that needs the store is taken in steps: it reads what it has to
 * know, decides, and writes under guards that all of it is still as it was
 * read. If a guard does not hold, nothing was written, the answer carries
 * everything read anew, and the request decides again.
 *
 * Asks are made in a request's arena; adding more than LIMIT_TXN_OPS of a kind
 * sets `full` and drops the rest, to be looked at before the ask is used.
 */
#pragma once

#include "base/core/arena.h"

enum store_ask_kind {
    STORE_TXN,    /* Guards, changes, reads; see above. Without changes it
                     reads only. */
    STORE_LIST,   /* One read of any size, page by page, at one revision. */
    STORE_GRANT,  /* A lease of ttl_s. */
    STORE_RENEW,  /* Of `lease`; the answer's ttl_s is 0 if it is gone. */
    STORE_REVOKE, /* Of `lease`; no failure if it is gone. */
};

enum store_guard_kind {
    STORE_MOD_IS,    /* 0: the key is absent. */
    STORE_CREATE_IS, /* The same of its creation. */
    STORE_MOD_BELOW, /* Each key of the range was changed before. */
};

struct store_guard {
    enum store_guard_kind kind;
    struct slice key;
    struct slice end; /* Of a range; empty: one key. */
    int64_t revision;
};

struct store_change {
    bool deletes;
    struct slice key;
    struct slice end;   /* Of a deletion of a range. */
    struct slice value; /* Of a put. */
    int64_t lease;
};

struct store_read {
    struct slice key;
    struct slice end;
    int64_t limit; /* 0: none. */
    bool keys_only;
};

struct store_ask {
    enum store_ask_kind kind;
    bool stale; /* Whatever the member in contact has will do (serializable). */
    bool full;
    struct store_guard *guards;
    size_t guards_count;
    struct store_change *changes;
    size_t changes_count;
    struct store_read *reads;
    size_t reads_count;
    int64_t lease;
    int64_t ttl_s;
};

/* An empty transaction. */
void store_txn(struct store_ask *ask, struct arena *a);
void store_list(struct store_ask *ask, struct arena *a, struct slice key,
                struct slice end, bool keys_only);

/* A key is read once however often it is asked for. */
void store_read_key(struct store_ask *ask, struct slice key);
void store_read_range(struct store_ask *ask, struct slice key, struct slice end,
                      int64_t limit, bool keys_only);
void store_guard(struct store_ask *ask, enum store_guard_kind kind,
                 struct slice key, struct slice end, int64_t revision);
void store_put(struct store_ask *ask, struct slice key, struct slice value,
               int64_t lease);
void store_delete(struct store_ask *ask, struct slice key, struct slice end);

struct store_kv {
    struct slice key;
    struct slice value;
    int64_t create_revision;
    int64_t mod_revision;
    int64_t lease;
};

struct store_range {
    struct slice key; /* As asked. */
    struct slice end;
    const struct store_kv *items; /* In order of key. */
    size_t count;
    bool more; /* The limit has cut it. */
};

enum store_result {
    STORE_DONE,    /* Read, or written: the guards held. */
    STORE_GUARDED, /* A guard did not hold; read anew. */
    STORE_REFUSED, /* The store will not; `text` says why. */
    STORE_TOO_BIG, /* More than a reply may hold. */
    STORE_FAILED,  /* No answer. What it has done is not known. */
};

struct store_answer {
    enum store_result result;
    const char *text;
    int64_t revision;
    const struct store_range *ranges; /* Of the reads, unless it has written. */
    size_t ranges_count;
    int64_t lease;
    int64_t ttl_s;
    struct arena arena; /* Owns what the answer points to. */
};

void store_answer_release(struct store_answer *a); /* Safe on a zeroed one. */

/* NULL: absent. CHECKs that it was read. */
const struct store_kv *store_found(const struct store_answer *a,
                                   struct slice key);
const struct store_range *store_range_of(const struct store_answer *a,
                                         struct slice key);
/* Whether the answer holds a read of that key. */
bool store_was_read(const struct store_answer *a, struct slice key);

/* The end of the range of all keys that begin with `prefix`: its successor. */
struct slice store_prefix_end(struct arena *a, struct slice prefix);
