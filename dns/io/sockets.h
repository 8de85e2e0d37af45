/*
 * sockets.h - the bound sockets of a server: opened by it, or handed to it.
 *
 * Each worker wants a socket of its own for every address (SO_REUSEPORT). Who
 * hands sockets over (a service manager) may give fewer: then workers share.
 */
#pragma once

#include "base/core/limits.h"
#include "dns/io/address.h"
#include "dns/io/server.h"
#include "dns/io/worker.h"

enum {
    THREADS_MAX = 16,
    LISTEN_MAX = LIMIT_DNS_LISTENS,
    SOCKETS_MAX = DNS_SOCKETS_MAX,
};

/* What is listened on at one address. */
struct listener {
    unsigned id;         /* Of no other, ever. */
    union address asked; /* As configured: the port may be 0. */
    union address address;
    bool stream; /* TCP; else UDP. */
    bool tls;
    int fds[THREADS_MAX]; /* -1: handed out. */
    size_t fds_count;
};

/* An address that was listened on until a moment ago. */
struct listener_left {
    union address address;
    bool stream;
    uint64_t until_ms; /* Of uv_hrtime(). */
};

struct socket_set {
    struct listener listeners[WORKER_LISTENERS_MAX];
    size_t count;
    unsigned ids; /* The last one given. */
    struct listener_left left[WORKER_LISTENERS_MAX];
    size_t left_next; /* Which is overwritten next. */
};

void socket_set_init(struct socket_set *s);

/* Close what has not been handed out. */
void socket_set_release(struct socket_set *s);

unsigned dns_threads(const struct dns_server_config *config);

/* Take over sockets that were bound by somebody else. ST_INVALID as
 * dns_server_start(); all of them are the set's, or closed. */
enum status socket_set_adopt(struct socket_set *s,
                             const struct dns_socket *sockets, size_t count,
                             struct err *err);

/* What `listen` asks for into *next: what `now` has already is taken as it is,
 * without sockets to hand out, the rest is opened. ST_INVALID, ST_IO, ST_DENIED
 * as dns_server_start(); *next is to be released all the same. */
enum status socket_set_next(const struct socket_set *now,
                            const struct dns_listen_config *listen,
                            unsigned threads, struct socket_set *next,
                            struct err *err);

/* What `next`, made from `now`, has not: their ids. It remembers them as left.
 * Returns how many. */
size_t socket_set_left(const struct socket_set *now, struct socket_set *next,
                       unsigned out_ids[WORKER_LISTENERS_MAX]);

bool socket_set_has_tls(const struct socket_set *s);

/* Hand out what is the `worker`th's (from 0) of so many. ST_IO: it cannot be
 * shared. */
enum status socket_set_deal(struct socket_set *s, size_t worker, size_t workers,
                            struct worker_change **out_change, struct err *err);
