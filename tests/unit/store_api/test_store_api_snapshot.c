/*
 * Maintenance.Snapshot of a running member: what is in the stream, how many at
 * once, and what is left of one that ends early.
 */
#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>

#include "base/core/pb.h"
#include "live.h"
#include "suite.h"

#define SNAPSHOT "/etcdserverpb.Maintenance/Snapshot"

enum {
    BLOB_BYTES = 32 * 1024,
    SUM_BYTES = 32,
    LARGE_PUTS = 40
};

static void put(struct live *l, const char *key, const char *value)
{
    struct live_answer a;
    struct buf request;

    buf_init(&request, (size_t)64 * 1024);
    pb_bytes(&request, 1, slice_str(key));
    pb_bytes(&request, 2, slice_str(value));
    a = live_call(l, "/etcdserverpb.KV/Put", buf_slice(&request));
    ck_assert_msg(a.code == GRPC_OK, "%s", a.text);
    buf_release(&request);
}

static struct live_stream *snapshot_open(struct live *l)
{
    struct live_stream *s = live_open(l, SNAPSHOT);

    live_send(s, (struct slice){0});
    live_half_close(s);
    return s;
}

/* The file, and as its last bytes the sum. */
static void snapshot_gather(struct live_stream *s, struct buf *file)
{
    uint64_t left = UINT64_MAX;
    struct slice message;

    while ((message = live_next(s)).len > 0) {
        struct slice blob = pick_bytes(message, "3");
        uint64_t now_left = (uint64_t)pick_int(message, "2");

        ck_assert_uint_gt(blob.len, 0);
        ck_assert_uint_le(blob.len, BLOB_BYTES);
        ck_assert(left == UINT64_MAX || left == 0 ||
                  now_left == left - blob.len);
        ck_assert_ptr_null(pick_bytes(message, "1").data);
        left = now_left;
        ck_assert_int_eq(buf_add(file, blob), ST_OK);
    }
    ck_assert_uint_eq(left, 0);
}

static void put_large(struct live *l)
{
    char value[BLOB_BYTES];
    char key[32];

    memset(value, 'v', sizeof(value));
    value[sizeof(value) - 1] = '\0';
    for (int i = 0; i < LARGE_PUTS; i++) {
        (void)snprintf(key, sizeof(key), "large%d", i);
        put(l, key, value);
    }
}

START_TEST(a_snapshot_is_a_file_and_its_sum)
{
    struct live *l = live_new();
    struct live_stream *s;
    struct buf file;
    uint8_t sum[SUM_BYTES];

    buf_init(&file, (size_t)16 * 1024 * 1024);
    put_large(l);
    put(l, "the last of all", "x");
    s = snapshot_open(l);
    snapshot_gather(s, &file);
    ck_assert_int_eq(live_end(s), GRPC_OK);

    ck_assert_uint_gt(file.len, (size_t)LARGE_PUTS * BLOB_BYTES);
    ck_assert_uint_eq(file.len % 512, SUM_BYTES);
    file.len -= SUM_BYTES;
    ck_assert_ptr_nonnull(SHA256(file.data, file.len, sum));
    ck_assert_mem_eq(sum, file.data + file.len, SUM_BYTES);
    ck_assert_ptr_nonnull(memmem(file.data, file.len, "the last of all", 15));
    buf_release(&file);
    live_free(l);
}
END_TEST

START_TEST(few_snapshots_at_once_and_one_that_is_left_makes_room)
{
    struct live *l = live_new();
    struct live_stream *s[4];

    put_large(l);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 4; i++) {
            s[i] = snapshot_open(l);
        }
        ck_assert_int_eq(live_end(s[3]), GRPC_RESOURCE_EXHAUSTED);
        ck_assert_uint_gt(live_next(s[0]).len, 0);
        for (int i = 0; i < 3; i++) {
            live_cancel(s[i]);
        }
    }
    live_free(l);
}
END_TEST

START_TEST(a_member_that_stops_lets_go_of_its_snapshots)
{
    struct live *l = live_new();
    struct live_stream *s[3];

    put_large(l);
    for (int i = 0; i < 3; i++) {
        s[i] = snapshot_open(l);
    }
    (void)live_next(s[0]);
    live_restart(l);
    for (int i = 0; i < 3; i++) {
        (void)live_end(s[i]);
    }
    put(l, "still", "there");
    live_free(l);
}
END_TEST

UNIT_MAIN("store_api_snapshot", {
    tcase_add_test(tc, a_snapshot_is_a_file_and_its_sum);
    tcase_add_test(tc, few_snapshots_at_once_and_one_that_is_left_makes_room);
    tcase_add_test(tc, a_member_that_stops_lets_go_of_its_snapshots);
})
