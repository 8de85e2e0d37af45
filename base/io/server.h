/*
 * server.h - a listening socket and the connections that came from it.
 *
 * One server listens at one address, plain or with TLS. The first bytes of a
 * connection decide what it speaks: HTTP/2 with prior knowledge (or ALPN h2)
 * is gRPC, anything else is HTTP/1. A server may serve one of the two or both;
 * who speaks the other is closed. A server of lines speaks nothing else.
 *
 * Above conns_max connections no more are accepted until some have gone; they
 * wait in the kernel's queue, or are told so. When the process has no
 * descriptors left, new ones are closed at once. A client that is not there any
 * more, or does not read what it asked for, is given up after a minute.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/core/err.h"

struct grpc_methods;
struct http_handler;
struct line_handler;
struct loop;
struct server;
struct tls;

/* Strings are copied; handlers and tls are borrowed until it has stopped. */
struct server_config {
    /* "127.0.0.1:2379", "[::1]:0", "localhost:80", ":2379" (all addresses), or
     * "unix:/run/muster/agent.sock". Port 0: the system chooses. */
    const char *address;
    bool beside; /* The address may be in use by servers of ours that share
                  * their port: server_share_port() */
    int fd; /* -1; a bound TCP or Unix socket instead of address, which is the
             * server's from the call on */
    struct tls *tls;                  /* NULL: plain. */
    const struct grpc_methods *grpc;  /* NULL: no gRPC. */
    const struct http_handler *http;  /* NULL: no HTTP/1. */
    const struct line_handler *lines; /* Not NULL: only these. */
    unsigned socket_mode;             /* Of a Unix socket; 0: 0660 */
    uid_t socket_uid;                 /* -1: as it is */
    gid_t socket_gid;                 /* -1: as it is */
    unsigned conns_max;               /* 0: LIMIT_CONNS, or fewer if we may
                                       * not open so many files */
    unsigned refused_max;             /* So many above conns_max are accepted
                                       * to be told 429 (HTTP/1) or the lines'
                                       * word for it; 0: they wait */
};

/* All fields as their comments call the default: NULL, 0, -1. */
void server_config_init(struct server_config *config);

/* Bind and listen.
 *
 * ST_INVALID  the address cannot be understood or resolved
 * ST_EXISTS   somebody listens there already
 * ST_DENIED   a port below 1024, or a folder we may not write
 * ST_IO       anything else
 *
 * A Unix socket left over by a program that has died is replaced: we know by
 * connecting to it. */
enum status server_start(struct loop *loop, const struct server_config *config,
                         struct server **out_server, struct err *err);

/* LIMIT_CONNS, or what the limit of open files leaves. */
unsigned server_conns_default(void);

/* "127.0.0.1:39123", "[::1]:2379" or "unix:/path", with the real port. Valid
 * until it has stopped. */
const char *server_address(const struct server *s);

/* 0 for a Unix socket. */
uint16_t server_port(const struct server *s);

/* Whether another server of this process may have its port as well, on all
 * addresses or on another one: while one takes the place of the other. */
void server_share_port(struct server *s, bool shared);

/* For connections from now on; those of before keep what they have. The server
 * has one already. Returns that one, which is not used any more. */
struct tls *server_set_tls(struct server *s, struct tls *tls);

/* Connections that are open now. */
unsigned server_connections(const struct server *s);

typedef void server_stopped_fn(void *ctx);

/* Stop listening, let calls and exchanges that are under way end for at most
 * `grace_ms` (clients are told by GOAWAY and Connection: close; idle
 * connections close at once), then close the rest: their on_closed and on_gone
 * are called. on_stopped comes once, later, when nothing is left open and the
 * server has been freed. */
void server_stop(struct server *s, uint64_t grace_ms,
                 server_stopped_fn *on_stopped, void *ctx);

/* One that stops has so much time left, whatever it was given. */
void server_hurry(struct server *s, uint64_t grace_ms);
