/* Damage in the files of a log is found, named, and told what to do about. */
#include "wal_story.h"

static void refused(struct mem_disk *m, const char *what, const char *says)
{
    struct wal_content c;
    struct wal *w;
    struct err err;

    ck_assert_msg(open_log(m, &c, &w, &err) == ST_CORRUPT, "%s", what);
    ck_assert_msg(strstr(err.text, says) != NULL, "%s: %s", what, err.text);
    ck_assert_msg(strstr(err.text, "restore") != NULL, "%s: %s", what,
                  err.text);
}

/* Every single flipped bit of a finished log, except in the last record, is
 * found and named; in the last record it looks like a torn write. */
START_TEST(flipped_bits_are_found)
{
    struct mem_disk *m = written(11);
    size_t size;
    struct wal_content c;
    struct wal *w = open_well(m, &c);
    uint64_t whole = raft_log_last(&c.log);
    const char *files[] = {"0000000000000001.wal", "0000000000000002.wal"};
    size_t damaged = 0;

    wal_content_release(&c);
    wal_free(w);
    ck_assert_uint_eq(mem_disk_files(m), 2);
    for (size_t f = 0; f < 2; f++) {
        ck_assert_ptr_nonnull(mem_disk_bytes(m, files[f], &size));
        for (size_t at = 0; at < size; at += 7) {
            struct err err;
            enum status st;

            mem_disk_flip(m, files[f], at, (uint8_t)(1 << at % 8));
            st = open_log(m, &c, &w, &err);
            if (st == ST_OK) {
                /* In unused room, or in the very last record. */
                ck_assert_uint_ge(raft_log_last(&c.log), whole - 1);
                check_content(&c);
                wal_content_release(&c);
                wal_free(w);
            } else {
                ck_assert(st == ST_CORRUPT);
                ck_assert_ptr_nonnull(strstr(err.text, files[f]));
                ck_assert_ptr_nonnull(strstr(err.text, "offset"));
                ck_assert_ptr_nonnull(strstr(err.text, "restore"));
                damaged++;
            }
            mem_disk_flip(m, files[f], at, (uint8_t)(1 << at % 8));
        }
    }
    ck_assert_uint_gt(damaged, 500);
    mem_disk_free(m);
}
END_TEST

START_TEST(zeroed_middle_is_damage)
{
    struct mem_disk *m = written(5);
    size_t size;
    uint8_t *bytes = mem_disk_bytes(m, "0000000000000001.wal", &size);

    memset(bytes + 512, 0, 512);
    refused(m, "a sector of zeros", "0000000000000001.wal");
    mem_disk_free(m);
}
END_TEST

/* Three files or more, nothing released. */
static struct mem_disk *written_plainly(uint64_t last)
{
    struct mem_disk *m = mem_disk_new();
    struct wal_content c;
    struct wal *w;

    create(m);
    w = open_well(m, &c);
    wal_content_release(&c);
    for (uint64_t i = 1; i <= last; i++) {
        ck_assert(append(w, i, len_of(i)) == ST_OK);
    }
    wal_free(w);
    ck_assert_uint_gt(mem_disk_files(m), 2);
    return m;
}

START_TEST(missing_file_is_damage)
{
    struct mem_disk *m = written_plainly(60);

    mem_disk_remove(m, "0000000000000002.wal");
    refused(m, "a file is gone", "0000000000000002.wal is missing");
    mem_disk_free(m);
}
END_TEST

START_TEST(missing_first_file_is_damage)
{
    struct mem_disk *m = written_plainly(60);

    mem_disk_remove(m, "0000000000000001.wal");
    refused(m, "the first file is gone", "entries 1 to");
    mem_disk_free(m);
}
END_TEST

START_TEST(foreign_file_is_damage)
{
    struct mem_disk *m = written_plainly(60);
    struct mem_disk *other = written_plainly(60);
    size_t size;
    size_t other_size;
    uint8_t *bytes = mem_disk_bytes(m, "0000000000000002.wal", &size);

    /* Two logs of one cluster look alike but for their seeds. */
    memcpy(bytes, mem_disk_bytes(other, "0000000000000003.wal", &other_size),
           4096);
    refused(m, "a header from elsewhere", "0000000000000002.wal");
    mem_disk_free(other);
    mem_disk_free(m);
}
END_TEST

UNIT_MAIN("wal_damage", {
    tcase_add_test(tc, flipped_bits_are_found);
    tcase_add_test(tc, zeroed_middle_is_damage);
    tcase_add_test(tc, missing_file_is_damage);
    tcase_add_test(tc, missing_first_file_is_damage);
    tcase_add_test(tc, foreign_file_is_damage);
})
