/*
 * What one member writes the other reads, whatever the pieces it comes in, and
 * the bytes are etcd's.
 */
#include "store/raftpb/frames.h"

#include <stdio.h>

#include "suite.h"

static uint8_t data_a[] = "first";
static uint8_t data_b[] = "second entry";

static struct raft_entry entries[] = {
    {.pos = {7, 11}, .data = data_a, .len = 5},
    {.pos = {7, 12}, .type = RAFT_ENTRY_CONF, .data = data_b, .len = 12},
    {.pos = {7, 13}},
};

static const struct raft_snapshot snapshot = {
    .pos = {6, 400},
    .conf = {.list = {{3, RAFT_VOTER},
                      {5, RAFT_VOTER | RAFT_OUTGOING},
                      {9, RAFT_OUTGOING | RAFT_LEARNER_NEXT}},
             .count = 3,
             .auto_leave = true}};

static const struct raft_msg messages[] = {
    {.type = RAFT_MSG_PROPOSE,
     .from = 1,
     .to = 2,
     .entries = entries,
     .entries_count = 3},
    {.type = RAFT_MSG_APPEND,
     .from = 1,
     .to = 2,
     .term = 7,
     .pos = {7, 10},
     .commit = 9,
     .entries = entries,
     .entries_count = 3},
    {.type = RAFT_MSG_APPEND,
     .from = 1,
     .to = 2,
     .term = 7,
     .pos = {7, 13},
     .commit = 13},
    {.type = RAFT_MSG_APPEND_REPLY,
     .from = 2,
     .to = 1,
     .term = 7,
     .pos.index = 13},
    {.type = RAFT_MSG_APPEND_REPLY,
     .from = 2,
     .to = 1,
     .term = 7,
     .pos.index = 13,
     .reject = true,
     .hint = {4, 8}},
    {.type = RAFT_MSG_VOTE, .from = 2, .to = 1, .term = 8, .pos = {7, 13}},
    {.type = RAFT_MSG_VOTE,
     .from = 2,
     .to = 1,
     .term = 8,
     .pos = {7, 13},
     .transfer = true},
    {.type = RAFT_MSG_VOTE_REPLY, .from = 1, .to = 2, .term = 8},
    {.type = RAFT_MSG_VOTE_REPLY,
     .from = 1,
     .to = 2,
     .term = 8,
     .reject = true},
    {.type = RAFT_MSG_SNAPSHOT,
     .from = 1,
     .to = 2,
     .term = 8,
     .snapshot = &snapshot},
    {.type = RAFT_MSG_HEARTBEAT, .from = 1, .to = 2, .term = 8, .commit = 13},
    {.type = RAFT_MSG_HEARTBEAT,
     .from = 1,
     .to = 2,
     .term = 8,
     .context = 0x0102030405060708},
    {.type = RAFT_MSG_HEARTBEAT_REPLY,
     .from = 2,
     .to = 1,
     .term = 8,
     .context = UINT64_MAX},
    {.type = RAFT_MSG_TRANSFER, .from = 2, .to = 1, .term = 8},
    {.type = RAFT_MSG_TIMEOUT_NOW, .from = 1, .to = 2, .term = 8},
    {.type = RAFT_MSG_READ, .from = 2, .to = 1, .context = 77},
    {.type = RAFT_MSG_READ_REPLY,
     .from = 1,
     .to = 2,
     .term = 8,
     .pos.index = 13,
     .context = 77},
    {.type = RAFT_MSG_PRE_VOTE, .from = 2, .to = 1, .term = 9, .pos = {7, 13}},
    {.type = RAFT_MSG_PRE_VOTE_REPLY, .from = 1, .to = 2, .term = 9},
};

static void expect_same(const struct raft_msg *got, const struct raft_msg *m)
{
    ck_assert_int_eq(got->type, m->type);
    ck_assert_uint_eq(got->from, m->from);
    ck_assert_uint_eq(got->to, m->to);
    ck_assert_uint_eq(got->term, m->term);
    ck_assert_uint_eq(got->pos.index, m->pos.index);
    ck_assert_uint_eq(got->pos.term, m->pos.term);
    ck_assert_uint_eq(got->hint.index, m->hint.index);
    ck_assert_uint_eq(got->hint.term, m->hint.term);
    ck_assert_uint_eq(got->commit, m->commit);
    ck_assert_uint_eq(got->context, m->context);
    ck_assert(got->reject == m->reject);
    ck_assert(got->transfer == m->transfer);
    ck_assert_uint_eq(got->entries_count, m->entries_count);
    for (size_t i = 0; i < m->entries_count; i++) {
        ck_assert_uint_eq(got->entries[i].pos.index, m->entries[i].pos.index);
        ck_assert_uint_eq(got->entries[i].pos.term, m->entries[i].pos.term);
        ck_assert_int_eq(got->entries[i].type, m->entries[i].type);
        ck_assert(slice_eq(raft_entry_data(&got->entries[i]),
                           raft_entry_data(&m->entries[i])));
    }
    ck_assert((got->snapshot == NULL) == (m->snapshot == NULL));
    if (m->snapshot != NULL) {
        ck_assert_uint_eq(got->snapshot->pos.index, m->snapshot->pos.index);
        ck_assert_uint_eq(got->snapshot->pos.term, m->snapshot->pos.term);
        ck_assert(raft_conf_eq(&got->snapshot->conf, &m->snapshot->conf));
    }
}

struct expected {
    const struct raft_msg *const *list;
    size_t count;
    size_t seen;
};

static void on_message(void *ctx, const struct raft_msg *m)
{
    struct expected *e = ctx;

    ck_assert_uint_lt(e->seen, e->count);
    expect_same(m, e->list[e->seen++]);
}

/* All of `list` through a stream, `step` bytes at a time. */
static void pass(enum frames_kind kind, const struct raft_msg *const *list,
                 size_t count, size_t step)
{
    struct frames_writer w = {.kind = kind};
    struct expected e = {.list = list, .count = count};
    struct frames_reader r;
    struct buf bytes;

    buf_init(&bytes, 1 << 20);
    for (size_t i = 0; i < count; i++) {
        size_t before = bytes.len;

        frames_put_alive(&w, &bytes);
        before = bytes.len;
        frames_put(&w, list[i], &bytes);
        ck_assert_uint_le(bytes.len - before, frames_bound(list[i]));
    }
    frames_reader_init(&r, kind, 1, 2);
    for (size_t at = 0; at < bytes.len; at += step) {
        size_t len = bytes.len - at < step ? bytes.len - at : step;

        ck_assert_int_eq(
            frames_feed(&r, slice_of(bytes.data + at, len), on_message, &e),
            ST_OK);
    }
    ck_assert_uint_eq(e.seen, count);
    ck_assert_uint_eq(r.rest.len, 0);
    frames_reader_release(&r);
    buf_release(&bytes);
}

START_TEST(messages_pass_in_any_pieces)
{
    const struct raft_msg *list[COUNT_OF(messages)];

    for (int i = 0; i < COUNT_OF(messages); i++) {
        list[i] = &messages[i];
    }
    for (size_t step = 1; step < 200; step += 7) {
        pass(FRAMES_MESSAGES, list, COUNT_OF(messages), step);
    }
}
END_TEST

START_TEST(appends_pass_in_any_pieces)
{
    const struct raft_msg *list[] = {&messages[1], &messages[2], &messages[2],
                                     &messages[1]};

    for (size_t step = 1; step < 200; step += 7) {
        pass(FRAMES_APPENDS, list, COUNT_OF(list), step);
    }
}
END_TEST

/* What etcd 3.4's encoder makes of the same messages. */
START_TEST(bytes_are_etcds)
{
    static const uint8_t whole[] = {
        2, 0,    0, 0,    0,  0,    0, 0,    0x1a, 8,    3, 0x10,
        2, 0x18, 1, 0x20, 7,  0x28, 7, 0x30, 13,   0x3a, 6, 8,
        0, 0x10, 7, 0x18, 14, 0x40, 9, 0x50, 0,    0x58, 0};
    static const uint8_t more[] = {1, 0, 0, 0, 0, 0, 0, 0, 0,
                                   0, 0, 0, 0, 0, 0, 0, 14};
    struct raft_entry e = {.pos = {7, 14}};
    struct raft_msg m = {.type = RAFT_MSG_APPEND,
                         .from = 1,
                         .to = 2,
                         .term = 7,
                         .pos = {7, 13},
                         .commit = 9,
                         .entries = &e,
                         .entries_count = 1};
    struct frames_writer w = {.kind = FRAMES_APPENDS};
    struct buf bytes;

    buf_init(&bytes, 4096);
    frames_put(&w, &m, &bytes);
    ck_assert_uint_eq(bytes.len, sizeof(whole));
    ck_assert_mem_eq(bytes.data, whole, sizeof(whole));
    buf_clear(&bytes);
    m.pos.index = 14;
    m.entries_count = 0;
    m.commit = 14;
    frames_put(&w, &m, &bytes);
    ck_assert_uint_eq(bytes.len, sizeof(more));
    ck_assert_mem_eq(bytes.data, more, sizeof(more));
    buf_release(&bytes);
}
END_TEST

static void on_nothing(void *ctx, const struct raft_msg *m)
{
    (void)ctx;
    (void)m;
    ck_abort_msg("nothing was said");
}

static const struct bad_row {
    enum frames_kind kind;
    uint8_t bytes[24];
    size_t len;
    enum status st;
} bad_rows[] = {
    {FRAMES_MESSAGES, {0, 0, 0, 0, 0x7f}, 8, ST_TOO_BIG},
    {FRAMES_MESSAGES, {0, 0, 0, 0, 0, 0, 0, 1, 0xff}, 9, ST_CORRUPT},
    {FRAMES_MESSAGES, {0, 0, 0, 0, 0, 0, 0, 2, 8, 11}, 10, ST_OK}, /* local */
    {FRAMES_MESSAGES, {0, 0, 0, 0, 0, 0, 0, 2, 8, 7}, 10, ST_CORRUPT},
    {FRAMES_APPENDS, {3}, 1, ST_CORRUPT},
    {FRAMES_APPENDS, {2, 0, 0, 0, 0, 0, 0, 0, 2, 8, 4}, 11, ST_CORRUPT},
    {FRAMES_APPENDS, {1, 0, 0, 0, 0, 0, 0, 0, 1, 0xff}, 17, ST_TOO_BIG},
};

START_TEST(nonsense_is_refused)
{
    const struct bad_row *row = &bad_rows[_i];
    struct frames_reader r;

    frames_reader_init(&r, row->kind, 1, 2);
    ck_assert_int_eq(
        frames_feed(&r, slice_of(row->bytes, row->len), on_nothing, NULL),
        row->st);
    frames_reader_release(&r);
}
END_TEST

UNIT_MAIN("frames", {
    tcase_add_test(tc, messages_pass_in_any_pieces);
    tcase_add_test(tc, appends_pass_in_any_pieces);
    tcase_add_test(tc, bytes_are_etcds);
    tcase_add_loop_test(tc, nonsense_is_refused, 0, COUNT_OF(bad_rows));
})
