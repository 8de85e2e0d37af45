/*
 * The rules of one step, fed by hand: what comes in is an event, what comes out
 * is the work. Stories of several members are in tests/script/raft.
 */
#include "bench.h"
#include "store/raft/log.h"

START_TEST(lone_voter_leads_by_its_own_durable_vote)
{
    struct bench b;

    bench_new(&b, 1);
    ck_assert_int_eq(raft_status(b.raft).role, RAFT_CANDIDATE);
    ck_assert_ptr_nonnull(b.work.hard);
    ck_assert_uint_eq(b.work.hard->vote, 1);
    ck_assert_uint_eq(b.work.committed_count, 0);
    persist(&b);
    ck_assert_int_eq(raft_status(b.raft).role, RAFT_LEADER);
    ck_assert_uint_eq(b.work.entries_count, 1);
    ck_assert_uint_eq(b.work.committed_count, 0);
    persist(&b);
    ck_assert_uint_eq(b.work.committed_count, 1);
    bench_free(&b);
}
END_TEST

START_TEST(commit_needs_the_own_copy_on_disk)
{
    struct bench b;
    struct raft_persist due;

    lead(&b);
    ck_assert(propose(&b, 10, 7) == ST_OK);
    due = b.work.persist;
    ck_assert_uint_eq(b.work.appends_count, 1); /* 3 is still probed. */
    ck_assert_uint_eq(b.work.messages_count, 0);
    ck_assert(receive(&b, (struct raft_msg){.type = RAFT_MSG_APPEND_REPLY,
                                            .term = 1,
                                            .pos.index = 2}) == ST_OK);
    ck_assert_uint_eq(raft_status(b.raft).hard.commit, 1);
    ck_assert(receive(&b, (struct raft_msg){.type = RAFT_MSG_APPEND_REPLY,
                                            .from = 3,
                                            .term = 1,
                                            .pos.index = 2}) == ST_OK);
    /* Two others have it: committed. Applied here only when it is here. */
    ck_assert_uint_eq(raft_status(b.raft).hard.commit, 2);
    ck_assert_uint_eq(b.work.committed_count, 0);
    ck_assert(step(&b, (struct raft_event){.type = RAFT_PERSISTED,
                                           .persisted = due}) == ST_OK);
    ck_assert_uint_eq(b.work.committed_count, 1);
    ck_assert_uint_eq(b.work.committed[0].tag, 7);
    bench_free(&b);
}
END_TEST

/* The story (no two writes are ever mixed up by their position alone):
 *   1. entry 2 of term 2 is being written
 *   2. the leader of term 3 replaces it; that is the next write
 *   3. the leader of term 4 brings entry 2 of term 2 back
 *   4. the report of 1 arrives: it names what is in the log again, yet the
 *      disk will hold the entry of term 3 in between. */
START_TEST(late_reports_say_nothing)
{
    static const uint64_t terms[] = {1};
    struct bench b;
    struct raft_persist first;
    struct raft_entry old = {.pos = {2, 2}};
    struct raft_entry mid = {.pos = {3, 2}};

    follow(&b, 2, terms, 1);
    ck_assert(receive(&b, (struct raft_msg){.type = RAFT_MSG_APPEND,
                                            .term = 2,
                                            .pos = {1, 1},
                                            .entries = &old,
                                            .entries_count = 1}) == ST_OK);
    first = b.work.persist;
    ck_assert(receive(&b, (struct raft_msg){.type = RAFT_MSG_APPEND,
                                            .from = 3,
                                            .term = 3,
                                            .pos = {1, 1},
                                            .entries = &mid,
                                            .entries_count = 1}) == ST_OK);
    ck_assert(receive(&b, (struct raft_msg){.type = RAFT_MSG_APPEND,
                                            .term = 4,
                                            .pos = {1, 1},
                                            .entries = &old,
                                            .commit = 2,
                                            .entries_count = 1}) == ST_OK);
    ck_assert_uint_eq(raft_status(b.raft).hard.commit, 2);
    ck_assert(step(&b, (struct raft_event){.type = RAFT_PERSISTED,
                                           .persisted = first}) == ST_OK);
    ck_assert_uint_eq(raft_status(b.raft).applied, 1);
    bench_free(&b);
}
END_TEST

START_TEST(proposals_are_bounded)
{
    struct bench b;

    bench_new(&b, 3);
    ck_assert(propose(&b, 10, 1) == ST_NOT_LEADER);
    ck_assert(!b.work.must_sync);
    bench_free(&b);

    lead(&b);
    ck_assert(propose(&b, 5000, 1) == ST_OK); /* One always fits. */
    ck_assert(propose(&b, 1, 2) == ST_BUSY);
    ck_assert(!b.work.must_sync);
    ck_assert(receive(&b, (struct raft_msg){.type = RAFT_MSG_APPEND_REPLY,
                                            .term = 1,
                                            .pos.index = 2}) == ST_OK);
    ck_assert(receive(&b, (struct raft_msg){.type = RAFT_MSG_APPEND_REPLY,
                                            .from = 3,
                                            .term = 1,
                                            .pos.index = 2}) == ST_OK);
    ck_assert_uint_eq(raft_status(b.raft).uncommitted_bytes, 0);
    ck_assert(propose(&b, 1000, 2) == ST_OK);
    bench_free(&b);
}
END_TEST

/* ---- followers ---- */

static const struct {
    const char *name;
    uint64_t terms[8]; /* Of the follower's entries. */
    struct raft_pos before;
    uint64_t entries[4]; /* Terms of those offered. */
    uint64_t commit;
    bool reject;
    struct raft_pos answer; /* Index, or the hint. */
    uint64_t last;
    uint64_t last_term;
    uint64_t committed;
} append_rows[] = {
    {"the next one", {1}, {1, 1}, {2}, 0, false, {0, 2}, 2, 2, 0},
    {"nothing new", {1, 1}, {1, 2}, {0}, 2, false, {0, 2}, 2, 1, 2},
    {"known ones stay", {1, 1, 1}, {1, 1}, {1}, 0, false, {0, 2}, 3, 1, 0},
    {"a different one replaces all behind it",
     {1, 1, 1},
     {1, 1},
     {3},
     0,
     false,
     {0, 2},
     2,
     3,
     0},
    {"commit not beyond what is known to agree",
     {1, 1, 1},
     {1, 1},
     {1},
     9,
     false,
     {0, 2},
     3,
     1,
     2},
    {"a gap", {1, 1}, {2, 5}, {2}, 0, true, {1, 2}, 2, 1, 0},
    {"a conflict skips the whole term",
     {1, 2, 2, 2},
     {3, 4},
     {3},
     0,
     true,
     {2, 4},
     4,
     2,
     0},
    {"the hint is not newer than the leader's entry there",
     {1, 3, 3, 3},
     {2, 4},
     {3},
     0,
     true,
     {1, 1},
     4,
     3,
     0},
    {"from the very beginning", {1}, {0, 0}, {2, 2}, 1, false, {0, 2}, 2, 2, 1},
};

START_TEST(append_follows_row)
{
    struct raft_entry entries[4] = {{.pos = {0, 0}}};
    struct bench b;
    size_t have = 0;
    size_t offered = 0;
    struct raft_status s;

    while (append_rows[_i].terms[have] != 0) {
        have++;
    }
    follow(&b, 5, append_rows[_i].terms, have);
    while (offered < 4 && append_rows[_i].entries[offered] != 0) {
        entries[offered].pos.term = append_rows[_i].entries[offered];
        entries[offered].pos.index = append_rows[_i].before.index + 1 + offered;
        offered++;
    }
    ck_assert(receive(&b, (struct raft_msg){.type = RAFT_MSG_APPEND,
                                            .term = 5,
                                            .pos = append_rows[_i].before,
                                            .commit = append_rows[_i].commit,
                                            .entries = entries,
                                            .entries_count = offered}) ==
              ST_OK);
    s = raft_status(b.raft);
    ck_assert_uint_eq(b.work.messages_count, 1);
    ck_assert_msg(b.work.messages[0].reject == append_rows[_i].reject, "%s",
                  append_rows[_i].name);
    if (append_rows[_i].reject) {
        ck_assert_uint_eq(b.work.messages[0].hint.index,
                          append_rows[_i].answer.index);
        ck_assert_uint_eq(b.work.messages[0].hint.term,
                          append_rows[_i].answer.term);
    } else {
        ck_assert_uint_eq(b.work.messages[0].pos.index,
                          append_rows[_i].answer.index);
    }
    ck_assert_uint_eq(s.last_index, append_rows[_i].last);
    ck_assert_uint_eq(raft_term_at(b.raft, s.last_index),
                      append_rows[_i].last_term);
    ck_assert_uint_eq(s.hard.commit, append_rows[_i].committed);
    bench_free(&b);
}
END_TEST

/* ---- what is not believed ---- */

static const struct raft_entry entry_9 = {.pos = {1, 9}};
static const struct raft_entry entry_newer = {.pos = {9, 2}};

static const struct {
    const char *name;
    struct raft_msg message;
    enum status status;
} belief_rows[] = {
    {"for somebody else",
     {.type = RAFT_MSG_HEARTBEAT, .to = 3, .term = 2},
     ST_INVALID},
    {"from ourselves",
     {.type = RAFT_MSG_HEARTBEAT, .from = 1, .term = 2},
     ST_INVALID},
    {"a second leader in the term",
     {.type = RAFT_MSG_HEARTBEAT, .from = 3, .term = 2},
     ST_INVALID},
    {"a commit beyond our end",
     {.type = RAFT_MSG_HEARTBEAT, .term = 2, .commit = 9},
     ST_INVALID},
    {"entries with a gap",
     {.type = RAFT_MSG_APPEND,
      .term = 2,
      .pos = {1, 1},
      .entries = &entry_9,
      .entries_count = 1},
     ST_INVALID},
    {"entries newer than their sender",
     {.type = RAFT_MSG_APPEND,
      .term = 2,
      .pos = {1, 1},
      .entries = &entry_newer,
      .entries_count = 1},
     ST_INVALID},
    {"a vote asked while a leader is heard",
     {.type = RAFT_MSG_VOTE, .from = 3, .term = 9, .pos = {8, 8}},
     ST_OK},
    {"a leader of an older term",
     {.type = RAFT_MSG_APPEND, .from = 3, .term = 1},
     ST_OK},
    {"an answer nobody waits for",
     {.type = RAFT_MSG_VOTE_REPLY, .from = 3, .term = 2},
     ST_OK},
};

START_TEST(nothing_changes_by_row)
{
    static const uint64_t terms[] = {1};
    struct bench b;
    struct raft_status s;

    follow(&b, 2, terms, 1);
    ck_assert_msg(receive(&b, belief_rows[_i].message) ==
                      belief_rows[_i].status,
                  "%s", belief_rows[_i].name);
    s = raft_status(b.raft);
    ck_assert_uint_eq(s.hard.term, 2);
    ck_assert_uint_eq(s.leader, 2);
    ck_assert_uint_eq(s.last_index, 1);
    ck_assert(!b.work.must_sync);
    bench_free(&b);
}
END_TEST

/* ---- leaders ---- */

START_TEST(a_leader_without_a_majority_steps_down)
{
    struct bench b;

    lead(&b);
    for (int i = 0; i < 15; i++) {
        b.now_ms += 100;
        ck_assert(step(&b, (struct raft_event){.type = RAFT_TICK}) == ST_OK);
        ck_assert(
            receive(&b, (struct raft_msg){.type = RAFT_MSG_HEARTBEAT_REPLY,
                                          .term = 1}) == ST_OK);
    }
    ck_assert_int_eq(raft_status(b.raft).role, RAFT_LEADER);
    for (int i = 0; i < 20; i++) {
        b.now_ms += 100;
        ck_assert(step(&b, (struct raft_event){.type = RAFT_TICK}) == ST_OK);
    }
    ck_assert_int_ne(raft_status(b.raft).role, RAFT_LEADER);
    bench_free(&b);
}
END_TEST

START_TEST(messages_under_way_are_bounded)
{
    struct bench b;
    size_t sent = 0;

    lead(&b);
    for (uint64_t tag = 1; tag <= 10; tag++) {
        ck_assert(propose(&b, 1, tag) == ST_OK);
        sent += b.work.appends_count;
    }
    ck_assert_uint_eq(sent, 3); /* All to 2; 3 has not answered the probe. */
    ck_assert(receive(&b, (struct raft_msg){.type = RAFT_MSG_APPEND_REPLY,
                                            .term = 1,
                                            .pos.index = 2}) == ST_OK);
    ck_assert_uint_eq(b.work.appends_count, 1); /* All the rest in one. */
    ck_assert_uint_eq(b.work.appends[0].entries_count, 7);
    bench_free(&b);
}
END_TEST

/* The beginning always agrees; who refuses it is ignored. */
START_TEST(nothing_is_before_the_beginning)
{
    struct bench b;

    lead(&b);
    ck_assert(receive(&b, (struct raft_msg){.type = RAFT_MSG_APPEND_REPLY,
                                            .from = 3,
                                            .term = 1,
                                            .reject = true}) == ST_OK);
    ck_assert_uint_eq(b.work.appends_count, 0);
    bench_free(&b);
}
END_TEST

/* A follower may have what is compacted, its answers lost: the beginning of
 * what is kept is tried before giving up, and again after each heartbeat. */
START_TEST(what_is_compacted_is_not_sent)
{
    struct raft_msg beat = {
        .type = RAFT_MSG_HEARTBEAT_REPLY, .from = 3, .term = 1};
    struct raft_msg refusal = {.type = RAFT_MSG_APPEND_REPLY,
                               .from = 3,
                               .term = 1,
                               .pos.index = 1,
                               .reject = true};
    struct bench b;

    lead(&b);
    raft_compact(b.raft, 1);
    ck_assert_uint_eq(raft_status(b.raft).first_index, 2);
    ck_assert_ptr_null(raft_entry_at(b.raft, 1));
    ck_assert_uint_eq(raft_term_at(b.raft, 1), 1);
    for (int i = 0; i < 2; i++) {
        ck_assert(receive(&b, beat) == ST_OK);
        ck_assert_uint_eq(b.work.appends_count, 1);
        ck_assert_uint_eq(b.work.appends[0].pos.index, 1);
        ck_assert_uint_eq(b.work.appends[0].pos.term, 1);
        ck_assert(receive(&b, refusal) == ST_OK);
        ck_assert_uint_eq(b.work.appends_count, 1);
        ck_assert_int_eq(b.work.appends[0].type, RAFT_MSG_SNAPSHOT);
        ck_assert(receive(&b, beat) == ST_OK); /* It is on its way. */
        ck_assert_uint_eq(b.work.appends_count, 0);
        ck_assert(step(&b, (struct raft_event){
                               .type = RAFT_SNAPSHOT_ENDED,
                               .snapshot_ended = {.peer = 3}}) == ST_OK);
        ck_assert(propose(&b, 1, 9) == ST_OK);
        for (size_t j = 0; j < b.work.appends_count; j++) {
            ck_assert_uint_ne(b.work.appends[j].to, 3);
        }
    }
    ck_assert(receive(&b, beat) == ST_OK);
    refusal.reject = false;
    ck_assert(receive(&b, refusal) == ST_OK);
    ck_assert_uint_eq(b.work.appends_count, 1);
    ck_assert_uint_eq(b.work.appends[0].entries_count, 2);
    bench_free(&b);
}
END_TEST

START_TEST(restored_parts_must_fit)
{
    struct raft_config c = {
        .id = 1, .heartbeat_ms = 1, .election_ms = 2, .inflight_max = 1};
    struct raft *r = raft_new(&c);
    struct raft_log log = {0};

    raft_log_start(&log, (struct raft_pos){.term = 2, .index = 5});
    raft_log_append(&log, (struct raft_entry){.pos = {3, 6}});
    raft_restore_log(r, &log);
    ck_assert(raft_restore_hard(r, (struct raft_hard){3, 0, 7}) == ST_CORRUPT);
    ck_assert(raft_restore_hard(r, (struct raft_hard){2, 0, 6}) == ST_CORRUPT);
    ck_assert(raft_restore_hard(r, (struct raft_hard){3, 0, 4}) == ST_OK);
    ck_assert_uint_eq(raft_status(r).hard.commit, 5);
    ck_assert(raft_restore_applied(r, 4) == ST_CORRUPT);
    ck_assert(raft_restore_applied(r, 7) == ST_CORRUPT);
    ck_assert(raft_restore_applied(r, 6) == ST_OK);
    ck_assert_uint_eq(raft_status(r).hard.commit, 6);
    raft_free(r);
}
END_TEST

UNIT_MAIN("raft", {
    tcase_add_test(tc, lone_voter_leads_by_its_own_durable_vote);
    tcase_add_test(tc, commit_needs_the_own_copy_on_disk);
    tcase_add_test(tc, late_reports_say_nothing);
    tcase_add_test(tc, proposals_are_bounded);
    tcase_add_loop_test(tc, append_follows_row, 0, COUNT_OF(append_rows));
    tcase_add_loop_test(tc, nothing_changes_by_row, 0, COUNT_OF(belief_rows));
    tcase_add_test(tc, a_leader_without_a_majority_steps_down);
    tcase_add_test(tc, messages_under_way_are_bounded);
    tcase_add_test(tc, nothing_is_before_the_beginning);
    tcase_add_test(tc, what_is_compacted_is_not_sent);
    tcase_add_test(tc, restored_parts_must_fit);
})
