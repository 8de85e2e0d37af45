/*
 * conn.h - the connections of one worker: DNS over TCP (RFC 7766) and over TLS
 * (RFC 7858).
 *
 * For tcp.c, conn.c and conn_list.c. All listeners of a worker share one list,
 * so that its bounds hold for the worker as a whole:
 *
 *   - at most tcp_conns_max connections, then the idlest is closed; at most
 *     tcp_conns_per_client from one prefix (IPv4 /24, IPv6 /56; loopback is
 *     exempt), then the newcomer is closed;
 *   - a connection without a whole query for tcp_idle_ms is closed, however
 *     many bytes come meanwhile; queries that are under way upstream count;
 *   - what a reader does not read waits here up to CONN_PAUSE_BYTES, then no
 *     more queries are taken from it; a reader that takes less than
 *     CONN_PROGRESS_BYTES in tcp_idle_ms, or has more than CONN_OUT_BYTES_MAX
 *     waiting (late responses add to it), is closed and counted.
 *
 * A connection whose listener has gone ends when what it has asked is answered.
 *
 * A zone transfer has its connection for itself: queries behind it wait, and
 * its messages are made as the client takes them, one a turn of the loop.
 *
 * A handshake of TLS takes about a millisecond, a query a few microseconds: in
 * each turn of the loop one connection gets on with its handshake, so that a
 * thousand of them hold nobody up.
 *
 * Responses to queries that came together go out in one write; so do late ones
 * that become ready in one turn of the loop.
 */
#pragma once

#include <sys/queue.h>

#include "base/core/hash.h"
#include "base/io/tls_impl.h"
#include "dns/io/worker.h"

enum {
    CONN_QUERY_BYTES = 4096, /* The longest query; its sender is cut off. */
    CONN_READ_BYTES = 16 * 1024,
    CONN_PAUSE_BYTES = 64 * 1024,
    CONN_OUT_BYTES_MAX = 1024 * 1024,
    CONN_PROGRESS_BYTES = 4096,
    CONN_PREFIXES = 4096, /* Counters; prefixes that collide share one. */
};

/* Framed responses until they are written; always room for one more. */
#define CONN_BATCH_BYTES ((size_t)2 * (2 + RESPONSE_BYTES_MAX))

struct tcp_conn {
    struct conn_list *list;
    uv_poll_t poll;
    int fd;
    TAILQ_ENTRY(tcp_conn) link;
    TAILQ_ENTRY(tcp_conn) flush_link; /* In list->late, if `late`. */
    TAILQ_ENTRY(tcp_conn) shake_link; /* In list->shaking, if `shaking`. */
    union address client;
    unsigned listener; /* Where it came in. */
    uint16_t prefix;   /* Its counter. */
    uint64_t active_ms;
    size_t progress; /* Bytes of `out` that went since active_ms. */
    unsigned holds;  /* Forwarded queries that will come back here. */
    bool late;
    bool paused;      /* Not read from: it does not read. */
    bool ended;       /* It will send no more; what is under way is answered. */
    bool served;      /* A query has come. */
    uint64_t left_ms; /* Since when its listener is gone; 0: it is there. */
    bool secured;     /* TLS has shaken hands. */
    bool shaking;     /* There is something to read of a handshake. */
    struct transfer_job *transfer; /* Under way: nothing else is taken; or
                                      NULL. */
    bool transferring;             /* It is open. */
    bool closing;
    bool closed;             /* By libuv: the memory goes with the last hold. */
    int events;              /* Polled for. */
    struct tls_session *tls; /* NULL: plain. */
    struct encryption *encryption; /* Its context. */
    struct buf in;       /* A query that is not whole; what is paused. */
    struct buf out;      /* The kernel would not take it yet. */
    struct buf late_out; /* Framed; for the end of the loop's turn. */
};

TAILQ_HEAD(tcp_conns, tcp_conn);

struct conn_list {
    struct worker *worker;
    struct tcp_conns conns; /* The idlest first. */
    struct tcp_conns late;
    struct tcp_conns shaking; /* Who has waited longest first. */
    unsigned count;
    unsigned leaving; /* Of these: their listener is gone. */
    unsigned open_handles;
    bool closing;
    uv_timer_t tick;    /* Runs while there are connections. */
    uv_prepare_t flush; /* Runs while there are late responses. */
    uv_idle_t shake;    /* Runs while handshakes wait. */
    struct hash_key key;
    uint16_t prefixes[CONN_PREFIXES];
    struct buf cipher; /* What TLS wants to be sent; empty between calls. */
    uint8_t read[CONN_READ_BYTES];
    uint8_t plain[CONN_READ_BYTES];
    uint8_t batch[CONN_BATCH_BYTES];
};

/* ---- conn_list.c ---- */

struct conn_list *conn_list_new(struct worker *w);
void conn_list_close(struct conn_list *l);

/* The socket is the list's from now on. */
void conn_list_add(struct conn_list *l, int fd, const union address *client,
                   unsigned listener, bool tls);

/* Connections of this listener are closed once they have been answered, and
 * who has asked nothing yet, may do so once; all within WORKER_DRAIN_MS. */
void conn_list_leave(struct conn_list *l, unsigned listener);

/* Make room for a descriptor. false: there is no connection to close. */
bool conn_list_close_idlest(struct conn_list *l);

void conn_touch(struct tcp_conn *c);
void conn_close(struct tcp_conn *c);
void conn_flush_later(struct tcp_conn *c);
void conn_shake_later(struct tcp_conn *c);

/* ---- conn.c ---- */

/* What the socket is ready for. */
void conn_on_ready(uv_poll_t *poll, int error, int events);

/* Its transfer is open, or could not be. */
void conn_transfer_ready(struct transfer_job *job);

/* Read of a handshake what is there. */
void conn_shake(struct tcp_conn *c);

/* Send what is in c->late_out. */
void conn_flush(struct tcp_conn *c);

/* Poll for what it should be polled for now, or close it when all is done. */
void conn_settle(struct tcp_conn *c);
