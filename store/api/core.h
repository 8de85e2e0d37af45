/*
 * core.h - what the files of this room share; nobody else includes it.
 *
 *   wait.c      proposals and reads on their way through the node
 *   api.c       life of the whole, headers, errors
 *   kv.c, lease.c, watch.c, maintenance.c     the services,
 *   cluster.c, members.c                      and that of the members
 *   snapshot.c  the store as a file, as a stream
 *   ask.c       questions to the leader, for what only it knows
 *   transfer.c  leadership handed over on request
 *   peer.c      what other members ask for;   version.c   the cluster's
 *   methods.c   their table
 *   http.c      /health, /version, /metrics;   numbers.c   the metrics
 */
#pragma once

#include <sys/queue.h>

#include "base/io/grpc_server.h"
#include "base/io/http_server.h"
#include "base/io/loop.h"
#include "store/api/api.h"
#include "store/api/numbers.h"
#include "store/kv/watch.h"
#include "store/raftpb/raftpb.h"

/* As etcd 3.5.16 answers, whose API this is. */
#define API_VERSION         "3.5.16"
#define API_CLUSTER_VERSION "3.5.0"
#define API_OLDEST_CLUSTER  "3.0.0" /* Where somebody does not tell its own. */

/* --- Waits (wait.c) --- */

struct wait;

/* The end of a wait, once: `st` and, of a proposal that was applied, its reply
 * (borrowed). w->owner is as it was set; w is gone when this returns. */
typedef void wait_done_fn(struct wait *w, enum status st,
                          const struct kv_reply *reply);

enum wait_kind {
    WAIT_PROPOSAL,
    WAIT_READ
};

/* One proposal or read that is under way in the node. Its address is the tag,
 * so it lives until the node has answered, whatever becomes of its owner. */
struct wait {
    TAILQ_ENTRY(wait) aged; /* All, oldest first. */
    struct api *api;
    enum wait_kind kind;
    bool in_node;   /* The node will answer. */
    bool parked;    /* On the list of those that wait for a leader. */
    bool forwarded; /* Sent to the leader: known by its id when applied. */
    uint64_t id;    /* Of the log entry. */
    enum raft_entry_type type;
    void *owner; /* NULL: nobody cares any more. */
    wait_done_fn *on_done;
    struct buf entry; /* While parked: what to propose. */
    uint64_t expires_ms;
    TAILQ_ENTRY(wait) in_park;
    LIST_ENTRY(wait) in_forwarded;
};

TAILQ_HEAD(wait_list, wait);
LIST_HEAD(wait_chain, wait);

enum {
    WAIT_CHAINS = 1024 /* A power of two. */
};

/* Propose a request for `owner`. NULL: refused at once, *out_st says why, and
 * on_done does not come. */
struct wait *wait_propose(struct api *api, enum kv_kind kind,
                          struct slice request, wait_done_fn *on_done,
                          void *owner, enum status *out_st);

/* The same for a change of membership; `id` of the request and member JSON. */
struct wait *wait_change(struct api *api, const struct raft_change *change,
                         struct slice context, wait_done_fn *on_done,
                         void *owner, enum status *out_st);

/* A linearizable read. *out_ready: go on at once; the result is NULL then. */
struct wait *wait_read(struct api *api, wait_done_fn *on_done, void *owner,
                       bool *out_ready, enum status *out_st);

/* The owner goes: on_done does not come. NULL is fine. */
void wait_forget(struct wait *w);

void wait_expire(struct api *api, uint64_t now_ms);
void wait_unpark(struct api *api);
void wait_refuse_all(struct api *api);
void wait_release_all(struct api *api); /* No node any more. */

/* For the node's ports. */
void wait_apply(struct api *api, const struct raft_entry *entries,
                size_t count);
bool wait_apply_conf(struct api *api, const struct node_conf_entry *told);
void wait_dropped(struct api *api, uint64_t tag, enum status why);
void wait_read_ready(struct api *api, uint64_t tag, enum status why);

/* --- Questions to the leader over the peer port (ask.c) --- */

struct ask;

/* The leader's answer, or status 0: there was none within etcd's time. Not from
 * inside ask_leader(). */
typedef void ask_said_fn(void *owner, int status, struct slice body);

/* POST to the leader, whoever that is by then; tried again while it cannot
 * answer. */
struct ask *ask_leader(struct api *api, const char *path, struct slice body,
                       ask_said_fn *on_said, void *owner);
void ask_forget(struct ask *a); /* The owner goes. NULL is fine. */
void ask_tick(struct api *api, uint64_t now_ms);
void ask_release_all(struct api *api);

/* --- The whole (api.c) --- */

/* A range or a hash that goes on over several turns. */
struct slow {
    TAILQ_ENTRY(slow) link;
    bool (*step)(struct slow *s); /* true: it has ended, by slow_end(). */
    void (*release)(struct slow *s);
};

typedef void unary_answer_fn(struct grpc_call *call, struct slice request);

/* What a unary call keeps while it waits; in its arena, and its data. */
struct unary {
    struct grpc_call *call;
    struct wait *wait;    /* NULL: none. */
    struct slow *slow;    /* NULL: none. */
    struct slice request; /* Of a read that waits: a copy. */
    unary_answer_fn *answer;
};

/* Sizes of buffers that are kept for the next request. */
enum {
    API_SPARE_BYTES = 1024 * 1024
};

enum {
    API_EXPIRY_MS = 500
}; /* As etcd. */

struct transfer; /* transfer.c */
struct held;     /* Replies that compaction holds back; kv.c. */
struct watch_stream;
struct snapshot_call; /* snapshot.c */

struct api {
    struct api_config config;
    struct node *node;
    struct wal_ids own; /* Cluster and member. */
    const char *const *client_urls;
    bool stopped;
    uint64_t term;
    uint64_t leader;
    bool published;          /* Name and URLs, since the start. */
    struct wait *publishing; /* NULL: not under way. */
    struct wait *versioning;
    struct {
        uint64_t due_ms; /* Of the next round of questions. */
        unsigned tries;  /* That some member has not answered. */
        bool asking;
        bool told; /* That we are too old. */
    } version;
    struct wait *raising;    /* The alarm. */
    struct wait *confirming; /* Leadership, before leases are revoked. */
    LIST_HEAD(, transfer) transfers;
    TAILQ_HEAD(, ask) asks;
    uint64_t expiry_due_ms;
    uint64_t next_id; /* Of log entries. */

    uint8_t ids[32]; /* The header's fields 1 and 2, encoded. */
    size_t ids_len;

    struct wait_list waits;
    struct wait_list parked;
    size_t parked_count;
    struct wait_list idle; /* Memory for the next. */
    size_t waits_count;
    size_t idle_count;
    struct wait_chain forwarded[WAIT_CHAINS]; /* By id. */
    size_t forwarded_count;
    struct buf entry;      /* Scratch. */
    struct kv_reply reply; /* Of kv_apply(). */
    struct kv_reply spare; /* Lent to a range; see reply_take(). */
    bool spare_lent;

    TAILQ_HEAD(, slow) slow;
    LIST_HEAD(, held) held;
    LIST_HEAD(, watch_stream) streams;
    LIST_HEAD(, snapshot_call) snapshots;
    bool progress_wanted; /* By some stream. */
    uint64_t progress_due_ms;

    struct numbers numbers;
    struct grpc_methods grpc;
    struct http_handler http;
};

static inline struct api *api_of(const struct grpc_call *call)
{
    return grpc_call_ctx(call);
}

/* Append a ResponseHeader as field 1. Revision 0 is left out. */
void api_write_header(const struct api *api, struct buf *out, int64_t revision);

/* Send header and body as the only message, and finish. */
void api_reply(struct grpc_call *call, int64_t revision, struct slice body);

/* The end of a call by what the store said. */
void api_refuse(struct grpc_call *call, enum kv_error error);

/* The end of a call by what befell the wait. */
void api_end_failed(struct grpc_call *call, enum status st);
enum grpc_code api_failure(enum status st, const char **out_text);

/* kv_check(); false: the call has been refused. */
bool api_check(struct grpc_call *call, enum kv_kind kind, struct slice request);

/* false: the client has asked by metadata not to wait for a leader, there is
 * none, and the call has been refused. */
bool api_has_leader(struct grpc_call *call);

/* Propose for a unary call and answer it with header and body. */
void api_propose(struct grpc_call *call, enum kv_kind kind,
                 struct slice request);

/* on_closed of such calls. */
void api_unary_closed(struct grpc_call *call);

/* A read for a unary call: `answer` runs at once or when it is confirmed, with
 * the request copied if need be (grpc_call_arena). */
void api_read(struct grpc_call *call, struct slice request,
              unary_answer_fn *answer);

/* Lend out a reply whose memory is warm, and take it back. */
struct kv_reply reply_take(struct api *api);
void reply_give(struct api *api, struct kv_reply reply);

/* Go on with `s`, which is in the call's arena, in later turns. */
void slow_begin(struct grpc_call *call, struct slow *s);

/* It has ended: off the list, released. The call is still to be finished. */
void slow_end(struct grpc_call *call);

/* Finish with a reply's error or its header and body. */
void api_answer(struct grpc_call *call, const struct kv_reply *reply);

/* --- Services --- */

extern const struct grpc_method api_methods[];
extern const size_t api_methods_count;

void api_range(struct grpc_call *call, struct slice request);
void api_put(struct grpc_call *call, struct slice request);
void api_delete_range(struct grpc_call *call, struct slice request);
void api_txn(struct grpc_call *call, struct slice request);
void api_compact(struct grpc_call *call, struct slice request);
void api_compact_closed(struct grpc_call *call);
void api_release_held(struct api *api);

void api_watch_open(struct grpc_call *call);
void api_watch_message(struct grpc_call *call, struct slice message);
void api_watch_drained(struct grpc_call *call);
void api_watch_closed(struct grpc_call *call);
bool api_watch_pump(struct api *api); /* true: there is more. */
void api_watch_progress(struct api *api);
double api_watch_streams(const struct api *api); /* How many. */

void api_lease_grant(struct grpc_call *call, struct slice request);
void api_lease_revoke(struct grpc_call *call, struct slice request);
void api_lease_time_to_live(struct grpc_call *call, struct slice request);
void api_time_to_live_closed(struct grpc_call *call);
void api_lease_leases(struct grpc_call *call, struct slice request);
void api_keep_alive_open(struct grpc_call *call);
void api_keep_alive_message(struct grpc_call *call, struct slice message);
void api_keep_alive_half_closed(struct grpc_call *call);
void api_keep_alive_closed(struct grpc_call *call);
void api_lease_expire(struct api *api, uint64_t now_ms);

void api_status(struct grpc_call *call, struct slice request);
void api_hash_kv(struct grpc_call *call, struct slice request);
void api_alarm(struct grpc_call *call, struct slice request);
void api_raise_no_space(struct api *api);

void api_snapshot(struct grpc_call *call, struct slice request);
void api_snapshot_drained(struct grpc_call *call);
void api_snapshot_closed(struct grpc_call *call);
bool api_snapshot_pump(struct api *api); /* true: there is more. */
void api_snapshot_expire(struct api *api, uint64_t now_ms);

/* Apply an entry; KV_OK, or why it changes nothing. */
enum kv_error api_apply_member(struct api *api,
                               const struct node_conf_entry *told);
void api_member_add(struct grpc_call *call, struct slice request);
void api_member_remove(struct grpc_call *call, struct slice request);
void api_member_update(struct grpc_call *call, struct slice request);
void api_member_promote(struct grpc_call *call, struct slice request);
void api_put_members(const struct api *api, struct buf *out, unsigned field);
void api_put_member(struct buf *out, unsigned field, const struct kv_member *m);
const struct kv_member *api_member(const struct api *api, uint64_t id);
void api_change_closed(struct grpc_call *call);
enum kv_error api_check_promotion(struct api *api, uint64_t id);
struct wait *api_promote(struct api *api, uint64_t id, wait_done_fn *on_done,
                         void *owner, enum status *out_st);
void api_move_leader(struct grpc_call *call, struct slice request);
void api_transfer_changed(struct api *api); /* The leader has. */
void api_transfer_expire(struct api *api, uint64_t now_ms);
bool api_may_learner(struct grpc_call *call, bool reads_locally);
void api_member_list(struct grpc_call *call, struct slice request);
void api_publish(struct api *api);
void api_version_tick(struct api *api, uint64_t now_ms); /* version.c */

void api_health_check(struct grpc_call *call, struct slice request);
void api_health_watch(struct grpc_call *call, struct slice request);

void api_http_request(struct http_exchange *x);
void api_reply_version(const struct api *api, struct http_exchange *x);
void api_transfer_closed(struct grpc_call *call);
void api_http_gone(struct http_exchange *x);
