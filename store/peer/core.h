/*
 * core.h - what the files of this room share.
 *
 *   peers.c    the list of members, the clock, the end
 *   links.c    streams that we dial, and writing into those dialled by others
 *   serve.c    what other members ask for
 *   send.c     a snapshot on its way out
 *   receive.c  a snapshot coming in
 *   fetch.c    small requests
 */
#pragma once

#include <sys/queue.h>
#include <uv.h>

#include "base/core/metrics.h"
#include "base/io/http_client.h"
#include "base/io/http_server.h"
#include "base/io/loop.h"
#include "base/io/server.h"
#include "store/peer/peers.h"
#include "store/raftpb/frames.h"

enum {
    PEER_URLS_MAX = 16,
    PEER_LISTENERS_MAX = 16,
    PEER_POSTS_MAX = 4, /* Under way, when no stream is up. */
    PEER_TICK_MS = 50,
    PEER_SILENCE_MS = 5000, /* Then a link is dead; as etcd. */
    PEER_ALIVE_MS = 1600,   /* Say something at least that often. */
    PEER_REDIAL_MS = 100,   /* As etcd; doubled up to */
    PEER_REDIAL_MAX_MS = 1000,
    PEER_FETCH_BYTES = 1024 * 1024,
    PEER_POST_MS = 10000, /* A message that has not arrived by then is lost. */
    PEER_CONNS_MAX = 256, /* A listener. Members need three each. */
    PEER_IDLE_MS = 5000,  /* Kept open between two requests. */
    PEER_COMPLAINT_MS = 10000, /* One message about refusals in this time. */
};

/* A peer that does not read has this much waiting, then messages are dropped:
 * appends first, for they are sent again anyway. */
#define PEER_APPENDS_WAITING  ((size_t)16 * 1024 * 1024)
#define PEER_MESSAGES_WAITING ((size_t)4 * 1024 * 1024)

struct peer_url {
    char *host;
    uint16_t port;
    bool tls;
};

/* A request that ends when its peer leaves, or all end. Embedded in what it is
 * for. */
struct peer_errand {
    struct peer *peer;
    struct http_call *call; /* NULL: none. */
    LIST_ENTRY(peer_errand) link;
};

/* What the peer writes for us: we have dialled it. */
struct peer_dial {
    struct peer *peer;
    enum frames_kind kind;
    struct http_call *call; /* NULL: none. */
    struct frames_reader reader;
    bool open;        /* It has answered 200. */
    uint64_t open_ms; /* When it did. */
    size_t url_at;    /* Of the peer, the one dialled. */
    unsigned failures;
    uint64_t due_ms;     /* When there is no call: dial again. */
    char complaint[200]; /* Why it failed the last time; said once. */
};

/* What we write for the peer: it has dialled us. */
struct peer_writer {
    struct peer *peer;
    struct http_exchange *exchange; /* NULL: not up. */
    struct frames_writer frames;
    uint64_t written_ms;
};

struct peer {
    struct peers *all;
    uint64_t id;
    struct peer_url urls[PEER_URLS_MAX];
    size_t urls_count;
    size_t url_at;             /* The one in use. */
    struct peer_dial dials[2]; /* By frames_kind. */
    struct peer_writer writers[2];
    unsigned posts;
    uint64_t active_since_ms;
    bool removed; /* Waits for its calls to end. */
    TAILQ_ENTRY(peer) link;

    char label[32]; /* Of its numbers. */
    struct metric sent_bytes;
    struct metric received_bytes;
    struct metric dropped;
};

TAILQ_HEAD(peer_list, peer);

struct peers {
    struct peers_config config;
    struct peer_list list;
    struct peer_list leaving; /* Removed; their calls are ending. */
    uint64_t *removed;
    size_t removed_count;
    size_t removed_cap;
    struct server *servers[PEER_LISTENERS_MAX];
    size_t servers_count;
    size_t servers_open;
    struct http_handler handler;
    uv_timer_t timer;
    bool timer_open;
    size_t calls_open; /* Of any kind; the end waits for them. */
    LIST_HEAD(, peer_errand) errands;
    uint64_t complained_ms; /* Of whom we have refused. */
    bool arriving;          /* A snapshot is coming in; one at a time. */
    bool closing;
    bool told_removed;
    void (*on_closed)(void *ctx);
    void *closed_ctx;
    char cluster_text[20];
    char self_text[20];
};

/* peers.c */
struct peer *peers_find(const struct peers *p, uint64_t id);
bool peers_was_removed(const struct peers *p, uint64_t id);
void peers_call_ended(struct peers *p); /* One of calls_open. */
/* Whatever the end waits for has ended: it may be over, and p gone. */
void peers_maybe_closed(struct peers *p);
/* `used` was of no use. Both streams say so, and go on to one and the same. */
void peer_next_url(struct peer *peer, size_t used);

/* Start a call to the peer's URL in use, with the headers that all have. */
struct http_call *peer_call(struct peer *peer, struct http_call_config config,
                            struct http_call_hooks hooks);

/* The same as an errand. Whatever ends it calls errand_over() and, when it has
 * freed what it has, peers_call_ended(). */
void errand_start(struct peer_errand *e, struct peer *peer,
                  struct http_call_config config, struct http_call_hooks hooks);
void errand_over(struct peer_errand *e);

/* links.c */
void peer_links_init(struct peer *peer);
void peer_links_tick(struct peer *peer, uint64_t now_ms);
void peer_links_close(struct peer *peer);
void peer_take_stream(struct peer *peer, enum frames_kind kind,
                      struct http_exchange *x);
void peer_stream_gone(struct peer_writer *w);
void peer_send(struct peer *peer, const struct raft_msg *m);
/* Hand on what the peer has sent, if it may say it: for us, in its own name
 * (but for what it passes on), and no snapshot, which needs its file. */
bool peer_take_message(struct peer *peer, const struct raft_msg *m);

/* serve.c */
void serve_request(struct http_exchange *x);
void serve_gone(struct http_exchange *x);
/* The peer that a request comes from, or NULL when it has been refused; with
 * *out_refusal, in place of an answer, the status. */
int serve_check(struct http_exchange *x, struct slice from_text,
                struct peer **out_peer, const char **out_text);

/* receive.c */
int arrival_body(struct http_exchange *x, struct slice bytes);
void arrival_whole(struct http_exchange *x);
bool arrival_gone(struct http_exchange *x); /* false: it was none. */
