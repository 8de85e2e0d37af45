/*
 * A request to another member: whatever the other side answers, or does not,
 * the end is told once, with what it was.
 */
#include "base/io/http_client.h"

#include <pthread.h>
#include <sys/time.h>

#include "suite.h"
#include "world.h"

/* ---- the other side: one connection, on a thread of its own ---- */

enum other_end {
    OTHER_CLOSES, /* After it has said all. */
    OTHER_STAYS,  /* Until the client leaves. */
    OTHER_DRIPS   /* The last byte again and again. */
};

struct other {
    int listener;
    uint16_t port;
    const char *says;
    size_t piece; /* Bytes written at once; 0: all. */
    enum other_end end;
    pthread_t thread;
    char request[4096];
};

static void other_answer(const struct other *o, int fd)
{
    size_t len = strlen(o->says);
    size_t piece = o->piece == 0 ? len : o->piece;

    for (size_t at = 0; at < len; at += piece) {
        (void)send(fd, o->says + at, len - at < piece ? len - at : piece,
                   MSG_NOSIGNAL);
    }
    if (o->end == OTHER_CLOSES) {
        (void)shutdown(fd, SHUT_WR);
    }
    while (o->end == OTHER_DRIPS &&
           send(fd, o->says + len - 1, 1, MSG_NOSIGNAL) > 0) {
        (void)usleep(10000);
    }
}

static void *other_main(void *arg)
{
    struct other *o = arg;
    struct timeval tv = {.tv_sec = 20};
    size_t len = 0;
    char drop[4096];
    int fd = accept(o->listener, NULL, NULL);

    if (fd < 0) {
        return NULL;
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
    while (strstr(o->request, "\r\n\r\n") == NULL) {
        ssize_t count =
            recv(fd, o->request + len, sizeof(o->request) - 1 - len, 0);

        if (count <= 0) {
            break;
        }
        len += (size_t)count;
    }
    other_answer(o, fd);
    while (recv(fd, drop, sizeof(drop), 0) > 0) {
        continue;
    }
    (void)close(fd);
    return NULL;
}

static void other_start(struct other *o)
{
    struct sockaddr_in sin = {.sin_family = AF_INET,
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(sin);

    o->listener = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_ge(o->listener, 0);
    ck_assert_int_eq(bind(o->listener, (struct sockaddr *)&sin, len), 0);
    ck_assert_int_eq(listen(o->listener, 4), 0);
    ck_assert_int_eq(getsockname(o->listener, (struct sockaddr *)&sin, &len),
                     0);
    o->port = ntohs(sin.sin_port);
    ck_assert_int_eq(pthread_create(&o->thread, NULL, other_main, o), 0);
}

static void other_stop(struct other *o)
{
    ck_assert_int_eq(pthread_join(o->thread, NULL), 0);
    (void)close(o->listener);
}

/* ---- a call ---- */

struct told {
    struct http_call *call;
    int status;
    struct buf body;
    unsigned heads;
    unsigned opens;
    unsigned ends;
    enum status st;
    char why[200];
    char reason[64];
    char which[16]; /* The field X-Which. */
    bool cancel_at_open;
    bool cancel_at_head;
};

static void on_open(void *ctx)
{
    struct told *t = ctx;

    t->opens++;
    if (t->cancel_at_open) {
        http_call_cancel(t->call);
    }
}

static void on_head(void *ctx, int status)
{
    struct told *t = ctx;

    struct slice which = http_call_field(t->call, "x-which");

    t->status = status;
    t->heads++;
    (void)snprintf(t->which, sizeof(t->which), "%.*s", (int)which.len,
                   which.len == 0 ? "" : (const char *)which.data);
    (void)snprintf(t->reason, sizeof(t->reason), "%s",
                   http_call_reason(t->call));
    if (t->cancel_at_head) {
        http_call_cancel(t->call);
    }
}

static void on_body(void *ctx, struct slice bytes)
{
    struct told *t = ctx;

    ck_assert_uint_eq(t->heads, 1);
    ck_assert_int_eq(buf_add(&t->body, bytes), ST_OK);
}

static void on_end(void *ctx, enum status st, const char *why)
{
    struct told *t = ctx;

    t->ends++;
    t->st = st;
    (void)snprintf(t->why, sizeof(t->why), "%s", why);
    world_done();
}

static void call(struct told *t, const struct http_call_config *config)
{
    buf_init(&t->body, SIZE_MAX);
    t->call = http_call_start(world.loop, config,
                              (struct http_call_hooks){.ctx = t,
                                                       .on_open = on_open,
                                                       .on_head = on_head,
                                                       .on_body = on_body,
                                                       .on_end = on_end});
    ck_assert_uint_eq(t->ends, 0); /* Never from inside. */
    world_run();
    ck_assert_uint_eq(t->ends, 1);
}

/* ---- answers ---- */

#define LONG_FIELD(x) x x x x x x x x x x x x x x x x
#define KIB16                                                                \
    LONG_FIELD(LONG_FIELD("0123456789abcdef0123456789abcdef0123456789abcdef" \
                          "0123456789abcde "))

static const struct answer_row {
    const char *name;
    const char *says;
    enum other_end end;
    uint64_t silence_ms; /* 0: long. */
    uint64_t total_ms;
    enum status st;
    int status; /* 0: no head. */
    const char *body;
} answer_rows[] = {
    {"counted", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
     OTHER_STAYS, 0, 0, ST_OK, 200, "hello"},
    {"counted, nothing", "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n",
     OTHER_STAYS, 0, 0, ST_OK, 404, ""},
    {"204 has no body", "HTTP/1.1 204 No Content\r\n\r\n", OTHER_STAYS, 0, 0,
     ST_OK, 204, ""},
    {"chunked",
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n"
     "3;x=y\r\nllo\r\n0\r\nTrailer: t\r\n\r\n",
     OTHER_STAYS, 0, 0, ST_OK, 200, "hello"},
    {"to the end", "HTTP/1.1 200 OK\r\n\r\nhello", OTHER_CLOSES, 0, 0, ST_OK,
     200, "hello"},
    {"after 100 Continue",
     "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n"
     "\r\nx",
     OTHER_STAYS, 0, 0, ST_OK, 200, "x"},
    {"more than was said", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhello",
     OTHER_CLOSES, 0, 0, ST_OK, 200, "he"},
    {"cut in the count", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello",
     OTHER_CLOSES, 0, 0, ST_CLOSED, 200, "hello"},
    {"cut in a chunk",
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhello",
     OTHER_CLOSES, 0, 0, ST_CLOSED, 200, "hello"},
    {"cut before the last chunk",
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
     OTHER_CLOSES, 0, 0, ST_CLOSED, 200, "hello"},
    {"cut in the head", "HTTP/1.1 200 OK\r\nContent-Le", OTHER_CLOSES, 0, 0,
     ST_CLOSED, 0, ""},
    {"nothing", "", OTHER_CLOSES, 0, 0, ST_CLOSED, 0, ""},
    {"no HTTP", "SSH-2.0-OpenSSH_9.2\r\n", OTHER_STAYS, 0, 0, ST_INVALID, 0,
     ""},
    {"a chunk of no number",
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", OTHER_STAYS,
     0, 0, ST_INVALID, 200, ""},
    {"two lengths",
     "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
     OTHER_STAYS, 0, 0, ST_INVALID, 0, ""},
    {"a head of 96 KiB",
     "HTTP/1.1 200 OK\r\nX: " KIB16 KIB16 KIB16 KIB16 KIB16 KIB16
     "\r\nContent-Length: 0\r\n\r\n",
     OTHER_STAYS, 0, 0, ST_INVALID, 0, ""},
    {"silent from the start", "", OTHER_STAYS, 100, 0, ST_TIMEOUT, 0, ""},
    {"silent in the head", "HTTP/1.1 200", OTHER_STAYS, 100, 0, ST_TIMEOUT, 0,
     ""},
    {"silent in the body", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello",
     OTHER_STAYS, 100, 0, ST_TIMEOUT, 200, "hello"},
    {"slow without end", "HTTP/1.1 200 OK\r\nX: y", OTHER_DRIPS, 0, 200,
     ST_TIMEOUT, 0, ""},
};

/* The same bytes at once, and one at a time. */
START_TEST(answers_by_row)
{
    const struct answer_row *row = &answer_rows[_i / 2];
    struct other o = {
        .says = row->says, .piece = (size_t)(_i % 2), .end = row->end};
    struct told t = {0};
    struct http_call_config config = {.host = "127.0.0.1",
                                      .method = "GET",
                                      .path = "/some/where",
                                      .connect_ms = 20000,
                                      .silence_ms = 20000,
                                      .total_ms = row->total_ms};

    world_init();
    other_start(&o);
    config.port = o.port;
    if (row->silence_ms != 0) {
        config.silence_ms = row->silence_ms;
    }
    call(&t, &config);
    ck_assert_msg(t.st == row->st, "%s: %d, %s", row->name, (int)t.st, t.why);
    ck_assert_msg(t.status == row->status, "%s: %d", row->name, t.status);
    ck_assert_msg(slice_eq(buf_slice(&t.body), slice_str(row->body)),
                  "%s: %.*s", row->name, (int)t.body.len,
                  t.body.len == 0 ? "" : (char *)t.body.data);
    buf_release(&t.body);
    other_stop(&o);
    world_release();
    ck_assert_msg(strncmp(o.request, "GET /some/where HTTP/1.1\r\n", 26) == 0,
                  "%s", o.request);
}
END_TEST

/* ---- requests ---- */

START_TEST(a_request_is_as_it_was_asked_for)
{
    struct http_header header = {slice_str("X-One"), slice_str("1")};
    struct other o = {.says = "HTTP/1.1 204 No\r\n\r\n"};
    struct told t = {0};
    struct http_call_config config = {.host = "127.0.0.1",
                                      .method = "POST",
                                      .path = "/",
                                      .headers = &header,
                                      .headers_count = 1,
                                      .body = slice_str("the body")};
    char host[64];

    world_init();
    other_start(&o);
    config.port = o.port;
    call(&t, &config);
    other_stop(&o);
    world_release();
    buf_release(&t.body);
    ck_assert_int_eq(t.st, ST_OK);
    (void)snprintf(host, sizeof(host), "\r\nHost: 127.0.0.1:%u\r\n", o.port);
    ck_assert_ptr_nonnull(strstr(o.request, host));
    ck_assert_ptr_nonnull(strstr(o.request, "\r\nX-One: 1\r\n"));
    ck_assert_ptr_nonnull(strstr(o.request, "\r\nContent-Length: 8\r\n"));
}
END_TEST

static const struct asked_row {
    const char *name;
    const char *method;
    const char *says;
    const char *wanted; /* A line of the request. */
    const char *reason;
    const char *which;
} asked_rows[] = {
    {"HEAD: the length is not the body's", "HEAD",
     "HTTP/1.1 200 All Well\r\nContent-Length: 99\r\n\r\n",
     "HEAD / HTTP/1.1\r\n", "All Well", ""},
    {"PUT of nothing says so", "PUT",
     "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
     "\r\nContent-Length: 0\r\n", "OK", ""},
    {"Host as it was given", "GET",
     "HTTP/1.1 100 Go On\r\n\r\nHTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n",
     "\r\nHost: other.example\r\n", "", ""},
    {"fields are those of the answer, not of what came before it", "GET",
     "HTTP/1.1 103 Early Hints\r\nX-Which: hint\r\n\r\n"
     "HTTP/1.1 200 OK\r\nX-Which: answer\r\nContent-Length: 0\r\n\r\n",
     "GET / HTTP/1.1\r\n", "OK", "answer"},
    {"nor trailers", "GET",
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"
     "X-Which: trailer\r\n\r\n",
     "GET / HTTP/1.1\r\n", "OK", ""},
};

/* The name leads nowhere, but the address is known. */
START_TEST(asked_by_row)
{
    const struct asked_row *row = &asked_rows[_i];
    struct http_header header = {slice_str("Host"), slice_str("other.example")};
    struct sockaddr_in sin = {.sin_family = AF_INET,
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct other o = {.says = row->says, .end = OTHER_STAYS};
    struct told t = {0};
    struct http_call_config config = {.host = "no-such-host.invalid",
                                      .port = 1,
                                      .address = (struct sockaddr *)&sin,
                                      .method = row->method,
                                      .path = "/",
                                      .headers = &header,
                                      .headers_count = 1};

    world_init();
    other_start(&o);
    sin.sin_port = htons(o.port);
    call(&t, &config);
    other_stop(&o);
    world_release();
    ck_assert_msg(t.st == ST_OK, "%s: %s", row->name, t.why);
    ck_assert_uint_eq(t.body.len, 0);
    buf_release(&t.body);
    ck_assert_str_eq(t.reason, row->reason);
    ck_assert_str_eq(t.which, row->which);
    ck_assert_uint_eq(t.opens, 1);
    ck_assert_msg(strstr(o.request, row->wanted) != NULL, "%s: %s", row->name,
                  o.request);
    ck_assert_ptr_null(strstr(o.request, "no-such-host"));
}
END_TEST

START_TEST(a_call_may_be_given_up_when_it_is_open)
{
    struct other o = {.says = ""};
    struct told t = {.cancel_at_open = true};
    struct http_call_config config = {
        .host = "127.0.0.1", .method = "GET", .path = "/"};

    world_init();
    other_start(&o);
    config.port = o.port;
    call(&t, &config);
    other_stop(&o);
    world_release();
    buf_release(&t.body);
    ck_assert_int_eq(t.st, ST_CANCELED);
    ck_assert_str_eq(o.request, "");
}
END_TEST

START_TEST(a_call_may_be_given_up_in_its_head)
{
    struct other o = {.says = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"};
    struct told t = {.cancel_at_head = true};
    struct http_call_config config = {
        .host = "127.0.0.1", .method = "GET", .path = "/"};

    world_init();
    other_start(&o);
    config.port = o.port;
    call(&t, &config);
    ck_assert_int_eq(t.st, ST_CANCELED);
    ck_assert_uint_eq(t.body.len, 0);
    buf_release(&t.body);
    other_stop(&o);
    world_release();
}
END_TEST

/* ---- no connection ---- */

static uint16_t dead_port(void)
{
    struct sockaddr_in sin = {.sin_family = AF_INET,
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(sin);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    ck_assert_int_eq(bind(fd, (struct sockaddr *)&sin, len), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&sin, &len), 0);
    (void)close(fd);
    return ntohs(sin.sin_port);
}

static const struct nowhere_row {
    const char *name;
    const char *host;
    bool has_port;
    enum status st;
} nowhere_rows[] = {
    {"nobody listens", "127.0.0.1", true, ST_DENIED},
    {"no such socket", "/nonexistent/muster.sock", false, ST_DENIED},
    {"no such name", "no-such-host.invalid", true, ST_IO},
};

START_TEST(no_connection_by_row)
{
    const struct nowhere_row *row = &nowhere_rows[_i];
    struct told t = {0};
    struct http_call_config config = {.host = row->host,
                                      .method = "GET",
                                      .path = "/",
                                      .port = row->has_port ? dead_port() : 0};

    world_init();
    call(&t, &config);
    ck_assert_msg(t.st == row->st, "%s: %d %s", row->name, (int)t.st, t.why);
    ck_assert_uint_eq(t.heads, 0);
    world_release();
}
END_TEST

/* The other side speaks no TLS, or says nothing when it should. */
static const struct tls_row {
    const char *name;
    const char *says;
    enum other_end end;
    enum status st;
} tls_rows[] = {
    {"answers in plain text", "HTTP/1.1 400 Bad Request\r\n\r\n", OTHER_CLOSES,
     ST_IO},
    {"closes", "", OTHER_CLOSES, ST_IO},
    {"says nothing", "", OTHER_STAYS, ST_TIMEOUT},
};

START_TEST(tls_refused_by_row)
{
    const struct tls_row *row = &tls_rows[_i];
    struct other o = {.says = row->says, .end = row->end};
    struct tls_files files = {.http1 = true};
    struct told t = {0};
    struct http_call_config config = {
        .host = "127.0.0.1", .method = "GET", .path = "/", .connect_ms = 300};
    struct err err = {0};

    world_init();
    ck_assert_msg(tls_client_new(&files, &config.tls, &err) == ST_OK, "%s",
                  err.text);
    if (row->st != ST_TIMEOUT) {
        config.connect_ms = 20000;
    }
    memcpy(o.request, "\r\n\r\n", 5); /* There is no head to wait for. */
    other_start(&o);
    config.port = o.port;
    call(&t, &config);
    ck_assert_msg(t.st == row->st, "%s: %d %s", row->name, (int)t.st, t.why);
    ck_assert_uint_eq(t.heads, 0);
    ck_assert(t.why[0] != '\0');
    tls_free(config.tls);
    other_stop(&o);
    world_release();
}
END_TEST

UNIT_MAIN("http_client", {
    tcase_add_loop_test(tc, answers_by_row, 0, 2 * COUNT_OF(answer_rows));
    tcase_add_test(tc, a_request_is_as_it_was_asked_for);
    tcase_add_loop_test(tc, asked_by_row, 0, COUNT_OF(asked_rows));
    tcase_add_test(tc, a_call_may_be_given_up_when_it_is_open);
    tcase_add_test(tc, a_call_may_be_given_up_in_its_head);
    tcase_add_loop_test(tc, no_connection_by_row, 0, COUNT_OF(nowhere_rows));
    tcase_add_loop_test(tc, tls_refused_by_row, 0, COUNT_OF(tls_rows));
})
