/*
 * peers.h - links to the other members of the cluster, both ways.
 *
 * The owner says who is a member (peers_set, peers_remove) and gives messages
 * to send; what comes from members of our cluster is handed to it. Loss is
 * allowed in both directions, order within a link is kept, waiting never
 * happens: what a peer does not take in time is dropped.
 *
 *     peers_new -> peers_listen -> peers_set ... peers_send ... -> peers_close
 *
 * All on the loop's thread. Hooks may call anything here but peers_close().
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/core/bytes.h"
#include "base/core/err.h"
#include "store/raft/raft.h"

struct http_exchange;
struct loop;
struct metrics;
struct peers;
struct tls;

/* A snapshot's file that is being received. */
struct peers_arrival;

struct peers_hooks {
    void *ctx;

    /* A message of a member of our cluster, for us. Borrowed for the call. */
    void (*on_message)(void *ctx, const struct raft_msg *message);

    /* A snapshot has arrived whole: `message` (borrowed) says of what, the file
     * lies in `path` and is the owner's from here; its bytes may not be synced.
     * peers_arrival_done() is due, once. */
    void (*on_snapshot)(void *ctx, const struct raft_msg *message,
                        const char *path, struct peers_arrival *arrival);

    /* The sending of a snapshot has ended. ok: it is installed there. */
    void (*on_snapshot_sent)(void *ctx, uint64_t peer, uint64_t index, bool ok);

    /* The peer refuses connections: its process is gone. */
    void (*on_lost)(void *ctx, uint64_t peer);

    /* A peer says that we are no member any more. */
    void (*on_removed)(void *ctx);

    /* A request of a peer that is not about raft (/members, /version and so
     * on): the owner answers it, now or later. Its on_gone is on_page_gone. */
    void (*on_page)(void *ctx, struct http_exchange *x);
    void (*on_page_gone)(void *ctx, struct http_exchange *x);
};

struct peers_config {
    struct loop *loop;
    uint64_t self;
    uint64_t cluster;
    const char *version;    /* "3.5.16": what we say we are. */
    const char *urls;       /* Ours, with commas, for X-PeerURLs. */
    const char *folder;     /* For snapshots that arrive. */
    struct tls *server_tls; /* NULL: plain. Borrowed, as all of this. */
    struct tls *client_tls;
    struct metrics *metrics;
    struct peers_hooks hooks;
};

struct peers *peers_new(const struct peers_config *config);

/* Serve other members at `address` ("127.0.0.1:2380", "unix:/path"). May be
 * called several times. As server_start(). */
enum status peers_listen(struct peers *p, const char *address, bool tls,
                         struct err *err);

/* The address that was bound, of the nth call. */
const char *peers_address(const struct peers *p, unsigned index);

/* `id` is a member at these URLs ("http://h:2380", "https://", "unix://path");
 * replaces what was known of it. Ourselves is fine and ignored. */
void peers_set(struct peers *p, uint64_t id, char *const *urls, size_t count);

/* It is no member any more, and will not become one again under this id. */
void peers_remove(struct peers *p, uint64_t id);

void peers_send(struct peers *p, const struct raft_msg *messages, size_t count);

/* Bytes of a snapshot's file, one piece after the other. */
struct peers_source {
    void *ctx;
    /* Append the next piece; *out_end: that was the last. */
    enum status (*next)(void *ctx, struct buf *out, bool *out_end);
    void (*release)(void *ctx);
};

/* Send `message` (SNAPSHOT, with its snapshot) and the file behind it. Takes
 * the source over. Ends in hooks.on_snapshot_sent, later, always. */
void peers_send_snapshot(struct peers *p, const struct raft_msg *message,
                         struct peers_source source);

/* The answer to hooks.on_snapshot. */
void peers_arrival_done(struct peers_arrival *arrival, enum status st);

/* Since when (loop_now_ms) both of its streams have brought us bytes; 0: not
 * now. */
uint64_t peers_active_since(const struct peers *p, uint64_t id);

/* A request to a member's other pages; the answer (at most 1 MiB) is told once.
 * status 0: there was none, and `why` says why. */
typedef void peers_answer_fn(void *ctx, int status, struct slice body,
                             const char *why);
void peers_fetch(struct peers *p, uint64_t id, const char *method,
                 const char *path, struct slice body, uint64_t timeout_ms,
                 peers_answer_fn *on_answer, void *ctx);

/* Everything closes; then on_closed, and p is gone. Fetches end with status 0
 * before, snapshots on their way out with ok = false. One that was handed over
 * by on_snapshot is waited for until peers_arrival_done(). */
void peers_close(struct peers *p, void (*on_closed)(void *ctx), void *ctx);
