/*
 * dnsfeed_impl.h - private to dnsfeed*.c.
 */
#pragma once

#include <uv.h>

#include "agent/core/recent.h"
#include "agent/io/dnsfeed.h"
#include "base/io/loop.h"

#define WARNED_MAX 64

/* A service with instances that nobody knows to live. */
struct held_service {
    char *name;
    bool asked; /* Since it was noted. */
};

/* What prepared queries look at beside tags and health. */
struct queries_want {
    bool meta;
    bool checks;
};

struct dnsfeed {
    struct loop *loop;
    struct dnsfeed_config config;
    struct dns_model *model;
    const struct catalog *catalog; /* As fed last; NULL: never. */
    struct loop_task commit;
    uint64_t revision;
    enum dns_state state; /* As published last. */
    bool stopped;
    size_t oversized;
    const char *warned[WARNED_MAX]; /* Services that were, as said. */
    size_t warned_count;
    struct arena warned_texts;
    uv_timer_t age;
    struct held_service *held; /* Sorted by name. */
    size_t held_count;
    size_t held_cap;
    uv_timer_t look; /* Who has asked for held ones; runs while there are. */
    struct recents *recents;
    uv_timer_t forget;           /* When the next is no longer recent. */
    struct queries_want want;    /* By our own datacenter's. */
    struct queries_want fed_for; /* By those of all, when we were fed. */
    unsigned open;               /* Handles that are closing. */
    dnsfeed_closed_fn *on_closed;
    void *closed_arg;
    struct dns_zone *zone; /* The last one published; the server's. */
    struct dnsfeed *others[LIMIT_DATACENTERS]; /* Of a home feed. */
    size_t others_count;
    size_t others_open; /* Those that are closing. */
    bool fed;           /* Of another's: not in the home feed's zone yet. */
};

/* dnsfeed.c: feed this service again. */
void dnsfeed_service(struct dnsfeed *f, const char *name);

const char *dnsfeed_pair(struct pairs pairs, const char *key);
const char *dnsfeed_tagged(const struct tagged_address *tagged, size_t count,
                           const char *name);
void dnsfeed_warn_oversized(struct dnsfeed *f, const struct dns_zone *zone);

/* dnsfeed_others.c: what is different for other datacenters. */
void dnsfeed_instance_addresses(const struct dnsfeed *f,
                                const struct instance_record *r,
                                const struct catalog_node *node,
                                struct dns_instance *out);
void dnsfeed_node_addresses(const struct dnsfeed *f,
                            const struct node_record *r, struct dns_node *out);
/* The settings of its model. */
struct dns_settings dnsfeed_settings(const struct dnsfeed *f,
                                     const struct dns_settings *home);
/* Let the next zone of the home feed show what they were fed. */
void dnsfeed_others_commit(struct dnsfeed *home);
enum status dnsfeed_others_set(struct dnsfeed *home,
                               const struct dns_settings *settings,
                               struct dnsfeed_ages ages, struct err *err);
void dnsfeed_others_stop(struct dnsfeed *home);
const struct dns_pair *dnsfeed_pairs(struct arena *a, struct pairs pairs);

/* dnsfeed_query.c: take the queries over. True: all services are to be fed
 * again, since something else of them is wanted. */
bool dnsfeed_query_take(struct dnsfeed *f, const struct catalog *catalog);
/* What of an instance is for them. */
void dnsfeed_query_mark(struct dnsfeed *f, struct arena *a,
                        const struct catalog *catalog,
                        const struct catalog_node *node,
                        const struct catalog_instance *i,
                        struct dns_instance *out);

/* dnsfeed_held.c */
void dnsfeed_held_init(struct dnsfeed *f);
/* A service was fed, with so many held instances. */
void dnsfeed_held_note(struct dnsfeed *f, const char *name, size_t held);
enum held_which {
    HELD_ALL,
    HELD_ASKED
};
/* Feed services with held instances again. */
void dnsfeed_held_feed(struct dnsfeed *f, enum held_which which);
/* A service is about to be fed from `after`. */
void dnsfeed_recent_look(struct dnsfeed *f, const struct catalog *after,
                         const char *name);
/* What of an instance depends on it. */
void dnsfeed_held_mark(struct dnsfeed *f, const struct catalog_node *node,
                       const struct catalog_instance *i,
                       struct dns_instance *out);
void dnsfeed_held_stop(struct dnsfeed *f);
void dnsfeed_held_release(struct dnsfeed *f);
