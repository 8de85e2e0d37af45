/*
 * tls_impl.h - TLS as a filter between two buffers, without a socket.
 *
 * For base/io and dns/io. stream.c feeds what the socket brought and writes
 * what is left in the output buffer.
 */
#pragma once

#include <stdbool.h>

#include "base/core/bytes.h"
#include "base/io/tls.h"

struct ssl_st;
struct tls_session;

/* OpenSSL's object for one connection, from the files as they are now. NULL
 * without memory. */
struct ssl_st *tls_ssl_new(struct tls *tls);

/* OpenSSL's reason for the last failure on this thread, which is forgotten. */
const char *tls_reason(void);

/* `out` takes what is to be sent to the other side, and is borrowed for the
 * session's life. NULL when OpenSSL has no memory. server_name: for clients,
 * the name or address that the certificate must be for. */
struct tls_session *tls_session_accept(struct tls *tls, struct buf *out);
struct tls_session *tls_session_connect(struct tls *tls, struct buf *out,
                                        const char *server_name);
void tls_session_free(struct tls_session *t); /* NULL is fine. */

/* Lend what the socket brought; it is read by the calls below, and what they
 * leave is kept inside until the next feed. */
void tls_session_feed(struct tls_session *t, struct slice bytes);

enum tls_progress {
    TLS_DONE,  /* Handshake over; bytes read or written. */
    TLS_WAITS, /* For more from the other side. */
    TLS_ENDED, /* The other side has said goodbye. */
    TLS_FAILED /* See tls_session_why(). */
};

enum tls_progress tls_session_handshake(struct tls_session *t);

/* Up to `cap` bytes into `space`. */
enum tls_progress tls_session_read(struct tls_session *t, uint8_t *space,
                                   size_t cap, size_t *out_len);

/* All of it goes into `out`, encrypted. */
enum tls_progress tls_session_write(struct tls_session *t, struct slice bytes);

/* Put a goodbye into `out`. */
void tls_session_goodbye(struct tls_session *t);

struct slice tls_session_alpn(const struct tls_session *t);

/* One line on the last failure. */
const char *tls_session_why(const struct tls_session *t);
