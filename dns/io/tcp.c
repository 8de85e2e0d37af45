#include <errno.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <unistd.h>

#include "base/core/check.h"
#include "dns/io/worker.h"

/* RFC 7766: queries follow each other on a connection, responses come as they
 * are ready. A query is short; a client that sends a longer one is cut off. */
enum {
    IN_BYTES = 4096,
    BACKLOG = 128,
    TICK_MS = 500, /* How exactly idle connections are found. */
};

/* Responses waiting for a slow reader; then it is not read from any more. */
#define OUT_BYTES_MAX (256 * 1024)

struct tcp_conn {
    struct tcp *tcp;
    uv_tcp_t stream;
    TAILQ_ENTRY(tcp_conn) link;
    union address client;
    uint64_t active_ms;
    unsigned holds; /* Forwarded queries that will come back here. */
    size_t out_waiting;
    bool paused;
    bool closing;
    bool closed; /* By libuv: the memory goes with the last hold. */
    size_t in_len;
    uint8_t in[IN_BYTES];
};

TAILQ_HEAD(tcp_conns, tcp_conn);

struct tcp {
    struct worker *worker;
    uv_tcp_t listener;
    uv_timer_t tick;        /* Runs while there are connections. */
    struct tcp_conns conns; /* The idlest first. */
    unsigned conns_count;
    unsigned open_handles;
    bool closing;
};

struct tcp_write {
    uv_write_t request;
    struct tcp_conn *conn;
    size_t len;
    uint8_t bytes[];
};

static void tcp_unref(struct tcp *t)
{
    CHECK(t->open_handles > 0);
    if (--t->open_handles == 0) {
        free(t);
    }
}

static void on_conn_closed(uv_handle_t *handle)
{
    struct tcp_conn *c = handle->data;

    c->closed = true;
    tcp_unref(c->tcp);
    if (c->holds == 0) {
        free(c);
    }
}

static void conn_close(struct tcp_conn *c)
{
    struct tcp *t = c->tcp;

    if (c->closing) {
        return;
    }
    c->closing = true;
    TAILQ_REMOVE(&t->conns, c, link);
    count_add(&t->worker->counts.tcp_conns, -1);
    if (--t->conns_count == 0 && !t->closing) {
        (void)uv_timer_stop(&t->tick);
    }
    uv_close((uv_handle_t *)&c->stream, on_conn_closed);
}

void tcp_hold(struct tcp_conn *c)
{
    c->holds++;
}

void tcp_drop(struct tcp_conn *c)
{
    CHECK(c->holds > 0);
    if (--c->holds == 0 && c->closed) {
        free(c);
    }
}

static void conn_touch(struct tcp_conn *c)
{
    c->active_ms = uv_now(&c->tcp->worker->loop);
    TAILQ_REMOVE(&c->tcp->conns, c, link);
    TAILQ_INSERT_TAIL(&c->tcp->conns, c, link);
}

static void on_tick(uv_timer_t *timer)
{
    struct tcp *t = timer->data;
    uint64_t now_ms = uv_now(&t->worker->loop);
    struct tcp_conn *c;

    while ((c = TAILQ_FIRST(&t->conns)) != NULL &&
           now_ms - c->active_ms >= t->worker->config->tcp_idle_ms) {
        conn_close(c);
    }
}

static void conn_resume(struct tcp_conn *c);

static void on_written(uv_write_t *request, int error)
{
    struct tcp_write *w = request->data;
    struct tcp_conn *c = w->conn;

    c->out_waiting -= w->len;
    free(w);
    if (error != 0) {
        conn_close(c);
    } else if (c->paused && !c->closing && c->out_waiting == 0) {
        conn_resume(c);
    }
}

/* What the socket does not take at once is copied and waits. */
static void conn_write(struct tcp_conn *c, struct slice bytes)
{
    uv_stream_t *stream = (uv_stream_t *)&c->stream;
    uv_buf_t part = uv_buf_init((char *)bytes.data, (unsigned)bytes.len);
    struct tcp_write *w;
    int n = c->out_waiting == 0 ? uv_try_write(stream, &part, 1) : 0;

    if (n < 0 && n != UV_EAGAIN) {
        conn_close(c);
        return;
    }
    if (n > 0) {
        bytes = slice_skip(bytes, (size_t)n);
    }
    if (bytes.len == 0) {
        return;
    }
    w = malloc(sizeof(*w) + bytes.len);
    CHECK(w != NULL);
    w->conn = c;
    w->len = bytes.len;
    w->request.data = w;
    memcpy(w->bytes, bytes.data, bytes.len);
    part = uv_buf_init((char *)w->bytes, (unsigned)bytes.len);
    c->out_waiting += bytes.len;
    if (uv_write(&w->request, stream, &part, 1, on_written) != 0) {
        c->out_waiting -= bytes.len;
        free(w);
        conn_close(c);
    }
}

void tcp_send_late(struct tcp_conn *c, struct slice packet)
{
    uint8_t framed[2 + RESPONSE_BYTES_MAX];

    if (c->closing) {
        return;
    }
    framed[0] = (uint8_t)(packet.len >> 8);
    framed[1] = (uint8_t)packet.len;
    memcpy(framed + 2, packet.data, packet.len);
    conn_write(c, slice_of(framed, packet.len + 2));
}

/* One query; the length of its framed response at `out`, 0 when there is none
 * (yet). */
static size_t take(struct tcp_conn *c, const struct dns_zone *zone,
                   struct slice packet, uint8_t *out)
{
    struct worker *w = c->tcp->worker;
    struct query query = {.packet = packet, .client = &c->client, .tcp = true};
    struct origin origin = {.conn = c, .client = c->client};
    struct taken taken;
    enum response kind;

    count(&w->counts.queries_tcp);
    kind = responder_take(&w->responder, zone, &query, out + 2, &taken);
    if (kind == RESPONSE_NONE) {
        return 0;
    }
    if (kind != RESPONSE_SEND) {
        if (forwarder_ask(w->forwarder, kind, &taken, packet, &origin)) {
            return 0;
        }
        taken.len = responder_fail(&w->responder, &taken.question, DNS_SERVFAIL,
                                   out + 2);
    }
    out[0] = (uint8_t)(taken.len >> 8);
    out[1] = (uint8_t)taken.len;
    return taken.len + 2;
}

/* All whole queries that are in; their responses go out together. */
static void conn_take_all(struct tcp_conn *c)
{
    struct worker *w = c->tcp->worker;
    const struct dns_zone *zone = reader_enter(&w->reader, w->publisher);
    static _Thread_local uint8_t out[(size_t)2 * (2 + RESPONSE_BYTES_MAX)];
    size_t out_len = 0;
    size_t at = 0;

    while (c->in_len - at >= 2 && !c->closing) {
        size_t len = (size_t)(c->in[at] << 8 | c->in[at + 1]);

        if (len > IN_BYTES - 2) {
            conn_close(c);
            break;
        }
        if (c->in_len - at - 2 < len) {
            break;
        }
        out_len += take(c, zone, slice_of(c->in + at + 2, len), out + out_len);
        at += 2 + len;
        if (sizeof(out) - out_len < 2 + RESPONSE_BYTES_MAX) {
            conn_write(c, slice_of(out, out_len));
            out_len = 0;
        }
    }
    reader_leave(&w->reader);
    if (out_len > 0 && !c->closing) {
        conn_write(c, slice_of(out, out_len));
    }
    c->in_len -= at;
    memmove(c->in, c->in + at, c->in_len);
}

static void on_space(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct tcp_conn *c = handle->data;

    (void)suggested;
    *buf = uv_buf_init((char *)c->in + c->in_len,
                       (unsigned)(IN_BYTES - c->in_len));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct tcp_conn *c = stream->data;

    (void)buf;
    if (n < 0) {
        conn_close(c);
        return;
    }
    c->in_len += (size_t)n;
    conn_touch(c);
    conn_take_all(c);
    if (c->out_waiting > OUT_BYTES_MAX && !c->closing) {
        c->paused = true;
        (void)uv_read_stop(stream);
    }
}

static void conn_resume(struct tcp_conn *c)
{
    c->paused = false;
    if (uv_read_start((uv_stream_t *)&c->stream, on_space, on_read) != 0) {
        conn_close(c);
    }
}

static void tcp_add(struct tcp *t, struct tcp_conn *c)
{
    TAILQ_INSERT_TAIL(&t->conns, c, link);
    c->active_ms = uv_now(&t->worker->loop);
    count(&t->worker->counts.tcp_conns);
    if (t->conns_count++ == 0) {
        (void)uv_timer_start(&t->tick, on_tick, TICK_MS, TICK_MS);
    }
    if (t->conns_count > t->worker->config->tcp_conns_max) {
        conn_close(TAILQ_FIRST(&t->conns));
    }
}

static void on_connection(uv_stream_t *listener, int error)
{
    struct tcp *t = listener->data;
    struct tcp_conn *c;
    int len = sizeof(c->client);

    if (error != 0) {
        return; /* Out of descriptors: the next one may do better. */
    }
    c = calloc(1, sizeof(*c));
    CHECK(c != NULL);
    c->tcp = t;
    c->stream.data = c;
    CHECK(uv_tcp_init(&t->worker->loop, &c->stream) == 0);
    t->open_handles++;
    tcp_add(t, c);
    if (uv_accept(listener, (uv_stream_t *)&c->stream) != 0 ||
        uv_tcp_getpeername(&c->stream, &c->client.any, &len) != 0) {
        conn_close(c);
        return;
    }
    (void)uv_tcp_nodelay(&c->stream, 1);
    conn_resume(c);
}

struct tcp *tcp_new(struct worker *w, int fd, struct err *err)
{
    struct tcp *t = calloc(1, sizeof(*t));
    int error;

    CHECK(t != NULL);
    t->worker = w;
    TAILQ_INIT(&t->conns);
    CHECK(uv_tcp_init(&w->loop, &t->listener) == 0);
    CHECK(uv_timer_init(&w->loop, &t->tick) == 0);
    t->open_handles = 2;
    t->listener.data = t;
    t->tick.data = t;
    error = uv_tcp_open(&t->listener, fd);
    if (error == 0) {
        error = uv_listen((uv_stream_t *)&t->listener, BACKLOG, on_connection);
    } else {
        (void)close(fd);
    }
    if (error != 0) {
        (void)err_set(err, ST_IO, "cannot listen for DNS over TCP: %s",
                      uv_strerror(error));
        tcp_close(t);
        return NULL;
    }
    return t;
}

static void on_handle_closed(uv_handle_t *handle)
{
    tcp_unref(handle->data);
}

void tcp_close(struct tcp *t)
{
    t->closing = true;
    while (!TAILQ_EMPTY(&t->conns)) {
        conn_close(TAILQ_FIRST(&t->conns));
    }
    uv_close((uv_handle_t *)&t->listener, on_handle_closed);
    uv_close((uv_handle_t *)&t->tick, on_handle_closed);
}
