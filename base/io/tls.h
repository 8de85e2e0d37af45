/*
 * tls.h - who we are and whom we trust on encrypted connections.
 *
 * TLS 1.2 and later. A context is made once from files and used by any number
 * of connections of one loop. Certificate, key and CA are looked at again
 * before each handshake (one stat(2) a file) and read again when they have
 * changed, so a renewed certificate needs no restart; if what is found then
 * does not load, the old one stays in use and the log says so.
 *
 * Servers and clients of gRPC agree on h2 by ALPN; a server's peer that asks
 * for http/1.1 or for nothing gets HTTP/1.1.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/core/err.h"

struct tls;

/* Paths are PEM files; strings are copied. */
struct tls_files {
    const char *cert; /* Own certificate and chain. NULL on clients: none. */
    const char *key;  /* NULL when `cert` is. */
    const char *ca;   /* Whom we trust. NULL: on clients the system's store, on
                         servers nobody. */
    const char *allowed_cn; /* The other side's certificate must be for this
                               common name; NULL: any. */
    bool http1;             /* Clients: to speak HTTP/1.1, not h2. */
    const char *alpn; /* Servers: to agree on this alone; NULL: h2, http/1.1.
                         Then connections must end before the context. */
    const uint8_t *ticket_key; /* Servers: TLS_TICKET_KEY_BYTES, shared by
                                  contexts to which the same clients come. NULL:
                                  a session is resumed by its context only. */
    bool anyone; /* Clients: do not ask who the other side is. For health
                    checks, which tell no secrets. */
};

#define TLS_TICKET_KEY_BYTES 80

enum tls_client_auth {
    TLS_CLIENT_ANY,     /* Clients need no certificate. */
    TLS_CLIENT_REQUIRED /* Clients must show one that files.ca has signed. */
};

/* ST_INVALID, with the file and the remedy in err: a file is missing, cannot be
 * read, is no PEM, key and certificate do not belong together, or clients must
 * be verified and there is no CA. */
enum status tls_server_new(const struct tls_files *files,
                           enum tls_client_auth client_auth,
                           struct tls **out_tls, struct err *err);
enum status tls_client_new(const struct tls_files *files, struct tls **out_tls,
                           struct err *err);

/* Look at the files now, not at the next handshake. */
void tls_refresh(struct tls *tls);

/* One more to hold it, on the same thread, and to free it in the end. */
struct tls *tls_share(struct tls *tls);

/* With the last who holds it. NULL is fine. Connections that use it may live
 * on. */
void tls_free(struct tls *tls);
