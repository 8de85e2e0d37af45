#include "base/io/http_server.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/core/check.h"
#include "base/io/http_conn.h"
#include "base/io/http_head.h"
#include "base/io/http_parse.h"
#include "base/io/loop.h"
#include "base/io/owner.h"
#include "base/io/stream.h"

/* Bytes that may arrive while a reply is awaited: pipelined requests. */
#define AHEAD_BYTES_MAX (64 * 1024)

/* So much of replies may wait for a client that does not read; it gets no more
 * before it has. */
#define UNREAD_BYTES_MAX ((size_t)256 * 1024)

/* So many requests of one connection are handled before others get their turn:
 * 64 KiB of them, on each of fifty connections, would hold all up for seconds.
 */
#define TURN_REQUESTS_MAX 16

#define IDLE_MS_DEFAULT   75000
#define HEADER_MS_DEFAULT 10000
#define BODY_MS_PER_BYTES (64 * 1024 / 1000) /* One second for each 64 KiB. */

struct http_exchange {
    struct http_conn *conn;
    void *data;
    struct arena arena;
};

struct http_conn {
    struct stream *stream;
    const struct http_handler *handler;
    struct http_parse parse;
    struct http_exchange exchange;
    bool exchange_open;
    bool body_open; /* A streamed body is coming in for the exchange. */
    size_t body_bytes;
    size_t body_counted; /* In handler->bodies_bytes. */
    bool streaming;      /* The reply has begun and goes on. */
    size_t chunk;        /* Where the open chunk's head is. */
    bool reading;        /* http_conn_read() is on the stack. */
    bool stopping;
    bool finished;
    bool ended; /* The client sends no more; `ahead` is still answered. */
    uint64_t begun_ms;       /* When the request began to arrive. */
    struct buf ahead;        /* Arrived while a reply was awaited. */
    struct loop_task resume; /* Goes on with `ahead`. */
    struct loop_task turn;   /* The same, in the loop's next turn. */
};

static uint64_t or_default(uint64_t value, uint64_t fallback)
{
    return value == 0 ? fallback : value;
}

/* ---------------------------------------------------------- the request -- */

struct slice http_method(const struct http_exchange *x)
{
    return http_parse_method(&x->conn->parse);
}

struct slice http_path(const struct http_exchange *x)
{
    return x->conn->parse.path;
}

struct slice http_query(const struct http_exchange *x)
{
    return x->conn->parse.query;
}

struct slice http_body(const struct http_exchange *x)
{
    return buf_slice(&x->conn->parse.body);
}

struct slice http_host(const struct http_exchange *x)
{
    return x->conn->parse.host;
}

struct slice http_header_get(const struct http_exchange *x, const char *name)
{
    return http_parse_field(&x->conn->parse, name);
}

void *http_ctx(const struct http_exchange *x)
{
    return x->conn->handler->ctx;
}

void *http_data(const struct http_exchange *x)
{
    return x->data;
}

void http_set_data(struct http_exchange *x, void *data)
{
    x->data = data;
}

struct arena *http_arena(struct http_exchange *x)
{
    return &x->arena;
}

/* ------------------------------------------------------------ the reply -- */

static enum status add_head(struct http_conn *c, int status, size_t body_len,
                            bool keep_alive)
{
    bool counted =
        !c->streaming && status >= 200 && status != 204 && status != 304;
    struct http_head head = {.status = status,
                             .counted = counted,
                             .body_len = body_len,
                             .server = c->handler->server};

    if (!keep_alive) {
        head.connection = "close";
    } else if (c->parse.parser.http_minor == 0) {
        head.connection = "keep-alive";
    }
    return http_head_begin(stream_out(c->stream), &head);
}

/* ST_TOO_BIG: the connection's limit is passed; it can only be closed. */
static enum status add_reply(struct http_conn *c, int status, bool keep_alive,
                             const struct http_header *headers, size_t count,
                             struct slice body)
{
    struct buf *out = stream_out(c->stream);
    enum status st = add_head(c, status, body.len, keep_alive);

    for (size_t i = 0; !st && i < count; i++) {
        st = http_head_field(out, &headers[i]);
    }
    if (!st) {
        st = buf_add_str(out, "\r\n");
    }
    if (!st && !http_parse_is_head(&c->parse) && status >= 200 &&
        status != 204 && status != 304) {
        st = buf_add(out, body);
    }
    return st;
}

static void conn_finish(struct http_conn *c)
{
    c->finished = true;
    stream_finish(c->stream);
}

static void count_body(struct http_conn *c, size_t bytes)
{
    if (c->handler->bodies_bytes) {
        *c->handler->bodies_bytes += bytes - c->body_counted;
        c->body_counted = bytes;
    }
}

static void exchange_end(struct http_conn *c)
{
    count_body(c, 0);
    c->exchange_open = false;
    c->body_open = false;
    c->streaming = false;
    arena_reset(&c->exchange.arena);
    http_parse_reset(&c->parse);
}

static void set_idle_deadline(struct http_conn *c)
{
    stream_set_deadline(c->stream,
                        loop_now_ms(c->stream->loop) +
                            or_default(c->handler->idle_ms, IDLE_MS_DEFAULT));
}

void http_reply(struct http_exchange *x, int status,
                const struct http_header *headers, size_t count,
                struct slice body)
{
    struct http_conn *c = x->conn;
    bool keep_alive = c->parse.keep_alive && !c->stopping;
    enum status st;

    CHECK(c->exchange_open);
    if (c->finished) {
        exchange_end(c); /* The client is gone; on_gone was still to come. */
        return;
    }
    st = add_reply(c, status, keep_alive, headers, count, body);
    exchange_end(c);
    if (st) {
        c->finished = true;
        stream_close(c->stream, "too many bytes wait to be read");
        return;
    }
    stream_flush_later(c->stream);
    if (!keep_alive) {
        conn_finish(c);
        return;
    }
    set_idle_deadline(c);
    if (!c->reading && c->ahead.len > 0) {
        loop_defer(c->stream->loop, LOOP_WORK, &c->resume);
    }
}

void http_reply_type(struct http_exchange *x, int status, const char *type,
                     struct slice body)
{
    struct http_header header = {.name = slice_str("Content-Type"),
                                 .value = slice_str(type)};

    http_reply(x, status, &header, 1, body);
}

void http_reply_text(struct http_exchange *x, int status, const char *text)
{
    http_reply_type(x, status, "text/plain; charset=utf-8", slice_str(text));
}

/* ----------------------------------------------- a reply that goes on -- */

/* Eight digits: the length is filled in when it is known. */
static const char chunk_head[] = "00000000\r\n";

void http_stream_begin(struct http_exchange *x,
                       const struct http_header *headers, size_t count)
{
    struct http_conn *c = x->conn;
    struct http_header coding = {.name = slice_str("Transfer-Encoding"),
                                 .value = slice_str("chunked")};
    struct buf *out = stream_out(c->stream);
    enum status st;

    CHECK(c->exchange_open);
    c->streaming = true;
    st = add_head(c, 200, 0, false);
    for (size_t i = 0; !st && i < count; i++) {
        st = http_head_field(out, &headers[i]);
    }
    if (!st) {
        st = http_head_field(out, &coding);
    }
    if (!st) {
        st = buf_add_str(out, "\r\n");
    }
    CHECK(st == ST_OK); /* Nothing has been written before. */
    stream_flush_later(c->stream);
}

struct buf *http_stream_open_chunk(struct http_exchange *x)
{
    struct buf *out = stream_out(x->conn->stream);

    CHECK(x->conn->streaming);
    x->conn->chunk = out->len;
    CHECK(buf_add_str(out, chunk_head) == ST_OK);
    return out;
}

void http_stream_close_chunk(struct http_exchange *x)
{
    static const char digits[] = "0123456789abcdef";
    struct http_conn *c = x->conn;
    struct buf *out = stream_out(c->stream);
    size_t len = out->len - c->chunk - (sizeof(chunk_head) - 1);

    CHECK(len > 0);
    for (size_t i = 8; i-- > 0; len >>= 4) {
        out->data[c->chunk + i] = (uint8_t)digits[len & 15];
    }
    CHECK(buf_add_str(out, "\r\n") == ST_OK);
    stream_flush_later(c->stream);
}

void http_stream_end(struct http_exchange *x)
{
    struct http_conn *c = x->conn;

    CHECK(c->streaming);
    if (!c->finished) {
        (void)buf_add_str(stream_out(c->stream), "0\r\n\r\n");
        stream_flush_later(c->stream);
        c->finished = true;
        stream_finish(c->stream);
    }
    exchange_end(c);
}

size_t http_stream_waiting(const struct http_exchange *x)
{
    return stream_out_bytes(x->conn->stream);
}

bool http_is_secure(const struct http_exchange *x)
{
    return x->conn->stream->tls != NULL;
}

bool http_is_unix(const struct http_exchange *x)
{
    return x->conn->stream->uv.handle.type == UV_NAMED_PIPE;
}

bool http_owner(const struct http_exchange *x, struct owner *out_owner)
{
    return owner_read(x->conn->stream, out_owner);
}

const char *http_peer(const struct http_exchange *x)
{
    return x->conn->stream->peer;
}

/* ------------------------------------------------------- the connection -- */

/* The client broke a rule or a limit. It may still be sending: the stream's
 * finish waits for it, so that the answer is not lost in a reset. */
static void conn_refuse(struct http_conn *c, int status, const char *text)
{
    struct http_header type = {.name = slice_str("Content-Type"),
                               .value = slice_str("text/plain; charset=utf-8")};
    char line[160];

    buf_release(&c->parse.body); /* It may be long until the client closes. */
    count_body(c, 0);
    (void)snprintf(line, sizeof(line), "%s\n", text);
    (void)add_reply(c, status, false, &type, 1, slice_str(line));
    stream_flush_later(c->stream);
    conn_finish(c);
}

/* RFC 6585, 4. Clients take a closed connection for a failure of ours. */
void http_conn_refuse(struct http_conn *c)
{
    static const char text[] = "Too many connections; try again later\n";
    struct http_header headers[] = {
        {slice_str("Content-Type"), slice_str("text/plain; charset=utf-8")},
        {slice_str("Retry-After"), slice_str("5")}};

    (void)add_reply(c, 429, false, headers, 2, slice_str(text));
    stream_flush_later(c->stream);
    conn_finish(c);
}

static void send_continue(struct http_conn *c)
{
    c->parse.wants_continue = false;
    (void)buf_add_str(stream_out(c->stream), "HTTP/1.1 100 Continue\r\n\r\n");
    stream_flush_later(c->stream);
}

static void exchange_begin(struct http_conn *c)
{
    c->exchange_open = true;
    if (!c->body_open) {
        c->exchange.data = NULL;
    }
    stream_set_deadline(c->stream, UINT64_MAX);
    c->handler->on_request(&c->exchange);
}

/* A part of a request is here: it must be whole before long. */
static void set_arrival_deadline(struct http_conn *c)
{
    if (c->begun_ms == 0) {
        c->begun_ms = loop_now_ms(c->stream->loop);
    }
    stream_set_deadline(
        c->stream, c->begun_ms +
                       or_default(c->handler->header_ms, HEADER_MS_DEFAULT) +
                       (c->body_bytes + c->parse.body.len) / BODY_MS_PER_BYTES);
}

/* Pass on what has come of a streamed body. */
static void pass_body(struct http_conn *c)
{
    int refusal = 0;

    if (!c->body_open) {
        c->body_open = true;
        c->body_bytes = 0;
        c->exchange.data = NULL;
        refusal = c->handler->on_body(&c->exchange, (struct slice){0});
    }
    if (refusal == 0 && c->parse.body.len > 0) {
        c->body_bytes += c->parse.body.len;
        refusal = c->handler->on_body(&c->exchange, buf_slice(&c->parse.body));
    }
    buf_clear(&c->parse.body);
    if (refusal != 0) {
        conn_refuse(c, refusal, http_status_text(refusal));
    }
}

/* Nothing is handled now: a reply is awaited, or is to be read first. */
static bool conn_waits(const struct http_conn *c)
{
    return c->exchange_open || stream_out_bytes(c->stream) > UNREAD_BYTES_MAX;
}

/* A thousand clients with a body each are a gigabyte. */
static void bound_bodies(struct http_conn *c)
{
    count_body(c, c->parse.body.len);
    if (!c->parse.complete && c->handler->bodies_bytes &&
        *c->handler->bodies_bytes > LIMIT_HTTP_BODIES) {
        conn_refuse(c, 503, "too many bodies are on their way; try again");
    }
}

/* Handle requests until the bytes end, one must be waited for, or others are to
 * have their turn; returns what is left. */
static struct slice conn_consume(struct http_conn *c, struct slice bytes)
{
    unsigned handled = 0;

    while (bytes.len > 0 && !conn_waits(c) && !c->finished &&
           handled < TURN_REQUESTS_MAX) {
        bytes = slice_skip(bytes, http_parse_feed(&c->parse, bytes));
        if (c->parse.streamed && c->parse.headers_done &&
            c->parse.refusal == 0) {
            pass_body(c);
        } else {
            bound_bodies(c);
        }
        if (c->finished) {
            break;
        }
        if (c->parse.refusal != 0) {
            conn_refuse(c, c->parse.refusal, c->parse.refusal_text);
        } else if (c->parse.complete) {
            c->begun_ms = 0;
            handled++;
            exchange_begin(c);
        } else if (c->parse.headers_done && c->parse.wants_continue) {
            send_continue(c);
        }
    }
    return bytes;
}

static void conn_feed(struct http_conn *c, struct slice bytes)
{
    struct slice rest;

    c->reading = true;
    rest = conn_consume(c, bytes);
    c->reading = false;
    if (c->finished) {
        return;
    }
    if (rest.len > 0 && buf_add(&c->ahead, rest) != ST_OK) {
        c->finished = true;
        stream_close(c->stream, "too much was sent ahead of a reply");
        return;
    }
    if (c->ended && (c->exchange_open || c->ahead.len == 0)) {
        conn_finish(c);
    } else if (c->ahead.len > 0 && !conn_waits(c)) {
        loop_defer(c->stream->loop, LOOP_FLUSH, &c->turn);
    } else if (!c->exchange_open && c->parse.begun) {
        set_arrival_deadline(c);
    }
}

void http_conn_read(struct http_conn *c, struct slice bytes)
{
    if (c->finished) {
        return; /* The stream is finishing; the rest is of no interest. */
    }
    if (!conn_waits(c) && c->ahead.len == 0) {
        conn_feed(c, bytes);
    } else if (buf_add(&c->ahead, bytes) != ST_OK) {
        c->finished = true;
        stream_close(c->stream, "too much was sent ahead of a reply");
    }
    if (c->ahead.len > AHEAD_BYTES_MAX) {
        stream_pause(c->stream);
    }
}

void http_conn_drained(struct http_conn *c)
{
    if (!c->finished && c->streaming && c->handler->on_drained) {
        c->handler->on_drained(&c->exchange);
        return;
    }
    if (!c->finished && !c->exchange_open && c->ahead.len > 0) {
        loop_defer(c->stream->loop, LOOP_WORK, &c->resume);
    }
}

static void conn_go_on(struct http_conn *c)
{
    struct buf ahead = c->ahead;

    if (c->finished || conn_waits(c)) {
        return;
    }
    buf_init(&c->ahead, ahead.limit);
    conn_feed(c, buf_slice(&ahead));
    buf_release(&ahead);
    if (c->finished || c->ahead.len <= AHEAD_BYTES_MAX) {
        stream_resume(c->stream);
    }
}

/* A reply has been queued or read, and more had arrived before. */
static void on_resume(struct loop_task *task)
{
    conn_go_on((struct http_conn *)((char *)task -
                                    offsetof(struct http_conn, resume)));
}

static void on_turn(struct loop_task *task)
{
    conn_go_on(
        (struct http_conn *)((char *)task - offsetof(struct http_conn, turn)));
}

void http_conn_eof(struct http_conn *c)
{
    if (c->finished) {
        return;
    }
    if (!c->exchange_open && c->ahead.len > 0) {
        c->ended = true; /* It has asked for more than one turn of ours. */
        return;
    }
    /* Whoever closes while it waits for a reply has left. */
    conn_finish(c);
}

void http_conn_deadline(struct http_conn *c)
{
    if (c->finished || c->exchange_open) {
        return;
    }
    if (c->parse.begun) {
        conn_refuse(c, 408, "the request did not arrive in time");
    } else {
        conn_finish(c);
    }
}

void http_conn_stop(struct http_conn *c)
{
    c->stopping = true;
    if (!c->finished && !c->exchange_open && !c->parse.begun) {
        conn_finish(c);
    }
}

struct http_conn *http_conn_new(struct stream *stream,
                                const struct http_handler *handler)
{
    struct http_conn *c = calloc(1, sizeof(*c));

    CHECK(c != NULL);
    c->stream = stream;
    c->handler = handler;
    c->exchange.conn = c;
    c->resume.run = on_resume;
    c->turn.run = on_turn;
    http_parse_init(&c->parse);
    c->parse.streamed_path = handler->streamed_path;
    buf_init(&c->ahead, 2 * AHEAD_BYTES_MAX + LOOP_READ_BYTES);
    set_idle_deadline(c);
    return c;
}

void http_conn_free(struct http_conn *c)
{
    if (c == NULL) {
        return;
    }
    c->finished = true;
    count_body(c, 0);
    if ((c->exchange_open || c->body_open) && c->handler->on_gone != NULL) {
        c->handler->on_gone(&c->exchange);
    }
    loop_undefer(c->stream->loop, LOOP_WORK, &c->resume);
    loop_undefer(c->stream->loop, LOOP_FLUSH, &c->turn);
    arena_release(&c->exchange.arena);
    http_parse_release(&c->parse);
    buf_release(&c->ahead);
    free(c);
}
