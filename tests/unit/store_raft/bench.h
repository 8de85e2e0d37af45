/*
 * bench.h - member 1 of a group, fed by hand.
 */
#pragma once

#include <stdlib.h>

#include "store/raft/raft.h"
#include "suite.h"

struct bench {
    struct raft *raft;
    struct raft_work work;
    uint64_t now_ms;
};

static inline enum status step(struct bench *b, struct raft_event event)
{
    event.now_ms = b->now_ms;
    return raft_step(b->raft, &event, &b->work);
}

static inline void bench_new(struct bench *b, size_t voters)
{
    struct raft_config c = {.id = 1,
                            .heartbeat_ms = 100,
                            .election_ms = 1000,
                            .append_bytes_max = 1000,
                            .inflight_max = 3,
                            .uncommitted_max = 1000,
                            .rng_seed = 5};

    struct raft_conf conf = {.count = voters};

    for (uint64_t id = 1; id <= voters; id++) {
        conf.list[id - 1] = (struct raft_conf_member){id, RAFT_VOTER};
    }
    *b = (struct bench){.raft = raft_new(&c), .now_ms = 1};
    raft_restore_conf(b->raft, &conf);
    ck_assert(step(b, (struct raft_event){.type = RAFT_STARTED}) == ST_OK);
}

static inline void bench_free(struct bench *b)
{
    raft_free(b->raft);
}

static inline void persist(struct bench *b)
{
    ck_assert(b->work.must_sync);
    ck_assert(step(b, (struct raft_event){.type = RAFT_PERSISTED,
                                          .persisted = b->work.persist}) ==
              ST_OK);
}

static inline enum status receive(struct bench *b, struct raft_msg m)
{
    m.to = m.to == 0 ? 1 : m.to;
    m.from = m.from == 0 ? 2 : m.from;
    return step(b, (struct raft_event){.type = RAFT_RECEIVED, .received = &m});
}

static inline enum status propose(struct bench *b, size_t len, uint64_t tag)
{
    struct raft_entry e = {.data = calloc(1, len), .len = len, .tag = tag};
    enum status st =
        step(b, (struct raft_event){.type = RAFT_PROPOSED,
                                    .proposed = {.entries = &e, .count = 1}});

    if (st) {
        free(e.data);
    }
    return st;
}

/* Member 1 of three leads term 1, its empty entry 1 durable here and on 2. */
static inline void lead(struct bench *b)
{
    bench_new(b, 3);
    b->now_ms += 2000;
    ck_assert(step(b, (struct raft_event){.type = RAFT_TICK}) == ST_OK);
    ck_assert(receive(b, (struct raft_msg){.type = RAFT_MSG_PRE_VOTE_REPLY,
                                           .term = 1}) == ST_OK);
    persist(b);
    ck_assert(receive(b, (struct raft_msg){.type = RAFT_MSG_VOTE_REPLY,
                                           .term = 1}) == ST_OK);
    ck_assert_int_eq(raft_status(b->raft).role, RAFT_LEADER);
    persist(b);
    ck_assert(receive(b, (struct raft_msg){.type = RAFT_MSG_APPEND_REPLY,
                                           .term = 1,
                                           .pos.index = 1}) == ST_OK);
    ck_assert_uint_eq(raft_status(b->raft).hard.commit, 1);
}

/* Member 1 of three follows 2 in `term`, with entries of these terms. */
static inline void follow(struct bench *b, uint64_t term, const uint64_t *terms,
                          size_t count)
{
    struct raft_entry entries[16] = {{.pos = {0, 0}}};

    for (size_t i = 0; i < count; i++) {
        entries[i].pos = (struct raft_pos){.term = terms[i], .index = i + 1};
    }
    bench_new(b, 3);
    ck_assert(receive(b, (struct raft_msg){.type = RAFT_MSG_APPEND,
                                           .term = term,
                                           .entries = entries,
                                           .entries_count = count}) == ST_OK);
    persist(b);
}
