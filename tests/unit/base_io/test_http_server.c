#include "base/io/http_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/core/limits.h"
#include "base/io/loop.h"
#include "base/io/server.h"
#include "suite.h"

#define MANY 500 /* Pipelined requests: fewer bytes than are read at once. */

/* A server on its own thread; the tests talk to it with plain sockets. */
static struct loop *loop;
static struct server *server;
static pthread_t thread;
static struct http_exchange *parked; /* GET /later waits here. */
static unsigned gone;                /* Exchanges whose client has left. */
static int other_side;     /* Whose request GET /many sends, the first time. */
static unsigned many;      /* GET /many so far. */
static unsigned many_then; /* When the other one was handled. */

static void reply_echo(struct http_exchange *x)
{
    struct buf out;
    struct slice m = http_method(x);
    struct slice q = http_query(x);
    struct slice b = http_body(x);

    buf_init(&out, 64 + LIMIT_HTTP_BODY + LIMIT_URL_BYTES);
    ck_assert(buf_addf(&out, "%.*s?%.*s ", (int)m.len, (const char *)m.data,
                       (int)q.len, (const char *)q.data) == ST_OK);
    ck_assert(buf_add(&out, b) == ST_OK);
    http_reply_type(x, 200, "text/plain", buf_slice(&out));
    buf_release(&out);
}

static void reply_split(struct http_exchange *x)
{
    struct http_header h = {.name = slice_str("X-Split"),
                            .value = slice_str("a\r\nX-Evil: b")};

    http_reply(x, 204, &h, 1, slice_str("not sent"));
}

static void say(int fd, const char *text)
{
    ck_assert_int_eq(send(fd, text, strlen(text), MSG_NOSIGNAL),
                     (ssize_t)strlen(text));
}

static void reply_many(struct http_exchange *x)
{
    if (many++ == 0) {
        say(other_side, "GET /other HTTP/1.1\r\nHost: h\r\n\r\n");
    }
    http_reply_type(x, 200, "text/plain", slice_str("."));
}

static void on_request(struct http_exchange *x)
{
    struct slice path = http_path(x);

    if (slice_eq(path, slice_str("/many"))) {
        reply_many(x);
    } else if (slice_eq(path, slice_str("/other"))) {
        many_then = many;
        http_reply_type(x, 200, "text/plain", slice_str("other"));
    } else if (slice_eq(path, slice_str("/echo"))) {
        reply_echo(x);
    } else if (slice_eq(path, slice_str("/split"))) {
        reply_split(x);
    } else if (slice_eq(path, slice_str("/later"))) {
        parked = x;
    } else if (slice_eq(path, slice_str("/release")) && parked != NULL) {
        http_reply_type(parked, 200, "text/plain", slice_str("late"));
        parked = NULL;
        http_reply_type(x, 200, "text/plain", slice_str("released"));
    } else if (slice_eq(path, slice_str("/gone"))) {
        http_reply_type(x, 200, "text/plain", slice_str(gone ? "1" : "0"));
    } else {
        http_reply_type(x, 404, "text/plain", slice_str("nothing here"));
    }
}

static void on_gone(struct http_exchange *x)
{
    if (x == parked) {
        parked = NULL;
    }
    gone++;
}

static size_t bodies_bytes;

static const struct http_handler handler = {
    .on_request = on_request,
    .bodies_bytes = &bodies_bytes,
    .on_gone = on_gone,
    .idle_ms = 60000,
    .header_ms = 300,
};

static void on_stopped(void *ctx)
{
    (void)ctx;
    loop_stop(loop);
}

static void stop_server(struct loop_task *task)
{
    (void)task;
    server_stop(server, 100, on_stopped, NULL);
}

static void *run_loop(void *arg)
{
    (void)arg;
    loop_run(loop);
    return NULL;
}

static void start(void)
{
    struct server_config config;
    struct err err;

    server_config_init(&config);
    config.address = "127.0.0.1:0";
    config.http = &handler;
    gone = 0;
    parked = NULL;
    loop = loop_new();
    ck_assert(server_start(loop, &config, &server, &err) == ST_OK);
    ck_assert(pthread_create(&thread, NULL, run_loop, NULL) == 0);
}

static void stop(void)
{
    static struct loop_task task;

    task = (struct loop_task){.run = stop_server};
    loop_post(loop, &task);
    ck_assert(pthread_join(thread, NULL) == 0);
    loop_free(loop);
}

static int client(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct timeval limit = {.tv_sec = 20};
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons(server_port(server)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    ck_assert_int_ge(fd, 0);
    ck_assert(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) ==
              0);
    ck_assert(connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0);
    return fd;
}

/* Everything until the server closes, without Date lines. */
static void hear_all(int fd, char *out, size_t size)
{
    size_t len = 0;
    ssize_t got;
    char *date;

    while ((got = recv(fd, out + len, size - 1 - len, 0)) > 0) {
        len += (size_t)got;
    }
    ck_assert_msg(got == 0, "the server did not close");
    out[len] = '\0';
    while ((date = strstr(out, "Date: ")) != NULL) {
        char *end = strstr(date, "\r\n") + 2;

        memmove(date, end, strlen(end) + 1);
    }
    (void)close(fd);
}

/* Until `mark` has been seen. */
static void hear_until(int fd, const char *mark)
{
    char text[4096] = {0};
    size_t len = 0;

    while (strstr(text, mark) == NULL) {
        ssize_t got = recv(fd, text + len, sizeof(text) - 1 - len, 0);

        ck_assert_msg(got > 0, "no \"%s\" in \"%s\"", mark, text);
        len += (size_t)got;
    }
}

#define OK_HEAD "HTTP/1.1 200 OK\r\n"
#define CLOSE   "Connection: close\r\n"
#define PLAIN   "Content-Type: text/plain\r\n\r\n"
#define REFUSAL "Content-Type: text/plain; charset=utf-8\r\n\r\n"

static const struct {
    const char *name;
    const char *input;
    const char *expect;
} rows[] = {
    {"1.0 is answered and closed", "GET /echo?x HTTP/1.0\r\n\r\n",
     OK_HEAD CLOSE "Content-Length: 6\r\n" PLAIN "GET?x "},
    {"pipelined, in order",
     "PUT /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi"
     "GET /nope HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
     OK_HEAD "Content-Length: 7\r\n" PLAIN "PUT? hi"
             "HTTP/1.1 404 Not Found\r\n" CLOSE "Content-Length: 12\r\n" PLAIN
             "nothing here"},
    {"HEAD has the length and no body",
     "HEAD /echo HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
     OK_HEAD CLOSE "Content-Length: 6\r\n" PLAIN},
    {"204 has no body, and no header can be smuggled",
     "GET /split HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
     "HTTP/1.1 204 No Content\r\n" CLOSE "X-Split: a  X-Evil: b\r\n\r\n"},
    {"no 100 when the body is here already",
     "PUT /echo HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"
     "Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n"
     "1\r\nx\r\n0\r\n\r\n",
     OK_HEAD CLOSE "Content-Length: 6\r\n" PLAIN "PUT? x"},
    {"what is refused is answered and closed",
     "GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n",
     "HTTP/1.1 400 Bad Request\r\n" CLOSE "Content-Length: 39\r\n" REFUSAL
     "a request needs exactly one Host field\n"},
    {"half a request times out", "GET / HTTP/1.1\r\nHo",
     "HTTP/1.1 408 Request Timeout\r\n" CLOSE "Content-Length: 35\r\n" REFUSAL
     "the request did not arrive in time\n"},
};

START_TEST(answers_follow_row)
{
    char text[8192];
    int fd;

    start();
    fd = client();
    say(fd, rows[_i].input);
    hear_all(fd, text, sizeof(text));
    ck_assert_msg(strcmp(text, rows[_i].expect) == 0, "%s:\n%s", rows[_i].name,
                  text);
    stop();
}
END_TEST

START_TEST(a_late_reply_lets_the_next_request_through)
{
    int waiting;
    int other;
    char text[4096];

    start();
    waiting = client();
    other = client();
    say(waiting, "GET /later HTTP/1.1\r\nHost: h\r\n\r\n"
                 "GET /echo HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    do { /* The first may not have been read yet: then it is 404. */
        say(other, "GET /release HTTP/1.1\r\nHost: h\r\n\r\n");
        ck_assert(recv(other, text, sizeof(text) - 1, 0) > 0);
    } while (strncmp(text, "HTTP/1.1 404", 12) == 0);
    hear_all(waiting, text, sizeof(text));
    ck_assert_str_eq(text,
                     OK_HEAD "Content-Length: 4\r\n" PLAIN "late" OK_HEAD CLOSE
                             "Content-Length: 5\r\n" PLAIN "GET? ");
    (void)close(other);
    stop();
}
END_TEST

START_TEST(who_leaves_a_long_poll_is_noticed)
{
    int fd;
    char text[4096] = {0};

    start();
    fd = client();
    say(fd, "GET /later HTTP/1.1\r\nHost: h\r\n\r\n");
    (void)close(fd);
    do {
        memset(text, 0, sizeof(text));
        fd = client();
        say(fd, "GET /gone HTTP/1.0\r\n\r\n");
        hear_all(fd, text, sizeof(text));
    } while (text[strlen(text) - 1] != '1');
    stop();
}
END_TEST

/* The client waits for 100 before it sends the body. */
START_TEST(continue_comes_before_the_body)
{
    int fd;

    start();
    fd = client();
    say(fd, "PUT /echo HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n"
            "Content-Length: 4\r\n\r\n");
    hear_until(fd, "100 Continue\r\n\r\n");
    say(fd, "body");
    hear_until(fd, "PUT? body");
    (void)close(fd);
    stop();
}
END_TEST

/* What one client has sent in one piece is not handled in one piece: another
 * one's request, sent when the first of these is handled, comes in between. All
 * are answered, although the client has closed its sending side. */
START_TEST(others_have_their_turn_between_pipelined_requests)
{
    static const char ask[] = "GET /many HTTP/1.1\r\nHost: h\r\n\r\n";
    char asks[MANY * (sizeof(ask) - 1) + 1];
    char text[MANY * 160];
    unsigned answers = 0;
    int fd;

    start();
    many = 0;
    other_side = client();
    say(other_side, "GET /echo HTTP/1.1\r\nHost: h\r\n\r\n");
    hear_until(other_side, "GET? ");
    for (size_t i = 0; i < MANY; i++) {
        memcpy(asks + i * (sizeof(ask) - 1), ask, sizeof(ask));
    }
    fd = client();
    say(fd, asks);
    ck_assert(shutdown(fd, SHUT_WR) == 0);
    hear_all(fd, text, sizeof(text));
    for (char *at = text; (at = strstr(at, "200 OK")) != NULL; at++) {
        answers++;
    }
    hear_until(other_side, "other");
    ck_assert_uint_eq(answers, MANY);
    ck_assert_uint_lt(many_then, MANY);
    (void)close(other_side);
    stop();
}
END_TEST

enum {
    PART = 1400 * 1000, /* Of a body that is one byte longer. */
    FIT = LIMIT_HTTP_BODIES / PART
};

static int unfinished_client(void)
{
    static const char head[] =
        "PUT /nope HTTP/1.1\r\nHost: h\r\nContent-Length: 1400001\r\n\r\n";
    static char part[PART];
    int fd = client();

    say(fd, head);
    for (size_t sent = 0; sent < PART;) {
        ssize_t n = send(fd, part + sent, PART - sent, MSG_NOSIGNAL);

        if (n <= 0) {
            break; /* Refused already. */
        }
        sent += (size_t)n;
    }
    return fd;
}

/* Of the loop's thread, so it may be old, but not for long. */
static void wait_for_bodies(size_t bytes)
{
    struct timespec pause = {.tv_nsec = 1000000};

    for (int i = 0; i < 20000; i++) {
        if (__atomic_load_n(&bodies_bytes, __ATOMIC_RELAXED) == bytes) {
            return;
        }
        (void)nanosleep(&pause, NULL);
    }
    ck_abort_msg("%zu bytes of bodies are held, not %zu", bodies_bytes, bytes);
}

/* Bodies that do not end are held up to a sum; beyond it clients are told to
 * come again, and those that are there go on. */
START_TEST(bodies_are_bounded_together)
{
    int fds[FIT];
    int late;

    start();
    for (size_t i = 0; i < FIT; i++) {
        fds[i] = unfinished_client();
        wait_for_bodies((i + 1) * PART);
    }
    late = unfinished_client();
    hear_until(late, "503 Service Unavailable");
    ck_assert_uint_eq(__atomic_load_n(&bodies_bytes, __ATOMIC_RELAXED),
                      FIT * PART); /* What it sent is not held any more. */
    (void)close(late);
    for (size_t i = 0; i < FIT; i++) {
        say(fds[i], "x");
        hear_until(fds[i], "404 Not Found");
        (void)close(fds[i]);
    }
    stop();
    ck_assert_uint_eq(bodies_bytes, 0);
}
END_TEST

UNIT_MAIN("http_server", {
    tcase_add_loop_test(tc, answers_follow_row, 0, COUNT_OF(rows));
    tcase_add_test(tc, a_late_reply_lets_the_next_request_through);
    tcase_add_test(tc, who_leaves_a_long_poll_is_noticed);
    tcase_add_test(tc, continue_comes_before_the_body);
    tcase_add_test(tc, others_have_their_turn_between_pipelined_requests);
    tcase_add_test(tc, bodies_are_bounded_together);
})
