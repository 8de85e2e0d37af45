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
    union address address;
    bool stream; /* TCP; else UDP. */
    bool tls;
    int fds[THREADS_MAX]; /* -1: handed out. */
    size_t fds_count;
};

struct socket_set {
    struct listener listeners[3 * LISTEN_MAX];
    size_t count;
};

void socket_set_init(struct socket_set *s);

/* Close what has not been handed out. */
void socket_set_release(struct socket_set *s);

unsigned dns_threads(const struct dns_server_config *config);

/* Take over config->sockets, or open what config->listen and listen_tls ask
 * for. ST_INVALID, ST_IO as dns_server_start(). */
enum status socket_set_open(struct socket_set *s,
                            const struct dns_server_config *config,
                            struct err *err);

/* The sockets of one worker. */
struct dealt {
    int udps[SOCKETS_MAX];
    int tcps[SOCKETS_MAX];
    struct sockets sockets; /* Of the above; belongs here: do not copy. */
};

/* Hand out what is the `worker`th's (from 0) of so many. ST_IO: what is in
 * *out_dealt is the caller's all the same. */
enum status socket_set_deal(struct socket_set *s, struct dealt *out_dealt,
                            size_t worker, size_t workers, struct err *err);
void dealt_close(struct dealt *d);
