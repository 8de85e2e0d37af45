/*
 * One member over a disk in memory: what is answered is on disk, whatever comes
 * in between. Each story runs with syncs inside the call and with syncs that
 * finish later.
 */
#include "node_world.h"
/* As in etcd: the member's own addition, then the leader's empty entry. */
START_TEST(first_start)
{
    struct world *w = world_new(_i);

    world_open(w, 0);
    ck_assert_uint_eq(w->applied_index, 2);
    ck_assert_uint_eq(node_status(w->node).hard.term, 2);
    ck_assert_uint_eq(node_status(w->node).hard.vote, 7);
    ck_assert_uint_eq(node_status(w->node).leader, 7);
    ck_assert_uint_eq(node_ids(w->node).cluster, 77);
    ck_assert_uint_eq(w->sent, 0);
    world_free(w);
}
END_TEST

/* The vote is on disk before anybody leads. */
START_TEST(leads_after_its_vote_is_durable)
{
    struct world *w = world_new(1);
    struct err err = {0};

    ck_assert(world_try(w, 0, &err) == ST_OK);
    mem_disk_put_off(w->disk);
    ck_assert(node_start(w->node, 0) == ST_OK);
    ck_assert(mem_disk_busy(w->disk));
    ck_assert(w->role == RAFT_CANDIDATE);
    ck_assert(try_propose(w, slice_str("x"), 1) == ST_NOT_LEADER);
    finish_disk(w);
    ck_assert(w->role == RAFT_LEADER);
    world_free(w);
}
END_TEST

START_TEST(a_turn_is_one_sync)
{
    struct world *w = world_new(_i);
    size_t before;

    world_open(w, 0);
    before = mem_disk_syncs(w->disk);
    for (uint64_t tag = 1; tag <= 50; tag++) {
        propose(w, tag);
    }
    ck_assert_uint_eq(w->applied_index, 2);
    turn(w);
    ck_assert_uint_eq(mem_disk_syncs(w->disk), before + 1);
    ck_assert_uint_eq(w->applied_index, 52);
    for (uint64_t tag = 1; tag <= 50; tag++) {
        ck_assert_uint_eq(w->applied[1 + tag], tag);
    }
    ck_assert(!node_wants_flush(w->node));
    world_free(w);
}
END_TEST

/* What comes while a sync runs is the next record, and not applied before. */
START_TEST(gathers_while_the_disk_works)
{
    struct world *w = world_new(1);
    size_t before;

    world_open(w, 0);
    before = mem_disk_syncs(w->disk);
    propose(w, 1);
    ck_assert(node_flush(w->node, 0) == ST_OK);
    ck_assert(mem_disk_busy(w->disk));
    for (uint64_t tag = 2; tag <= 9; tag++) {
        propose(w, tag);
        ck_assert(node_flush(w->node, 0) == ST_OK);
    }
    ck_assert_uint_eq(w->applied_index, 2);
    ck_assert(node_persisted(w->node, mem_disk_finish(w->disk), 0) == ST_OK);
    ck_assert_uint_eq(w->applied_index, 3);
    ck_assert(mem_disk_busy(w->disk));
    finish_disk(w);
    ck_assert_uint_eq(w->applied_index, 11);
    ck_assert_uint_eq(mem_disk_syncs(w->disk), before + 2);
    world_free(w);
}
END_TEST

START_TEST(comes_back_after_a_restart)
{
    struct world *w = world_new(_i);
    uint64_t bytes;

    world_open(w, 0);
    for (uint64_t tag = 1; tag <= 30; tag++) {
        propose(w, tag);
        turn(w);
    }
    bytes = w->applied_bytes;
    node_free(w->node);
    mem_disk_crash(w->disk, 0, 0);
    w->applied_count = 0;
    w->applied_bytes = 0;
    world_open(w, 0);
    ck_assert_uint_eq(w->applied_index, 33);
    ck_assert_uint_eq(w->applied_bytes, bytes);
    ck_assert_uint_eq(node_status(w->node).hard.term, 3);
    node_free(w->node);
    w->applied_count = 0;
    world_open(w, 20); /* The store had 20 of them on its own disk. */
    ck_assert_uint_eq(w->applied_index, 34);
    ck_assert_uint_eq(w->applied_count, 14);
    world_free(w);
}
END_TEST

/* Acknowledged means durable, at each disk call that may fail, and at each way
 * in which the power may go after it. */
static bool fails_well(int late, size_t call, uint64_t keep)
{
    struct world *w = world_new(late);
    struct world *again;
    uint64_t acknowledged;
    enum status st = ST_OK;
    size_t calls;

    world_open(w, 0);
    mem_disk_fail_at(w->disk, call, ST_IO);
    for (uint64_t tag = 1; tag <= 300 && st == ST_OK; tag++) {
        propose(w, tag);
        st = node_flush(w->node, 0);
        while (mem_disk_busy(w->disk)) {
            st = node_persisted(w->node, mem_disk_finish(w->disk), 0);
        }
        if (st == ST_OK && tag % 10 == 0) {
            ck_assert(node_durable(w->node, w->applied_index) == ST_OK);
        }
    }
    calls = mem_disk_calls(w->disk);
    acknowledged = w->applied_index;
    if (calls >= call) {
        ck_assert(st == ST_IO);
        ck_assert_uint_eq(w->failures, 1);
        ck_assert_uint_gt(strlen(w->failure), 0);
        ck_assert(try_propose(w, slice_str("x"), 999) == ST_IO);
        ck_assert(node_flush(w->node, 0) == ST_IO);
        ck_assert_uint_le(w->dropped_count, 1);
    }
    node_free(w->node);
    w->node = NULL;
    mem_disk_crash(w->disk, keep, keep % (mem_disk_dirty_names(w->disk) + 1));
    again = world_new(0);
    mem_disk_free(again->disk);
    again->disk = w->disk;
    world_open(again,
               acknowledged / 10 * 10 > 2 ? acknowledged / 10 * 10 - 8 : 0);
    ck_assert_uint_ge(again->applied_index, acknowledged + 1);
    ck_assert_uint_le(again->applied_index, acknowledged + 2);
    node_free(again->node);
    mem_disk_free(again->disk);
    free(again);
    free(w);
    return calls >= call;
}

START_TEST(acknowledged_is_durable)
{
    static const uint64_t keeps[] = {0, ~(uint64_t)0, 0x5555555555555555,
                                     0xaaaaaaaaaaaaaaaa};
    size_t call = 1;

    while (fails_well(_i, call, keeps[call % 4])) {
        call++;
    }
    ck_assert_uint_gt(call, 600);
}
END_TEST

START_TEST(log_is_cut_and_files_are_used_again)
{
    struct world *w = world_new(_i);
    size_t files = 0;
    uint64_t index;

    world_open(w, 0);
    for (uint64_t tag = 1; tag <= 5000; tag++) {
        propose(w, tag);
        if (tag % 7 == 0) {
            turn(w);
            ck_assert(node_durable(w->node, w->applied_index) == ST_OK);
        }
        if (tag == 1000) {
            files = mem_disk_files(w->disk);
        }
    }
    turn(w);
    ck_assert_uint_le(mem_disk_files(w->disk), files + 2);
    ck_assert_uint_ge(node_status(w->node).first_index, 4800);
    index = w->applied_index;
    node_free(w->node);
    mem_disk_crash(w->disk, 0, 0);
    w->applied_count = 0;
    world_open(w, index - 15);
    ck_assert_uint_eq(w->applied_index, index + 1);
    ck_assert_uint_eq(node_status(w->node).voters_count, 1);
    world_free(w);
}
END_TEST

START_TEST(reads_of_a_lone_leader_are_ready)
{
    struct world *w = world_new(_i);
    bool ready = false;

    world_open(w, 0);
    propose(w, 1);
    ck_assert(node_read(w->node, 50, &ready) == ST_OK);
    ck_assert(ready); /* The proposal is not acknowledged yet. */
    turn(w);
    ck_assert(node_read(w->node, 51, &ready) == ST_OK);
    ck_assert(ready);
    ck_assert_uint_eq(w->ready_count, 0);
    world_free(w);
}
END_TEST

/* Before the term's first commit nobody knows what is committed. */
START_TEST(reads_wait_for_the_first_commit)
{
    struct world *w = world_new(1);
    struct err err = {0};
    bool ready = true;

    ck_assert(world_try(w, 0, &err) == ST_OK);
    mem_disk_put_off(w->disk);
    ck_assert(node_start(w->node, 0) == ST_OK);
    ck_assert(node_read(w->node, 1, &ready) == ST_NOT_LEADER);
    ck_assert(node_persisted(w->node, mem_disk_finish(w->disk), 0) == ST_OK);
    ck_assert(w->role == RAFT_LEADER);
    ck_assert(node_read(w->node, 2, &ready) == ST_OK);
    ck_assert(!ready);
    ck_assert(node_read(w->node, 3, &ready) == ST_OK);
    ck_assert(!ready);
    ck_assert_uint_eq(w->ready_count, 0);
    finish_disk(w);
    ck_assert_uint_eq(w->ready_count, 2);
    ck_assert_uint_eq(w->ready[0], 2);
    ck_assert_uint_eq(w->ready[1], 3);
    ck_assert(w->ready_why == ST_OK);
    world_free(w);
}
END_TEST

/* A follower that hears its leader asks it; the number it asks by. */
static uint64_t ask_leader(struct world *w)
{
    struct raft_msg beat = {
        .type = RAFT_MSG_HEARTBEAT, .from = 8, .to = 7, .term = 1};
    bool ready = true;

    ck_assert(node_start(w->node, w->now_ms) == ST_OK);
    ck_assert(node_receive(w->node, &beat, w->now_ms) == ST_OK);
    ck_assert(node_read(w->node, 1, &ready) == ST_OK);
    ck_assert(!ready);
    return w->read_asked;
}

/* Else the answer to the first question, if it comes late enough, would be
 * taken for one to the second. */
START_TEST(reads_of_two_lives_differ)
{
    struct world *w = world_new(0);
    struct err err = {0};
    uint64_t before;

    w->members = 2;
    ck_assert(world_try(w, 0, &err) == ST_OK);
    before = ask_leader(w);
    node_free(w->node);
    w->node = NULL;
    w->now_ms++;
    ck_assert(world_try(w, 0, &err) == ST_OK);
    ck_assert_uint_ne(ask_leader(w), before);
    world_free(w);
}
END_TEST

START_TEST(failure_refuses_everything)
{
    struct world *w = world_new(1);
    bool ready;

    world_open(w, 0);
    propose(w, 1);
    ck_assert(node_flush(w->node, 0) == ST_OK);
    propose(w, 2);
    ck_assert(node_flush(w->node, 0) == ST_OK);
    propose(w, 3);
    ck_assert(node_persisted(w->node, ST_NO_SPACE, 0) == ST_NO_SPACE);
    ck_assert_uint_eq(w->failures, 1);
    ck_assert_ptr_nonnull(strstr(w->failure, "no space"));
    ck_assert_uint_eq(w->dropped_count, 3);
    ck_assert(w->dropped_why == ST_NO_SPACE);
    ck_assert_uint_eq(w->applied_index, 2);
    ck_assert(node_read(w->node, 9, &ready) == ST_NO_SPACE);
    ck_assert(node_failure(w->node) == ST_NO_SPACE);
    world_free(w);
}
END_TEST

START_TEST(too_much_is_refused)
{
    struct world *w = world_new(1);
    uint8_t *bytes = calloc(1, 8 * 1024 * 1024);
    enum status st = ST_OK;
    size_t taken = 0;

    world_open(w, 0);
    while (taken < 100) {
        st = try_propose(w, slice_of(bytes, 8 * 1024 * 1024), taken + 1);
        if (st) {
            break;
        }
        taken++;
    }
    ck_assert(st == ST_BUSY);
    ck_assert_uint_eq(taken, 8);
    ck_assert(try_propose(w, slice_of(bytes, 17 * 1024 * 1024), 999) ==
              ST_TOO_BIG);
    turn(w); /* In records of bounded size, one after the other. */
    ck_assert_uint_eq(w->applied_index, 2 + taken);
    ck_assert(try_propose(w, slice_str("x"), 1) == ST_OK);
    free(bytes);
    world_free(w);
}
END_TEST

/* A follower gets more than one record's worth, and is told that all of it is
 * committed. When the power goes between the records, what is on disk must not
 * name an entry that is not. */
START_TEST(commit_hint_names_what_is_on_disk)
{
    struct world *w = world_new(1);
    struct raft_entry entries[2] = {{.pos = {1, 3}}, {.pos = {1, 4}}};
    struct raft_msg append = {.type = RAFT_MSG_APPEND,
                              .from = 8,
                              .to = 7,
                              .term = 1,
                              .pos = {1, 2},
                              .commit = 4,
                              .entries = entries,
                              .entries_count = 2};
    struct err err = {0};

    w->members = 2;
    entries[0].len = entries[1].len = 20 * 1024 * 1024;
    entries[0].data = calloc(1, entries[0].len);
    entries[1].data = entries[0].data;
    ck_assert(world_try(w, 0, &err) == ST_OK);
    mem_disk_put_off(w->disk);
    ck_assert(node_start(w->node, 0) == ST_OK);
    ck_assert(node_receive(w->node, &append, 1) == ST_OK);
    ck_assert(node_flush(w->node, 1) == ST_OK);
    ck_assert(mem_disk_busy(w->disk));
    ck_assert(node_persisted(w->node, mem_disk_finish(w->disk), 1) == ST_OK);
    ck_assert_uint_eq(w->applied_index, 3);
    ck_assert_uint_eq(w->sent, 0); /* The answer speaks of both. */
    ck_assert(mem_disk_busy(w->disk));
    mem_disk_fail_at(w->disk, 1, ST_IO);
    ck_assert(node_persisted(w->node, mem_disk_finish(w->disk), 1) == ST_IO);
    node_free(w->node);
    mem_disk_crash(w->disk, 0, 0);
    w->node = NULL;
    ck_assert_msg(world_try(w, 0, &err) == ST_OK, "%s", err.text);
    ck_assert_uint_eq(node_status(w->node).last_index, 3);
    free(entries[0].data);
    world_free(w);
}
END_TEST

START_TEST(log_shorter_than_the_store_is_refused)
{
    struct world *w = world_new(0);
    struct err err = {0};

    world_open(w, 0);
    node_free(w->node);
    w->node = NULL;
    ck_assert(world_try(w, 9, &err) == ST_CORRUPT);
    ck_assert_ptr_nonnull(strstr(err.text, "0000000000000001.wal"));
    ck_assert_ptr_nonnull(strstr(err.text, "offset"));
    ck_assert_ptr_nonnull(strstr(err.text, "with entry 2"));
    mem_disk_remove(w->disk, "0000000000000001.wal");
    ck_assert(world_try(w, 2, &err) == ST_CORRUPT);
    ck_assert_ptr_nonnull(strstr(err.text, "there is no log"));
    world_free(w);
}
END_TEST

UNIT_MAIN("node", {
    tcase_add_loop_test(tc, first_start, 0, 2);
    tcase_add_test(tc, leads_after_its_vote_is_durable);
    tcase_add_loop_test(tc, a_turn_is_one_sync, 0, 2);
    tcase_add_test(tc, gathers_while_the_disk_works);
    tcase_add_loop_test(tc, comes_back_after_a_restart, 0, 2);
    tcase_add_loop_test(tc, acknowledged_is_durable, 0, 2);
    tcase_add_loop_test(tc, log_is_cut_and_files_are_used_again, 0, 2);
    tcase_add_loop_test(tc, reads_of_a_lone_leader_are_ready, 0, 2);
    tcase_add_test(tc, reads_wait_for_the_first_commit);
    tcase_add_test(tc, reads_of_two_lives_differ);
    tcase_add_test(tc, failure_refuses_everything);
    tcase_add_test(tc, too_much_is_refused);
    tcase_add_test(tc, commit_hint_names_what_is_on_disk);
    tcase_add_test(tc, log_shorter_than_the_store_is_refused);
})
