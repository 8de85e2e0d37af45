/*
 * http_server.h - requests and replies over HTTP/1.1 (and 1.0).
 *
 * A listener (server.h) is given one handler. It gets whole requests: chunked
 * or counted bodies are collected up to the limit, `Expect: 100-continue` is
 * answered, requests that break a rule or a limit (400, 408, 413, 414, 431,
 * 501) are refused before they get there.
 *
 * The reply may come at once or much later (a long poll), from anywhere on the
 * loop's thread. Exactly one of these ends an exchange, after which it must not
 * be touched:
 *
 *     http_reply()       called by the owner, once
 *     http_stream_end()  likewise, after http_stream_begin()
 *     on_gone()          called when the client has left before that
 *
 * Pipelined requests are handled one after the other; the next one is read when
 * the reply to the one before has been queued, and when not too much waits for
 * a client that does not read.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/core/arena.h"
#include "base/core/bytes.h"
#include "base/core/limits.h"
#include "base/io/owner.h"

struct http_exchange;

struct http_handler {
    void *ctx;          /* The owner's, see http_ctx(). */
    const char *server; /* What replies name as Server; NULL: nothing. */
    void (*on_request)(struct http_exchange *x);
    void (*on_gone)(struct http_exchange *x); /* NULL: all replies are made
                                                 inside on_request. */
    /* All that a reply that goes on had written has left; NULL: of no
     * interest. */
    void (*on_drained)(struct http_exchange *x);
    /* Requests to this path have bodies without limit, which come bit by bit
     * before on_request; the first call, with nothing, says that the head is
     * there. 0: go on; else the request is refused with that status, and
     * on_gone comes. NULL: no such path. */
    const char *streamed_path;
    int (*on_body)(struct http_exchange *x, struct slice bytes);
    size_t *bodies_bytes; /* Of all bodies that are held, counted here and by
                             whoever else has this pointer: beyond
                             LIMIT_HTTP_BODIES no more is taken (503). NULL: not
                             bounded together. */
    uint64_t idle_ms;     /* A kept-alive connection without request is closed
                             after this; 0: 75 s */
    uint64_t header_ms;   /* For a request to arrive whole; 0: 10 s, which grows
                             with the body by 1 s per 64 kB received */
};

struct http_header {
    struct slice name;
    struct slice value;
};

/* The request; all borrowed until the exchange ends. */
struct slice http_method(const struct http_exchange *x); /* "GET" */
struct slice http_path(const struct http_exchange *x);   /* Not decoded. */
struct slice http_query(const struct http_exchange *x);  /* Behind the "?". */
struct slice http_body(const struct http_exchange *x);

/* Whom the client means, "agent.example:8500": of the address, if it has a
 * host, else the Host field (RFC 9112, 3.2.2). Empty: it has said nothing. */
struct slice http_host(const struct http_exchange *x);

/* By name in any case; the first if there are several. NULL data: absent. */
struct slice http_header_get(const struct http_exchange *x, const char *name);

void *http_ctx(const struct http_exchange *x);
void *http_data(const struct http_exchange *x); /* The owner's; NULL first. */
void http_set_data(struct http_exchange *x, void *data);
struct arena *http_arena(struct http_exchange *x); /* Lives as long as x. */

/* Answer; everything is copied. Date, Content-Length, Connection and what HEAD,
 * 204 and 304 demand are added here; Content-Type and others come in `headers`
 * (CR, LF and NUL in them are replaced by spaces). The exchange is gone when
 * this returns. */
void http_reply(struct http_exchange *x, int status,
                const struct http_header *headers, size_t count,
                struct slice body);

/* The same with one header, Content-Type: `type`; and with text/plain. */
void http_reply_type(struct http_exchange *x, int status, const char *type,
                     struct slice body);
void http_reply_text(struct http_exchange *x, int status, const char *text);

/* An answer that goes on, chunked, until http_stream_end() or on_gone: begin,
 * then any number of chunks. A chunk is what is appended to the buffer between
 * open and close; it leaves at the end of the loop's turn. */
void http_stream_begin(struct http_exchange *x,
                       const struct http_header *headers, size_t count);
struct buf *http_stream_open_chunk(struct http_exchange *x);
void http_stream_close_chunk(struct http_exchange *x);
void http_stream_end(struct http_exchange *x);
size_t http_stream_waiting(const struct http_exchange *x); /* Bytes unsent. */

/* "127.0.0.1:4711", "unix" */
const char *http_peer(const struct http_exchange *x);
bool http_is_secure(const struct http_exchange *x); /* Over TLS. */
bool http_is_unix(const struct http_exchange *x);   /* By a Unix socket. */

/* Whose process was at the other end of a Unix socket (owner.h).
 * False: not a Unix socket, or nothing is known. */
bool http_owner(const struct http_exchange *x, struct owner *out_owner);

/* "Not Found"; "" for numbers nobody knows. */
const char *http_status_text(int status);
