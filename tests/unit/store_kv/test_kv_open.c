/* Tables that are not as we left them, and a backend that fails. */
#include <stdio.h>

#include "base/core/pb.h"
#include "suite.h"
#include "unit/store_kv/memory_table.h"

#include "store/kv/record.h"
#include "store/kv/watch.h"

#define BYTES(text)                               \
    {                                             \
        (const uint8_t *)(text), sizeof(text) - 1 \
    }

#define REV_2 "\0\0\0\0\0\0\0\2_\0\0\0\0\0\0\0\0"

static const struct {
    const char *name;
    enum table_id table;
    struct slice key;
    struct slice value;
    const char *said; /* NULL: fine */
} rows[] = {
    {"a put", TABLE_KEY, BYTES(REV_2),
     BYTES("\x0a\x01k\x10\x02\x18\x02\x20\x01"), NULL},
    {"a tombstone alone", TABLE_KEY, BYTES(REV_2 "t"), BYTES("\x0a\x01k"),
     NULL},
    {"no revision", TABLE_KEY, BYTES("x"), BYTES("\x0a\x01k"),
     "table key: row 78 is damaged"},
    {"no key", TABLE_KEY, BYTES(REV_2), BYTES("\x10\x02\x18\x02\x20\x01"),
     "table key: row 0000000000000002"},
    {"cut", TABLE_KEY, BYTES(REV_2), BYTES("\x0a\x05k"),
     "table key: row 0000000000000002"},
    {"of another revision", TABLE_KEY, BYTES(REV_2),
     BYTES("\x0a\x01k\x10\x02\x18\x03\x20\x01"),
     "table key: row 0000000000000002"},
    {"no version", TABLE_KEY, BYTES(REV_2), BYTES("\x0a\x01k\x10\x02\x18\x02"),
     "table key: row 0000000000000002"},
    {"a lease", TABLE_LEASE, BYTES("\0\0\0\0\0\0\0\7"),
     BYTES("\x08\x07\x10\x3c"), NULL},
    {"a lease without id", TABLE_LEASE, BYTES("\0\0\0\0\0\0\0\7"),
     BYTES("\x10\x3c"), "table lease: row 0000000000000007 is damaged"},
    {"an alarm", TABLE_ALARM, BYTES("\x08\x01\x10\x01"), BYTES(""), NULL},
    {"not an alarm", TABLE_ALARM, BYTES("\xff"), BYTES(""),
     "table alarm: row ff is damaged"},
    {"a member", TABLE_MEMBERS, BYTES("8e9e05c52164694d"),
     BYTES("{\"id\":10276657743932975437,\"peerURLs\":[\"http://h:1\"]}"),
     NULL},
    {"not a member", TABLE_MEMBERS, BYTES("8e9e05c52164694d"), BYTES("{"),
     "table members: row"},
    {"not a member's id", TABLE_MEMBERS, BYTES("xyz"), BYTES("{}"),
     "table members: row 78797a is damaged"},
    {"an index too short", TABLE_META, BYTES("consistent_index"), BYTES("1"),
     "table meta: row"},
    {"a compaction too short", TABLE_META, BYTES("scheduledCompactRev"),
     BYTES("1"), "table meta: row"},
};

START_TEST(a_damaged_row_is_named)
{
    struct table_write write = {
        .table = rows[_i].table, .key = rows[_i].key, .value = rows[_i].value};
    struct kv_config config = kv_config_default();
    struct memory_table table;
    struct kv *kv = NULL;
    struct err err = {0};
    enum status st;

    memory_table_init(&table);
    memory_table_write(&table, &write);
    st = kv_open(&config, &table.port, &kv, &err);
    if (rows[_i].said == NULL) {
        ck_assert_msg(st == ST_OK, "%s: %s", rows[_i].name, err.text);
        kv_verify(kv);
        kv_free(kv);
    } else {
        ck_assert_msg(st == ST_CORRUPT, "%s", rows[_i].name);
        ck_assert_msg(strstr(err.text, rows[_i].said) == err.text, "%s: %s",
                      rows[_i].name, err.text);
    }
    memory_table_release(&table);
}
END_TEST

/* An older etcd drops a tombstone at the compacted revision: then nothing in
 * the table is as new as the compaction. */
START_TEST(the_revision_is_not_below_the_compaction)
{
    struct kv_config config = kv_config_default();
    struct rev_key at = rev_key_pack((struct kv_rev){.main = 9}, false);
    struct table_write write = {.table = TABLE_META,
                                .key = slice_str("finishedCompactRev"),
                                .value = rev_key_slice(&at)};
    struct memory_table table;
    struct kv *kv = NULL;

    memory_table_init(&table);
    memory_table_write(&table, &write);
    ck_assert_int_eq(kv_open(&config, &table.port, &kv, NULL), ST_OK);
    ck_assert_int_eq(kv_revision(kv), 9);
    ck_assert_int_eq(kv_compacted(kv), 9);
    kv_free(kv);
    memory_table_release(&table);
}
END_TEST

/* ------------------------------------------------------- the nth failure */

static void apply_put(struct kv *kv, const char *key, bool prev_kv,
                      struct kv_reply *reply)
{
    struct buf request;
    struct buf data;
    struct kv_entry e = {.index = kv_index(kv) + 1, .term = 1};

    buf_init(&request, SIZE_MAX);
    buf_init(&data, SIZE_MAX);
    pb_bytes(&request, 1, slice_str(key));
    pb_bytes(&request, 2, slice_str("value"));
    pb_bool(&request, 4, prev_kv);
    kv_entry_pack(&data, 1, KV_PUT, buf_slice(&request));
    e.data = buf_slice(&data);
    kv_apply(kv, &e, 0, reply);
    buf_release(&request);
    buf_release(&data);
}

static void read_all(struct kv *kv, struct kv_reply *reply)
{
    static const char request[] = "\x0a\x01\x00\x12\x01\x00";
    struct kv_range *range;

    kv_range_start(kv, slice_of(request, 6), reply, &range);
    while (range != NULL && !kv_range_step(range)) {
        ;
    }
    kv_range_free(range);
}

static void watch_all(struct kv *kv)
{
    struct watch_spec spec = {.key = slice_of("", 1),
                              .range_end = slice_of("", 1),
                              .start_revision = 1,
                              .prev_kv = true};
    struct watcher *w = watch_add(kv, &spec);
    struct watch_notice notice;

    /* After a failure a watcher that is behind has nothing to say for ever. */
    while (watch_ready(kv) != NULL && kv_failure(kv) == ST_OK) {
        watch_next(w, &notice);
    }
    watch_free(w);
}

/* Everything that reads from the table, once. */
static void run_all(struct kv *kv, struct memory_table *table,
                    struct kv_reply *reply)
{
    struct kv_hash *hash;

    apply_put(kv, "a", false, reply);
    apply_put(kv, "b", false, reply);
    apply_put(kv, "a", false, reply);
    memory_table_commit(table, kv);
    apply_put(kv, "b", true, reply);
    read_all(kv, reply);
    watch_all(kv);
    hash = kv_hash_start(kv, 0, reply);
    while (hash != NULL && !kv_hash_step(hash)) {
        ;
    }
    kv_hash_free(hash);
}

/* However the backend fails: no crash, a failure that stays, and never a batch
 * after it. */
START_TEST(the_nth_read_fails)
{
    uint64_t reads = 1;

    for (uint64_t n = 0; n < reads; n++) {
        struct kv_config config = kv_config_default();
        struct memory_table table;
        struct kv_reply reply;
        struct kv *kv = NULL;
        struct err err = {0};

        memory_table_init(&table);
        kv_reply_init(&reply);
        table.fail_at = n; /* 0: none, to count them. */
        if (kv_open(&config, &table.port, &kv, &err) == ST_OK) {
            run_all(kv, &table, &reply);
            ck_assert(kv_failure(kv) == (n == 0 ? ST_OK : ST_IO));
            if (n > 0) {
                ck_assert_ptr_null(kv_take(kv));
                apply_put(kv, "c", false, &reply);
                ck_assert_int_eq(reply.error, KV_DAMAGED);
            }
            kv_free(kv);
        } else {
            ck_assert_uint_gt(n, 0);
            ck_assert(err.text[0] != '\0');
        }
        reads = n == 0 ? table.calls + 1 : reads;
        memory_table_release(&table);
        kv_reply_release(&reply);
    }
    ck_assert_uint_gt(reads, 10);
}
END_TEST

UNIT_MAIN("kv_open", {
    tcase_add_loop_test(tc, a_damaged_row_is_named, 0, COUNT_OF(rows));
    tcase_add_test(tc, the_revision_is_not_below_the_compaction);
    tcase_add_test(tc, the_nth_read_fails);
})
