/*
 * fake_store.h - an agent's surroundings without any I/O: its local state, a
 * store that is an array, and the replica that follows it.
 */
#pragma once

#include "agent/core/api.h"
#include "agent/core/catalog.h"
#include "agent/core/local.h"
#include "agent/core/sync.h"

enum {
    FAKE_ROWS = 512
};

struct fake_row {
    bool exists;
    char *key;
    char *value;
    size_t value_len;
    int64_t create;
    int64_t mod;
    int64_t lease;
};

struct fake {
    bool unreadable; /* Values that are no records are part of the story. */
    struct local *local;
    struct sync *sync;
    struct catalog *catalog;
    struct local_time now;
    struct fake_row rows[FAKE_ROWS];
    int64_t revision;
    unsigned txns;           /* Transactions tried. */
    size_t largest_txn;      /* Operations. */
    int64_t leases;          /* Granted so far; the last one's id. */
    int64_t leases_gone[64]; /* Ended, by fake_lease_end(). */
    size_t leases_gone_count;
    bool store_down;    /* Asks are not answered. */
    bool confirms;      /* API_CONFIRM is carried out, too. */
    unsigned asks;      /* Of requests, answered. */
    struct arena arena; /* Of the last request. */
    /* Who asks, and what the agent says about that. */
    struct api_request from; /* Its header fields and peer. */
    struct acl *acl;         /* Not owned. */
    struct coords *coords;   /* The same. */
    struct texts hosts;
    const struct network *writers;
    size_t writers_count;
    uint64_t away_ms;          /* The store is out of reach for so long. */
    bool strict;               /* http_strict_default */
    struct catalog *elsewhere; /* Of another datacenter in the same store; or
                                  NULL. */
    uint64_t elsewhere_away_ms;
    struct coords *elsewhere_coords; /* Not owned. */
    bool translate_wan;
    struct api_datacenter other; /* For the view. */
    struct api_flow flow;
    bool flow_woken;     /* The next request was woken, */
    uint64_t arrived_ms; /* or has waited since then. 0: it is new. */
    const char *body;    /* Of the last request. */
    struct store_answer seen;
    struct store_answer done;
    /* Called before each ask is carried out, to get in between. */
    void (*before_ask)(struct fake *f, const struct store_ask *ask);
};

/* A host "edge" at 10.0.0.7 in dc1, its live key in the store, attached. */
void fake_start(struct fake *f);
void fake_stop(struct fake *f);

/* From now on the agent follows this datacenter, too. */
void fake_elsewhere(struct fake *f, const char *datacenter);

/* A write by somebody; the replica sees it at once. `value` NULL deletes. */
void fake_put(struct fake *f, const char *key, const char *value);
const struct fake_row *fake_get(const struct fake *f, const char *key);

/* A lease ends, and its keys with it. */
void fake_lease_end(struct fake *f, int64_t lease);

/* What a request asks of the store, carried out. */
void fake_store(struct fake *f, const struct store_ask *ask,
                struct store_answer *out_answer);

/* Carry out a transaction; the replica sees it. */
enum sync_result fake_txn(struct fake *f, const struct sync_txn *txn);

/* Let sync run until it waits; returns when it wants to be called again. */
uint64_t fake_settle(struct fake *f);

/* What a request would see. */
struct api_view fake_view(struct fake *f);

/* One HTTP request, "GET /v1/x?y" and a body; API_TXN and API_STORE are carried
 * out, and API_CONFIRM if the test says so. */
void fake_ask(struct fake *f, const char *line, const char *body,
              struct api_outcome *out_outcome);
/* Again, about a poll that waits; `waiting` is replaced. */
void fake_ask_again(struct fake *f, const char *line,
                    struct api_outcome *waiting);
/* The same with a status to expect; returns the body until the next one. */
const char *fake_reply(struct fake *f, const char *line, const char *body,
                       int status);
