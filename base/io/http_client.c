#include "base/io/http_client.h"

#include <http_parser.h>
#include <netdb.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/core/check.h"
#include "base/io/http_server.h"
#include "base/io/stream.h"

#define CALL_MS_DEFAULT 5000
#define TCP_QUIET_MS    2000
#define TCP_PATIENCE_MS 10000

struct http_call {
    struct loop *loop;
    struct http_call_hooks hooks;
    struct tls *tls;
    char *host;
    char *server_name;
    uint16_t port;
    bool is_head; /* Its answer has no body, whatever its head says. */
    uint64_t connect_ms;
    uint64_t silence_ms;
    uint64_t end_ms; /* Then it is given up, whatever happens. */
    struct stream stream;
    bool stream_open;
    struct lookup *lookup;   /* Its host is being looked up; or NULL. */
    struct loop_task ending; /* Posted: on_end, when there is no stream. */
    http_parser parser;
    struct buf fields; /* "name\0value\0" of each. */
    bool in_value;
    bool has_head; /* What comes now are trailers, of which nothing is kept. */
    char reason[64];
    struct buf request; /* Until the connection is there. */
    bool writes;
    bool ended; /* Nothing but on_end may come any more. */
    bool whole; /* The answer is complete. */
    enum status st;
    struct err why;
};

/* A question to the resolver's threads, which may take any time: it outlives
 * the call that does not wait for it any more. */
struct lookup {
    struct http_call *call; /* NULL: it does not wait any more. */
    uv_getaddrinfo_t resolver;
    uv_timer_t patience;
    unsigned open; /* The question, and the timer. */
};

static void lookup_unref(struct lookup *l)
{
    if (--l->open == 0) {
        free(l);
    }
}

static void on_patience_closed(uv_handle_t *handle)
{
    lookup_unref(handle->data);
}

static void lookup_leave(struct http_call *c)
{
    struct lookup *l = c->lookup;

    c->lookup = NULL;
    l->call = NULL;
    (void)uv_cancel((uv_req_t *)&l->resolver); /* Unless a thread has it. */
    uv_close((uv_handle_t *)&l->patience, on_patience_closed);
}

static uint64_t or_default(uint64_t value)
{
    return value == 0 ? CALL_MS_DEFAULT : value;
}

/* ---- the end ---- */

static void call_finish(struct http_call *c)
{
    struct http_call_hooks hooks = c->hooks;
    struct err why = c->why;
    enum status st = c->st;

    buf_release(&c->request);
    buf_release(&c->fields);
    free(c->host);
    free(c->server_name);
    free(c);
    hooks.on_end(hooks.ctx, st, why.text);
}

static void on_ending(struct loop_task *task)
{
    call_finish((struct http_call *)((char *)task -
                                     offsetof(struct http_call, ending)));
}

/* The first reason counts. on_end comes when nothing is open any more. */
static void call_end(struct http_call *c, enum status st, const char *text)
{
    if (c->ended) {
        return;
    }
    c->ended = true;
    c->st = err_set(&c->why, st, "%s", text);
    if (c->lookup != NULL) {
        lookup_leave(c);
    }
    if (c->stream_open) {
        stream_close(&c->stream, NULL);
    } else {
        loop_post(c->loop, &c->ending);
    }
}

void http_call_cancel(struct http_call *c)
{
    call_end(c, ST_CANCELED, "given up");
}

/* ---- the answer ---- */

static int add_text(struct http_call *c, const char *at, size_t len)
{
    return buf_add(&c->fields, slice_of(at, len)) ? -1 : 0;
}

static int on_status(http_parser *parser, const char *at, size_t len)
{
    struct http_call *c = parser->data;
    size_t had = strlen(c->reason);

    (void)snprintf(c->reason + had, sizeof(c->reason) - had, "%.*s", (int)len,
                   at);
    return 0;
}

const char *http_call_reason(const struct http_call *c)
{
    return c->reason;
}

static int on_field_name(http_parser *parser, const char *at, size_t len)
{
    struct http_call *c = parser->data;

    if (c->has_head) {
        return 0;
    }
    if (c->in_value && add_text(c, "", 1)) {
        return -1;
    }
    c->in_value = false;
    return add_text(c, at, len);
}

static int on_field_value(http_parser *parser, const char *at, size_t len)
{
    struct http_call *c = parser->data;

    if (c->has_head) {
        return 0;
    }
    if (!c->in_value && add_text(c, "", 1)) {
        return -1;
    }
    c->in_value = true;
    return add_text(c, at, len);
}

struct slice http_call_field(const struct http_call *c, const char *name)
{
    size_t at = 0;

    while (at < c->fields.len) {
        const char *field = (const char *)c->fields.data + at;
        const char *value = field + strlen(field) + 1;

        if (strcasecmp(field, name) == 0) {
            return slice_str(value);
        }
        at += strlen(field) + strlen(value) + 2;
    }
    return (struct slice){0};
}

static int on_headers_complete(http_parser *parser)
{
    struct http_call *c = parser->data;

    if (add_text(c, "", c->in_value ? 1 : 0)) {
        return -1;
    }
    c->in_value = false;
    if (parser->status_code < 200) {
        c->reason[0] = '\0'; /* The answer is still to come. */
        buf_clear(&c->fields);
        return 0;
    }
    c->has_head = true;
    c->hooks.on_head(c->hooks.ctx, (int)parser->status_code);
    return c->is_head ? 1 : 0;
}

static int on_body(http_parser *parser, const char *at, size_t len)
{
    struct http_call *c = parser->data;

    if (!c->ended) {
        c->hooks.on_body(c->hooks.ctx, slice_of(at, len));
    }
    return c->ended ? -1 : 0;
}

static int on_message_complete(http_parser *parser)
{
    struct http_call *c = parser->data;

    if (parser->status_code < 200) {
        return 0; /* 100 Continue: the answer is still to come. */
    }
    c->whole = true;
    http_parser_pause(parser, 1);
    return 0;
}

static const http_parser_settings settings = {
    .on_status = on_status,
    .on_header_field = on_field_name,
    .on_header_value = on_field_value,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

/* `ms` from now, or the end, whatever comes first. */
static void set_deadline(struct http_call *c, uint64_t ms)
{
    uint64_t at_ms = loop_now_ms(c->loop) + ms;

    stream_set_deadline(&c->stream, at_ms < c->end_ms ? at_ms : c->end_ms);
}

static void set_silence(struct http_call *c)
{
    set_deadline(c, c->silence_ms);
}

static struct http_call *call_of(struct stream *s)
{
    return (struct http_call *)((char *)s - offsetof(struct http_call, stream));
}

/* In words that tell more than the parser's. */
static const char *parser_trouble(enum http_errno error)
{
    if (error == HPE_CB_status || error == HPE_CB_header_field ||
        error == HPE_CB_header_value || error == HPE_CB_headers_complete ||
        error == HPE_HEADER_OVERFLOW) {
        return "the head of the answer is too large";
    }
    if (error == HPE_INVALID_CONSTANT || error == HPE_STRICT) {
        return "what came is no HTTP/1 answer";
    }
    return http_errno_description(error);
}

static void on_stream_read(struct stream *s, struct slice bytes)
{
    struct http_call *c = call_of(s);

    if (c->ended) {
        return;
    }
    set_silence(c);
    (void)http_parser_execute(&c->parser, &settings, (const char *)bytes.data,
                              bytes.len);
    if (c->whole) {
        call_end(c, ST_OK, "");
    } else if (HTTP_PARSER_ERRNO(&c->parser) != HPE_OK) {
        call_end(c, ST_INVALID, parser_trouble(HTTP_PARSER_ERRNO(&c->parser)));
    }
}

/* An answer without length ends here; any other is cut short. */
static void on_stream_eof(struct stream *s)
{
    struct http_call *c = call_of(s);

    if (c->ended) {
        return;
    }
    (void)http_parser_execute(&c->parser, &settings, NULL, 0);
    if (c->whole) {
        call_end(c, ST_OK, "");
    } else {
        call_end(c, ST_CLOSED, "the other side has closed the connection");
    }
}

/* ---- the connection ---- */

static void on_stream_open(struct stream *s)
{
    struct http_call *c = call_of(s);

    stream_watch_silence(s, TCP_QUIET_MS, TCP_PATIENCE_MS);
    set_silence(c);
    if (c->hooks.on_open != NULL) {
        c->hooks.on_open(c->hooks.ctx);
    }
    if (c->ended) {
        return;
    }
    if (buf_add(stream_out(s), buf_slice(&c->request))) {
        call_end(c, ST_TOO_BIG, "the request is too large");
        return;
    }
    buf_release(&c->request);
    stream_flush_later(s);
}

static void on_stream_drained(struct stream *s)
{
    struct http_call *c = call_of(s);

    if (!c->ended) {
        set_silence(c);
        if (c->hooks.on_drained != NULL) {
            c->hooks.on_drained(c->hooks.ctx);
        }
    }
}

static void on_stream_deadline(struct stream *s)
{
    struct http_call *c = call_of(s);

    if (loop_now_ms(c->loop) >= c->end_ms) {
        call_end(c, ST_TIMEOUT, "no whole answer in time");
    } else {
        call_end(c, ST_TIMEOUT,
                 s->state == STREAM_OPEN ? "the other side is silent"
                                         : "no connection in time");
    }
}

static enum status status_of(const struct stream *s)
{
    switch (s->error) {
    case UV_ECONNREFUSED:
    case UV_ENOENT: /* A Unix socket. */
        return ST_DENIED;
    case UV_ECONNRESET:
    case UV_EPIPE:
        return ST_CLOSED;
    default:
        return ST_IO;
    }
}

static void on_stream_closed(struct stream *s)
{
    struct http_call *c = call_of(s);

    if (!c->ended) {
        c->ended = true;
        c->st = err_set(&c->why, status_of(s), "%s", s->why);
    }
    call_finish(c);
}

static const struct stream_hooks stream_hooks = {
    .on_open = on_stream_open,
    .on_read = on_stream_read,
    .on_eof = on_stream_eof,
    .on_drained = on_stream_drained,
    .on_deadline = on_stream_deadline,
    .on_closed = on_stream_closed,
};

static void call_connect(struct http_call *c, const struct sockaddr *address)
{
    struct stream_target target = {.address = address,
                                   .unix_path = address ? NULL : c->host,
                                   .tls = c->tls,
                                   .server_name = c->server_name};

    c->stream_open = true;
    stream_connect(&c->stream, c->loop, &stream_hooks, &target);
    set_deadline(c, c->connect_ms);
}

static void on_resolved(uv_getaddrinfo_t *resolver, int error,
                        struct addrinfo *list)
{
    struct lookup *l = resolver->data;
    struct http_call *c = l->call;

    if (c != NULL) {
        lookup_leave(c);
        if (error) {
            call_end(c, ST_IO, uv_strerror(error));
        } else {
            call_connect(c, list->ai_addr);
        }
    }
    uv_freeaddrinfo(list);
    lookup_unref(l);
}

static void on_patience_over(uv_timer_t *timer)
{
    struct lookup *l = timer->data;

    call_end(l->call, ST_TIMEOUT,
             "the name servers do not say where the host is");
}

static void lookup_start(struct http_call *c, const char *port)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_NUMERICSERV};
    uint64_t now_ms = loop_now_ms(c->loop);
    uint64_t left_ms = c->end_ms - now_ms;
    struct lookup *l = calloc(1, sizeof(*l));
    int error;

    CHECK(l != NULL);
    l->call = c;
    l->resolver.data = l;
    l->patience.data = l;
    l->open = 1;
    CHECK(uv_timer_init(loop_uv(c->loop), &l->patience) == 0);
    c->lookup = l;
    error = uv_getaddrinfo(loop_uv(c->loop), &l->resolver, on_resolved, c->host,
                           port, &hints);
    if (error) {
        call_end(c, ST_IO, uv_strerror(error));
        return;
    }
    l->open++;
    CHECK(uv_timer_start(&l->patience, on_patience_over,
                         left_ms < c->connect_ms ? left_ms : c->connect_ms,
                         0) == 0);
}

/* Addresses are used as they are; only names need the resolver's threads. */
static void call_resolve(struct http_call *c, const struct sockaddr *known)
{
    struct sockaddr_storage address;
    char port[8];

    if (c->port == 0 || known != NULL) {
        call_connect(c, known);
    } else if (uv_ip4_addr(c->host, c->port, (struct sockaddr_in *)&address) ==
                   0 ||
               uv_ip6_addr(c->host, c->port, (struct sockaddr_in6 *)&address) ==
                   0) {
        call_connect(c, (struct sockaddr *)&address);
    } else {
        (void)snprintf(port, sizeof(port), "%u", c->port);
        lookup_start(c, port);
    }
}

/* ---- the request ---- */

static void put_host(struct http_call *c)
{
    bool v6 = strchr(c->host, ':') != NULL;

    if (c->port == 0) {
        CHECK(buf_add_str(&c->request, "Host: localhost\r\n") == ST_OK);
    } else {
        CHECK(buf_addf(&c->request, "Host: %s%s%s:%u\r\n", v6 ? "[" : "",
                       c->host, v6 ? "]" : "", c->port) == ST_OK);
    }
}

static bool says_host(const struct http_call_config *config)
{
    for (size_t i = 0; i < config->headers_count; i++) {
        const struct slice *name = &config->headers[i].name;

        if (name->len == 4 &&
            strncasecmp((const char *)name->data, "Host", 4) == 0) {
            return true;
        }
    }
    return false;
}

/* Such a request says how long its body is, even if there is none (RFC 9110,
 * 8.6). */
static bool has_body(const struct http_call_config *config)
{
    return config->body.len > 0 || strcmp(config->method, "POST") == 0 ||
           strcmp(config->method, "PUT") == 0;
}

static void put_request(struct http_call *c,
                        const struct http_call_config *config)
{
    struct buf *out = &c->request;

    CHECK(buf_addf(out, "%s %s HTTP/1.1\r\n", config->method, config->path) ==
          ST_OK);
    if (!says_host(config)) {
        put_host(c);
    }
    for (size_t i = 0; i < config->headers_count; i++) {
        const struct http_header *h = &config->headers[i];

        CHECK(buf_addf(out, "%.*s: %.*s\r\n", (int)h->name.len,
                       (const char *)h->name.data, (int)h->value.len,
                       (const char *)h->value.data) == ST_OK);
    }
    if (config->writes) {
        CHECK(buf_add_str(out, "Transfer-Encoding: chunked\r\n") == ST_OK);
    } else if (has_body(config)) {
        CHECK(buf_addf(out, "Content-Length: %zu\r\n", config->body.len) ==
              ST_OK);
    }
    CHECK(buf_add_str(out, "\r\n") == ST_OK);
    CHECK(buf_add(out, config->body) == ST_OK);
}

struct http_call *http_call_start(struct loop *loop,
                                  const struct http_call_config *config,
                                  struct http_call_hooks hooks)
{
    struct http_call *c = calloc(1, sizeof(*c));

    CHECK(c != NULL);
    c->loop = loop;
    c->hooks = hooks;
    c->tls = config->tls;
    c->host = strdup(config->host);
    CHECK(c->host != NULL);
    c->server_name = strdup(config->server_name != NULL ? config->server_name
                                                        : config->host);
    CHECK(c->server_name != NULL);
    c->port = config->port;
    c->is_head = strcmp(config->method, "HEAD") == 0;
    c->connect_ms = or_default(config->connect_ms);
    c->silence_ms = or_default(config->silence_ms);
    c->end_ms = config->total_ms == 0 ? UINT64_MAX
                                      : loop_now_ms(loop) + config->total_ms;
    c->writes = config->writes;
    c->ending.run = on_ending;
    http_parser_init(&c->parser, HTTP_RESPONSE);
    c->parser.data = c;
    buf_init(&c->fields, LIMIT_HEADER_BYTES);
    buf_init(&c->request, SIZE_MAX);
    put_request(c, config);
    call_resolve(c, config->address);
    return c;
}

/* Before the connection is open, bytes gather behind the request. */
static struct buf *call_out(struct http_call *c)
{
    return c->stream_open && c->stream.state == STREAM_OPEN
               ? stream_out(&c->stream)
               : &c->request;
}

static void call_flush(struct http_call *c)
{
    if (c->stream_open && c->stream.state == STREAM_OPEN) {
        stream_flush_later(&c->stream);
    }
}

enum status http_call_write(struct http_call *c, struct slice bytes)
{
    struct buf *out = call_out(c);
    enum status st;

    CHECK(c->writes);
    if (c->ended || bytes.len == 0) {
        return ST_OK;
    }
    st = buf_addf(out, "%zx\r\n", bytes.len);
    if (st == ST_OK) {
        st = buf_add(out, bytes);
    }
    if (st == ST_OK) {
        st = buf_add_str(out, "\r\n");
    }
    call_flush(c);
    return st;
}

void http_call_write_end(struct http_call *c)
{
    CHECK(c->writes);
    if (!c->ended) {
        (void)buf_add_str(call_out(c), "0\r\n\r\n");
        call_flush(c);
    }
}

size_t http_call_waiting(const struct http_call *c)
{
    return c->request.len + (c->stream_open ? stream_out_bytes(&c->stream) : 0);
}

const char *http_call_peer(const struct http_call *c)
{
    return c->stream.peer;
}
