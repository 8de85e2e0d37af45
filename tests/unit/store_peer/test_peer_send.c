/*
 * What we send: into the streams that the other side has dialled, by POST when
 * there is none, and snapshots.
 */
#include <errno.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "base/core/wire.h"
#include "sending.h"

#define DROPPED "etcd_network_peer_sent_failures_total"
#define SENT    "etcd_network_peer_sent_bytes_total"

static const struct raft_msg vote = {
    .type = RAFT_MSG_VOTE, .from = 1, .to = 2, .term = 5, .pos = {4, 9}};

/* ---- into streams ---- */

struct heard {
    unsigned count;
    struct raft_msg last;
};

static void on_message(void *ctx, const struct raft_msg *m)
{
    struct heard *h = ctx;

    h->count++;
    h->last = *m;
}

static void hear(int fd, enum frames_kind kind, struct heard *out)
{
    struct frames_reader r;

    *out = (struct heard){0};
    frames_reader_init(&r, kind, 1, 2);
    while (out->count == 0) {
        struct buf chunk;

        buf_init(&chunk, SIZE_MAX);
        other_read_chunk(fd, &chunk);
        ck_assert_int_eq(frames_feed(&r, buf_slice(&chunk), on_message, out),
                         ST_OK);
        buf_release(&chunk);
    }
    frames_reader_release(&r);
}

START_TEST(messages_go_into_their_streams)
{
    struct raft_entry e = {.pos = {5, 10}, .len = 1, .data = (uint8_t *)"x"};
    struct raft_msg append = {.type = RAFT_MSG_APPEND,
                              .from = 1,
                              .to = 2,
                              .term = 5,
                              .pos = {4, 9},
                              .entries = &e,
                              .entries_count = 1};
    int messages = other_dial_stream(FRAMES_MESSAGES);
    int appends = other_dial_stream(FRAMES_APPENDS);
    struct heard h;

    other_send(&vote);
    other_send(&append);
    hear(messages, FRAMES_MESSAGES, &h);
    ck_assert_int_eq(h.last.type, RAFT_MSG_VOTE);
    ck_assert_uint_eq(h.last.term, 5);
    hear(appends, FRAMES_APPENDS, &h);
    ck_assert_int_eq(h.last.type, RAFT_MSG_APPEND);
    ck_assert_uint_eq(h.last.entries_count, 1);
    ck_assert(other_number(SENT, "2") > 0);
    ck_assert(other_number(DROPPED, "2") == 0);
    (void)close(messages);
    (void)close(appends);
}
END_TEST

/* Nobody has anything to say, and yet each stream says that it is alive. */
START_TEST(an_idle_stream_tells_that_it_lives)
{
    static const uint8_t beat[] = {8, RAFT_MSG_HEARTBEAT, 0x10, 0, 0x18, 0};
    int messages = other_dial_stream(FRAMES_MESSAGES);
    int appends = other_dial_stream(FRAMES_APPENDS);
    struct buf chunk;

    buf_init(&chunk, SIZE_MAX);
    for (int i = 0; i < 2; i++) {
        buf_clear(&chunk);
        other_read_chunk(appends, &chunk);
        ck_assert_uint_eq(chunk.len, 1);
        ck_assert_uint_eq(chunk.data[0], 0);
        buf_clear(&chunk);
        other_read_chunk(messages, &chunk);
        ck_assert_uint_gt(chunk.len, 8 + sizeof(beat));
        ck_assert_mem_eq(chunk.data + 8, beat, sizeof(beat));
    }
    buf_release(&chunk);
    (void)close(messages);
    (void)close(appends);
}
END_TEST

START_TEST(a_newer_stream_takes_the_place)
{
    int old = other_dial_stream(FRAMES_MESSAGES);
    int young = other_dial_stream(FRAMES_MESSAGES);
    struct heard h;

    ck_assert(other_is_closed(old));
    other_send(&vote);
    hear(young, FRAMES_MESSAGES, &h);
    ck_assert_int_eq(h.last.type, RAFT_MSG_VOTE);
    (void)close(old);
    (void)close(young);
}
END_TEST

/* 100 MiB for a peer that takes connections and reads nothing. */
static void flood(enum frames_kind kind)
{
    enum {
        PIECE = 256 * 1024,
        PIECES = 400
    };
    static uint8_t data[PIECE];
    struct raft_entry e = {.pos = {5, 10}, .len = PIECE, .data = data};
    struct raft_msg m = {.type = kind == FRAMES_APPENDS ? RAFT_MSG_APPEND
                                                        : RAFT_MSG_PROPOSE,
                         .from = 1,
                         .to = 2,
                         .term = 5,
                         .pos = {4, 9},
                         .entries = &e,
                         .entries_count = 1};
    int fd = other_dial_stream(kind);
    double room;

    for (int i = 0; i < PIECES; i++) {
        other_send(&m);
    }
    /* The kernel holds some, and we 16 MiB of appends, 4 of others. */
    room = (kind == FRAMES_APPENDS ? 16 : 4) + 16;
    ck_assert_msg(other_number(SENT, "2") < room * 1024 * 1024,
                  "%.0f bytes wait", other_number(SENT, "2"));
    ck_assert(other_number(DROPPED, "2") > 0);
    ck_assert(other_number(DROPPED, "2") < PIECES);
    (void)close(fd);
}

START_TEST(a_peer_that_reads_nothing_costs_little)
{
    flood(_i == 0 ? FRAMES_APPENDS : FRAMES_MESSAGES);
}
END_TEST

/* ---- by POST ---- */

START_TEST(without_a_stream_messages_are_posted)
{
    struct raft_msg append = {
        .type = RAFT_MSG_APPEND, .from = 1, .to = 2, .term = 5};
    struct raftpb_space space = {0};
    struct raft_msg m;
    char head[1024];
    char body[1024];
    const char *length;
    size_t len;
    int fd;

    other_send(&append); /* Not even tried: raft sends it again. */
    ck_assert(other_number(DROPPED, "2") == 1);
    other_send(&vote);
    fd = accept_post("POST /raft HTTP/1.1\r\n", head, sizeof(head));
    ck_assert_ptr_nonnull(strstr(head, "X-Etcd-Cluster-ID: c1\r\n"));
    ck_assert_ptr_nonnull(strstr(head, "X-Server-From: 1\r\n"));
    ck_assert_ptr_nonnull(
        strstr(head, "Content-Type: application/protobuf\r\n"));
    length = strstr(head, "Content-Length: ");
    ck_assert_ptr_nonnull(length);
    len = strtoul(length + strlen("Content-Length: "), NULL, 10);
    ck_assert_uint_lt(len, sizeof(body));
    other_read(fd, body, len);
    ck_assert_int_eq(raftpb_message_unpack(slice_of(body, len), &space, &m),
                     ST_OK);
    ck_assert_int_eq(m.type, RAFT_MSG_VOTE);
    other_say(fd, "HTTP/1.1 204 No Content\r\n\r\n");
    ck_assert(other_is_closed(fd));
    ck_assert(other_number(DROPPED, "2") == 1);
    raftpb_space_release(&space);
    (void)close(fd);
}
END_TEST

START_TEST(few_posts_are_under_way)
{
    for (int i = 0; i < 100; i++) {
        other_send(&vote);
    }
    ck_assert(other_number(DROPPED, "2") >= 100 - 4);
}
END_TEST

static const struct post_row {
    const char *answer;
    const char *told; /* NULL: it counts as dropped. */
} post_rows[] = {
    {"HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n", "removed"},
    {"HTTP/1.1 412 Precondition Failed\r\nContent-Length: 0\r\n\r\n", NULL},
    {"HTTP/1.1 204 No Con", NULL},
    {"", NULL},
};

START_TEST(posts_that_fail_by_row)
{
    const struct post_row *row = &post_rows[_i];
    char head[1024];
    int fd;

    other_send(&vote);
    fd = accept_post("POST /raft HTTP/1.1\r\n", head, sizeof(head));
    other_say(fd, row->answer);
    (void)shutdown(fd, SHUT_WR);
    ck_assert(other_is_closed(fd));
    if (row->told != NULL) {
        (void)other_await(row->told);
    } else {
        ck_assert(other_number(DROPPED, "2") == 1);
    }
    (void)close(fd);
}
END_TEST

/* ---- snapshots ---- */

struct file {
    size_t left; /* Bytes to come. */
    bool fails;
    bool released;
};

static enum status file_next(void *ctx, struct buf *out, bool *out_end)
{
    struct file *f = ctx;
    size_t len = f->left < 65536 ? f->left : 65536;
    uint8_t *at;

    if (f->fails && f->left < 1000000) {
        return ST_IO;
    }
    ck_assert_int_eq(buf_reserve(out, len, &at), ST_OK);
    memset(at, 'f', len);
    out->len += len;
    f->left -= len;
    *out_end = f->left == 0;
    return ST_OK;
}

static void file_release(void *ctx)
{
    ((struct file *)ctx)->released = true;
}

struct sending {
    uint64_t to;
    struct file *file;
};

static void send_file(void *ctx)
{
    static const struct raft_snapshot snapshot = {
        .pos = {6, 400}, .conf = {.list = {{1, RAFT_VOTER}}, .count = 1}};
    const struct sending *s = ctx;
    struct raft_msg m = {.type = RAFT_MSG_SNAPSHOT,
                         .from = 1,
                         .to = s->to,
                         .term = 6,
                         .snapshot = &snapshot};
    struct peers_source source = {
        .ctx = s->file, .next = file_next, .release = file_release};

    peers_send_snapshot(us.peers, &m, source);
}

static void send_snapshot(uint64_t to, struct file *f)
{
    other_on_loop(send_file, &(struct sending){.to = to, .file = f});
}

START_TEST(a_snapshot_follows_its_message)
{
    enum {
        BYTES = 3000000
    };
    struct file file = {.left = BYTES};
    struct raftpb_space space = {0};
    struct raft_msg m;
    struct buf body;
    char head[1024];
    size_t len;
    size_t before;
    int fd;

    send_snapshot(2, &file);
    fd = accept_post("POST /raft/snapshot HTTP/1.1\r\n", head, sizeof(head));
    ck_assert_ptr_nonnull(strstr(head, "X-Etcd-Cluster-ID: c1\r\n"));
    ck_assert_ptr_nonnull(
        strstr(head, "Content-Type: application/octet-stream\r\n"));
    buf_init(&body, SIZE_MAX);
    do {
        before = body.len;
        other_read_chunk(fd, &body);
    } while (body.len > before);
    len = wire_get_u64be(body.data);
    ck_assert_int_eq(
        raftpb_message_unpack(slice_of(body.data + 8, len), &space, &m), ST_OK);
    ck_assert_int_eq(m.type, RAFT_MSG_SNAPSHOT);
    ck_assert_uint_eq(m.snapshot->pos.index, 400);
    ck_assert_uint_eq(body.len, 8 + len + BYTES);
    ck_assert_uint_eq(other_heard("sent"), 0); /* Not before it is installed. */
    other_say(fd, "HTTP/1.1 204 No Content\r\n\r\n");
    (void)other_await("sent snapshot 400 to 2 ok");
    ck_assert(file.released);
    raftpb_space_release(&space);
    buf_release(&body);
    (void)close(fd);
}
END_TEST

static const struct sending_row {
    const char *name;
    size_t bytes;
    bool source_fails;
    size_t read; /* So much of it, at least. */
    const char *answer;
} sending_rows[] = {
    {"refused at once", 50000000, false, 0,
     "HTTP/1.1 412 Precondition Failed\r\nContent-Length: 0\r\n\r\n"},
    {"not installed", 1000, false, 1000,
     "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 2\r\n\r\nno"},
    {"an early yes, while most is unsent", 50000000, false, 0,
     "HTTP/1.1 204 No Content\r\n\r\n"},
    {"the other side leaves", 50000000, false, 100000, ""},
    {"no HTTP", 1000, false, 0, "hello\r\n"},
    {"the file cannot be read on", 3000000, true, 0, ""},
};

START_TEST(snapshots_that_fail_by_row)
{
    const struct sending_row *row = &sending_rows[_i];
    struct file file = {.left = row->bytes, .fails = row->source_fails};
    char bytes[1000];
    char head[1024];
    int fd;

    send_snapshot(2, &file);
    fd = accept_post("POST /raft/snapshot HTTP/1.1\r\n", head, sizeof(head));
    for (size_t at = 0; at < row->read; at += sizeof(bytes)) {
        other_read(fd, bytes, sizeof(bytes));
    }
    other_say(fd, row->answer);
    if (row->source_fails) {
        ck_assert(other_is_closed(fd));
    }
    (void)close(fd);
    (void)other_await("sent snapshot 400 to 2 in vain");
    ck_assert_msg(file.released, "%s", row->name);
    ck_assert_uint_eq(other_heard("sent"), 0);
}
END_TEST

/* A peer that reads nothing: little of the file is read ahead for it. */
START_TEST(a_snapshot_is_not_read_ahead)
{
    enum {
        BYTES = 100000000
    };
    struct file file = {.left = BYTES};
    char head[1024];
    int fd;

    send_snapshot(2, &file);
    fd = accept_post("POST /raft/snapshot HTTP/1.1\r\n", head, sizeof(head));
    for (int i = 0; i < 10; i++) { /* Let the loop do what it likes. */
        (void)other_number(SENT, "2");
        (void)usleep(10000);
    }
    other_close_links(); /* And yet the end is not held up. */
    (void)other_await("sent snapshot 400 to 2 in vain");
    ck_assert_uint_gt(file.left, BYTES - 32000000);
    (void)close(fd);
}
END_TEST

START_TEST(nobody_to_send_it_to)
{
    struct file file = {.left = 1000};

    send_snapshot(7, &file);
    (void)other_await("sent snapshot 400 to 7 in vain");
    ck_assert(file.released);
}
END_TEST

START_TEST(who_is_removed_gets_no_snapshot)
{
    struct file file = {.left = 50000000};
    char head[1024];
    int fd;

    send_snapshot(2, &file);
    fd = accept_post("POST /raft/snapshot HTTP/1.1\r\n", head, sizeof(head));
    other_is_removed(2);
    (void)other_await("sent snapshot 400 to 2 in vain");
    (void)close(fd);
}
END_TEST

UNIT_MAIN("peer_send", {
    tcase_add_checked_fixture(tc, begin, end);
    tcase_add_test(tc, messages_go_into_their_streams);
    tcase_add_test(tc, an_idle_stream_tells_that_it_lives);
    tcase_add_test(tc, a_newer_stream_takes_the_place);
    tcase_add_loop_test(tc, a_peer_that_reads_nothing_costs_little, 0, 2);
    tcase_add_test(tc, without_a_stream_messages_are_posted);
    tcase_add_test(tc, few_posts_are_under_way);
    tcase_add_loop_test(tc, posts_that_fail_by_row, 0, COUNT_OF(post_rows));
    tcase_add_test(tc, a_snapshot_follows_its_message);
    tcase_add_loop_test(tc, snapshots_that_fail_by_row, 0,
                        COUNT_OF(sending_rows));
    tcase_add_test(tc, a_snapshot_is_not_read_ahead);
    tcase_add_test(tc, nobody_to_send_it_to);
    tcase_add_test(tc, who_is_removed_gets_no_snapshot);
})
