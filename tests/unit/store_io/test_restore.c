/*
 * A data directory is made of a whole snapshot, or nothing is.
 */
#include "store/io/restore.h"

#include <fcntl.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/core/arena.h"
#include "base/core/wire.h"
#include "scratch.h"
#include "store/io/data_dir.h"
#include "store/io/snapshot_file.h"
#include "store/snap/writer.h"
#include "suite.h"

enum {
    KEYS = 50,
    REV_BYTES = 17,
    LAST_REVISION = KEYS + 1
};

struct fixture {
    char path[64];
    char file[96];
    char place[96];
    char part[112];
    struct buf bytes; /* Of a good file. */
    struct err err;
};

/* --- A file --- */

/* Key "k" with the value of its revision, as etcd encodes both. */
static void put_key(struct snap_writer *w, uint64_t revision)
{
    uint8_t key[REV_BYTES] = {0};
    uint8_t value[] = {0x0a,
                       1,
                       'k',
                       0x10,
                       2,
                       0x18,
                       (uint8_t)revision,
                       0x20,
                       (uint8_t)(revision - 1),
                       0x2a,
                       1,
                       'v'};

    wire_put_u64be(key, revision);
    key[8] = '_';
    snap_row(w, slice_of(key, sizeof(key)), slice_of(value, sizeof(value)));
}

static void put_rows(struct snap_writer *w)
{
    uint8_t number[8];

    wire_put_u64be(number, 1000);
    snap_bucket(w, slice_str("cluster"));
    snap_row(w, slice_str("clusterVersion"), slice_str("3.5.0"));
    snap_bucket(w, slice_str("key"));
    for (uint64_t revision = 2; revision <= LAST_REVISION; revision++) {
        put_key(w, revision);
    }
    snap_bucket(w, slice_str("members"));
    snap_row(w, slice_str("8211f1d0f64f3269"), slice_str("{\"id\":1}"));
    snap_bucket(w, slice_str("members_removed"));
    snap_row(w, slice_str("8e9e05c52164694d"), slice_str("removed"));
    snap_bucket(w, slice_str("meta"));
    snap_row(w, slice_str("confState"), slice_str("{\"voters\":[1]}"));
    snap_row(w, slice_str("consistent_index"), slice_of(number, 8));
    snap_row(w, slice_str("term"), slice_of(number, 8));
    snap_end(w);
}

static void make_bytes(struct buf *out)
{
    struct snap_writer w;
    uint8_t sum[SHA256_DIGEST_LENGTH];
    uint64_t pages;

    buf_init(out, SIZE_MAX);
    snap_writer_init(&w, SNAP_MEASURE, 0, out);
    put_rows(&w);
    pages = snap_writer_pages(&w);
    snap_writer_release(&w);
    snap_writer_init(&w, SNAP_WRITE, pages, out);
    put_rows(&w);
    snap_writer_release(&w);
    (void)SHA256(out->data, out->len, sum);
    ck_assert_int_eq(buf_add(out, slice_of(sum, sizeof(sum))), ST_OK);
}

static void write_file(const char *path, struct slice bytes)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, bytes.data, bytes.len), bytes.len);
    ck_assert_int_eq(close(fd), 0);
}

static void setup(struct fixture *f)
{
    *f = (struct fixture){0};
    scratch_make(f->path);
    (void)snprintf(f->file, sizeof(f->file), "%s/file", f->path);
    (void)snprintf(f->place, sizeof(f->place), "%s/place", f->path);
    (void)snprintf(f->part, sizeof(f->part), "%s.restoring", f->place);
    make_bytes(&f->bytes);
    write_file(f->file, buf_slice(&f->bytes));
}

static void teardown(struct fixture *f)
{
    buf_release(&f->bytes);
    scratch_remove(f->path);
}

static enum status restore(struct fixture *f, enum restore_sum sum,
                           struct restore_facts *out_facts)
{
    struct member_config config;

    member_config_init(&config);
    config.data_dir = f->place;
    f->err.text[0] = '\0';
    return store_restore(f->file, &config, sum, out_facts, &f->err);
}

static bool exists(const char *path)
{
    return access(path, F_OK) == 0;
}

static void is_refused(struct fixture *f, enum restore_sum sum,
                       enum status wanted, const char *words)
{
    struct restore_facts facts;

    ck_assert_int_eq(restore(f, sum, &facts), wanted);
    ck_assert_msg(strstr(f->err.text, words) != NULL, "\"%s\" without \"%s\"",
                  f->err.text, words);
}

/* --- Tests --- */

START_TEST(members_and_log_are_new)
{
    struct fixture f;
    struct restore_facts facts;
    struct arena arena = {0};
    struct data_dir dir;

    setup(&f);
    ck_assert_msg(restore(&f, RESTORE_CHECK_SUM, &facts) == ST_OK, "%s",
                  f.err.text);
    ck_assert_int_eq(facts.revision, LAST_REVISION);
    ck_assert_uint_eq(facts.rows, KEYS);
    /* As etcd gives them to "default" at http://localhost:2380. */
    ck_assert_uint_eq(facts.member_id, 0x8e9e05c52164694d);
    ck_assert_uint_eq(facts.cluster_id, 0xcdf818194e3a8c32);
    ck_assert(!exists(f.part));
    ck_assert(data_dir_has_log(f.place));
    ck_assert_int_eq(data_dir_open(&arena, f.place, &dir, &f.err), ST_OK);
    data_dir_close(&dir);
    arena_release(&arena);
    teardown(&f);
}
END_TEST

START_TEST(what_is_there_already_stays)
{
    struct fixture f;

    setup(&f);
    ck_assert_int_eq(mkdir(f.place, 0700), 0);
    is_refused(&f, RESTORE_CHECK_SUM, ST_EXISTS, "exists: choose another");
    ck_assert_int_eq(rmdir(f.place), 0);
    write_file(f.place, slice_str("x"));
    is_refused(&f, RESTORE_CHECK_SUM, ST_EXISTS, "exists: choose another");
    ck_assert_int_eq(unlink(f.place), 0);
    ck_assert(!exists(f.part));
    teardown(&f);
}
END_TEST

START_TEST(what_a_crash_has_left_is_replaced_and_others_things_are_not)
{
    struct fixture f;
    struct restore_facts facts;
    char name[160];
    struct arena arena = {0};
    struct data_dir dir;

    setup(&f);
    ck_assert_int_eq(data_dir_open(&arena, f.part, &dir, &f.err), ST_OK);
    is_refused(&f, RESTORE_CHECK_SUM, ST_BUSY, "in use by another process");
    data_dir_close(&dir);
    arena_release(&arena);

    (void)snprintf(name, sizeof(name), "%s/diary", f.part);
    write_file(name, slice_str("dear"));
    is_refused(&f, RESTORE_CHECK_SUM, ST_EXISTS, "it holds \"diary\"");
    ck_assert(exists(name));
    ck_assert_int_eq(unlink(name), 0);

    (void)snprintf(name, sizeof(name), "%s/member/wal", f.part);
    ck_assert_int_eq(mkdir(name, 0700), 0);
    (void)snprintf(name, sizeof(name), "%s/member/wal/0000000000000001.wal",
                   f.part);
    write_file(name, slice_str("half a log"));
    ck_assert_msg(restore(&f, RESTORE_CHECK_SUM, &facts) == ST_OK, "%s",
                  f.err.text);
    ck_assert(!exists(f.part));
    teardown(&f);
}
END_TEST

START_TEST(a_file_without_its_sum_must_be_asked_for)
{
    struct fixture f;
    struct restore_facts facts;

    setup(&f);
    f.bytes.len -= SHA256_DIGEST_LENGTH;
    write_file(f.file, buf_slice(&f.bytes));
    is_refused(&f, RESTORE_CHECK_SUM, ST_CORRUPT, "snapshot missing hash");
    ck_assert_msg(restore(&f, RESTORE_SKIP_SUM, &facts) == ST_OK, "%s",
                  f.err.text);
    ck_assert_int_eq(facts.revision, LAST_REVISION);
    teardown(&f);
}
END_TEST

START_TEST(no_flipped_bit_passes_the_sum)
{
    struct fixture f;

    setup(&f);
    for (size_t i = 0; i < f.bytes.len; i += 11) {
        f.bytes.data[i] ^= (uint8_t)(1u << (i & 7));
        write_file(f.file, buf_slice(&f.bytes));
        is_refused(&f, RESTORE_CHECK_SUM, ST_CORRUPT, "is damaged: its SHA");
        f.bytes.data[i] ^= (uint8_t)(1u << (i & 7));
    }
    ck_assert(!exists(f.place));
    ck_assert(!exists(f.part));
    teardown(&f);
}
END_TEST

START_TEST(no_cut_file_passes)
{
    struct fixture f;

    setup(&f);
    for (size_t len = f.bytes.len - 1; len > 0; len -= len < 97 ? len : 97) {
        write_file(f.file, slice_of(f.bytes.data, len));
        is_refused(&f, RESTORE_CHECK_SUM, ST_CORRUPT, f.file);
    }
    for (size_t len = f.bytes.len - 64; len > 4096; len -= 4096) {
        write_file(f.file, slice_of(f.bytes.data, len));
        is_refused(&f, RESTORE_SKIP_SUM, ST_CORRUPT, f.file);
    }
    write_file(f.file, (struct slice){0});
    is_refused(&f, RESTORE_SKIP_SUM, ST_CORRUPT, "is empty");
    ck_assert_int_eq(unlink(f.file), 0);
    is_refused(&f, RESTORE_SKIP_SUM, ST_NOT_FOUND, "No such file");
    ck_assert(!exists(f.place));
    ck_assert(!exists(f.part));
    teardown(&f);
}
END_TEST

/* Without a sum some damage cannot be known; what is, leaves nothing. */
START_TEST(damage_that_is_found_while_restoring_leaves_nothing)
{
    struct fixture f;
    struct restore_facts facts;
    size_t refused = 0;

    setup(&f);
    for (size_t i = 1; i < f.bytes.len; i += 997) {
        f.bytes.data[i] ^= 0xff;
        write_file(f.file, buf_slice(&f.bytes));
        if (restore(&f, RESTORE_SKIP_SUM, &facts) == ST_OK) {
            ck_assert(exists(f.place));
            ck_assert_int_eq(data_dir_remove(f.place, &f.err), ST_OK);
        } else {
            refused++;
        }
        ck_assert(!exists(f.place));
        ck_assert(!exists(f.part));
        f.bytes.data[i] ^= 0xff;
    }
    ck_assert_uint_gt(refused, 0);
    teardown(&f);
}
END_TEST

START_TEST(flags_that_make_no_sense_are_named)
{
    struct fixture f;
    struct restore_facts facts;
    struct member_config config;

    setup(&f);
    member_config_init(&config);
    config.data_dir = f.place;
    config.initial_cluster = "other=http://127.0.0.1:1";
    ck_assert_int_eq(
        store_restore(f.file, &config, RESTORE_CHECK_SUM, &facts, &f.err),
        ST_INVALID);
    ck_assert_ptr_nonnull(strstr(f.err.text, "--initial-cluster"));
    ck_assert(!exists(f.part));
    teardown(&f);
}
END_TEST

/* --- What status says --- */

START_TEST(a_summary_is_etcdctls)
{
    struct fixture f;
    struct snapshot_file file;
    struct snapshot_summary summary;

    setup(&f);
    ck_assert_int_eq(snapshot_file_open(f.file, &file, &f.err), ST_OK);
    ck_assert(file.has_sum);
    ck_assert_int_eq(snapshot_file_check_sum(&file, &f.err), ST_OK);
    ck_assert_int_eq(snapshot_file_sum_up(&file, &summary, &f.err), ST_OK);
    ck_assert_int_eq(summary.revision, LAST_REVISION);
    ck_assert_uint_eq(summary.rows, KEYS + 6);
    ck_assert_uint_eq(summary.bytes, f.bytes.len - SHA256_DIGEST_LENGTH);
    ck_assert_uint_eq(summary.hash, 0xb69d4389);
    snapshot_file_close(&file);
    ck_assert_int_eq(snapshot_file_open(f.path, &file, &f.err), ST_INVALID);
    teardown(&f);
}
END_TEST

UNIT_MAIN("restore", {
    tcase_add_test(tc, members_and_log_are_new);
    tcase_add_test(tc, what_is_there_already_stays);
    tcase_add_test(tc,
                   what_a_crash_has_left_is_replaced_and_others_things_are_not);
    tcase_add_test(tc, a_file_without_its_sum_must_be_asked_for);
    tcase_add_test(tc, no_flipped_bit_passes_the_sum);
    tcase_add_test(tc, no_cut_file_passes);
    tcase_add_test(tc, damage_that_is_found_while_restoring_leaves_nothing);
    tcase_add_test(tc, flags_that_make_no_sense_are_named);
    tcase_add_test(tc, a_summary_is_etcdctls);
})
