/*
 * front_impl.h - requests on their way, and those that are parked. Private to
 * front*.c and parking.c.
 */
#pragma once

#include <sys/queue.h>
#include <uv.h>

#include "agent/io/front.h"
#include "agent/io/streams.h"
#include "base/core/rng.h"
#include "base/io/http_server.h"
#include "base/io/loop.h"
#include "base/io/server.h"

struct park_group;

/* One request that has no answer yet. */
struct pending {
    LIST_ENTRY(pending) link;
    struct front *front;
    struct http_exchange *exchange; /* NULL: the client has left. */
    struct api_request request;     /* Borrows from the exchange. */
    struct api_outcome outcome;
    struct link *store; /* Of the outcome's datacenter. */
    struct arena arena; /* Of the outcome. */
    struct owner owner; /* The request's groups are here. */
    const struct local *local;
    bool reads_only; /* GET, HEAD. */
    bool busy;       /* On its way to disk or store; ends by that callback. */
    unsigned tries;  /* Transactions that lost a race. */
    struct streamer *streamer; /* It has become a stream. */
    struct api_flow flow;      /* Of a request that goes to the store. */
    struct store_answer seen;  /* What the flow points to. */
    struct store_answer done;

    LIST_ENTRY(pending)
    parked;                     /* In a group, in `hashes`, `followers`,
                                   `woken`, or in `ready`. */
    struct park_group *group;   /* Or NULL. */
    struct link_follow *follow; /* Or NULL. */
    bool is_parked;
};

LIST_HEAD(pending_list, pending);

/*
 * Long polls by what they wait for. A change of the catalogue costs one index
 * look-up for each different scope, not for each poll, and only polls with news
 * are asked again; at most every 50 ms.
 */
struct parking {
    struct loop *loop;
    struct park_group *groups;     /* uthash, by datacenter and scope. */
    struct pending_list hashes;    /* Waiting for the local state. */
    struct pending_list followers; /* Waiting for keys of the store; */
    struct pending_list woken;     /* these have changed. */
    size_t count;
    struct loop_task pass;
    uv_timer_t pause;   /* Until the next pass may be. */
    uv_timer_t alarm;   /* At the first deadline. */
    uint64_t alarm_ms;  /* 0: not set. */
    uint64_t passed_ms; /* Of the last pass. */
    bool local_changed;
    bool closing;
    unsigned open;
    void (*on_closed)(void *arg);
    void *arg;
};

void parking_init(struct parking *g, struct loop *loop);
void parking_enter(struct parking *g, struct pending *p);
/* For API_FOLLOW. False: too many different ranges. */
bool parking_follow(struct parking *g, struct pending *p);
/* Fine for one that is not parked. */
void parking_leave(struct parking *g, struct pending *p);
void parking_catalog_changed(struct parking *g);
void parking_local_changed(struct parking *g);
/* Ask all of them now, whatever they wait for. */
void parking_answer_all(struct parking *g);
void parking_close(struct parking *g, void (*on_closed)(void *arg), void *arg);

/* front.c: what becomes of a request. */
void pending_ask(struct pending *p);
void pending_ask_again(struct pending *p); /* It was parked. */
void pending_reply(struct pending *p);     /* With its outcome; it is gone. */
void pending_fail(struct pending *p, int status, const char *text);
void pending_free(struct pending *p);

/* front_store.c: carry out API_CONFIRM, API_TXN, API_STORE, API_FOLLOW. */
void front_confirm(struct pending *p);
void front_txn(struct pending *p);
void front_store(struct pending *p);
void front_follow(struct pending *p);

/* What is remembered of the configuration, to find what is new. */
enum front_want {
    WANT_HTTP, /* "127.0.0.1:8500"; "": off. */
    WANT_HTTPS,
    WANT_TLS, /* Files, and what is asked of clients. */
    FRONT_WANTS,
};

struct front {
    struct loop *loop;
    struct state *state;
    struct front_hooks hooks;
    struct http_handler handler;
    size_t bodies_bytes; /* Of the clients of all listeners. */
    struct server *http;
    struct server *https;
    struct server *unix_socket;
    struct tls *tls;           /* Of https. */
    char *wanted[FRONT_WANTS]; /* By enum front_want, as configured. */
    LIST_HEAD(, ending_server) ending;
    struct pending_list pendings;
    struct parking parking;
    struct streams streams;
    struct rng rng;
    struct front_stats stats;
    bool stopping;
    unsigned open;
    front_stopped_fn *on_stopped;
    void *stopped_arg;
};

/* front.c: it listens no more; its connections may end first. */
void front_server_end(struct front *f, struct server *s, uint64_t grace_ms);

/* front_listen.c: what was remembered is freed. */
void front_wanted_free(char *wanted[FRONT_WANTS]);

/* front_listen.c: all listeners; on failure some may be open. */
enum status front_listen(struct front *f, const struct front_config *config,
                         struct err *err);
