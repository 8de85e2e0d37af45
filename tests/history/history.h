/*
 * history.h - what clients asked and were told, and a judge of it.
 *
 * Clients put, get, delete and compare-and-put a few keys. Revisions are a
 * witness: a store is linearizable if they fit with what happened before what,
 * and each read is that of the newest write up to its revision.
 *   - a write that began after an answer with revision R has a higher one; a
 *     read has R or higher
 *   - no revision is given twice
 *   - a read of revision R shows the key's newest write up to R, acknowledged
 *     or not; never a value that nobody wrote
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum op_kind {
    PUT,
    GET,
    DELETE,
    CAS /* Put, if the key's mod_revision is `expected`; else get. */
};

struct op {
    enum op_kind kind;
    unsigned key;
    uint64_t value;    /* Written; its place in the history, from 1. */
    uint64_t expected; /* CAS: mod_revision. */
    uint64_t start;    /* Of any clock that all clients share. */
    uint64_t end;
    uint64_t floor; /* The judge's: the highest revision answered before. */
    bool ok;
    bool wrote;        /* ok: it has changed something. */
    uint64_t revision; /* ok: of the answer's header. */
    bool saw;          /* ok: it shows what the key holds: */
    uint64_t mod;      /* its mod_revision, 0: there is none */
    uint64_t seen;     /* and value. */
};

struct history {
    struct op *ops; /* By value. */
    size_t count;
    unsigned complaints;
};

/* Something is wrong with this one: counted, and the first are printed. */
void history_complain(struct history *h, const struct op *op, const char *what);

/* Judge all of it, once. false: there were complaints. */
bool history_judge(struct history *h);
