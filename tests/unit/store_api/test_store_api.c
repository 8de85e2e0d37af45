/*
 * What clients see of a running member: errors by code and text, watches,
 * leases, maintenance, pages.
 */
#include <stdio.h>

#include "base/core/pb.h"
#include "live.h"
#include "suite.h"

#define KV "/etcdserverpb.KV/"

static struct buf request;

static struct slice built(void)
{
    return buf_slice(&request);
}

static struct buf *build(void)
{
    buf_release(&request);
    buf_init(&request, 1024 * 1024);
    return &request;
}

static struct slice put_of(const char *key, const char *value)
{
    struct buf *b = build();

    pb_bytes(b, 1, slice_str(key));
    pb_bytes(b, 2, slice_str(value));
    return built();
}

static int64_t put(struct live *l, const char *key, const char *value)
{
    struct live_answer a = live_call(l, KV "Put", put_of(key, value));

    ck_assert_msg(a.code == GRPC_OK, "%s", a.text);
    return pick_int(a.bytes, "1.3");
}

#define is_text(got, wanted) ck_assert(slice_eq((got), slice_str(wanted)))

/* --- Refusals --- */

/* Requests in hexadecimal, and what is said to them. */
static const struct {
    const char *name;
    const char *path;
    const char *hex;
    enum grpc_code code;
    const char *text;
} refusals[] = {
    {"put without a key", KV "Put", "", GRPC_INVALID_ARGUMENT,
     "etcdserver: key is not provided"},
    {"a value that is to be ignored", KV "Put", "0a016b1201762801",
     GRPC_INVALID_ARGUMENT, "etcdserver: value is provided"},
    {"an unknown lease", KV "Put", "0a016b18e807", GRPC_NOT_FOUND,
     "etcdserver: requested lease not found"},
    {"rubbish", KV "Put", "ffffff", GRPC_INTERNAL,
     "etcdserver: malformed request"},
    {"range without a key", KV "Range", "", GRPC_INVALID_ARGUMENT,
     "etcdserver: key is not provided"},
    {"a future revision", KV "Range", "0a016b20e807", GRPC_OUT_OF_RANGE,
     "etcdserver: mvcc: required revision is a future revision"},
    {"a future revision in a read-only txn", KV "Txn", "12080a060a016b20e807",
     GRPC_OUT_OF_RANGE,
     "etcdserver: mvcc: required revision is a future revision"},
    {"the same key twice", KV "Txn", "120512030a016b120512030a016b",
     GRPC_INVALID_ARGUMENT, "etcdserver: duplicate key given in txn request"},
    {"a compaction to come", KV "Compact", "08e807", GRPC_OUT_OF_RANGE,
     "etcdserver: mvcc: required revision is a future revision"},
    {"a lease for ever", "/etcdserverpb.Lease/LeaseGrant", "08ffffffffffffff7f",
     GRPC_OUT_OF_RANGE, "etcdserver: too large lease TTL"},
    {"revoking nothing", "/etcdserverpb.Lease/LeaseRevoke", "08e807",
     GRPC_NOT_FOUND, "etcdserver: requested lease not found"},
    {"a hash of the future", "/etcdserverpb.Maintenance/HashKV", "08e807",
     GRPC_OUT_OF_RANGE,
     "etcdserver: mvcc: required revision is a future revision"},
    {"another method", "/etcdserverpb.KV/Fly", "", GRPC_UNIMPLEMENTED,
     "unknown method Fly for service etcdserverpb.KV"},
    {"another service", "/etcdserverpb.Auth/UserAdd", "", GRPC_UNIMPLEMENTED,
     "unknown service etcdserverpb.Auth"},
    {"another health", "/grpc.health.v1.Health/Check", "0a0178", GRPC_NOT_FOUND,
     "unknown service"},
};

static void add_hex(struct buf *b, const char *hex)
{
    for (; *hex != '\0'; hex += 2) {
        char digits[3] = {hex[0], hex[1], '\0'};

        ck_assert_int_eq(buf_add_u8(b, (uint8_t)strtoul(digits, NULL, 16)),
                         ST_OK);
    }
}

START_TEST(refusals_have_etcds_code_and_text)
{
    struct live *l = live_new();

    for (int i = 0; i < COUNT_OF(refusals); i++) {
        struct live_answer a;

        add_hex(build(), refusals[i].hex);
        a = live_call(l, refusals[i].path, built());
        ck_assert_msg(a.code == refusals[i].code, "%s: %s", refusals[i].name,
                      a.text);
        ck_assert_str_eq(a.text, refusals[i].text);
    }
    ck_assert_int_eq(put(l, "k", "v"), 2); /* None has taken a revision. */
    live_free(l);
}
END_TEST

START_TEST(sizes_are_bounded)
{
    struct live *l = live_new();
    char *value = calloc(1, 70001);
    struct live_answer a;

    ck_assert_ptr_nonnull(value);
    memset(value, 'v', 60000);
    ck_assert_int_eq(put(l, "k", value), 2);
    memset(value, 'v', 70000);
    a = live_call(l, KV "Put", put_of("k", value));
    ck_assert_int_eq(a.code, GRPC_INVALID_ARGUMENT);
    ck_assert_str_eq(a.text, "etcdserver: request is too large");
    build();
    for (int i = 0; i < 17; i++) {
        size_t op = pb_begin(&request, 2);
        size_t range = pb_begin(&request, 1);

        pb_bytes(&request, 1, slice_str("k"));
        pb_end(&request, range);
        pb_end(&request, op);
    }
    a = live_call(l, KV "Txn", built());
    ck_assert_str_eq(a.text, "etcdserver: too many operations in txn request");
    free(value);
    live_free(l);
}
END_TEST

/* --- Reading and writing --- */

START_TEST(what_was_written_is_there_after_a_restart)
{
    struct live *l = live_new();
    struct live_answer a;

    ck_assert_int_eq(put(l, "a", "1"), 2);
    ck_assert_int_eq(put(l, "a", "2"), 3);
    live_restart(l);
    pb_bytes(build(), 1, slice_str("a"));
    a = live_call(l, KV "Range", built());
    ck_assert_int_eq(a.code, GRPC_OK);
    ck_assert_int_eq(pick_int(a.bytes, "1.3"), 3);
    ck_assert_int_eq(pick_int(a.bytes, "1.4"), 3); /* A new term. */
    is_text(pick_bytes(a.bytes, "2.5"), "2");
    ck_assert_int_eq(pick_int(a.bytes, "2.4"), 2);
    ck_assert_int_eq(put(l, "a", "3"), 4);
    live_free(l);
}
END_TEST

/* More than a turn of the loop answers at once. */
START_TEST(long_ranges_come_whole)
{
    struct live *l = live_new();
    struct live_answer a;
    char key[24];

    for (int i = 0; i < 3000; i++) {
        (void)snprintf(key, sizeof(key), "many/%04d", i);
        (void)put(l, key, "value");
    }
    pb_bytes(build(), 1, slice_str("many/"));
    pb_bytes(&request, 2, slice_str("many0"));
    a = live_call(l, KV "Range", built());
    ck_assert_int_eq(pick_int(a.bytes, "4"), 3000);
    ck_assert_uint_eq(pick_count(a.bytes, 2), 3000);
    is_text(pick_bytes(a.bytes, "2.1"), "many/2999");
    live_free(l);
}
END_TEST

START_TEST(physical_compaction_is_answered_when_it_is_done)
{
    struct live *l = live_new();
    struct live_answer a;
    int64_t revision = 0;

    for (int i = 0; i < 500; i++) {
        revision = put(l, "k", "v");
    }
    pb_int(build(), 1, revision);
    pb_bool(&request, 2, true);
    a = live_call(l, KV "Compact", built());
    ck_assert_msg(a.code == GRPC_OK, "%s", a.text);
    ck_assert_int_eq(pick_int(a.bytes, "1.3"), revision);
    pb_bytes(build(), 1, slice_str("k"));
    pb_int(&request, 4, revision - 1);
    a = live_call(l, KV "Range", built());
    ck_assert_str_eq(a.text,
                     "etcdserver: mvcc: required revision has been compacted");
    live_free(l);
}
END_TEST

/* --- Watches --- */

struct watch_args {
    const char *key;
    const char *end;
    int64_t start;
    int64_t id;
    bool prev_kv, notify, fragment, no_put;
};

static void watch(struct live_stream *s, struct watch_args args)
{
    size_t mark = pb_begin(build(), 1);

    pb_bytes(&request, 1, slice_str(args.key));
    pb_bytes(&request, 2, slice_str(args.end));
    pb_int(&request, 3, args.start);
    pb_bool(&request, 4, args.notify);
    if (args.no_put) {
        pb_message(&request, 5, slice_of("", 1));
    }
    pb_bool(&request, 6, args.prev_kv);
    pb_int(&request, 7, args.id);
    pb_bool(&request, 8, args.fragment);
    pb_end(&request, mark);
    live_send(s, built());
}

static void expect_created(struct live_stream *s, int64_t id)
{
    struct slice m = live_next(s);

    ck_assert_int_eq(pick_int(m, "3"), 1);
    ck_assert_int_eq(pick_int(m, "4"), 0);
    ck_assert_int_eq(pick_int(m, "2"), id);
    ck_assert_int_ne(pick_int(m, "1.2"), 0);
}

START_TEST(one_stream_carries_many_watches)
{
    struct live *l = live_new();
    struct live_stream *s = live_open(l, "/etcdserverpb.Watch/Watch");
    struct slice m;

    watch(s, (struct watch_args){.key = "a"});
    expect_created(s, 0);
    watch(s, (struct watch_args){.key = "b", .id = 7, .prev_kv = true});
    expect_created(s, 7);
    watch(s, (struct watch_args){.key = "c", .id = 7});
    m = live_next(s);
    ck_assert_int_eq(pick_int(m, "2"), -1);
    ck_assert_int_eq(pick_int(m, "4"), 1);
    is_text(pick_bytes(m, "6"),
            "mvcc: duplicate watch ID provided on the WatchStream");
    watch(s, (struct watch_args){.key = "z", .end = "y"});
    is_text(pick_bytes(live_next(s), "6"), "mvcc: watcher range is empty");

    (void)put(l, "b", "1");
    m = live_next(s);
    ck_assert_int_eq(pick_int(m, "2"), 7);
    ck_assert_int_eq(pick_int(m, "1.3"), 2);
    is_text(pick_bytes(m, "11.2.1"), "b");
    ck_assert_ptr_null(pick_bytes(m, "11.3").data);
    (void)put(l, "b", "2");
    is_text(pick_bytes(live_next(s), "11.3.5"), "1");
    (void)put(l, "a", "1");
    ck_assert_int_eq(pick_int(live_next(s), "2"), 0);

    size_t mark = pb_begin(build(), 2);

    pb_int(&request, 1, 7);
    pb_end(&request, mark);
    live_send(s, built());
    m = live_next(s);
    ck_assert_int_eq(pick_int(m, "2"), 7);
    ck_assert_int_eq(pick_int(m, "4"), 1);
    (void)put(l, "b", "3");
    live_expect_silence(s);
    live_cancel(s);
    live_free(l);
}
END_TEST

START_TEST(history_comes_first_and_compaction_ends_it)
{
    struct live *l = live_new();
    struct live_stream *s = live_open(l, "/etcdserverpb.Watch/Watch");
    struct slice m;

    for (int i = 0; i < 5; i++) {
        (void)put(l, "k", "v");
    }
    watch(s, (struct watch_args){.key = "k", .start = 3});
    expect_created(s, 0);
    size_t seen = 0;

    while (seen < 4) {
        seen += pick_count(live_next(s), 11);
    }
    ck_assert_uint_eq(seen, 4);

    pb_int(build(), 1, 5);
    ck_assert_int_eq(live_call(l, KV "Compact", built()).code, GRPC_OK);
    watch(s, (struct watch_args){.key = "k", .start = 2});
    expect_created(s, 1);
    m = live_next(s);
    ck_assert_int_eq(pick_int(m, "4"), 1);
    ck_assert_int_eq(pick_int(m, "5"), 5);
    ck_assert_int_eq(pick_int(m, "1.3"), 0);
    live_cancel(s);
    live_free(l);
}
END_TEST

START_TEST(a_transaction_is_one_response_unless_split)
{
    struct live *l = live_new();
    struct live_stream *whole = live_open(l, "/etcdserverpb.Watch/Watch");
    struct live_stream *split = live_open(l, "/etcdserverpb.Watch/Watch");
    char *value = calloc(1, 60001);
    size_t parts = 0;
    size_t events = 0;
    struct slice m;

    ck_assert_ptr_nonnull(value);
    memset(value, 'v', 60000);
    for (char key[] = "a"; key[0] <= 'l'; key[0]++) {
        (void)put(l, key, value);
    }
    watch(whole, (struct watch_args){.key = "a", .end = "z", .prev_kv = true});
    watch(split,
          (struct watch_args){
              .key = "a", .end = "z", .prev_kv = true, .fragment = true});
    expect_created(whole, 0);
    expect_created(split, 0);

    /* Twelve deletes with 60 kB each: above 64 kB + 512 kB. */
    pb_bytes(build(), 1, slice_str("a"));
    pb_bytes(&request, 2, slice_str("z"));
    ck_assert_int_eq(live_call(l, KV "DeleteRange", built()).code, GRPC_OK);
    m = live_next(whole);
    ck_assert_uint_eq(pick_count(m, 11), 12);
    ck_assert_int_eq(pick_int(m, "7"), 0);
    do {
        m = live_next(split);
        parts++;
        events += pick_count(m, 11);
        ck_assert_int_eq(pick_int(m, "1.3"), 14);
    } while (pick_int(m, "7") == 1);
    ck_assert_uint_eq(events, 12);
    ck_assert_uint_eq(parts, 2);
    free(value);
    live_cancel(whole);
    live_cancel(split);
    live_free(l);
}
END_TEST

START_TEST(progress_is_told_when_asked_and_now_and_then)
{
    struct live *l = live_new();
    struct live_stream *s = live_open(l, "/etcdserverpb.Watch/Watch");
    struct slice m;

    live_send(s, slice_of("\x1a\x00", 2));
    live_expect_silence(s); /* No watcher: no answer. */
    watch(s, (struct watch_args){.key = "k"});
    expect_created(s, 0);
    m = live_next(s); /* The answer that was due. */
    ck_assert_int_eq(pick_int(m, "2"), -1);
    ck_assert_int_eq(pick_int(m, "1.3"), 1);
    (void)put(l, "other", "v");
    live_send(s, slice_of("\x1a\x00", 2));
    m = live_next(s);
    ck_assert_int_eq(pick_int(m, "2"), -1);
    ck_assert_int_eq(pick_int(m, "1.3"), 2);

    watch(s, (struct watch_args){.key = "k", .id = 9, .notify = true});
    expect_created(s, 9);
    m = live_next(s);
    ck_assert_int_eq(pick_int(m, "2"), 9);
    ck_assert_uint_eq(pick_count(m, 11), 0);
    ck_assert_int_eq(pick_int(m, "1.3"), 2);
    live_half_close(s); /* The stream goes on. */
    (void)put(l, "k", "v");
    do {
        m = live_next(s);
    } while (pick_count(m, 11) == 0);
    is_text(pick_bytes(m, "11.2.1"), "k");
    live_cancel(s);
    live_free(l);
}
END_TEST

/* --- Leases --- */

START_TEST(leases_are_kept_alive_one_answer_a_request)
{
    struct live *l = live_new();
    struct live_stream *s = live_open(l, "/etcdserverpb.Lease/LeaseKeepAlive");
    struct live_answer a;
    struct slice m;
    int64_t id;

    pb_int(build(), 1, 60);
    a = live_call(l, "/etcdserverpb.Lease/LeaseGrant", built());
    id = pick_int(a.bytes, "2");
    ck_assert_int_gt(id, 0);
    ck_assert_int_eq(pick_int(a.bytes, "3"), 60);
    for (int i = 0; i < 3; i++) {
        pb_int(build(), 1, i == 1 ? 4711 : id);
        live_send(s, built());
    }
    for (int i = 0; i < 3; i++) {
        m = live_next(s);
        ck_assert_int_eq(pick_int(m, "2"), i == 1 ? 4711 : id);
        ck_assert_int_eq(pick_int(m, "3"), i == 1 ? 0 : 60);
    }
    live_half_close(s);
    ck_assert_int_eq(live_end(s), GRPC_OK);

    pb_int(build(), 1, 4711);
    a = live_call(l, "/etcdserverpb.Lease/LeaseTimeToLive", built());
    ck_assert_int_eq(pick_int(a.bytes, "3"), -1);
    a = live_call(l, "/etcdserverpb.Lease/LeaseLeases", (struct slice){0});
    ck_assert_int_eq(pick_int(a.bytes, "2.1"), id);
    live_free(l);
}
END_TEST

/* --- Maintenance --- */

START_TEST(alarms_are_raised_and_disarmed)
{
    struct live *l = live_new();
    struct live_answer a;

    pb_uint(build(), 1, 1);
    pb_uint(&request, 2, 5);
    pb_uint(&request, 3, 1);
    a = live_call(l, "/etcdserverpb.Maintenance/Alarm", built());
    ck_assert_int_eq(pick_int(a.bytes, "2.1"), 5);
    a = live_call(l, KV "Put", put_of("k", "v"));
    ck_assert_str_eq(a.text, "etcdserver: mvcc: database space exceeded");
    ck_assert_int_eq(a.code, GRPC_RESOURCE_EXHAUSTED);
    a = live_call(l, "/etcdserverpb.Maintenance/Status", (struct slice){0});
    is_text(pick_bytes(a.bytes, "8"), "memberID:5 alarm:NOSPACE ");
    ck_assert_str_eq(live_get(l, "GET", "/health"),
                     "503 {\"health\":\"false\",\"reason\":\"ALARM NOSPACE\"}");
    ck_assert_str_eq(live_get(l, "GET", "/health?exclude=NOSPACE"),
                     "200 {\"health\":\"true\",\"reason\":\"\"}");
    pb_uint(build(), 1, 2);
    pb_uint(&request, 2, 5);
    pb_uint(&request, 3, 1);
    a = live_call(l, "/etcdserverpb.Maintenance/Alarm", built());
    ck_assert_int_eq(a.code, GRPC_OK);
    (void)put(l, "k", "v");
    a = live_call(l, "/etcdserverpb.Maintenance/Alarm", (struct slice){0});
    ck_assert_uint_eq(pick_count(a.bytes, 2), 0);
    live_free(l);
}
END_TEST

START_TEST(members_say_who_they_are)
{
    struct live *l = live_new();
    struct live_answer a;

    (void)put(l, "k", "v"); /* Comes behind what it publishes in the log. */
    a = live_call(l, "/etcdserverpb.Cluster/MemberList", (struct slice){0});
    is_text(pick_bytes(a.bytes, "2.2"), "live");
    is_text(pick_bytes(a.bytes, "2.3"), "http://localhost:2380");
    ck_assert(slice_starts(pick_bytes(a.bytes, "2.4"),
                           slice_str("http://127.0.0.1:")));
    ck_assert_int_eq(pick_int(a.bytes, "1.3"), 0);
    a = live_call(l, "/etcdserverpb.Maintenance/Status", (struct slice){0});
    ck_assert_int_eq(pick_int(a.bytes, "4"), pick_int(a.bytes, "1.2"));
    ck_assert_int_ge(pick_int(a.bytes, "3"), pick_int(a.bytes, "9"));
    ck_assert_int_gt(pick_int(a.bytes, "9"), 0);
    a = live_call(l, "/grpc.health.v1.Health/Check", (struct slice){0});
    ck_assert_int_eq(pick_int(a.bytes, "1"), 1);
    live_free(l);
}
END_TEST

/* --- Pages --- */

static const struct {
    const char *method;
    const char *path;
    const char *begins;
} pages[] = {
    {"GET", "/version",
     "200 {\"etcdserver\":\"3.5.16\",\"etcdcluster\":\"3.5.0\"}"},
    {"GET", "/health?serializable=true",
     "200 {\"health\":\"true\",\"reason\":\"\"}"},
    {"GET", "/metrics", "200 # HELP etcd_"},
    {"GET", "/", "404 404 page not found"},
    {"GET", "/v2/keys", "404 404 page not found"},
    {"POST", "/health", "405 "},
};

/* They become lines of HTTP requests and JSON in every member's store. */
START_TEST(a_members_url_is_one)
{
#define URL(text)              \
    {                          \
        text, sizeof(text) - 1 \
    }
    static const struct {
        const char *text;
        size_t len;
    } rows[] = {
        URL(""),
        URL("127.0.0.1:2380"),
        URL("http://127.0.0.1"),
        URL("http://:2380"),
        URL("http://127.0.0.1:port"),
        URL("http://127.0.0.1:65536"),
        URL("http://127.0.0.1:2380/path"),
        URL("http://127.0.0.1\r\nX-Evil: yes:2380"),
        URL("http://127.0.0.1:2380\0behind"),
        URL("http://\xff\xfe:2380"),
        URL("unix:///tmp/a b"),
    };
    struct live *l = live_new();

    for (int i = 0; i < COUNT_OF(rows); i++) {
        struct buf *b = build();
        struct live_answer a;

        pb_message(b, 1, slice_of(rows[i].text, rows[i].len));
        a = live_call(l, "/etcdserverpb.Cluster/MemberAdd", built());
        ck_assert_msg(a.code == GRPC_INVALID_ARGUMENT, "%s: %d %s",
                      rows[i].text, (int)a.code, a.text);
        ck_assert_str_eq(a.text, "etcdserver: given member URLs are invalid");
    }
    live_free(l);
}
END_TEST

START_TEST(pages_are_etcds)
{
    struct live *l = live_new();

    (void)put(l, "k", "v"); /* Comes behind the cluster version in the log. */
    for (int i = 0; i < COUNT_OF(pages); i++) {
        const char *got = live_get(l, pages[i].method, pages[i].path);

        ck_assert_msg(strncmp(got, pages[i].begins, strlen(pages[i].begins)) ==
                          0,
                      "%s: %.200s", pages[i].path, got);
    }
    live_free(l);
}
END_TEST

static void release(void)
{
    buf_release(&request);
}

UNIT_MAIN("store_api", {
    tcase_add_unchecked_fixture(tc, NULL, release);
    tcase_add_test(tc, refusals_have_etcds_code_and_text);
    tcase_add_test(tc, sizes_are_bounded);
    tcase_add_test(tc, what_was_written_is_there_after_a_restart);
    tcase_add_test(tc, long_ranges_come_whole);
    tcase_add_test(tc, physical_compaction_is_answered_when_it_is_done);
    tcase_add_test(tc, one_stream_carries_many_watches);
    tcase_add_test(tc, history_comes_first_and_compaction_ends_it);
    tcase_add_test(tc, a_transaction_is_one_response_unless_split);
    tcase_add_test(tc, progress_is_told_when_asked_and_now_and_then);
    tcase_add_test(tc, leases_are_kept_alive_one_answer_a_request);
    tcase_add_test(tc, alarms_are_raised_and_disarmed);
    tcase_add_test(tc, members_say_who_they_are);
    tcase_add_test(tc, a_members_url_is_one);
    tcase_add_test(tc, pages_are_etcds);
})
