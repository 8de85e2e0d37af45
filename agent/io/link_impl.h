/*
 * link_impl.h - the parts of the store link. Private to link*.c.
 *
 * Life of the connection:
 *
 *        +------------- pause over ---------------+
 *        v                                        |
 *   CONNECTING --ready--> READY --trouble--> CLOSING --closed--> WAITING
 *        |                                                        ^
 *        +------------------------ failed ------------------------+
 *                                                     STOPPED (the end)
 *
 * Trouble is anything: the channel failed, a call was answered UNAVAILABLE or
 * not in time, the member fell silent or has no leader (link_pulse.c). There is
 * one remedy, link_drop(): close the channel and go to the next endpoint. A
 * channel that never was ready closes aside, since a slow name server may hold
 * it for long; its endpoint is busy until then. The parts (watch, lease,
 * writer) hear of a new channel by ..._begin() and of its end by ..._end(), and
 * never have a stream outside READY.
 */
#pragma once

#include <sys/queue.h>
#include <uv.h>

#include "agent/core/claim.h"
#include "agent/core/endpoints.h"
#include "agent/io/etcd.h"
#include "agent/io/link.h"
#include "base/core/limits.h"
#include "base/io/grpc_client.h"
#include "base/io/loop.h"
#include "base/io/tls.h"
#include "base/proto/pb_arena.h"
#include "base/proto/rpc.pb-c.h"

#define LINK_CALL_MS 5000 /* A call without answer: the next endpoint. */
#define LINK_STOP_MS 2000

enum link_state {
    LINK_CONNECTING,
    LINK_READY,
    LINK_CLOSING,
    LINK_WAITING,
    LINK_STOPPED,
};

/* What endpoints.h chooses among. */
struct link_address {
    struct link *link;
    char *target; /* "host:port", "[::1]:2379", "unix:/path" */
    bool tls;
};

/* Copies of events between their arrival and catalog_apply(). */
struct link_events {
    struct arena arena;
    struct catalog_event *items;
    size_t count;
    size_t cap;
};

/* The way in. */
struct link_watch {
    struct grpc_stream *list;       /* A page is being read. */
    struct grpc_stream *stream;     /* The watch. */
    uint64_t asked_ms;              /* When the watch was opened. */
    bool created;                   /* The store has accepted the watch. */
    int64_t asked_revision;         /* Ours, when the store's was asked. */
    bool relist;                    /* Do not resume at the next chance. */
    struct link_events page_events; /* Of the full read so far. */
    int64_t list_revision;          /* 0: the first page is not in. */
    bool list_replaced;             /* It is of another store. */
    struct link_events fresh;       /* Of this turn's watch responses. */
    int64_t fresh_revision;
    struct loop_task apply;
};

/* The lease and the live key. */
struct link_lease {
    int64_t id; /* 0: none. */
    uint64_t ttl_ms;
    uint64_t renewed_ms; /* When the last renewal that worked was sent. */
    uint64_t asked_ms;   /* 0: no renewal is under way. */
    bool attached;
    struct claim claim;           /* Whose our node name is. */
    struct grpc_stream *call;     /* Grant, or attaching the live key. */
    bool call_lost;               /* It is cancelled, to ask again. */
    struct grpc_stream *stream;   /* Keep-alive. */
    bool reopen;                  /* The same. */
    int64_t live_create_revision; /* Of the live key, also while it is moved. */
    int64_t attached_revision;    /* From here on the catalogue shows it. */
    uv_timer_t timer;
};

/* A transaction of the API, waiting or under way. */
struct link_request {
    STAILQ_ENTRY(link_request) next;
    struct link *link;
    struct buf message;
    link_txn_fn *on_done;
    void *arg;
    struct grpc_stream *stream; /* NULL: not sent yet. */
    uint64_t deadline_ms;
};

struct link_confirmation {
    STAILQ_ENTRY(link_confirmation) next;
    struct link *link;
    link_confirm_fn *on_done;
    void *arg;
    uint64_t deadline_ms;
    bool asked;    /* The question is out. */
    bool answered; /* The three below are known. */
    int64_t revision;
    int64_t newest; /* mod_revision of the last changed key. */
    int64_t count;
    struct grpc_stream *stream;
};

/* The way out. */
struct link_writer {
    struct grpc_stream *stream; /* Of sync's transaction. */
    bool lost;                  /* Its fate is unknown; it is cancelled. */
    bool earlier_told;          /* Another node has our node id. */
    struct loop_task next;
    uv_timer_t wake;
    STAILQ_HEAD(, link_request) requests;
    STAILQ_HEAD(, link_confirmation) confirmations;
    uv_timer_t sweep; /* Deadlines of the two lists. */
};

/* What a request asks, waiting or under way. */
struct link_ask {
    STAILQ_ENTRY(link_ask) next;
    struct link *link;
    enum store_ask_kind kind;
    const char *method;
    struct buf message;
    struct arena arena;   /* Of what follows. */
    struct store_ask ask; /* Its reads only. */
    link_store_fn *on_done;
    void *arg;
    struct grpc_stream *stream; /* NULL: not sent yet. */
    uint64_t deadline_ms;
    bool answered;              /* STORE_RENEW: the answer is in. */
    struct store_answer answer; /* As far as it is known. */
    struct store_kv *items;     /* STORE_LIST: the pages so far. */
    size_t items_count;
    size_t items_cap;
    size_t bytes;
};

/* One range that somebody waits for: a watch. */
struct follow_group {
    LIST_ENTRY(follow_group) next;
    struct store_read range; /* Its own copies. */
    int64_t from;            /* It has been told everything from here on, */
    int64_t resume;          /* and is to be told from here on. */
    int64_t last;            /* Of the last change; 0: none. */
    int64_t watch_id;
    bool asked; /* On the present stream. */
    LIST_HEAD(, link_follow) members;
};

struct link_follow {
    LIST_ENTRY(link_follow) next;
    struct link *link;
    struct follow_group *group; /* NULL: it has been heard. */
    int64_t from;
    link_follow_fn *on_change;
    void *arg;
};

LIST_HEAD(follow_groups, follow_group);

struct link_asks {
    STAILQ_HEAD(, link_ask) list;
};

struct link_follows {
    struct follow_groups groups;
    size_t count;
    int64_t next_id;
    struct grpc_stream *stream;
    struct loop_task hear; /* Members that need not wait for the store. */
    LIST_HEAD(, link_follow) ready;
};

/* Whether the member in use lives, and follows a leader. */
struct link_pulse {
    struct grpc_stream *call;
    uint64_t asked_ms;
    uint64_t asked_ns;      /* uv_hrtime() */
    uint32_t round_trip_us; /* Smoothed; 0: not known. */
    uint64_t leaderless_ms; /* Since when it has none; 0: it has. */
    uint64_t leader;        /* Member id and term, as it said last; */
    uint64_t term;          /* 0: not yet. */
    uv_timer_t timer;
};

struct link_members {
    struct grpc_stream *call;
    uint64_t asked_ms; /* 0: not on this channel yet. */
    uint64_t shown;    /* The leader's id when it was asked. */
    char leader[64];
    char *peers[LIMIT_STORE_MEMBERS];
    bool peers_tls[LIMIT_STORE_MEMBERS];
    size_t peers_count;
    struct member told[LIMIT_STORE_MEMBERS]; /* Those of use to others. */
    size_t told_count;
    bool often; /* Ask who they are. */
};

struct link {
    struct loop *loop;
    struct link_config config;
    struct link_hooks hooks;
    const char *title; /* "store", or "store of dc2"; for messages. */
    struct local *local;
    struct sync *sync;
    const struct catalog *catalog;
    uint64_t cluster_id;
    size_t keys_count;  /* In the catalogue's range, as the store counts. */
    struct arena names; /* Copies of config's strings, keys, endpoints. */
    struct record_range range;
    struct slice live_key;
    struct buf live_value;
    struct buf request; /* Scratch for encoding. */

    struct link_address addresses[LIMIT_STORE_ENDPOINTS];
    struct endpoints endpoints;
    struct tls *tls;
    enum link_state state;
    struct grpc_channel *channel;
    uv_timer_t retry;
    bool current;
    bool ever_current;
    uint64_t stale_since_ms;

    struct link_watch watch;
    struct link_lease lease;
    struct link_writer writer;
    struct link_asks asks;
    struct link_follows follows;

    struct link_pulse pulse;
    struct link_members members;

    bool stopping;
    enum link_stop_mode stop_mode;
    bool farewell_done;
    struct grpc_stream *farewell;
    int64_t grace_lease;    /* That is left behind. */
    int64_t leave_revision; /* Of a batch the watch has yet to show; or 0. */
    uv_timer_t stop_timer;
    unsigned open_handles;
    link_stopped_fn *on_stopped;
    void *stopped_arg;

    struct link_stats stats;
};

/* link_connect.c: read config's URLs. */
enum status link_endpoints_init(struct link *l, struct err *err);
/* Connect to the endpoint that was chosen. */
void link_connect(struct link *l);
/* Have no channel; while stopping, for good. */
void link_disconnect(struct link *l);
/* Give up this endpoint. Safe in any state, at any depth. */
void link_drop(struct link *l, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Whether this part's streams may be opened now. */
bool link_ready(const struct link *l);
/* A call failed: by what the store said it decides whether the endpoint is to
 * blame (then it is dropped). */
void link_call_failed(struct link *l, const char *what, enum grpc_code code,
                      const char *text);
/* The watch is up and the lease granted: forget earlier failures. */
void link_maybe_healthy(struct link *l);
void link_set_current(struct link *l, bool current);
void link_timer_init(struct link *l, uv_timer_t *timer);
void link_maybe_stopped(struct link *l);
/* The catalogue after an update; takes the new snapshot over. */
void link_adopt_catalog(struct link *l, struct catalog *next,
                        const struct link_update *update);

/* link_watch.c */
void link_watch_init(struct link *l);
void link_watch_begin(struct link *l);
void link_watch_end(struct link *l);
/* True: it still waits for the store to accept the watch. */
bool link_watch_sweep(struct link *l, uint64_t now_ms);
void link_watch_release(struct link *l);

/* link_lease.c */
void link_lease_init(struct link *l);
void link_lease_begin(struct link *l);
void link_lease_end(struct link *l);
/* The catalogue has become current. */
void link_lease_contact(struct link *l);
bool link_lease_waits(const struct link *l);
/* What was asked of the leader before may never be answered. */
void link_lease_leader_changed(struct link *l);
/* Whether the live key still is what it should be; if not, puts it back. */
void link_lease_catalog_changed(struct link *l);

/* link_write.c */
void link_writer_init(struct link *l);
void link_writer_begin(struct link *l);
void link_writer_end(struct link *l);
bool link_writer_waits(const struct link *l);
void link_writer_leader_changed(struct link *l);
void link_writer_catalog_changed(struct link *l);
/* Something has a deadline: look at it until nothing has. */
void link_sweep_soon(struct link *l);
/* Answer all that wait: nothing will come any more. */
void link_writer_fail_all(struct link *l);

/* link_store.c */
void link_asks_init(struct link *l);
void link_asks_begin(struct link *l);
bool link_asks_wait(const struct link *l);
void link_asks_sweep(struct link *l, uint64_t now_ms);

/* link_follow.c */
void link_follows_init(struct link *l);
void link_follows_begin(struct link *l);
void link_follows_release(struct link *l);

/* link_pulse.c */
void link_pulse_init(struct link *l);
void link_pulse_begin(struct link *l);
void link_pulse_end(struct link *l);
/* Something waits for the store's answer: ask after it sooner. */
void link_pulse_quicken(struct link *l);

/* link_members.c: the member has answered and names its leader. */
void link_members_begin(struct link *l);
void link_members_see(struct link *l);
void link_members_release(struct link *l);

/* link_stop.c: say good-bye to the store as the mode wants, then
 * link_farewell_done(). */
void link_farewell_begin(struct link *l);
void link_farewell_done(struct link *l);
void link_farewell_catalog_changed(struct link *l);
/* link.c: what the live key says of us; `stopped`: it is left behind. */
void link_live_value(struct link *l, bool stopped);
