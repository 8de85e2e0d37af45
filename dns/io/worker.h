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
#include <uv.h>

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
struct tls_files;

/* The same for all workers, fixed at start. */
struct worker_config {
    uv_sem_t *gate;    /* Passed once before anything is read; NULL: none. */
    dns_woke_fn *woke; /* Or NULL. */
    void *woke_arg;
    struct upstream *upstream;
    struct recursion *recursion; /* At the start. */
    struct transfers *transfers;
    const struct tls_files *tls; /* NULL: no TLS. */
    bool tls_clients_verified;
    struct dns_protection protection; /* At the start. */
};

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
    struct dns_protection wanted; /* Under it; of whoever owns the server. */
    struct udp **udps;
    size_t udps_count;
    struct tcp **tcps; /* Plain ones, then those with TLS. */
    size_t tcps_count;
    struct conn_list *conns; /* Of all of them. */
    struct tls *tls;         /* NULL: no TLS. */
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

/* Bound, the TCP ones not listening yet. */
struct sockets {
    const int *udp_fds;
    size_t udp_count;
    const int *tcp_fds; /* Plain ones, then those with TLS. */
    size_t tcp_count;
    size_t tls_count; /* Of tcp_count. */
};

/* The sockets are from now on the worker's, whatever comes. ST_IO: one cannot
 * be listened on. ST_INVALID: TLS's files. */
enum status dns_worker_new(const struct worker_config *config,
                           const struct publisher *publisher,
                           struct sockets sockets, struct worker **out_worker,
                           struct err *err);
enum status dns_worker_start(struct worker *w, struct err *err);

/* From any thread; takes effect soon. */
void dns_worker_protect(struct worker *w,
                        const struct dns_protection *protection);

/* Whether it has turned since the last call; from one thread. */
bool dns_worker_pulse(struct worker *w);

/* Stop the thread, if it runs, and free everything. NULL is fine. */
void dns_worker_free(struct worker *w);

/* UDP (udp.c). The socket is read in batches. */
struct udp *udp_new(struct worker *w, int fd);
void udp_close(struct udp *u); /* The memory goes with the loop's turn. */

/* A response that was not ready within its batch. */
struct origin;
void udp_send_late(const struct origin *origin, struct slice packet);

/* Room for the kernel's word on which of our addresses was asked. */
#define UDP_CONTROL_BYTES 64

/* A listener (tcp.c); its connections belong to w->conns. `tls`: NULL for plain
 * TCP. */
struct tcp *tcp_new(struct worker *w, int fd, struct tls *tls, struct err *err);
void tcp_close(struct tcp *t);

/* Where a forwarded query came from; kept until its response is sent. */
struct tcp_conn;
struct origin {
    struct udp *udp;       /* Else: */
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
