/*
 * api.h - the agent's HTTP API: Consul's paths, parameters, JSON and headers.
 *
 * A request and the present state go in, an outcome comes out: a reply, or what
 * has to happen before there is one. Sockets, waiting, the store and the disk
 * are the shell's business; which request waits for what is decided here.
 *
 * The local state is changed right here by registrations, check updates and
 * maintenance. The shell then stores local_item_next()'s urgent items before
 * it sends the reply.
 */
#pragma once

#include "agent/core/acl_table.h"
#include "agent/core/catalog.h"
#include "agent/core/coord.h"
#include "agent/core/guard.h"
#include "agent/core/local.h"
#include "agent/core/members.h"
#include "agent/core/networks.h"
#include "agent/core/store.h"
#include "agent/core/sync.h"
#include "base/core/rng.h"

#define API_RANDOM_BYTES 32

/* How far a request that goes to the store has come (API_STORE). The shell
 * keeps it, zeroed at first, and hands it back each time. */
struct api_flow {
    const struct store_answer *seen; /* The last one that has read. */
    const struct store_answer *done; /* The last one that has not: written,
                                        granted, renewed, revoked. */
    bool woken;                      /* What API_FOLLOW waited for has come. */
    unsigned step;                   /* The handler's own, like the rest. */
    int64_t lease;
    char id[40];
};

struct api_request {
    struct slice method;
    struct slice path;  /* As sent, percent codes and all, without query. */
    struct slice query; /* Behind the "?", or empty. */
    struct slice body;
    struct slice accept;  /* What the header says, or empty. */
    uint64_t arrived_ms;  /* Deadlines count from here, so that asking again
                             about a waiting request changes nothing. */
    uint64_t jitter;      /* Any random number, drawn once a request. */
    bool from_other_site; /* A browser says so (Sec-Fetch-Site). */
    bool confirmed;       /* API_CONFIRM was carried out for it. */

    /* Header fields; empty when absent. */
    struct slice host;
    struct slice origin;
    struct slice token;         /* X-Consul-Token */
    struct slice authorization; /* Authorization */

    /* Who is at the other end. */
    struct slice peer; /* "127.0.0.1:4711"; of no meaning if by_socket. */
    bool secure;       /* TLS. */
    bool by_socket;    /* Our Unix socket. */
    bool has_owner;    /* by_socket, and the kernel said whose process it is: */
    uint32_t uid;
    const uint32_t *groups; /* The main one first. */
    size_t groups_count;

    uint8_t random[API_RANDOM_BYTES]; /* For new ids and secrets; drawn once a
                                         request that is not GET or HEAD. */
    uint64_t seen; /* The outcome's, when asked again after API_WAIT. */

    struct api_flow *flow; /* NULL: no request that goes to the store. */
};

/* A question for DNS to explain. */
struct api_question {
    const char *name;       /* NULL: that of `service`. */
    const char *service;    /* Or NULL. */
    const char *datacenter; /* Of the service; NULL: ours. */
    const char *type;       /* "SRV" */
    const char *client;     /* The address that would ask. */
};

/* What DNS says to that, and why of each instance. */
struct api_dns_reason {
    const char *id;
    const char *node;
    bool in; /* In the answer that the client would get. */
    const char *why;
    uint32_t weight;
};

struct api_dns_answer {
    const char *trouble; /* There is no answer: why. Else NULL. */
    const char *name;
    const char *type;
    const char *code;   /* "NOERROR" */
    int extended_error; /* -1: none. */
    uint32_t ttl_s;
    const char *ttl_source;
    size_t decided; /* Records before limits and size, */
    size_t sent;    /* and in the packet. */
    size_t bytes;
    bool truncated;
    const char *query;      /* That the name executes; NULL: none. */
    const char *service;    /* "": the name is not a service's. */
    const char *datacenter; /* That of the service; NULL: ours. */
    const struct api_dns_reason *reasons;
    size_t reasons_count;
};

/* Another datacenter whose catalogue we follow. */
struct api_datacenter {
    const char *name;
    const struct catalog *catalog;
    bool known_leader;        /* As in api_view, of that datacenter's store. */
    uint64_t last_contact_ms; /* 0 while its replica is current. */
    const char *leader;       /* "ip:port" of that store's leader, or "". */
    struct texts peers;
    uint32_t round_trip_us;      /* To that store, as measured; 0: not yet. */
    const struct coords *coords; /* Of its nodes; NULL: none. */
};

/* What the shell knows. Strings borrowed during the call. */
struct api_view {
    struct local *local;
    const struct catalog *catalog;
    struct local_time now;
    bool strict_default;      /* http_strict_default: no answers without a
                                 leader but to ?stale. */
    bool known_leader;        /* In touch with a store that has a leader. */
    uint64_t last_contact_ms; /* 0 while the replica is current. */
    const char *version;      /* Of muster, for Stats. */
    const char *api_level;    /* Config.Version, "1.16.0". */
    const char *leader;       /* "ip:port" of the store's leader, or "". */
    struct texts peers;       /* "ip:port" of the store's members. */
    struct guard_status guard;

    /* Those of them that vote; of our own datacenter's store only. */
    const struct member *members;
    size_t members_count;

    struct pairs stats;          /* Shown in /v1/agent/self under Stats. */
    struct acl *acl;             /* NULL: everybody may do everything. */
    const struct coords *coords; /* Measured round trips; NULL: none. */
    struct texts hosts;          /* Further names by which we may be called. */
    const struct network *writers; /* Who may change things over TCP; NULL:
                                      everybody. */
    size_t writers_count;
    const struct api_dns_answer *explained; /* After API_EXPLAIN; or NULL. */
    bool translate_wan; /* Of other datacenters tagged "wan" addresses are
                           shown instead of the plain ones. */
    const struct api_datacenter *datacenters; /* The others; our own, whose */
    size_t datacenters_count; /* catalogue is above, is not among them. */
};

/* NULL: our own, or none that we know. */
const struct api_datacenter *api_find_datacenter(const struct api_view *view,
                                                 const char *name);

/* Let the view show that datacenter's catalogue and store instead of ours. What
 * is this host's (local state, access) stays. */
void api_view_turn(struct api_view *view, const struct api_datacenter *dc);

enum api_outcome_kind {
    API_REPLY,     /* Send status, headers, body. */
    API_WAIT,      /* Call again when the catalogue has changed (`scope` passed
                      `index`, see api_should_wake) or at deadline_ms, then with
                      view.now beyond it, which gives the reply. If the local
                      state was changed, that is stored first. */
    API_CONFIRM,   /* Ask the store for its revision (linearizable), wait till
                      the replica has it, set confirmed, call again. 7 s at most;
                      then api_fail(). */
    API_TXN,       /* Carry out `txn`, then api_txn_done(). */
    API_METRICS,   /* Answer with the metrics page: `metrics` says which. */
    API_RELOAD,    /* Reload files; 200 with an empty body, or api_fail(). */
    API_LEAVE,     /* 200 with an empty body, then leave. */
    API_EXPLAIN,   /* Ask DNS `question`; call again with view.explained. */
    API_STREAM,    /* 200 and the headers, then lines of a follow_new(`follow`)
                      until the client goes (follow.h). */
    API_GUARD,     /* Tell the guard `guard_mode`, set confirmed, call again. */
    API_HASH_WAIT, /* As API_WAIT, but for a change of the local state. */
    API_STORE,     /* Carry out `ask`, file the answer in the flow by
                      api_store_answered(), call again. */
    API_FOLLOW,    /* Call again, without what was seen, when a key of `range`
                      changes at a revision after `index` (then with flow.woken)
                      or at deadline_ms. */
};

#define API_HEADERS_MAX 16

/* What a stream follows. */
struct api_follow {
    struct texts services; /* Any of these, */
    const char *prefix;    /* and those whose name begins so; NULL: none. */
    uint64_t index;        /* What its client knows; 0: nothing. */
};

enum api_metrics {
    API_METRICS_TEXT, /* Prometheus' form. */
    API_METRICS_JSON  /* Consul's. */
};

struct api_header {
    const char *name;
    const char *value;
};

struct api_outcome {
    enum api_outcome_kind kind;
    int status; /* API_REPLY */
    struct api_header
        headers[API_HEADERS_MAX]; /* With Content-Type; without
                                     Content-Length, Connection. */
    size_t headers_count;
    struct buf body;
    struct catalog_scope scope; /* API_WAIT */
    uint64_t index;
    uint64_t deadline_ms; /* API_WAIT, API_HASH_WAIT, API_FOLLOW */
    uint64_t seen; /* API_WAIT: a hash of what a narrowed poll has got; 0. */
    enum api_metrics metrics;
    struct api_follow follow; /* API_STREAM */
    struct store_ask ask;     /* API_STORE */
    struct store_read range;  /* API_FOLLOW; key and end. */
    struct sync_txn txn; /* API_TXN; what is to be said when it was written may
                            be in status, headers and body already. */
    bool settle;         /* API_TXN: answer when the replica shows it. */
    struct api_question question; /* API_EXPLAIN */
    bool txn_again; /* API_TXN: there is more; when it is written and the
                       replica shows it, call again instead. */
    enum guard_mode guard_mode; /* API_GUARD */
    const char *datacenter; /* All of the above is about this one, of which the
                               view has told: its catalogue and its store. NULL:
                               our own. */
};

/* `arena` holds what the outcome points to, except the body. Never fails:
 * trouble is a reply too. The outcome must be released. */
void api_handle(const struct api_request *request, const struct api_view *view,
                struct arena *arena, struct api_outcome *out_outcome);
void api_outcome_release(struct api_outcome *o); /* Safe on a zeroed one. */

/* Whether a waiting request has something to hear from this snapshot. */
bool api_should_wake(const struct api_outcome *waiting,
                     const struct catalog *catalog);

/* The reply after API_TXN, from its outcome. SYNC_GUARDED: somebody was
 * quicker; call api_handle() again (a few times), then SYNC_FAILED. */
void api_txn_done(enum sync_result result, const struct api_view *view,
                  struct arena *arena, struct api_outcome *out_outcome);

/* Take over the answer to API_STORE into *seen or *done, which the shell keeps
 * and the flow points to. False: the store has failed or refused, and the reply
 * is made. */
bool api_store_answered(struct api_flow *flow, struct store_answer *answer,
                        struct store_answer *seen, struct store_answer *done,
                        struct api_outcome *out_outcome);

/* A plain text reply: 500 "No cluster leader" and the like. */
void api_fail(int status, const char *text, struct api_outcome *out_outcome);
