/*
 * The streams that we dial: what they ask for, what of their content is
 * believed, and what becomes of them when the other side fails.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <time.h>

#include "other.h"
#include "suite.h"

static struct other_listener two;

static void begin(void)
{
    other_begin();
    two = other_listen();
}

static void end(void)
{
    other_end();
    (void)close(two.fd);
}

static uint64_t now_ms(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void write_message(int fd, enum frames_kind kind,
                          const struct raft_msg *m)
{
    struct frames_writer w = {.kind = kind};
    struct buf bytes;

    buf_init(&bytes, SIZE_MAX);
    frames_put(&w, m, &bytes);
    other_write_chunk(fd, buf_slice(&bytes));
    buf_release(&bytes);
}

static const struct raft_msg heartbeat = {
    .type = RAFT_MSG_HEARTBEAT, .from = 2, .to = 1, .term = 7};

/* ---- what is asked for ---- */

static const char *const lines_wanted[] = {
    "X-Etcd-Cluster-ID: c1\r\n",
    "X-Server-From: 1\r\n",
    "X-Raft-To: 2\r\n",
    "X-Server-Version: 3.5.16\r\n",
    "X-Min-Cluster-Version: 3.0.0\r\n",
    "X-PeerURLs: http://127.0.0.1:1\r\n",
    "Host: 127.0.0.1:",
};

START_TEST(both_streams_are_dialled)
{
    static const char *const first[] = {
        [FRAMES_MESSAGES] = "GET /raft/stream/message/1 HTTP/1.1\r\n",
        [FRAMES_APPENDS] = "GET /raft/stream/msgapp/1 HTTP/1.1\r\n"};
    struct other_streams s;

    other_is_at(2, two.port);
    s = other_accept_streams(&two);
    for (int kind = 0; kind < 2; kind++) {
        ck_assert_msg(
            strncmp(s.heads[kind], first[kind], strlen(first[kind])) == 0, "%s",
            s.heads[kind]);
        for (int i = 0; i < COUNT_OF(lines_wanted); i++) {
            ck_assert_msg(strstr(s.heads[kind], lines_wanted[i]) != NULL,
                          "no \"%s\" in %s", lines_wanted[i], s.heads[kind]);
        }
    }
    other_close_streams(&s);
}
END_TEST

/* ---- what is believed ---- */

static const struct raft_snapshot snapshot = {
    .pos = {6, 400}, .conf = {.list = {{1, RAFT_VOTER}}, .count = 1}};

static const struct believed_row {
    const char *name;
    struct raft_msg m;
    const char *told; /* NULL: nothing. */
} believed_rows[] = {
    {"its own heartbeat",
     {.type = RAFT_MSG_HEARTBEAT, .from = 2, .to = 1, .term = 3},
     "message 8 from 2 term 3"},
    {"one of another member",
     {.type = RAFT_MSG_HEARTBEAT, .from = 3, .to = 1, .term = 3},
     NULL},
    {"one for another member",
     {.type = RAFT_MSG_HEARTBEAT, .from = 2, .to = 3, .term = 3},
     NULL},
    {"another member's wish to lead, passed on",
     {.type = RAFT_MSG_TRANSFER, .from = 3, .to = 1, .term = 3},
     "message 13 from 3 term 3"},
    {"a snapshot without its file",
     {.type = RAFT_MSG_SNAPSHOT,
      .from = 2,
      .to = 1,
      .term = 3,
      .snapshot = &snapshot},
     NULL},
};

START_TEST(messages_of_a_stream_by_row)
{
    const struct believed_row *row = &believed_rows[_i];
    struct other_streams s;

    other_is_at(2, two.port);
    s = other_accept_streams(&two);
    write_message(s.fds[FRAMES_MESSAGES], FRAMES_MESSAGES, &row->m);
    write_message(s.fds[FRAMES_MESSAGES], FRAMES_MESSAGES, &heartbeat);
    if (row->told != NULL) {
        (void)other_await(row->told);
    }
    (void)other_await("message 8 from 2 term 7");
    ck_assert_msg(other_heard("message") == 0, "%s: believed", row->name);
    other_close_streams(&s);
}
END_TEST

START_TEST(appends_go_on_where_they_ended)
{
    struct raft_entry e = {.pos = {7, 11}, .len = 1, .data = (uint8_t *)"x"};
    struct raft_msg m = {.type = RAFT_MSG_APPEND,
                         .from = 2,
                         .to = 1,
                         .term = 7,
                         .pos = {7, 10},
                         .entries = &e,
                         .entries_count = 1};
    struct frames_writer w = {.kind = FRAMES_APPENDS};
    struct other_streams s;
    struct buf bytes;

    other_is_at(2, two.port);
    s = other_accept_streams(&two);
    buf_init(&bytes, SIZE_MAX);
    frames_put(&w, &m, &bytes);
    m.pos.index = 11;
    e.pos.index = 12;
    frames_put_alive(&w, &bytes);
    frames_put(&w, &m, &bytes);
    for (size_t i = 0; i < bytes.len; i++) { /* In the smallest pieces. */
        other_write_chunk(s.fds[FRAMES_APPENDS], slice_of(bytes.data + i, 1));
    }
    (void)other_await("message 3 from 2 term 7 entries 1");
    (void)other_await("message 3 from 2 term 7 entries 1");
    buf_release(&bytes);
    other_close_streams(&s);
}
END_TEST

/* ---- when the other side fails ---- */

static const struct failing_row {
    const char *name;
    const char *says;
    const char *told; /* NULL: nothing. */
} failing_rows[] = {
    {"of another cluster", "HTTP/1.1 412 Precondition Failed\r\n\r\n", NULL},
    {"does not know us", "HTTP/1.1 404 Not Found\r\n\r\n", NULL},
    {"has removed us", "HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n",
     "removed"},
    {"no HTTP", "SSH-2.0-OpenSSH_9.2\r\n", NULL},
    {"a frame without sense",
     "HTTP/1.1 200 OK\r\n\r\n\xff\xff\xff\xff\xff\xff\xff\xff", NULL},
    {"closes at once", "", NULL},
    {"closes after its head", "HTTP/1.1 200 OK\r\n\r\n", NULL},
};

START_TEST(failing_streams_are_dialled_again)
{
    const struct failing_row *row = &failing_rows[_i];
    struct other_streams s;

    other_is_at(2, two.port);
    for (int i = 0; i < 4; i++) {
        char head[1024];
        int fd = other_accept(&two);

        other_read_head(fd, head, sizeof(head));
        other_say(fd, row->says);
        (void)shutdown(fd, SHUT_WR);
        ck_assert_msg(other_is_closed(fd), "%s: stays", row->name);
        (void)close(fd);
    }
    s = other_accept_streams(&two); /* And now it behaves. */
    write_message(s.fds[FRAMES_MESSAGES], FRAMES_MESSAGES, &heartbeat);
    (void)other_await("message 8 from 2");
    if (row->told != NULL) {
        (void)other_await(row->told);
        ck_assert_uint_eq(other_heard(row->told), 0); /* Said once. */
    }
    other_close_streams(&s);
}
END_TEST

/* Whatever it does, it is not dialled in a hurry: 100, 200, 400, 800 ms and so
 * on lie between two dials of a stream. (50: clocks of the loop are rounded.)
 */
START_TEST(failing_streams_are_given_time)
{
    const struct failing_row *row = &failing_rows[_i];
    uint64_t begun_ms;

    other_is_at(2, two.port);
    begun_ms = now_ms();
    for (int i = 0; i < 2 * 4; i++) { /* Two streams, four times each. */
        char head[1024];
        int fd = other_accept(&two);

        other_read_head(fd, head, sizeof(head));
        other_say(fd, row->says);
        (void)close(fd);
    }
    ck_assert_msg(now_ms() - begun_ms >= 100 + 200 + 400 - 50, "%s", row->name);
}
END_TEST

/* The kernel takes connections, but nothing is said there, ever. */
START_TEST(silence_ends_a_stream)
{
    struct other_streams s;
    struct other_streams again;

    other_is_at(2, two.port);
    s = other_accept_streams(&two);
    again = other_accept_streams(&two);
    ck_assert(other_is_closed(s.fds[0]));
    ck_assert(other_is_closed(s.fds[1]));
    other_close_streams(&s);
    other_close_streams(&again);
}
END_TEST

START_TEST(refused_connections_are_told)
{
    struct other_listener gone = other_listen();

    (void)close(gone.fd);
    other_is_at(2, gone.port);
    (void)other_await("lost 2");
}
END_TEST

static void set_two_urls(void *ctx)
{
    char nonsense[] = "nonsense";
    char first[64];
    char second[64];
    char *urls[] = {nonsense, first, second};
    const int *ports = ctx;

    (void)snprintf(first, sizeof(first), "http://127.0.0.1:%d", ports[0]);
    (void)snprintf(second, sizeof(second), "http://127.0.0.1:%d", ports[1]);
    peers_set(us.peers, 2, urls, 3);
}

START_TEST(the_next_url_is_tried)
{
    struct other_listener gone = other_listen();
    int ports[] = {gone.port, two.port};
    struct other_streams s;

    (void)close(gone.fd);
    other_on_loop(set_two_urls, ports);
    s = other_accept_streams(&two);
    other_close_streams(&s);
}
END_TEST

static void read_active(void *ctx)
{
    *(uint64_t *)ctx = peers_active_since(us.peers, 2);
}

static uint64_t active_since(void)
{
    uint64_t at_ms;

    other_on_loop(read_active, &at_ms);
    return at_ms;
}

START_TEST(a_member_is_active_with_both_streams)
{
    struct other_streams s;

    other_is_at(2, two.port);
    ck_assert_uint_eq(active_since(), 0);
    s = other_accept_streams(&two);
    write_message(s.fds[FRAMES_MESSAGES], FRAMES_MESSAGES, &heartbeat);
    (void)other_await("message 8 from 2");
    while (active_since() == 0) {
        (void)usleep(1000); /* The other stream's head is on its way. */
    }
    (void)close(s.fds[FRAMES_APPENDS]);
    while (active_since() != 0) {
        (void)usleep(1000);
    }
    (void)close(s.fds[FRAMES_MESSAGES]);
}
END_TEST

START_TEST(who_is_removed_is_left_alone)
{
    struct other_streams s;

    other_is_at(2, two.port);
    s = other_accept_streams(&two);
    other_is_removed(2);
    ck_assert(other_is_closed(s.fds[0]));
    ck_assert(other_is_closed(s.fds[1]));
    other_send(&(struct raft_msg){
        .type = RAFT_MSG_HEARTBEAT, .from = 1, .to = 2, .term = 1});
    other_close_links();
    ck_assert_int_eq(fcntl(two.fd, F_SETFL, O_NONBLOCK), 0);
    ck_assert_int_eq(accept(two.fd, NULL, NULL), -1);
    other_close_streams(&s);
}
END_TEST

UNIT_MAIN("peer_links", {
    tcase_add_checked_fixture(tc, begin, end);
    tcase_add_test(tc, both_streams_are_dialled);
    tcase_add_loop_test(tc, messages_of_a_stream_by_row, 0,
                        COUNT_OF(believed_rows));
    tcase_add_test(tc, appends_go_on_where_they_ended);
    tcase_add_loop_test(tc, failing_streams_are_dialled_again, 0,
                        COUNT_OF(failing_rows));
    tcase_add_loop_test(tc, failing_streams_are_given_time, 0,
                        COUNT_OF(failing_rows));
    tcase_add_test(tc, silence_ends_a_stream);
    tcase_add_test(tc, refused_connections_are_told);
    tcase_add_test(tc, the_next_url_is_tried);
    tcase_add_test(tc, a_member_is_active_with_both_streams);
    tcase_add_test(tc, who_is_removed_is_left_alone);
})
