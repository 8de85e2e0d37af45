/*
 * api.h - etcd's gRPC services and HTTP pages over one member's node and state.
 *
 * A request is checked here, becomes a proposal or a read of the node, and is
 * answered when that comes back. Everything else about the member (disk,
 * backend, listeners, timers) is its owner's (store/io/member.h), who calls:
 *
 *     api_ports()     for the node's callbacks
 *     api_start()     when there is a node
 *     api_turn()      at the end of each turn of the loop in which anything
 *                     happened, after node_flush()
 *     api_tick()      about every heartbeat
 *     api_stop()      before anything is torn down
 *
 * The api asks for a turn with `wake`. A request that comes while there is no
 * leader waits for one, as in etcd, until it times out.
 *
 * All on the loop's thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/core/metrics.h"
#include "store/kv/kv.h"
#include "store/node/node.h"

struct api;
struct grpc_methods;
struct http_exchange;
struct http_handler;
struct loop;

/* One state of the store as a snapshot file, which is read piece by piece. */
struct api_snapshot {
    void *ctx;
    uint64_t bytes; /* Of the whole file. */
    /* Append the next piece; *out_end: that was all. */
    enum status (*next)(void *ctx, struct buf *out, bool *out_end,
                        struct err *err);
    void (*release)(void *ctx); /* Once, at any time. */
};

/* ST_OK: the receiver owns `snapshot`, which holds all that was applied when it
 * was asked for. Anything else: `why` says why there is none. */
typedef void api_snapshot_fn(void *ctx, enum status st,
                             const struct api_snapshot *snapshot,
                             const struct err *why);

struct api_config {
    struct loop *loop;
    struct kv *kv;
    struct table *table; /* For its sizes. */
    const char *name;    /* Published. */
    uint64_t max_request_bytes;
    int64_t quota_bytes; /* As configured, for the metric. */
    uint64_t election_timeout_ms;
    const char *cluster_token; /* For the ids of members that are added. */
    bool strict_reconfig_check;
    uint64_t progress_notify_interval_ms;
    struct metrics *metrics; /* Ours are added; /metrics writes them all. */

    /* What the owner does for us and for the node. */
    void *ctx;
    void (*wake)(void *ctx); /* Call api_turn() at the end of this turn. */
    void (*send)(void *ctx, const struct raft_msg *messages, size_t count);
    void (*send_snapshot)(void *ctx, const struct raft_msg *message);
    enum status (*install)(void *ctx, struct raft_pos pos, struct err *err);
    void (*members_changed)(void *ctx);               /* kv_members() has. */
    uint64_t (*active_since)(void *ctx, uint64_t id); /* peers.h; 0: not now */
    /* A request to another member's peer port; `on_answer` comes always: status
     * 0 when there was no answer. */
    void (*ask)(void *ctx, uint64_t id, const char *method, const char *path,
                struct slice body, uint64_t timeout_ms,
                void (*on_answer)(void *ctx, int status, struct slice body,
                                  const char *why),
                void *answer_ctx);
    /* on_ready comes later, always; not from inside. */
    void (*snapshot)(void *ctx, api_snapshot_fn *on_ready, void *ready_ctx);
    void (*failed)(void *ctx, const struct err *why); /* Of the node. */
    /* The cluster's version is above ours: the member must end. */
    void (*outdated)(void *ctx, const struct err *why);
};

/* Borrowed until api_free(): all of config's pointers. */
struct api *api_new(const struct api_config *config);

/* Calls, watchers and proposals must be over: the servers have stopped and
 * the node is freed. NULL is fine. */
void api_free(struct api *api);

/* For node_new(). */
struct node_ports api_ports(struct api *api);

/* The listeners' tables; valid until api_free(). */
const struct grpc_methods *api_grpc(struct api *api);
const struct http_handler *api_http(struct api *api);

/* From now on requests go to `node`, whose ids the answers carry. Before, none
 * may come. `client_urls` (NULL-terminated, borrowed until api_free()) are
 * published. */
void api_start(struct api *api, struct node *node,
               const char *const *client_urls);

/* Refuse what waits and what comes: the member stops. */
void api_stop(struct api *api);

/* Feed watchers, go on with long ranges, answer what compaction has held back.
 * true: there is more to do at once, in another turn. */
bool api_turn(struct api *api);

/* What other members ask for on the peer port: /members, /version. */
void api_peer_request(struct api *api, struct http_exchange *x);
void api_peer_gone(struct api *api, struct http_exchange *x);

/* "3.5.16": the etcd whose API this is. */
const char *api_version(void);

/* End all ranges and hashes that are under way, at once: the state is about to
 * be replaced. */
void api_finish_slow(struct api *api);

/* Time has passed: deadlines, lease expiry, progress notices. */
void api_tick(struct api *api, uint64_t now_ms);
