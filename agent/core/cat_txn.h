/*
 * cat_txn.h - operations of /v1/txn on nodes, services and checks, decided
 * against what was read.
 *
 * The same way as kv_txn.h, beside which it is used: reads, play, changes, play
 * once more; at the end guards, of all that was read, if anything is written by
 * either. The replica tells under which keys things are; what is in them is
 * read from the store. Records are those of /v1/catalog/register.
 */
#pragma once

#include "agent/core/catalog.h"
#include "agent/core/store.h"

enum cat_kind {
    CAT_NODE,
    CAT_SERVICE,
    CAT_CHECK
};

enum cat_verb {
    CAT_GET,
    CAT_SET,
    CAT_CAS, /* index 0: only if it is absent. */
    CAT_DELETE,
    CAT_DELETE_CAS
};

struct cat_op {
    size_t at; /* Its place in the request. */
    enum cat_kind kind;
    enum cat_verb verb;
    const char *node;
    const char *service_id; /* CAT_SERVICE; CAT_CHECK: "": the node's. */
    uint64_t index;
    struct node_record node_record; /* What to set. */
    struct instance_record service;
    struct check_record check;
};

/* A thing as the operations so far have left it. */
struct cat_slot {
    struct slice key;
    struct record_key name; /* The key's parts; the node in lower case. */
    bool was;               /* In the store, when it was read. */
    int64_t was_revision;
    bool exists;
    bool changed;
    int64_t create_revision;
    int64_t mod_revision;
    union {
        struct node_record node;
        struct instance_record instance;
        struct node_check_record check;
    };
};

struct cat_result {
    size_t op;                 /* Index of `ops`. */
    struct cat_slot slot;      /* A copy. */
    struct check_record check; /* CAT_CHECK */
};

struct cat_error {
    size_t op;
    const char *text;
};

struct cat_txn {
    struct arena *arena;
    const char *dc;
    const struct catalog *catalog;
    bool force; /* Hosts with agents, too. */
    const struct cat_op *ops;
    size_t ops_count;

    /* Made by cat_txn_play(); as many as there are operations at most. */
    struct cat_error *errors;
    size_t errors_count;
    struct cat_result *results;
    size_t results_count;

    /* Its own. */
    int64_t revision;
    struct cat_slot *slots;
    size_t slots_count;
};

void cat_txn_reads(const struct cat_txn *t, struct store_ask *ask);

/* `revision`: 0 before it is written. */
void cat_txn_play(struct cat_txn *t, const struct store_answer *seen,
                  int64_t revision);

/* Changes and the same reads. ST_TOO_BIG: a record is too large. */
enum status cat_txn_changes(const struct cat_txn *t, struct store_ask *ask);
void cat_txn_guards(const struct cat_txn *t, struct store_ask *ask);
