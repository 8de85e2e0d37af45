/*
 * http_client.h - one HTTP/1.1 request, and its answer.
 *
 * A connection of its own for each call, an answer that may go on for ever, a
 * body that may be written bit by bit. Redirects are answers like others.
 *
 *     http_call_start -> [on_open -> [on_head -> on_body ...]] -> on_end,
 *     exactly once, the last; never from inside a call to us
 *
 * All on the loop's thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/core/bytes.h"
#include "base/core/err.h"

struct http_call;
struct http_header;
struct loop;
struct sockaddr;
struct tls;

struct http_call_config {
    const char *host; /* A name, an address, or a Unix socket's path. */
    uint16_t port;    /* 0: `host` is a Unix socket. */
    const struct sockaddr *address; /* `host` is known to be there; NULL: look
                                       it up. */
    struct tls *tls;         /* NULL: plain. Borrowed while the call lasts. */
    const char *server_name; /* What its certificate is for; NULL: `host`. */
    const char *method;
    const char *path;
    const struct http_header *headers; /* Besides length and coding. If Host is
                                          not among them, it is made. */
    size_t headers_count;
    struct slice body;   /* Copied. */
    bool writes;         /* The body comes by http_call_write(), chunked. */
    uint64_t connect_ms; /* For connection and TLS; 0: 5 s. As much before it,
                            if a name has to be looked up. */
    uint64_t silence_ms; /* Then: without a byte read or written; 0: 5 s. */
    uint64_t total_ms;   /* From the start to the end; 0: no limit. */
};

struct http_call_hooks {
    void *ctx;
    void (*on_open)(void *ctx); /* Connected, TLS agreed. NULL: none. */
    void (*on_head)(void *ctx, int status);
    void (*on_body)(void *ctx, struct slice bytes); /* Without its chunks. */
    void (*on_drained)(void *ctx); /* What was written has left. NULL: none. */
    /* ST_OK: the answer was whole. ST_DENIED: the connection was refused, so
     * nobody listens there; ST_CLOSED: it was reset or closed. ST_TIMEOUT;
     * ST_CANCELED: by http_call_cancel(); ST_INVALID: the answer is no HTTP;
     * ST_IO: anything else. The call is gone; `why` is when this returns. */
    void (*on_end)(void *ctx, enum status st, const char *why);
};

/* Never NULL: what fails at once is told by on_end, too. */
struct http_call *http_call_start(struct loop *loop,
                                  const struct http_call_config *config,
                                  struct http_call_hooks hooks);

/* Give it up; on_end comes. Fine when the end is already on its way. */
void http_call_cancel(struct http_call *c);

/* More of the body; may be called from the start on. ST_TOO_BIG: too much waits
 * to be sent. */
enum status http_call_write(struct http_call *c, struct slice bytes);
void http_call_write_end(struct http_call *c);
size_t http_call_waiting(const struct http_call *c); /* Bytes not sent. */

/* A header field of the answer, by name in any case; from on_head on, and no
 * trailer. NULL data: absent. */
struct slice http_call_field(const struct http_call *c, const char *name);

/* What stands behind the status, "OK" or nothing; from on_head on. */
const char *http_call_reason(const struct http_call *c);

/* The address in use, "127.0.0.1:2380"; "" before. */
const char *http_call_peer(const struct http_call *c);
