/* Changes of the membership, step by step. */
#include "bench.h"

static enum status change(struct bench *b, enum raft_change_type type,
                          uint64_t id)
{
    struct raft_changes changes = {.count = 1, .list = {{type, id}}};

    return step(
        b, (struct raft_event){.type = RAFT_CONF_APPLIED, .changes = &changes});
}

static enum status propose_change(struct bench *b)
{
    struct raft_entry e = {.type = RAFT_ENTRY_CONF, .tag = 9};

    return step(b,
                (struct raft_event){.type = RAFT_PROPOSED,
                                    .proposed = {.entries = &e, .count = 1}});
}

static enum status has(struct bench *b, uint64_t peer, uint64_t index)
{
    return receive(b, (struct raft_msg){.type = RAFT_MSG_APPEND_REPLY,
                                        .from = peer,
                                        .term = raft_status(b->raft).hard.term,
                                        .pos.index = index});
}

START_TEST(changes_come_one_at_a_time)
{
    struct raft_persist due;
    struct bench b;

    lead(&b);
    ck_assert(propose_change(&b) == ST_OK);
    due = b.work.persist;
    ck_assert(propose_change(&b) == ST_BUSY);
    ck_assert(step(&b, (struct raft_event){.type = RAFT_PERSISTED,
                                           .persisted = due}) == ST_OK);
    ck_assert(has(&b, 2, 2) == ST_OK);
    ck_assert_uint_eq(b.work.committed_count, 1);
    ck_assert(propose_change(&b) == ST_BUSY); /* Committed, not applied. */
    ck_assert(change(&b, RAFT_REMOVE, 3) == ST_OK);
    ck_assert_uint_eq(raft_status(b.raft).voters_count, 2);
    ck_assert(propose_change(&b) == ST_OK);
    bench_free(&b);
}
END_TEST

START_TEST(learners_have_no_vote)
{
    struct bench b;

    bench_new(&b, 1);
    persist(&b);
    ck_assert_int_eq(raft_status(b.raft).role, RAFT_LEADER);
    persist(&b);
    ck_assert(propose_change(&b) == ST_OK);
    persist(&b);
    ck_assert(change(&b, RAFT_ADD_LEARNER, 2) == ST_OK);
    ck_assert_uint_eq(b.work.appends_count, 1); /* It gets entries. */
    ck_assert(propose_change(&b) == ST_OK);
    persist(&b);
    ck_assert_uint_eq(b.work.committed_count, 1); /* Nobody waits for it. */
    ck_assert(change(&b, RAFT_ADD_VOTER, 2) == ST_OK);
    ck_assert(raft_is_voter(b.raft, 2));
    ck_assert(propose(&b, 1, 1) == ST_OK);
    persist(&b);
    ck_assert_uint_eq(b.work.committed_count, 0);
    bench_free(&b);
}
END_TEST

UNIT_MAIN("raft_members", {
    tcase_add_test(tc, changes_come_one_at_a_time);
    tcase_add_test(tc, learners_have_no_vote);
})
