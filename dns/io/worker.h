/*
 * worker.h - one thread of the DNS server: its loop, sockets and forwarding.
 *
 * Everything in a worker is touched by its own thread only, but for the reader
 * (publish.h), the counters, the async handle that stops it, and the inbox of
 * what comes back from upstream.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>
#include <uv.h>

#include "base/core/limits.h"
#include "base/io/suspend.h"
#include "dns/io/address.h"
#include "dns/io/publish.h"
#include "dns/io/responder.h"
#include "dns/io/server.h"

struct udp;
struct tcp;
struct conn_list;
struct forwarder;
struct transfers;
struct transfer_desk;
struct recursion;
struct upstream;
struct tls;

/* The same for all workers, fixed at start. */
struct worker_config {
    uv_sem_t *gate;    /* Passed once before anything is read; NULL: none. */
    dns_woke_fn *woke; /* Or NULL. */
    void *woke_arg;
    struct upstream *upstream;
    struct recursion *recursion; /* At the start. */
    struct transfers *transfers;
    struct dns_protection protection; /* At the start. */
};

/* A bound socket; over TCP it listens already. */
struct worker_socket {
    int fd;
    unsigned listener; /* What it is called when it is to go. */
    bool stream;
    bool tls;
};

enum {
    WORKER_LISTENERS_MAX = 3 * LIMIT_DNS_LISTENS, /* Not counting handed ones */
    WORKER_DRAIN_MS = 5000, /* Open work of a listener that goes. */
};

/* Sockets that come and go while a worker runs. */
struct worker_change {
    STAILQ_ENTRY(worker_change) link;
    struct tls *tls; /* For connections from now on; NULL: as it was. */
    unsigned drop[WORKER_LISTENERS_MAX];
    size_t drop_count;
    size_t add_count;
    struct worker_socket add[];
};

STAILQ_HEAD(worker_changes, worker_change);
LIST_HEAD(udp_list, udp);
LIST_HEAD(tcp_list, tcp);

/* Connections hold what they were encrypted with; of one thread. */
struct encryption {
    struct tls *tls;
    unsigned refs;
};

void encryption_unref(struct encryption *e); /* NULL is fine. */

struct worker {
    struct reader reader; /* First: has its own cache line. */
    const struct worker_config *config;
    const struct publisher *publisher;
    struct counts counts;
    struct responder responder;
    struct suspend suspend;
    uv_loop_t loop;
    uv_async_t stop;
    uv_async_t changed; /* There is a new `wanted`. */
    uv_async_t pulse;
    atomic_bool turned; /* Since it was asked for the last time. */
    pthread_mutex_t wanted_lock;
    struct dns_protection wanted;  /* Under it; of whoever owns the server. */
    struct worker_changes changes; /* Under it. */
    struct udp_list udps;
    struct tcp_list tcps;
    uv_timer_t drain;              /* Runs while a UDP socket is going. */
    struct conn_list *conns;       /* Of all of them. */
    struct encryption *encryption; /* NULL: no TLS. */
    struct forwarder *forwarder;
    struct transfer_desk *transfer_desk;
    pthread_t thread;
    bool running;
};

/* As they are now. */
static inline const struct dns_protection *worker_limits(const struct worker *w)
{
    return &w->responder.guard.settings;
}

/* Before questions that have just come are answered. */
static inline const struct dns_zone *worker_enter(struct worker *w)
{
    if (w->config->woke != NULL && suspend_look(&w->suspend) > 0) {
        w->config->woke(w->config->woke_arg, w->suspend.offset_ms);
    }
    return reader_enter(&w->reader, w->publisher);
}

struct worker *dns_worker_new(const struct worker_config *config,
                              const struct publisher *publisher);
enum status dns_worker_start(struct worker *w, struct err *err);

/* Takes the change over, with its sockets. New ones are read before those that
 * go are closed: what lies in these is answered, and what is under way, for
 * WORKER_DRAIN_MS at most. From any thread; takes effect soon. */
void dns_worker_change(struct worker *w, struct worker_change *change);

/* With its sockets, which nobody has been given; NULL is fine. */
void worker_change_free(struct worker_change *change);

/* From any thread; takes effect soon. */
void dns_worker_protect(struct worker *w,
                        const struct dns_protection *protection);

/* Whether it has turned since the last call; from one thread. */
bool dns_worker_pulse(struct worker *w);

/* Stop the thread, if it runs, and free everything. NULL is fine. */
void dns_worker_free(struct worker *w);

/* UDP (udp.c). The socket is read in batches. */
void udp_open(struct worker *w, const struct worker_socket *socket);
/* The memory goes with the loop's turn, and with what is under way. */
void udp_close(struct udp *u);

/* Those of this name: what is in the socket, and what is under way, is
 * answered; then it closes. */
void udp_leave(struct worker *w, unsigned listener);
/* Close those that leave and have been at it for too long. False: none is left
 * that leaves. */
bool udp_leave_expired(struct worker *w);

/* A question of it is under way. */
void udp_hold(struct udp *u);
void udp_drop(struct udp *u);

/* A response that was not ready within its batch. */
struct origin;
void udp_send_late(const struct origin *origin, struct slice packet);

/* Room for the kernel's word on which of our addresses was asked. */
#define UDP_CONTROL_BYTES 64

/* A listener (tcp.c); its connections belong to w->conns. */
void tcp_open(struct worker *w, const struct worker_socket *socket);
void tcp_close(struct tcp *t);

/* Those of this name: who has come is served once, then it closes. */
void tcp_leave(struct worker *w, unsigned listener);

/* Where a forwarded query came from; kept until its response is sent. */
struct tcp_conn;
struct origin {
    struct udp *udp;       /* The forwarder holds it (udp_hold). Else: */
    struct tcp_conn *conn; /* The forwarder holds it (tcp_hold). */
    union address client;
    _Alignas(struct cmsghdr)
        uint8_t control[UDP_CONTROL_BYTES]; /* UDP: which of our addresses. */
    size_t control_len;
};

void tcp_hold(struct tcp_conn *conn);
void tcp_drop(struct tcp_conn *conn);
void tcp_send_late(struct tcp_conn *conn, struct slice packet);
struct query tcp_query(const struct tcp_conn *conn, struct slice packet);

static inline struct query origin_query(const struct origin *origin,
                                        struct slice packet)
{
    return origin->conn != NULL
               ? tcp_query(origin->conn, packet)
               : (struct query){.packet = packet, .client = &origin->client};
}

/* Forwarding (forward.c). */
struct forwarder *forwarder_new(struct worker *w, struct upstream *upstream,
                                struct recursion *r);

/* Other recursors and rules, from any thread. */
void forwarder_set(struct forwarder *f, struct recursion *r);

/* When the upstream thread has ended: answer nobody any more; the memory goes
 * with the loop. */
void forwarder_close(struct forwarder *f);

/* Ask upstream for what taken->wants says. The packet is copied. The response
 * goes to the origin, in any case and never from inside this call. false: too
 * much is under way, or the query goes in a circle; answer SERVFAIL. */
bool forwarder_ask(struct forwarder *f, enum response kind,
                   const struct taken *taken, struct slice packet,
                   const struct origin *origin);
