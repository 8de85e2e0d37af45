/*
 * catalog_change.h - a snapshot under construction (private to catalog*.c).
 *
 * Its maps share their nodes with the old snapshot; change_node() and
 * change_service() are the only ways to get at a box that may be changed.
 * `index` is what the scopes get that are touched.
 */
#pragma once

#include "agent/core/catalog_model.h"

/* Growing list of names, made unique at the end. */
struct names {
    const char **items;
    size_t count;
    size_t cap;
};

struct change {
    struct catalog *c;
    struct arena *arena;
    struct arena scratch;
    int64_t revision; /* Of the event at hand. */
    uint64_t index;   /* What touched scopes get. */
    struct names services;
    struct names nodes;      /* For readers: record changed, new or gone. */
    struct names lives;      /* Liveness changed, or record new or gone. */
    struct names node_marks; /* Their index changed. */
    struct names forgotten;  /* Tombstones that are no more. */
    bool queries_changed;
    struct names query_marks; /* Ids of those. */
    struct catalog_problem *problems;
    size_t problems_count;
    size_t problems_cap;
};

/* Remember a name. */
void change_name(struct change *x, struct names *n, const char *name);
void change_problem(struct change *x, struct slice key, const char *text);

/* Memory for a record's strings. */
struct held *change_held(size_t expected);
void change_drop(struct held *h); /* NULL is fine. */
void change_plain_free(struct shared *s);
/* About what a record's strings and lists take in memory. */
size_t change_expected(const struct catalog_event *e);
/* "first\0second", for the maps of instances. */
struct slice change_key(struct change *x, const char *first,
                        const char *second);

/* The box of this (lower-case) name, made if absent, free to be changed. */
struct node_box *change_node(struct change *x, const char *name);
struct catalog_service *change_service(struct change *x, const char *name);

/* Tombstones of names that are gone; `kind` is 's' or 'n'. */
void change_bury(struct change *x, char kind, const char *name);
/* A visit of tombstones that tells the replica to drop their indexes. */
bool change_forget(void *ctx, struct slice key, struct shared *value);
void change_unbury(struct change *x, char kind, const char *name);

/* Scopes that give another answer from now on. */
void change_touch_service(struct change *x, const char *name);
void change_touch_node(struct change *x, const char *name, struct node_box *n);
/* Something that every instance on the node depends on. */
void change_touch_wholly(struct change *x, const char *name,
                         struct node_box *n);
/* Its name or meta data has changed, which lists of checks show. */
void change_touch_checks_of(struct change *x, const struct node_box *n);
/* A node of which nothing is left goes away. */
void change_settle(struct change *x, const char *name, struct node_box *n);

/* What is done at a revision: what touched scopes get. */
void change_at(struct change *x, int64_t revision);

/* Put a box in its places; takes the reference over. */
void change_put_instance(struct change *x, struct instance_box *box);
void change_put_node_check(struct change *x, struct node_check_box *box);
/* With a new record, or none any more. Takes `text` over. */
void change_put_node(struct change *x, const char *name,
                     const struct catalog_node *pub, struct held *text);
void change_remove_instance(struct change *x, const struct record_key *key);
void change_remove_node_check(struct change *x, const struct record_key *key);
void change_remove_node(struct change *x, const char *name);
/* All ghosts of a node, but not the node. */
void change_drop_ghosts(struct change *x, const char *name);
struct instance_box *change_new_instance(void);
struct node_check_box *change_new_node_check(void);

/* catalog_query.c */
void change_put_query(struct change *x, const struct catalog_event *e,
                      const char *id);
void change_remove_query(struct change *x, const char *id);
void change_list_queries(struct change *x);
/* The index that was kept of one of them. */
void change_restore_query(struct change *x, const char *id, uint64_t index);

/* catalog_unread.c: the key is, or is not, one whose value is no record. */
void change_note_unread(struct change *x, const struct catalog_event *e,
                        const struct record_key *key, bool unread);

/* Take one event of the store. */
void change_apply(struct change *x, const struct catalog_event *e);

/* Say what is different; releases everything but the new catalogue. */
void change_finish(struct change *x, struct catalog_changes *out);
