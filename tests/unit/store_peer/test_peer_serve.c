/*
 * What other members are answered, and snapshots that come in.
 */
#include <sys/socket.h>
#include <sys/time.h>

#include "base/core/wire.h"
#include "other.h"
#include "suite.h"

static struct other_listener two;

static void begin(void)
{
    other_begin();
    two = other_listen();
    other_is_at(2, two.port);
    other_is_at(3, two.port);
    other_is_removed(9);
}

static void end(void)
{
    other_end();
    (void)close(two.fd);
}

/* ---- requests, as bytes ---- */

#define GET(path)  "GET " path " HTTP/1.1\r\nHost: x\r\n"
#define POST(path) "POST " path " HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n"
#define OURS       "X-Etcd-Cluster-ID: c1\r\n"
#define FROM(id)   "X-Server-From: " id "\r\n"
#define TO(id)     "X-Raft-To: " id "\r\n"

static const struct request_row {
    const char *name;
    const char *head;
    int status;
    const char *text;
} request_rows[] = {
    {"of another cluster",
     GET("/raft/stream/message/2") "X-Etcd-Cluster-ID: c2\r\n" TO("1"), 412,
     "cluster ID mismatch\n"},
    {"of no cluster", GET("/raft/stream/message/2") TO("1"), 412,
     "cluster ID mismatch\n"},
    {"too old",
     GET("/raft/stream/message/2") OURS TO("1") "X-Server-Version: 2.3.0\r\n",
     412, "incompatible version\n"},
    {"too new for us",
     GET("/raft/stream/message/2")
         OURS TO("1") "X-Server-Version: 4.0.0\r\n"
                      "X-Min-Cluster-Version: 3.6.0\r\n",
     412, "incompatible version\n"},
    {"for another member", GET("/raft/stream/msgapp/2") OURS TO("5"), 412,
     "to field mismatch\n"},
    {"for nobody", GET("/raft/stream/msgapp/2") OURS, 412,
     "to field mismatch\n"},
    {"a removed member", GET("/raft/stream/message/9") OURS TO("1"), 410,
     "removed member\n"},
    {"a stranger", GET("/raft/stream/message/7") OURS TO("1"), 404,
     "error sender not found\n"},
    {"ourselves", GET("/raft/stream/message/1") OURS TO("1"), 404,
     "error sender not found\n"},
    {"no id", GET("/raft/stream/message/") OURS TO("1"), 404, "invalid from\n"},
    {"an id that is none", GET("/raft/stream/message/0x2") OURS TO("1"), 404,
     "invalid from\n"},
    {"a negative id", GET("/raft/stream/message/-1") OURS TO("1"), 404,
     "invalid from\n"},
    {"a long id", GET("/raft/stream/message/00000000000000002") OURS TO("1"),
     404, "invalid from\n"},
    {"a stream by POST", POST("/raft/stream/message/2") OURS TO("1"), 405,
     "Method Not Allowed\n"},
    {"an unknown stream", GET("/raft/stream/other/2") OURS TO("1"), 404,
     "404 page not found\n"},
    {"raft by GET", GET("/raft"), 405, "Method Not Allowed\n"},
    {"a snapshot by GET", GET("/raft/snapshot") OURS FROM("2"), 405, NULL},
    {"a message without bytes", POST("/raft") OURS FROM("2"), 400, NULL},
    {"a message of a removed member", POST("/raft") OURS FROM("9"), 410,
     "removed member\n"},
    {"a message of another cluster",
     POST("/raft") "X-Etcd-Cluster-ID: c2\r\n" FROM("2"), 412,
     "cluster ID mismatch\n"},
    {"a message of nobody", POST("/raft") OURS, 404, "invalid from\n"},
    {"the owner's page", GET("/version"), 200, "a page\n"},
};

START_TEST(requests_by_row)
{
    const struct request_row *row = &request_rows[_i];
    struct other_answer answer;
    int fd = other_dial();

    other_say(fd, row->head);
    other_say(fd, "\r\n");
    answer = other_read_answer(fd);
    ck_assert_msg(answer.status == row->status, "%s: %d %s", row->name,
                  answer.status, answer.body);
    if (row->text != NULL) {
        ck_assert_str_eq(answer.body, row->text);
    }
    (void)close(fd);
}
END_TEST

START_TEST(probing_tells_the_time)
{
    struct other_answer answer =
        other_ask("GET", "/raft/probing", "", (struct slice){0});

    ck_assert_int_eq(answer.status, 200);
    ck_assert_msg(strncmp(answer.body, "{\"OK\":true,\"Now\":", 17) == 0, "%s",
                  answer.body);
}
END_TEST

/* ---- single messages ---- */

static const struct raft_snapshot snapshot = {
    .pos = {6, 400}, .conf = {.list = {{1, RAFT_VOTER}}, .count = 1}};

static const struct message_row {
    const char *name;
    struct raft_msg m;
    int status;
} message_rows[] = {
    {"a vote of the sender",
     {.type = RAFT_MSG_VOTE, .from = 2, .to = 1, .term = 5, .pos = {4, 9}},
     204},
    {"of another member",
     {.type = RAFT_MSG_VOTE, .from = 3, .to = 1, .term = 5},
     400},
    {"for another member",
     {.type = RAFT_MSG_VOTE, .from = 2, .to = 3, .term = 5},
     400},
    {"a snapshot without its file",
     {.type = RAFT_MSG_SNAPSHOT,
      .from = 2,
      .to = 1,
      .term = 5,
      .snapshot = &snapshot},
     400},
};

START_TEST(messages_by_row)
{
    const struct message_row *row = &message_rows[_i];
    struct other_answer answer;
    struct buf body;

    buf_init(&body, SIZE_MAX);
    raftpb_message_pack(&row->m, &body);
    answer = other_ask("POST", "/raft", "", buf_slice(&body));
    ck_assert_msg(answer.status == row->status, "%s: %d", row->name,
                  answer.status);
    if (row->status == 204) {
        (void)other_await("message 5 from 2 term 5");
    }
    ck_assert_uint_eq(other_heard("message"), 0);
    buf_release(&body);
}
END_TEST

START_TEST(a_huge_message_is_refused_unread)
{
    int fd = other_dial();

    other_write_head(fd, "POST", "/raft", "Content-Length: 99999999999999\r\n");
    ck_assert_int_eq(other_read_answer(fd).status, 413);
    (void)close(fd);
}
END_TEST

/* ---- snapshots ---- */

static void put_head(const struct raft_msg *m, struct buf *out)
{
    static const uint8_t zeros[8] = {0};
    size_t mark = out->len;

    ck_assert_int_eq(buf_add(out, slice_of(zeros, 8)), ST_OK);
    raftpb_message_pack(m, out);
    wire_put_u64be(out->data + mark, out->len - mark - 8);
}

static struct raft_msg snapshot_of(uint64_t from)
{
    return (struct raft_msg){.type = RAFT_MSG_SNAPSHOT,
                             .from = from,
                             .to = 1,
                             .term = 6,
                             .snapshot = &snapshot};
}

static int snapshot_begin(const char *length)
{
    int fd = other_dial();

    other_write_head(fd, "POST", "/raft/snapshot", length);
    return fd;
}

static void whole_snapshot(size_t step, int status)
{
    struct raft_msg m = snapshot_of(2);
    int fd = snapshot_begin("Transfer-Encoding: chunked\r\n");
    struct buf body;

    buf_init(&body, SIZE_MAX);
    put_head(&m, &body);
    ck_assert_int_eq(buf_add_str(&body, "the file"), ST_OK);
    for (size_t at = 0; at < body.len; at += step) {
        size_t len = body.len - at < step ? body.len - at : step;

        other_write_chunk(fd, slice_of(body.data + at, len));
    }
    other_say(fd, "0\r\n\r\n");
    ck_assert_int_eq(other_read_answer(fd).status, status);
    (void)other_await("snapshot 400 from 2: the file");
    buf_release(&body);
    (void)close(fd);
}

START_TEST(a_whole_snapshot_is_handed_over)
{
    whole_snapshot(1000, 204);
    whole_snapshot(1, 204);
    us.install = ST_CORRUPT;
    whole_snapshot(7, 500);
}
END_TEST

enum {
    SNAPSHOT_NO_MESSAGE,
    SNAPSHOT_OF_ANOTHER,
    SNAPSHOT_IS_A_VOTE,
    SNAPSHOT_GARBAGE,
    SNAPSHOT_HUGE_HEAD
};

static void put_bad_snapshot(int what, struct buf *out)
{
    struct raft_msg m = snapshot_of(what == SNAPSHOT_OF_ANOTHER ? 3 : 2);
    static const uint8_t huge[] = {0, 0, 0, 0, 0x7f, 0, 0, 0, 1};
    static const uint8_t garbage[] = {0, 0, 0, 0, 0, 0, 0, 2, 0xff, 0xff};

    if (what == SNAPSHOT_IS_A_VOTE) {
        m.type = RAFT_MSG_VOTE;
    }
    switch (what) {
    case SNAPSHOT_NO_MESSAGE:
        ck_assert_int_eq(buf_add_str(out, "short"), ST_OK);
        return;
    case SNAPSHOT_GARBAGE:
        ck_assert_int_eq(buf_add(out, slice_of(garbage, sizeof(garbage))),
                         ST_OK);
        return;
    case SNAPSHOT_HUGE_HEAD:
        ck_assert_int_eq(buf_add(out, slice_of(huge, sizeof(huge))), ST_OK);
        return;
    default:
        put_head(&m, out);
        ck_assert_int_eq(buf_add_str(out, "the file"), ST_OK);
    }
}

static const struct bad_row {
    const char *name;
    int what;
    int status;
} bad_rows[] = {
    {"ends before the message", SNAPSHOT_NO_MESSAGE, 400},
    {"of another than the sender", SNAPSHOT_OF_ANOTHER, 400},
    {"another message", SNAPSHOT_IS_A_VOTE, 400},
    {"no message", SNAPSHOT_GARBAGE, 400},
    {"a head of 2 GiB", SNAPSHOT_HUGE_HEAD, 413},
};

/* Nothing is told, nothing stays in the folder (other_end looks), and the next
 * one is taken. */
START_TEST(bad_snapshots_by_row)
{
    const struct bad_row *row = &bad_rows[_i];
    struct other_answer answer;
    struct buf body;
    char length[64];
    int fd;

    buf_init(&body, SIZE_MAX);
    put_bad_snapshot(row->what, &body);
    (void)snprintf(length, sizeof(length), "Content-Length: %zu\r\n", body.len);
    fd = snapshot_begin(length);
    other_write(fd, body.data, body.len);
    answer = other_read_answer(fd);
    ck_assert_msg(answer.status == row->status, "%s: %d", row->name,
                  answer.status);
    ck_assert_uint_eq(other_heard("snapshot"), 0);
    (void)close(fd);
    buf_release(&body);
}
END_TEST

START_TEST(who_may_not_send_snapshots)
{
    static const char *const heads[] = {
        "POST /raft/snapshot HTTP/1.1\r\nHost: x\r\nX-Server-From: 2\r\n"
        "X-Etcd-Cluster-ID: c2\r\nContent-Length: 99999999999\r\n\r\n",
        "POST /raft/snapshot HTTP/1.1\r\nHost: x\r\nX-Server-From: 9\r\n"
        "X-Etcd-Cluster-ID: c1\r\nContent-Length: 99999999999\r\n\r\n",
        "POST /raft/snapshot HTTP/1.1\r\nHost: x\r\nX-Server-From: 7\r\n"
        "X-Etcd-Cluster-ID: c1\r\nContent-Length: 99999999999\r\n\r\n"};
    static const int statuses[] = {412, 410, 404};

    for (int i = 0; i < COUNT_OF(heads); i++) {
        int fd = other_dial();

        other_say(fd, heads[i]);
        ck_assert_int_eq(other_read_answer(fd).status, statuses[i]);
        (void)close(fd);
    }
}
END_TEST

static int begin_half(void)
{
    struct raft_msg m = snapshot_of(2);
    int fd = snapshot_begin("Content-Length: 100000\r\n");
    struct buf body;

    buf_init(&body, SIZE_MAX);
    put_head(&m, &body);
    other_write(fd, body.data, body.len);
    buf_release(&body);
    return fd;
}

/* One at a time; a sender that leaves in the middle makes room. */
START_TEST(a_truncated_snapshot_is_forgotten)
{
    int half = begin_half();
    int status;

    do { /* The first one's bytes may still be on their way. */
        int fd = snapshot_begin("Content-Length: 100000\r\n");

        other_say(fd, "x");
        (void)shutdown(fd, SHUT_WR);
        ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO,
                                    &(struct timeval){.tv_sec = 20},
                                    sizeof(struct timeval)),
                         0);
        status = recv(fd, (char[1]){0}, 1, MSG_PEEK) > 0
                     ? other_read_answer(fd).status
                     : 0;
        (void)close(fd);
    } while (status != 503);
    (void)close(half);
    for (;;) {
        struct raft_msg m = snapshot_of(2);
        struct buf body;
        char length[64];
        int fd;

        buf_init(&body, SIZE_MAX);
        put_head(&m, &body);
        (void)snprintf(length, sizeof(length), "Content-Length: %zu\r\n",
                       body.len);
        fd = snapshot_begin(length);
        other_write(fd, body.data, body.len);
        status = other_read_answer(fd).status;
        (void)close(fd);
        buf_release(&body);
        if (status == 204) {
            break;
        }
        ck_assert_int_eq(status, 503); /* The end is not noticed yet. */
    }
    (void)other_await("snapshot 400 from 2: ");
    ck_assert_uint_eq(other_heard("snapshot"), 0);
}
END_TEST

START_TEST(the_end_drops_half_a_snapshot)
{
    int half = begin_half();

    other_close_links(); /* other_end() finds the folder empty. */
    (void)close(half);
}
END_TEST

static void finish_arrival(void *ctx)
{
    (void)ctx;
    peers_arrival_done(us.arrival, ST_OK);
}

START_TEST(a_sender_that_leaves_is_not_waited_for)
{
    struct raft_msg m = snapshot_of(2);
    struct buf body;
    char length[64];
    int fd;

    us.keep_arrival = true;
    buf_init(&body, SIZE_MAX);
    put_head(&m, &body);
    (void)snprintf(length, sizeof(length), "Content-Length: %zu\r\n", body.len);
    fd = snapshot_begin(length);
    other_write(fd, body.data, body.len);
    (void)other_await("snapshot 400 from 2");
    (void)close(fd);
    other_on_loop(finish_arrival, NULL);
    us.keep_arrival = false;
    whole_snapshot(1000, 204);
    buf_release(&body);
}
END_TEST

/* ---- those who do not read, and those who only connect ---- */

static size_t count_answers(int fd, size_t wanted)
{
    static const char last[] = "a page\n";
    size_t matched = 0;
    size_t seen = 0;

    while (seen < wanted) {
        char bytes[4096];
        ssize_t count = recv(fd, bytes, sizeof(bytes), 0);

        if (count <= 0) {
            break;
        }
        for (ssize_t i = 0; i < count; i++) {
            matched = bytes[i] == last[matched] ? matched + 1
                                                : (size_t)(bytes[i] == 'a');
            if (last[matched] == '\0') {
                matched = 0;
                seen++;
            }
        }
    }
    return seen;
}

/* Who does not read is not read either, so that little waits for it; all that
 * it has asked is answered once it reads. The kernel's buffers hold some MiB;
 * asking for 12 would make answers of 50. */
START_TEST(unread_answers_are_bounded)
{
    static const char ask[] = "GET /version HTTP/1.1\r\nHost: x\r\n\r\n";
    static const size_t most = (size_t)12 * 1024 * 1024;
    struct timeval tv = {.tv_usec = 300000};
    int small = 65536;
    int fd = other_dial();
    size_t asked = 0;

    ck_assert_int_eq(
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
    ck_assert_int_eq(
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
    ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)),
                     0);
    while (asked < most) {
        size_t at = asked % (sizeof(ask) - 1);
        ssize_t count = send(fd, ask + at, sizeof(ask) - 1 - at, MSG_NOSIGNAL);

        if (count <= 0) {
            break; /* It is not read any more. */
        }
        asked += (size_t)count;
    }
    ck_assert_uint_lt(asked, most);
    ck_assert_uint_eq(count_answers(fd, asked / (sizeof(ask) - 1)),
                      asked / (sizeof(ask) - 1));
    (void)close(fd);
}
END_TEST

UNIT_MAIN("peer_serve", {
    tcase_add_checked_fixture(tc, begin, end);
    tcase_add_loop_test(tc, requests_by_row, 0, COUNT_OF(request_rows));
    tcase_add_test(tc, probing_tells_the_time);
    tcase_add_loop_test(tc, messages_by_row, 0, COUNT_OF(message_rows));
    tcase_add_test(tc, a_huge_message_is_refused_unread);
    tcase_add_test(tc, a_whole_snapshot_is_handed_over);
    tcase_add_loop_test(tc, bad_snapshots_by_row, 0, COUNT_OF(bad_rows));
    tcase_add_test(tc, who_may_not_send_snapshots);
    tcase_add_test(tc, a_truncated_snapshot_is_forgotten);
    tcase_add_test(tc, the_end_drops_half_a_snapshot);
    tcase_add_test(tc, a_sender_that_leaves_is_not_waited_for);
    tcase_add_test(tc, unread_answers_are_bounded);
})
