/*
 * memory_table.h - the table port in memory: what LMDB does, without a disk.
 *
 * memory_table_commit() is the backend thread: it writes the batch, and the
 * caller calls kv_done() then. A crash is to forget the kv and open a new one
 * on the same table.
 */
#pragma once

#include "store/kv/kv.h"

struct memory_row {
    struct slice key; /* key and value are owned, in one piece. */
    struct slice value;
};

struct memory_rows {
    struct memory_row *list; /* By key. */
    size_t count;
    size_t cap;
};

struct memory_table {
    struct table port;
    struct memory_rows tables[TABLES_COUNT];
    uint64_t size;    /* What port.size() says. */
    uint64_t calls;   /* Reads so far. */
    uint64_t fail_at; /* The read with this number fails; 0: none. */
};

void memory_table_init(struct memory_table *t);
void memory_table_release(struct memory_table *t);

/* Write what waits, if anything: kv_take() to kv_done(). */
void memory_table_commit(struct memory_table *t, struct kv *kv);

void memory_table_write(struct memory_table *t,
                        const struct table_write *write);
