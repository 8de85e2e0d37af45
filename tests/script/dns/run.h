/*
 * run.h - what the parts of the DNS script runner share.
 */
#pragma once

#include "base/core/arena.h"
#include "dns/core/model.h"

enum {
    WORDS_MAX = 32,
    INSTANCES_MAX = 1024,
    LINE_MAX_BYTES = 2048
};

struct held {
    char *service;
    struct dns_instance instance;
};

struct run {
    struct dns_model *model;
    struct dns_settings settings;
    enum dns_state state;
    uint64_t revision;
    struct held held[INSTANCES_MAX];
    size_t held_count;
    struct arena words; /* Every text of the script. */
    struct buf *out;
};

/* Into the output of the block. */
void say(struct run *r, const char *text);

/* ask.c: the commands that put a question. words[0] is the command. */
void do_ask(struct run *r, char **words, size_t count);
void do_send(struct run *r, char **words, size_t count);
void do_order(struct run *r, char **words, size_t count);

/* set.c */
void do_set(struct run *r, const char *key, char *value);
