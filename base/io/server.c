#include "base/io/server.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/resource.h>

#include "base/core/check.h"
#include "base/core/limits.h"
#include "base/core/log.h"
#include "base/io/grpc_session.h"
#include "base/io/http_conn.h"
#include "base/io/line_conn.h"
#include "base/io/listener.h"
#include "base/io/stream.h"

/* For TLS and the first bytes, which tell what is spoken. */
#define FIRST_BYTES_MS 10000

/* One message about refused connections in this time. */
#define COMPLAINT_MS 10000

/* Probes after this time without a byte; and a client that acknowledges
 * nothing, or does not read what it asked for, is given up after that. */
#define TCP_QUIET_MS    15000
#define TCP_PATIENCE_MS 60000

enum conn_protocol {
    CONN_UNKNOWN,
    CONN_GRPC,
    CONN_HTTP,
    CONN_LINES
};

struct conn {
    struct stream stream;
    struct server *server;
    enum conn_protocol protocol;
    struct grpc_session *grpc;
    struct http_conn *http;
    struct line_conn *lines;
    uint8_t first[4]; /* What has come while it is too little to tell. */
    size_t first_len;
    TAILQ_ENTRY(conn) link;
    bool refused; /* One too many: told so, and closed. */
};

struct server {
    struct loop *loop;
    struct tls *tls;
    const struct http_handler *http;
    const struct line_handler *lines;
    struct grpc_side *grpc; /* NULL: none. */
    struct listener listener;
    uv_timer_t grace;
    unsigned open_handles;
    TAILQ_HEAD(, conn) conns;
    unsigned conns_count;
    unsigned conns_max;
    unsigned refused_max;
    bool accept_paused; /* One connection waits in libuv, more in the kernel. */
    bool stopping;
    uint64_t complained_ms;
    uint64_t refused_ms; /* The same of clients that TLS has refused. */
    server_stopped_fn *on_stopped;
    void *stopped_ctx;
};

static void server_accept(struct server *s);

/* ---- the end ---- */

static void server_maybe_gone(struct server *s)
{
    server_stopped_fn *on_stopped = s->on_stopped;
    void *ctx = s->stopped_ctx;

    if (!s->stopping || s->open_handles > 0) {
        return;
    }
    if (s->conns_count > 0) {
        return;
    }
    grpc_side_free(s->grpc);
    free(s);
    if (on_stopped != NULL) {
        on_stopped(ctx);
    }
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct server *s = handle->data;

    CHECK(s->open_handles > 0);
    s->open_handles--;
    server_maybe_gone(s);
}

/* When the last connection of a stopping server goes, nothing is left to wait
 * for. */
static void server_close_timer(struct server *s)
{
    if (!uv_is_closing((uv_handle_t *)&s->grace)) {
        uv_close((uv_handle_t *)&s->grace, on_handle_closed);
    }
}

/* ---- connections ---- */

static struct conn *conn_of(struct stream *stream)
{
    return (struct conn *)((char *)stream - offsetof(struct conn, stream));
}

static void conn_on_open(struct stream *stream)
{
    struct conn *c = conn_of(stream);

    stream_watch_silence(stream, TCP_QUIET_MS, TCP_PATIENCE_MS);
    if (c->server->lines == NULL) {
        return; /* What it is, the first bytes will tell. */
    }
    c->protocol = CONN_LINES;
    c->lines = line_conn_new(stream, c->server->lines);
    if (c->refused) {
        line_conn_refuse(c->lines);
    }
}

/* The beginning of HTTP/2's preface, which no HTTP/1 request can have. */
static const char h2_first[] = "PRI ";

/* Decide what the connection speaks once that can be told. */
static void conn_sniff(struct conn *c, struct slice seen)
{
    struct server *s = c->server;
    struct slice preface = slice_str(h2_first);
    bool is_h2 = slice_starts(seen, preface);

    if (!is_h2 && slice_starts(preface, seen)) {
        return; /* Too little yet. */
    }
    stream_set_deadline(&c->stream, UINT64_MAX);
    if (is_h2 && s->grpc != NULL) {
        c->protocol = CONN_GRPC;
        c->grpc = grpc_session_new(s->grpc, &c->stream);
    } else if (s->http != NULL) {
        c->protocol = CONN_HTTP;
        c->http = http_conn_new(&c->stream, s->http);
        if (c->refused) {
            http_conn_refuse(c->http);
        }
    } else {
        stream_close(&c->stream, "HTTP/1 is not spoken here");
    }
}

static void conn_feed(struct conn *c, struct slice bytes)
{
    if (bytes.len == 0) {
        return;
    }
    if (c->protocol == CONN_GRPC) {
        grpc_session_read(c->grpc, bytes);
    } else if (c->protocol == CONN_HTTP) {
        http_conn_read(c->http, bytes);
    } else if (c->protocol == CONN_LINES) {
        line_conn_read(c->lines, bytes);
    }
}

static void conn_on_first_bytes(struct conn *c, struct slice bytes)
{
    size_t room = sizeof(c->first) - c->first_len;
    size_t count = bytes.len < room ? bytes.len : room;

    memcpy(c->first + c->first_len, bytes.data, count);
    c->first_len += count;
    conn_sniff(c, slice_of(c->first, c->first_len));
    conn_feed(c, slice_of(c->first, c->first_len));
    if (stream_usable(&c->stream)) {
        conn_feed(c, slice_skip(bytes, count));
    }
}

static void conn_on_read(struct stream *stream, struct slice bytes)
{
    struct conn *c = conn_of(stream);

    if (c->protocol == CONN_UNKNOWN) {
        conn_on_first_bytes(c, bytes);
    } else {
        conn_feed(c, bytes);
    }
}

static void conn_on_eof(struct stream *stream)
{
    struct conn *c = conn_of(stream);

    if (c->protocol == CONN_HTTP) {
        http_conn_eof(c->http);
    } else if (c->protocol == CONN_LINES) {
        line_conn_eof(c->lines);
    } else {
        stream_close(stream, NULL);
    }
}

static void conn_on_flush(struct stream *stream)
{
    struct conn *c = conn_of(stream);

    if (c->protocol == CONN_GRPC) {
        grpc_session_flush(c->grpc);
    }
}

static void conn_on_drained(struct stream *stream)
{
    struct conn *c = conn_of(stream);

    if (c->protocol == CONN_GRPC) {
        grpc_session_drained(c->grpc);
    } else if (c->protocol == CONN_HTTP) {
        http_conn_drained(c->http);
    } else if (c->protocol == CONN_LINES) {
        line_conn_drained(c->lines);
    }
}

static void conn_on_deadline(struct stream *stream)
{
    struct conn *c = conn_of(stream);

    switch (c->protocol) {
    case CONN_UNKNOWN:
        stream_close(stream, "nothing came");
        return;
    case CONN_GRPC:
        grpc_session_deadline(c->grpc);
        return;
    case CONN_HTTP:
        http_conn_deadline(c->http);
        return;
    case CONN_LINES:
        line_conn_deadline(c->lines);
        return;
    }
}

/* Somebody tries in vain, again and again: a wrong certificate most often. */
static void server_complain_of(struct server *s, const struct stream *stream)
{
    uint64_t now_ms = loop_now_ms(s->loop);

    if (s->refused_ms == 0 || now_ms - s->refused_ms >= COMPLAINT_MS) {
        s->refused_ms = now_ms;
        log_warn("io", "%s: connection from %s refused: %s",
                 s->listener.address, stream->peer, stream->why);
    }
}

static void conn_on_closed(struct stream *stream)
{
    struct conn *c = conn_of(stream);
    struct server *s = c->server;

    if (s->tls != NULL && strncmp(stream->why, "TLS: ", 5) == 0) {
        server_complain_of(s, stream);
    } else if (stream->why[0] != '\0') {
        log_debug("io", "%s: connection from %s closed: %s",
                  s->listener.address, stream->peer, stream->why);
    }
    grpc_session_free(c->grpc);
    http_conn_free(c->http);
    line_conn_free(c->lines);
    TAILQ_REMOVE(&s->conns, c, link);
    s->conns_count--;
    free(c);
    if (s->stopping) {
        if (s->conns_count == 0) {
            server_close_timer(s);
        }
        server_maybe_gone(s);
    } else if (s->accept_paused &&
               s->conns_count < s->conns_max + s->refused_max) {
        s->accept_paused = false;
        server_accept(s);
    }
}

static const struct stream_hooks conn_hooks = {
    .on_open = conn_on_open,
    .on_read = conn_on_read,
    .on_eof = conn_on_eof,
    .on_flush = conn_on_flush,
    .on_drained = conn_on_drained,
    .on_deadline = conn_on_deadline,
    .on_closed = conn_on_closed,
};

/* ---- accepting ---- */

static void server_accept(struct server *s)
{
    struct conn *c = calloc(1, sizeof(*c));

    CHECK(c != NULL);
    c->server = s;
    c->refused = s->conns_count >= s->conns_max;
    TAILQ_INSERT_TAIL(&s->conns, c, link);
    s->conns_count++;
    stream_accept(&c->stream, s->loop, &conn_hooks, &s->listener.stream,
                  s->tls);
    if (c->protocol == CONN_UNKNOWN) {
        stream_set_deadline(&c->stream, loop_now_ms(s->loop) + FIRST_BYTES_MS);
    }
}

static void server_complain(struct server *s, const char *what)
{
    uint64_t now_ms = loop_now_ms(s->loop);

    if (s->complained_ms != 0 && now_ms - s->complained_ms < COMPLAINT_MS) {
        return;
    }
    s->complained_ms = now_ms;
    log_warn("io", "%s: %s; serving the %u connections that are open",
             s->listener.address, what, s->conns_count);
}

static void on_connection(uv_stream_t *listener, int error)
{
    struct server *s = listener->data;

    if (s->stopping) {
        return;
    }
    if (error) {
        server_complain(s, uv_strerror(error));
    } else if (s->conns_count >= s->conns_max + s->refused_max) {
        s->accept_paused = true; /* libuv waits until we accept. */
        server_complain(s, "new connections wait, the limit is reached");
    } else {
        server_accept(s);
    }
}

/* ---- starting ---- */

void server_config_init(struct server_config *config)
{
    *config = (struct server_config){
        .fd = -1, .socket_uid = (uid_t)-1, .socket_gid = (gid_t)-1};
}

/* Clients must not take the descriptors that the program needs for its files:
 * a store that cannot open its next log file stops. */
unsigned server_conns_default(void)
{
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) || files.rlim_cur == RLIM_INFINITY ||
        files.rlim_cur >= LIMIT_CONNS + LIMIT_OWN_FILES) {
        return LIMIT_CONNS;
    }
    return files.rlim_cur > (rlim_t)2 * LIMIT_OWN_FILES
               ? (unsigned)files.rlim_cur - LIMIT_OWN_FILES
               : (unsigned)files.rlim_cur / 2;
}

static struct server *server_new(struct loop *loop,
                                 const struct server_config *config,
                                 bool is_unix)
{
    struct server *s = calloc(1, sizeof(*s));

    CHECK(s != NULL);
    s->loop = loop;
    s->tls = config->tls;
    s->http = config->http;
    s->lines = config->lines;
    s->conns_max =
        config->conns_max != 0 ? config->conns_max : server_conns_default();
    s->refused_max = config->refused_max;
    s->open_handles = 2;
    TAILQ_INIT(&s->conns);
    if (config->grpc != NULL) {
        s->grpc = grpc_side_new(config->grpc);
    }
    listener_init(&s->listener, loop_uv(loop), is_unix);
    CHECK(uv_timer_init(loop_uv(loop), &s->grace) == 0);
    s->listener.handle.data = s;
    s->grace.data = s;
    return s;
}

enum status server_start(struct loop *loop, const struct server_config *config,
                         struct server **out_server, struct err *err)
{
    struct address address = {0};
    struct server *s;
    enum status st = config->fd >= 0
                         ? listener_kind(config->fd, &address.is_unix, err)
                         : address_parse(config->address, &address, err);

    if (st) {
        return st;
    }
    s = server_new(loop, config, address.is_unix);
    st = listener_open(&s->listener, config, &address, on_connection, err);
    if (st) {
        server_stop(s, 0, NULL, NULL); /* Freed by the loop, later. */
        return st;
    }
    *out_server = s;
    return ST_OK;
}

const char *server_address(const struct server *s)
{
    return s->listener.address;
}

uint16_t server_port(const struct server *s)
{
    return s->listener.port;
}

void server_share_port(struct server *s, bool shared)
{
    listener_share_port(&s->listener, shared);
}

struct tls *server_set_tls(struct server *s, struct tls *tls)
{
    struct tls *before = s->tls;

    CHECK(before != NULL);
    s->tls = tls;
    return before;
}

unsigned server_connections(const struct server *s)
{
    return s->conns_count;
}

/* ---- stopping ---- */

static void server_close_conns(struct server *s)
{
    struct conn *c;

    TAILQ_FOREACH(c, &s->conns, link)
    {
        stream_close(&c->stream, "the server stops");
    }
}

static void on_grace_over(uv_timer_t *timer)
{
    server_close_conns(timer->data);
}

static void server_leave_conns(struct server *s)
{
    struct conn *c;

    TAILQ_FOREACH(c, &s->conns, link)
    {
        switch (c->protocol) {
        case CONN_UNKNOWN:
            stream_close(&c->stream, "the server stops");
            break;
        case CONN_GRPC:
            grpc_session_leave(c->grpc);
            break;
        case CONN_HTTP:
            http_conn_stop(c->http);
            break;
        case CONN_LINES:
            line_conn_stop(c->lines);
            break;
        }
    }
}

void server_stop(struct server *s, uint64_t grace_ms,
                 server_stopped_fn *on_stopped, void *ctx)
{
    CHECK(!s->stopping);
    s->stopping = true;
    s->on_stopped = on_stopped;
    s->stopped_ctx = ctx;
    uv_close(&s->listener.handle, on_handle_closed);
    if (s->conns_count == 0) {
        server_close_timer(s);
    } else if (grace_ms == 0) {
        server_close_conns(s);
    } else {
        server_leave_conns(s);
        CHECK(uv_timer_start(&s->grace, on_grace_over, grace_ms, 0) == 0);
    }
}

void server_hurry(struct server *s, uint64_t grace_ms)
{
    CHECK(s->stopping);
    if (s->conns_count > 0) {
        CHECK(uv_timer_start(&s->grace, on_grace_over, grace_ms, 0) == 0);
    }
}
