/*
 * pending.h - what has been applied and is not durable in the tables yet.
 *
 * Records (rows of table `key`) in the order of their revisions, and other rows
 * ("notes"), of which the last one for a key counts. A batch takes all of it;
 * its records stay readable here until the batch is done.
 */
#pragma once

#include "store/kv/kv.h"
#include "store/kv/record.h"

/* A row that is not a record. Owns its bytes, key and then value. */
struct pending_note {
    enum table_id table;
    bool remove;
    uint32_t key_len;
    uint32_t value_len;
    uint64_t order; /* The later one counts. */
    uint8_t *bytes;
};

struct pending {
    struct record **records;
    size_t records_count;
    size_t records_cap;
    size_t records_taken; /* The first ones are in the batch that is out. */

    /* Where each revision's records begin. Revisions are dense. */
    size_t *starts;
    size_t starts_count;
    size_t starts_cap;
    int64_t first_main; /* Of starts[0]; meaningless when there is none. */

    struct pending_note *notes;
    size_t notes_count;
    size_t notes_cap;
    uint64_t notes_order;

    /* The batch that is out. */
    bool out;
    struct kv_batch batch;
    struct table_write *writes;
    size_t writes_cap;
    struct pending_note *out_notes;
    size_t out_notes_count;
};

/* A zeroed struct pending is empty. */
void pending_release(struct pending *p);

/* The record of the next change; takes over the caller's reference. */
void pending_add(struct pending *p, struct record *r);

/* NULL: older than everything here, so look into the table. */
struct record *pending_find(const struct pending *p, struct kv_rev rev);

/* The records at and after a revision, in order: *out_count of them. */
struct record *const *pending_from(const struct pending *p, int64_t main,
                                   size_t *out_count);

void pending_note(struct pending *p, enum table_id table, struct slice key,
                  struct slice value);
void pending_note_remove(struct pending *p, enum table_id table,
                         struct slice key);

/* Compaction has dropped this row: never write it, or remove it. */
void pending_drop(struct pending *p, struct kv_rev rev, bool tombstone);

/* Everything that waits, as one batch with this index and term. */
const struct kv_batch *pending_take(struct pending *p, uint64_t index,
                                    uint64_t term);
void pending_done(struct pending *p);

void pending_verify(const struct pending *p);
