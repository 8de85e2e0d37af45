/*
 * rows.h - newest rows kept at hand: those read lately.
 *
 * What is read is mostly read again, and a look-up in the table costs several
 * times what copying a row costs. A row kept follows its key's changes. Bounded
 * by LIMIT_ROWS_BYTES; a row that was read since it was last looked at is
 * passed over once (second chance).
 */
#pragma once

#include <sys/queue.h>

#include "store/kv/index.h"
#include "store/kv/record.h"

TAILQ_HEAD(rows_line, record);

struct rows {
    struct rows_line line; /* The next to go first. */
    size_t bytes;
};

void rows_init(struct rows *rows);
void rows_release(struct rows *rows);

/* Larger rows are not worth it: reading them costs little beside sending. */
#define ROWS_ROW_MAX (64 * 1024)

/* Keep `r`, if it is not too large, as the key's newest row, in place of
 * another; takes a reference of its own. Others may go, `r` itself does not. */
void rows_keep(struct rows *rows, struct index_key *k, struct record *r);

/* The key has no such row any more. */
void rows_drop(struct rows *rows, struct index_key *k);

/* NULL: not kept. Valid until the next rows_keep() or rows_drop(). */
static inline struct record *rows_find(const struct index_key *k)
{
    if (k->row != NULL) {
        k->row->read_lately = true;
    }
    return k->row;
}

void rows_verify(const struct rows *rows);
