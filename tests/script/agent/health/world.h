/*
 * world.h - an agent's local state in virtual time: what its checks find, what
 * its disk keeps, and the other hosts of the catalogue.
 *
 * Time passes from one event to the next, so a story of an hour takes no time,
 * and each change of a status is told when it happens.
 */
#pragma once

#include "agent/core/catalog.h"
#include "agent/core/local.h"

enum {
    WORLD_CHECKS = 64,
    WORLD_ITEMS = 128,
    WORLD_TEXT = 512,
};

/* What a check's runs find from now on. */
struct behaviour {
    char id[WORLD_TEXT];
    enum check_status status;
    char output[WORLD_TEXT];
    uint64_t takes_ms;
};

struct pending {
    uint64_t run;
    uint64_t done_ms;
    const struct behaviour *finds;
};

struct seen {
    char id[WORLD_TEXT];
    enum check_status status;
    bool exists;
};

struct item {
    char *key;
    char *value;
};

typedef void (*world_say_fn)(void *ctx, const char *text);

struct world {
    struct local *local;
    struct local_time now;
    struct catalog *catalog;
    int64_t revision;
    struct behaviour behaviours[WORLD_CHECKS];
    size_t behaviours_count;
    struct pending pending[WORLD_CHECKS];
    size_t pending_count;
    struct seen seen[WORLD_CHECKS];
    size_t seen_count;
    struct item files[WORLD_CHECKS]; /* Name and text. */
    size_t files_count;
    struct item items[WORLD_ITEMS]; /* On disk. */
    size_t items_count;
    uint64_t runs;
    world_say_fn say;
    void *ctx;
};

void world_start(struct world *w, world_say_fn say, void *ctx);
void world_end(struct world *w);

/* Say what has changed, and write what must be on disk. After each command. */
void world_look(struct world *w);

void world_pass(struct world *w, uint64_t ms);

/* The agent is killed and is back after `ms`. */
void world_restart(struct world *w, uint64_t ms);
void world_suspend(struct world *w, uint64_t ms);

struct behaviour *world_behaviour(struct world *w, const char *id);
void world_file(struct world *w, const char *name, const char *text);
void world_forget(struct world *w, const char *name);

/* Another host's node record with its lease, or without (`live` false). */
void world_node(struct world *w, const char *name, bool live);
/* A service there, with one check. */
void world_remote(struct world *w, const char *node, const char *service,
                  enum check_status status);
