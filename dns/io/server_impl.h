/*
 * server_impl.h - the parts of a DNS server. Private to server*.c.
 */
#pragma once

#include "base/io/tls.h"
#include "dns/io/sockets.h"
#include "dns/io/worker.h"

/* What connections are encrypted with. Workers share the key of the session
 * tickets: the kernel decides to which of them a client comes back. With other
 * files there is another key: nobody is to resume what was agreed under others.
 */
struct server_tls {
    bool used; /* Workers have it. */
    char *cert;
    char *key;
    char *ca;
    bool clients_verified;
    uint8_t ticket_key[TLS_TICKET_KEY_BYTES];
};

void server_tls_release(struct server_tls *t);

struct dns_server {
    struct worker_config worker_config;
    struct upstream *upstream;
    struct transfers *transfers;
    struct recursion *recursion; /* The present one. */
    struct socket_set sockets;   /* Addresses; dealt out. */
    bool handed;                 /* They are not ours to change. */
    struct server_tls tls;
    struct dns_protection protection;
    struct publisher publisher;
    unsigned threads;
    struct worker *workers[THREADS_MAX];
    struct reader *readers[THREADS_MAX + 1]; /* And of the transfers. */
    size_t workers_count;
    uv_sem_t gate; /* If it waits. */
    bool waits;
    bool open;
};

/* Other sockets, ready to be given to the workers. */
struct listen_change {
    struct socket_set next;
    struct server_tls tls; /* If there is another. */
    struct worker_change *workers[THREADS_MAX];
};

/* Everything that can fail. ST_INVALID, ST_IO, ST_DENIED as
 * dns_server_start(); nothing is left then. */
enum status listen_change_prepare(struct dns_server *s,
                                  const struct dns_listen_config *listen,
                                  struct listen_change *out_change,
                                  struct err *err);
/* The same with the sockets that were handed over. */
enum status listen_change_adopt(struct dns_server *s,
                                const struct dns_server_config *config,
                                struct listen_change *out_change,
                                struct err *err);

/* When there are workers. */
void listen_change_commit(struct dns_server *s, struct listen_change *change);
/* Zeroed, or prepared and not committed. */
void listen_change_drop(struct listen_change *change);
