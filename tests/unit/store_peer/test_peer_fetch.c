/* Small requests to another member, and what may come of them. */
#include <sys/socket.h>

#include "sending.h"

struct fetched {
    uint64_t from;
    uint64_t timeout_ms;
    int status;
    char body[64];
    char why[128];
    unsigned answers;
};

static void on_answer(void *ctx, int status, struct slice body, const char *why)
{
    struct fetched *f = ctx;

    f->status = status;
    (void)snprintf(f->body, sizeof(f->body), "%.*s", (int)body.len,
                   body.len == 0 ? "" : (const char *)body.data);
    (void)snprintf(f->why, sizeof(f->why), "%s", why);
    __atomic_add_fetch(&f->answers, 1, __ATOMIC_SEQ_CST);
}

static void start_fetch(void *ctx)
{
    struct fetched *f = ctx;

    peers_fetch(us.peers, f->from, "GET", "/version", (struct slice){0},
                f->timeout_ms, on_answer, f);
}

static void await_answer(struct fetched *f)
{
    for (int i = 0; i < OTHER_PATIENCE_S * 1000; i++) {
        if (__atomic_load_n(&f->answers, __ATOMIC_SEQ_CST) > 0) {
            ck_assert_uint_eq(f->answers, 1);
            return;
        }
        (void)usleep(1000);
    }
    ck_abort_msg("no answer was told");
}

static const struct fetch_row {
    const char *name;
    const char *answer;
    int status;
    const char *body;
} fetch_rows[] = {
    {"counted", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", 200, "hi"},
    {"chunked",
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nh\r\n1\r\ni\r\n"
     "0\r\n\r\n",
     200, "hi"},
    {"a refusal", "HTTP/1.1 503 No\r\nContent-Length: 4\r\n\r\nnone", 503,
     "none"},
    {"cut short", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi", 0, NULL},
    {"nothing", "", 0, NULL},
    {"no HTTP", "\x16\x03\x01", 0, NULL},
};

START_TEST(fetches_by_row)
{
    const struct fetch_row *row = &fetch_rows[_i];
    struct fetched f = {.from = 2, .timeout_ms = 20000};
    char head[1024];
    int fd;

    other_on_loop(start_fetch, &f);
    fd = accept_post("GET /version HTTP/1.1\r\n", head, sizeof(head));
    ck_assert_ptr_nonnull(strstr(head, "X-Etcd-Cluster-ID: c1\r\n"));
    other_say(fd, row->answer);
    (void)shutdown(fd, SHUT_WR);
    await_answer(&f);
    ck_assert_msg(f.status == row->status, "%s: %d %s", row->name, f.status,
                  f.why);
    if (row->body != NULL) {
        ck_assert_str_eq(f.body, row->body);
    }
    (void)close(fd);
}
END_TEST

START_TEST(too_large_an_answer_is_given_up)
{
    struct fetched f = {.from = 2, .timeout_ms = 20000};
    static char block[65536];
    char head[1024];
    int fd;

    other_on_loop(start_fetch, &f);
    fd = accept_post("GET /version HTTP/1.1\r\n", head, sizeof(head));
    other_say(fd, "HTTP/1.1 200 OK\r\n\r\n");
    while (send(fd, block, sizeof(block), MSG_NOSIGNAL) > 0) {
        continue; /* For ever, were it not given up. */
    }
    await_answer(&f);
    ck_assert_int_eq(f.status, 0);
    (void)close(fd);
}
END_TEST

/* A byte now and then is no reason to wait for ever. */
START_TEST(a_slow_answer_is_given_up)
{
    struct fetched f = {.from = 2, .timeout_ms = 300};
    char head[1024];
    int fd;

    other_on_loop(start_fetch, &f);
    fd = accept_post("GET /version HTTP/1.1\r\n", head, sizeof(head));
    other_say(fd, "HTTP/1.1 200 OK\r\n\r\n");
    while (send(fd, "x", 1, MSG_NOSIGNAL) > 0) {
        (void)usleep(20000);
    }
    await_answer(&f);
    ck_assert_int_eq(f.status, 0);
    ck_assert_str_eq(f.why, "no whole answer in time");
    (void)close(fd);
}
END_TEST

START_TEST(nobody_to_ask)
{
    struct fetched f = {.from = 7, .timeout_ms = 20000};

    other_on_loop(start_fetch, &f);
    await_answer(&f);
    ck_assert_int_eq(f.status, 0);
    ck_assert_str_eq(f.why, "no such member is known");
}
END_TEST

START_TEST(the_end_does_not_wait_for_answers)
{
    struct fetched f = {.from = 2, .timeout_ms = 600000};
    char head[1024];
    int fd;

    other_on_loop(start_fetch, &f);
    fd = accept_post("GET /version HTTP/1.1\r\n", head, sizeof(head));
    other_close_links();
    await_answer(&f);
    ck_assert_int_eq(f.status, 0);
    (void)close(fd);
}
END_TEST

UNIT_MAIN("peer_fetch", {
    tcase_add_checked_fixture(tc, begin, end);
    tcase_add_loop_test(tc, fetches_by_row, 0, COUNT_OF(fetch_rows));
    tcase_add_test(tc, too_large_an_answer_is_given_up);
    tcase_add_test(tc, a_slow_answer_is_given_up);
    tcase_add_test(tc, nobody_to_ask);
    tcase_add_test(tc, the_end_does_not_wait_for_answers);
})
