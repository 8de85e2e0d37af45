/*
 * fake_cluster.h - a store of three members that fail as a test wants it:
 * etcd's methods as far as an agent's link uses them, on the test's loop. The
 * members share one content; what they disagree about is in their moods.
 */
#pragma once

#include <sys/queue.h>

#include "base/io/grpc_server.h"
#include "base/io/loop.h"
#include "base/io/server.h"

enum {
    FAKE_MEMBERS = 3,
    FAKE_KEYS_MAX = 32,
    FAKE_EVENTS_MAX = 256
};

struct fake_cluster;

struct fake_member {
    struct fake_cluster *cluster;
    struct server *server;
    struct grpc_methods methods;
    char url[64];

    /* Moods. */
    bool silent;         /* Answers nothing; PINGs are answered. */
    bool leaderless;     /* Says so; refuses what needs a leader. */
    bool keeps_writes;   /* Transactions are neither done nor answered. */
    bool keeps_renewals; /* The same. */
    unsigned lonely;     /* In so many statuses it has no leader. */
    unsigned busy;       /* So many transactions are refused. */
    int64_t behind; /* Revisions that it lacks, as a watch's start tells. */

    /* What it was asked. */
    unsigned connects; /* Watches, to be exact. */
    unsigned statuses;
    unsigned txns;
    unsigned renewals;
};

struct fake_kv {
    char *key;
    char *value;
    size_t key_len;
    size_t value_len;
    int64_t create;
    int64_t mod;
    int64_t lease;
    bool deleted; /* As an event. */
};

struct fake_watch {
    LIST_ENTRY(fake_watch) link;
    struct grpc_call *call;
};

struct fake_cluster {
    struct loop *loop;
    struct fake_member members[FAKE_MEMBERS];
    struct fake_kv keys[FAKE_KEYS_MAX]; /* Sorted. */
    size_t keys_count;
    struct fake_kv events[FAKE_EVENTS_MAX]; /* All since revision 1. */
    size_t events_count;
    LIST_HEAD(, fake_watch) watches;
    int64_t revision;
    int64_t next_lease;
    uint64_t leader;
    uint64_t term;
    unsigned stopping;
    void (*on_stopped)(void *ctx);
    void *ctx;
};

void fake_cluster_start(struct fake_cluster *c, struct loop *loop);

/* on_stopped comes when all have. */
void fake_cluster_stop(struct fake_cluster *c, void (*on_stopped)(void *ctx),
                       void *ctx);
void fake_cluster_release(struct fake_cluster *c);

/* The member that has the newest watch; NULL: there is none. */
struct fake_member *fake_cluster_used(struct fake_cluster *c);

/* Forget the newest `count` revisions, as a restored copy has. */
void fake_cluster_rewind(struct fake_cluster *c, int64_t count);
