/*
 * datacenters.h - the other datacenters whose catalogues the agent follows.
 *
 * Each has a link of its own that only follows, a replica on disk
 * (DATA-DIR/replica-NAME.mdb), a guard against mass losses, and a feed of DNS.
 * So each goes on being answered for when its store is out of reach, with its
 * own age, whatever becomes of the others.
 */
#pragma once

#include "agent/core/api.h"
#include "agent/io/config.h"

struct datacenters;
struct dnsfeed;
struct dnsfeed_config;
struct link;
struct loop;

struct datacenters_hooks {
    void *ctx;
    /* A catalogue has changed, or contact to a store. */
    void (*on_catalog)(void *ctx);
    void (*on_contact)(void *ctx);
};

/* Begin to follow those of the configuration; its strings must stay. `feed` is
 * the home feed, `dns` what feeds have in common. On an error, too, what has
 * begun is in *out and must be stopped. ST_INVALID, ST_IO. */
enum status datacenters_start(struct loop *loop,
                              const struct agent_config *config,
                              struct dnsfeed *feed,
                              const struct dnsfeed_config *dns,
                              struct datacenters_hooks hooks,
                              struct datacenters **out, struct err *out_err);

/* As they are now, until the next call. Not after they were stopped. */
const struct api_datacenter *datacenters_view(struct datacenters *d,
                                              size_t *out_count);

/* The way to the store of one that the view has shown; else NULL. */
struct link *datacenters_link(struct datacenters *d, const char *name);

/* What is to be said of each; it lies in the arena. */
struct metrics;
void datacenters_metrics(struct datacenters *d, struct arena *arena,
                         struct metrics *list);

/* Rights or settings of DNS are other ones: feed everything again. */
void datacenters_feed(struct datacenters *d);
/* The machine has slept (link_slept). */
void datacenters_slept(struct datacenters *d, uint64_t slept_ms);
void datacenters_set_guard(struct datacenters *d, enum guard_mode mode);
void datacenters_set_limits(struct datacenters *d,
                            const struct guard_limits *limits);

/* First the links end, then, when nobody asks anything any more, the rest. The
 * feeds end with the home feed. on_done comes once, maybe from within. */
typedef void datacenters_done_fn(void *arg);
void datacenters_stop(struct datacenters *d, datacenters_done_fn *on_done,
                      void *arg);
void datacenters_close(struct datacenters *d, datacenters_done_fn *on_done,
                       void *arg);
void datacenters_free(struct datacenters *d); /* NULL is fine. */
