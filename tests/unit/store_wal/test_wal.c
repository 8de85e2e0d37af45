/*
 * The log over a disk that loses, tears and fails.
 *
 * A story is a list of appends. Whatever happens, reopening must give every
 * record whose append had returned, in order, and may give the one that was
 * under way, whole or not at all.
 */
#include "store/wal/wal.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/core/check.h"
#include "wal_story.h"

/* A snapshot takes the place of all entries, whatever lies behind it. */
START_TEST(starts_over_behind_a_snapshot)
{
    static const uint64_t places[] = {10, 20, 30};

    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        struct wal_mark mark = {.pos = {.term = 1, .index = places[i]},
                                .state = slice_str("others"),
                                .restart = true};
        struct wal_batch b = {.mark = &mark};
        struct mem_disk *m = mem_disk_new();
        struct wal_content c;
        struct err err = {0};
        struct wal *w;
        bool later;

        create(m);
        w = open_well(m, &c);
        wal_content_release(&c);
        for (uint64_t e = 1; e <= 25; e++) {
            ck_assert(append(w, e, len_of(e)) == ST_OK);
        }
        ck_assert(wal_append(w, &b, &later, &err) == ST_OK);
        ck_assert(append(w, places[i] + 1, len_of(places[i] + 1)) == ST_OK);
        ck_assert(wal_release(w, &err) == ST_OK);
        wal_free(w);

        w = open_well(m, &c);
        ck_assert_uint_eq(c.log.compacted.index, places[i]);
        ck_assert_uint_eq(raft_log_last(&c.log), places[i] + 1);
        ck_assert(slice_eq(buf_slice(&c.mark_state), slice_str("others")));
        check_content(&c);
        wal_content_release(&c);
        wal_free(w);
        mem_disk_free(m);
    }
}
END_TEST

START_TEST(comes_back_as_written)
{
    struct mem_disk *m = mem_disk_new();
    struct wal_content c;
    struct wal *w;

    create(m);
    for (uint64_t i = 1; i <= 40; i++) {
        w = open_well(m, &c);
        ck_assert_uint_eq(raft_log_last(&c.log), i - 1);
        ck_assert_uint_eq(c.torn_bytes, 0);
        ck_assert_uint_eq(wal_ids(w).member, ids.member);
        check_content(&c);
        wal_content_release(&c);
        ck_assert(append(w, i, len_of(i)) == ST_OK);
        wal_free(w);
    }
    ck_assert_uint_gt(mem_disk_files(m), 2);
    mem_disk_free(m);
}
END_TEST

/* The oldest file that is kept begins with an entry that was replaced, together
 * with some before it, while older files have gone. */
START_TEST(kept_file_begins_with_what_was_replaced)
{
    struct mem_disk *m = mem_disk_new();
    struct wal_content c;
    struct err err = {0};
    struct wal *w;
    uint64_t last = 0;
    size_t size;

    create(m);
    w = open_well(m, &c);
    wal_content_release(&c);
    while (mem_disk_bytes(m, "0000000000000002.wal", &size) == NULL) {
        last++;
        ck_assert(append(w, last, len_of(last)) == ST_OK);
    }
    for (uint64_t e = last - 2; e <= last + 2; e++) {
        ck_assert(append(w, e, len_of(e)) == ST_OK);
    }
    ck_assert(append_mark(w, last) == ST_OK);
    ck_assert(wal_release(w, &err) == ST_OK);
    wal_free(w);

    w = open_well(m, &c);
    ck_assert_uint_eq(c.log.compacted.index, last);
    ck_assert_uint_eq(raft_log_last(&c.log), last + 2);
    check_content(&c);
    wal_content_release(&c);
    wal_free(w);
    mem_disk_free(m);
}
END_TEST

START_TEST(later_entries_replace_earlier)
{
    struct mem_disk *m = mem_disk_new();
    struct raft_entry list[3] = {
        {.pos = {1, 1}}, {.pos = {1, 2}}, {.pos = {1, 3}}};
    struct raft_entry newer = {.pos = {2, 2}};
    struct raft_hard hard = {.term = 2, .vote = 7, .commit = 1};
    struct wal_batch first = {.entries = list, .entries_count = 3};
    struct wal_batch second = {
        .hard = &hard, .entries = &newer, .entries_count = 1};
    struct wal_content c;
    struct wal *w;
    struct err err;
    bool later;

    create(m);
    w = open_well(m, &c);
    wal_content_release(&c);
    ck_assert(wal_append(w, &first, &later, &err) == ST_OK);
    ck_assert(wal_append(w, &second, &later, &err) == ST_OK);
    wal_free(w);
    w = open_well(m, &c);
    ck_assert_uint_eq(raft_log_last(&c.log), 2);
    ck_assert_uint_eq(raft_log_term(&c.log, 2), 2);
    ck_assert_uint_eq(c.hard.vote, 7);
    wal_content_release(&c);
    wal_free(w);
    mem_disk_free(m);
}
END_TEST

/* ---- power cuts ---- */

static void check_after_crash(struct mem_disk *m, uint64_t acknowledged)
{
    struct wal_content c;
    struct wal *w = open_well(m, &c);
    uint64_t last = raft_log_last(&c.log);

    ck_assert_uint_ge(last, acknowledged);
    ck_assert_uint_le(last, acknowledged + 1);
    ck_assert_uint_eq(c.hard.term, 1);
    check_content(&c);
    wal_content_release(&c);
    /* And the log goes on from there. */
    ck_assert(append(w, last + 1, len_of(last + 1)) == ST_OK);
    wal_free(w);
    w = open_well(m, &c);
    ck_assert_uint_eq(raft_log_last(&c.log), last + 1);
    check_content(&c);
    wal_content_release(&c);
    wal_free(w);
}

/* Fail the n-th disk call of the story, so that whatever it was doing is half
 * done, then cut the power, keeping one choice of sectors and names. Returns
 * how many choices there are; 0: the story has fewer calls. */
static uint64_t crash_once(size_t call, uint64_t choice)
{
    struct mem_disk *m = mem_disk_new();
    struct wal_content c;
    struct wal *w;
    uint64_t acknowledged;
    size_t sectors;
    size_t names;
    uint64_t choices;

    create(m);
    w = open_well(m, &c);
    wal_content_release(&c);
    mem_disk_fail_at(m, call, ST_IO);
    acknowledged = story(m, w, 1, STORY_END);
    if (mem_disk_calls(m) < call) {
        ck_assert_uint_eq(acknowledged, STORY_END);
        wal_free(w);
        mem_disk_free(m);
        return 0;
    }
    ck_assert(append(w, 999, 1) == ST_IO); /* Failed for good. */
    wal_free(w);
    sectors = mem_disk_dirty_sectors(m);
    names = mem_disk_dirty_names(m);
    ck_assert_uint_lt(sectors, 8);
    choices = ((uint64_t)1 << sectors) * (names + 1);
    if (choice < choices) {
        mem_disk_crash(m, choice & (((uint64_t)1 << sectors) - 1),
                       (size_t)(choice >> sectors));
        check_after_crash(m, acknowledged);
    }
    mem_disk_free(m);
    return choices;
}

START_TEST(survives_every_crash_point)
{
    size_t call = 1;
    uint64_t choices;
    uint64_t runs = 0;

    for (;; call++) {
        choices = crash_once(call, 0);
        for (uint64_t choice = 1; choice < choices; choice++) {
            (void)crash_once(call, choice);
        }
        runs += choices;
        if (choices == 0) {
            break;
        }
    }
    ck_assert_uint_gt(call, STORY_END * 2);
    ck_assert_uint_gt(runs, 300);
}
END_TEST

/* A write that reached the disk in pieces, without the disk saying so: the
 * power went during the sync. */
START_TEST(torn_writes_are_cut_off)
{
    for (uint64_t keep = 0; keep < 16; keep++) {
        struct mem_disk *m = mem_disk_new();
        struct wal_content c;
        struct wal *w;

        create(m);
        w = open_well(m, &c);
        wal_content_release(&c);
        ck_assert_uint_eq(story(m, w, 1, 2), 2);
        mem_disk_fail_at(m, 2, ST_IO); /* The write is whole, not the sync. */
        ck_assert(append(w, 3, 1191) == ST_IO);
        wal_free(w);
        ck_assert_uint_le(mem_disk_dirty_sectors(m), 4);
        mem_disk_crash(m, keep, 0);
        check_after_crash(m, 2);
        mem_disk_free(m);
    }
}
END_TEST

/* The process is killed during a sync, reads the record back from the disk's
 * memory when it starts again, and tells others of it. Then the power goes. */
START_TEST(what_was_read_is_durable)
{
    struct mem_disk *m = mem_disk_new();
    struct wal_content c;
    struct wal *w;

    create(m);
    w = open_well(m, &c);
    wal_content_release(&c);
    mem_disk_fail_at(m, 2, ST_IO);
    ck_assert(append(w, 1, len_of(1)) == ST_IO);
    wal_free(w);
    w = open_well(m, &c);
    ck_assert_uint_eq(raft_log_last(&c.log), 1);
    wal_content_release(&c);
    wal_free(w);
    mem_disk_crash(m, 0, 0);
    w = open_well(m, &c);
    ck_assert_uint_eq(raft_log_last(&c.log), 1);
    wal_content_release(&c);
    wal_free(w);
    mem_disk_free(m);
}
END_TEST

/* A reused file is full of old records with good check sums of their own. None
 * may ever be read again. */
START_TEST(old_records_stay_dead)
{
    struct mem_disk *m = written(STORY_END);
    struct wal_content c;
    struct wal *w = open_well(m, &c);
    size_t files = mem_disk_files(m);

    ck_assert_uint_eq(raft_log_last(&c.log), STORY_END);
    wal_content_release(&c);
    ck_assert_uint_eq(story(m, w, STORY_END + 1, STORY_END + 400),
                      STORY_END + 400);
    ck_assert_uint_le(mem_disk_files(m), files + 2); /* Reused, not piled up. */
    ck_assert_uint_le(mem_disk_prepared(m), 8);      /* Nor made anew. */
    wal_free(w);
    for (uint64_t i = 0; i < 30; i++) {
        uint64_t last;

        w = open_well(m, &c);
        last = raft_log_last(&c.log);
        ck_assert_uint_eq(last, STORY_END + 400 + i);
        check_content(&c);
        wal_content_release(&c);
        ck_assert(append(w, last + 1, len_of(last + 1)) == ST_OK);
        wal_free(w);
    }
    mem_disk_free(m);
}
END_TEST

START_TEST(long_record_gets_its_own_file)
{
    struct mem_disk *m = mem_disk_new();
    struct wal_content c;
    struct wal *w;
    uint8_t *space = malloc(100000);
    struct raft_entry e = entry_of(1, space, 100000);
    struct wal_batch b = {.entries = &e, .entries_count = 1};
    struct err err;
    bool later;

    create(m);
    w = open_well(m, &c);
    wal_content_release(&c);
    ck_assert(wal_append(w, &b, &later, &err) == ST_OK);
    wal_free(w);
    w = open_well(m, &c);
    ck_assert_uint_eq(raft_log_at(&c.log, 1)->len, 100000);
    ck_assert(
        slice_eq(raft_entry_data(raft_log_at(&c.log, 1)), raft_entry_data(&e)));
    wal_content_release(&c);
    wal_free(w);
    free(space);
    mem_disk_free(m);
}
END_TEST

START_TEST(open_survives_each_failing_call)
{
    struct mem_disk *m = written(30);

    for (size_t call = 1;; call++) {
        struct wal_content c;
        struct wal *w;
        struct err err;
        enum status st;

        mem_disk_fail_at(m, call, ST_IO);
        st = open_log(m, &c, &w, &err);
        if (mem_disk_calls(m) < call) {
            ck_assert(st == ST_OK);
            wal_content_release(&c);
            wal_free(w);
            break;
        }
        ck_assert(st == ST_IO);
        ck_assert_uint_gt(strlen(err.text), 0);
    }
    mem_disk_free(m);
}
END_TEST

START_TEST(create_survives_each_failing_call)
{
    for (size_t call = 1;; call++) {
        struct mem_disk *m = mem_disk_new();
        struct raft_hard hard = {.term = 1};
        struct wal_batch first = {.hard = &hard};
        struct err err = {0};
        bool exists = false;
        enum status st;

        mem_disk_fail_at(m, call, ST_NO_SPACE);
        st = wal_create(mem_disk_port(m), &config, ids, &first, &err);
        if (mem_disk_calls(m) < call) {
            ck_assert(st == ST_OK);
            mem_disk_free(m);
            break;
        }
        ck_assert(st == ST_NO_SPACE);
        ck_assert_uint_gt(strlen(err.text), 0);
        mem_disk_crash(m, 0, 0);
        ck_assert(wal_exists(mem_disk_port(m), &exists) == ST_OK);
        ck_assert(!exists);
        create(m);
        mem_disk_free(m);
    }
}
END_TEST

START_TEST(commit_may_finish_later)
{
    struct mem_disk *m = mem_disk_new();
    struct wal_content c;
    struct wal *w;
    uint8_t space[64];
    struct raft_entry e = entry_of(1, space, len_of(1) % 64);
    struct wal_batch b = {.entries = &e, .entries_count = 1};
    struct err err;
    bool later;

    create(m);
    w = open_well(m, &c);
    wal_content_release(&c);
    mem_disk_put_off(m);
    ck_assert(wal_append(w, &b, &later, &err) == ST_OK);
    ck_assert(later);
    ck_assert(wal_committed(w, mem_disk_finish(m), &err) == ST_OK);
    ck_assert(wal_append(w, &b, &later, &err) == ST_OK);
    ck_assert(wal_committed(w, ST_IO, &err) == ST_IO);
    ck_assert_ptr_nonnull(strstr(err.text, "offset"));
    ck_assert(wal_append(w, &b, &later, &err) == ST_IO);
    wal_free(w);
    mem_disk_free(m);
}
END_TEST

UNIT_MAIN("wal", {
    tcase_add_test(tc, comes_back_as_written);
    tcase_add_test(tc, starts_over_behind_a_snapshot);
    tcase_add_test(tc, later_entries_replace_earlier);
    tcase_add_test(tc, kept_file_begins_with_what_was_replaced);
    tcase_add_test(tc, survives_every_crash_point);
    tcase_add_test(tc, torn_writes_are_cut_off);
    tcase_add_test(tc, what_was_read_is_durable);
    tcase_add_test(tc, old_records_stay_dead);
    tcase_add_test(tc, long_record_gets_its_own_file);
    tcase_add_test(tc, open_survives_each_failing_call);
    tcase_add_test(tc, create_survives_each_failing_call);
    tcase_add_test(tc, commit_may_finish_later);
})
