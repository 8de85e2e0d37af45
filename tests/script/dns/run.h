/*
 * run.h - what the parts of the DNS script runner share.
 */
#pragma once

#include "base/core/arena.h"
#include "dns/core/model.h"
#include "dns/core/transfer.h"
#include "query/core/query.h"

enum {
    WORDS_MAX = 32,
    INSTANCES_MAX = 1024,
    OTHERS_MAX = 3,
    QUERIES_MAX = 32
};

struct held {
    const struct dns_model *model;
    char *service;
    struct dns_instance instance;
};

/* A datacenter. */
struct site {
    const char *name;
    struct dns_model *model;
    enum dns_state state;
    const struct query *queries[QUERIES_MAX];
    size_t queries_count;
};

struct run {
    struct site home; /* What is asked. */
    struct site others[OTHERS_MAX];
    const char *names[OTHERS_MAX]; /* Theirs, for the settings. */
    size_t others_count;
    struct site *site; /* What commands are about. */
    struct dns_settings settings;
    uint64_t revision;
    struct held held[INSTANCES_MAX];
    size_t held_count;
    struct dns_transfer_set *sets[2]; /* Of each domain; NULL: not yet. */
    struct arena words;               /* Every text of the script. */
    struct buf *out;
};

/* Into the output of the block. */
void say(struct run *r, const char *text);

/* "a,b": its items. */
const char **split(struct run *r, char *text, size_t *out_count);

/* ask.c: the commands that put a question. words[0] is the command. */
void do_ask(struct run *r, char **words, size_t count);
void do_explain(struct run *r, char **words, size_t count);
void do_send(struct run *r, char **words, size_t count);
void do_order(struct run *r, char **words, size_t count);

/* The zone as it is now, to be freed. */
struct dns_zone *commit_now(struct run *r);

/* transfer.c */
void do_transfer(struct run *r, char **words, size_t count);

/* query.c: words[1] is the id; fields follow, or none: it goes. */
void do_query(struct run *r, char **words, size_t count);
void queries_end(struct site *s);
void do_distance(struct run *r, const char *name, const char *us);

/* set.c: settings, and datacenters by name. */
void do_set(struct run *r, const char *key, char *value);
void do_dc(struct run *r, const char *name);
/* Where nodes are; all that have measured. */
void do_measured(struct run *r, char **words, size_t count);
