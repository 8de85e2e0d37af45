/*
 * member_impl.h - one member's parts, for the files that put it together.
 *
 *   member.c           starting, turning
 *   member_stop.c      stopping
 *   member_listen.c    the client listeners
 *   member_peers.c     the other members
 *   member_snapshot.c  snapshots to them and from them
 *   member_save.c      and to clients
 *   bootstrap.c        joining a cluster that exists
 *   config.c           what the flags mean
 */
#pragma once

#include <sys/queue.h>
#include <uv.h>

#include "base/core/log.h"
#include "base/core/metrics.h"
#include "base/io/loop.h"
#include "base/io/server.h"
#include "base/io/tls.h"
#include "store/api/api.h"
#include "store/io/backend.h"
#include "store/io/config.h"
#include "store/io/data_dir.h"
#include "store/io/file_disk.h"
#include "store/io/member.h"
#include "store/kv/kv.h"
#include "store/node/node.h"
#include "store/peer/peers.h"

/* Address space, not memory: LMDB never grows past it. */
#define MEMBER_MAP_BYTES (UINT64_C(256) << 30)

struct listener {
    struct member *member;
    struct server *server;
    char *url;
};

struct saving; /* member_save.c */

/* Members that could not take a snapshot, and when they are sent the next. */
#define MEMBER_PAUSES 8
struct sending_pause {
    uint64_t peer; /* 0: free. */
    uint64_t pause_ms;
    uint64_t ends_ms;
};

struct member {
    struct member_plan plan;
    struct member_hooks hooks;
    struct loop *loop;
    struct data_dir dir;
    struct backend *backend;
    struct file_disk *disk;
    struct kv *kv;
    struct node *node;
    struct api *api;
    struct metrics metrics;
    struct tls *tls;
    struct tls *peer_server_tls;
    struct tls *peer_client_tls;
    struct peers *peers;        /* NULL: closed, or not opened yet. */
    const char *peer_urls_text; /* Those we advertise, with commas. */
    struct listener *listeners;
    size_t listeners_count;
    size_t listeners_open;
    const char **advertised; /* NULL-terminated. */

    uv_timer_t beat;
    uv_timer_t batch;
    size_t timers_open;
    struct loop_task turn;       /* Deferred: the end of a turn. */
    struct loop_task again;      /* Posted: another turn. */
    struct loop_task fatal;      /* Posted: tell the owner. */
    struct loop_task closed;     /* Posted: on_stopped. */
    struct loop_task batch_gone; /* Posted: is that all the end waits for? */
    uint64_t batch_index;        /* Of the batch that is being written. */
    uint64_t written_index;      /* The backend shows all up to here. */
    struct arriving *arriving;   /* A snapshot; NULL: none. */
    struct sending_pause pauses[MEMBER_PAUSES];
    TAILQ_HEAD(, saving) savings; /* Snapshots that clients wait for. */
    size_t works_open;            /* On uv's threads. */
    bool running;
    bool failed;
    bool stopping;
    bool removed;             /* From the cluster. */
    bool leaving;             /* Asked to stop; leadership goes first. */
    uint64_t leaving_ends_ms; /* At the latest. */
    struct loop_task gone;    /* Posted: tell the owner of the removal. */
    struct err why;
    member_stopped_fn *on_stopped;
    void *stopped_ctx;
};

/* member.c */
void member_wake(struct member *m);    /* Something is to be done this turn. */
void member_removed(struct member *m); /* From the cluster, for ever. */
void member_write_batch(struct member *m); /* Unless one is under way. */

/* Nothing of it runs any more. */
void member_free(struct member *m);

/* The member that a task of it, `name`, belongs to. */
static inline struct member *member_of(void *task, size_t offset)
{
    return (struct member *)((char *)task - offset);
}
#define MEMBER_OF(task, name) member_of(task, offsetof(struct member, name))

/* member_stop.c */
void member_stop_step(struct member *m); /* Something has closed. */
/* Asked to stop while we led: at each beat, whether leadership has gone. */
void member_leave_step(struct member *m, uint64_t now_ms);

/* member_listen.c */
enum status member_listen(struct member *m, struct err *err);

/* member_peers.c: the first before all else; the second between api_new() and
 * node_start(). */
enum status member_open_peer_tls(struct member *m, struct err *err);
enum status member_open_peers(struct member *m, struct err *err);
void member_close_peers(struct member *m);
void member_follow_members(struct member *m); /* As the store knows them. */
void member_send(struct member *m, const struct raft_msg *messages,
                 size_t count);

/* member_snapshot.c */
void member_send_snapshot(struct member *m, const struct raft_msg *message);
void member_snapshot_sent(void *ctx, uint64_t peer, uint64_t index, bool ok);
void member_on_snapshot(void *ctx, const struct raft_msg *message,
                        const char *path, struct peers_arrival *arrival);
enum status member_install(struct member *m, struct raft_pos pos,
                           struct err *err);
void member_abandon_arriving(struct member *m); /* The member has failed. */
/* At start, before the backend is opened: end what a crash has cut short. */
enum status member_finish_install(struct member *m, struct err *err);

/* member_save.c: the port of api.h; and what waits for the backend. */
void member_snapshot(struct member *m, api_snapshot_fn *on_ready, void *ctx);
void member_save_step(struct member *m); /* The backend shows more. */
void member_save_stop(struct member *m); /* Refuse what waits. */
