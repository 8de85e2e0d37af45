/*
 * A peer's bytes may say anything that parses. Whatever comes, the core takes
 * it or refuses it with ST_INVALID; its own checks (raft_verify() after each
 * step) never stop the process. Numbers are mostly near those of the member, so
 * that messages get past the first look, and sometimes at the ends.
 */
#include <stdlib.h>

#include "base/core/rng.h"
#include "store/raft/raft.h"
#include "suite.h"

#define ROUNDS        10
#define SEEDS         20 /* A round. */
#define STEPS         400
#define ENTRIES_MAX   3
#define MEMBERS_COUNT 5

struct bench {
    struct raft *raft;
    struct rng rng;
    struct raft_work work;
    uint64_t now_ms;
    uint64_t last_read;
    struct raft_persist due;
    bool is_due;
};

/* What one message borrows. */
struct letter {
    struct raft_msg message;
    struct raft_entry entries[ENTRIES_MAX];
    uint8_t data[8];
    struct raft_snapshot snapshot;
};

static bool one_in(struct bench *b, uint64_t n)
{
    return rng_below(&b->rng, n) == 0;
}

static uint64_t near(struct bench *b, uint64_t value)
{
    static const uint64_t ends[] = {0, 1, UINT64_MAX / 2, UINT64_MAX - 1,
                                    UINT64_MAX};

    if (one_in(b, 20)) {
        return ends[rng_below(&b->rng, COUNT_OF(ends))];
    }
    value += rng_below(&b->rng, 3);
    return one_in(b, 2) && value > 0 ? value - 1 : value;
}

static uint64_t some_index(struct bench *b)
{
    struct raft_status s = raft_status(b->raft);

    return near(b, one_in(b, 2) ? s.last_index : s.hard.commit);
}

static struct raft_pos some_pos(struct bench *b)
{
    uint64_t index = some_index(b);
    uint64_t term = raft_term_at(b->raft, index);

    return (struct raft_pos){
        .term = one_in(b, 3) ? near(b, raft_status(b->raft).hard.term) : term,
        .index = index};
}

static void some_entries(struct bench *b, struct letter *l)
{
    struct raft_pos at = l->message.pos;
    size_t count = rng_below(&b->rng, ENTRIES_MAX + 1);

    for (size_t i = 0; i < count; i++) {
        at.index = one_in(b, 30) ? near(b, at.index) : at.index + 1;
        at.term = one_in(b, 3) ? near(b, l->message.term) : at.term;
        l->entries[i] = (struct raft_entry){
            .pos = at, .data = l->data, .len = rng_below(&b->rng, 9)};
        if (one_in(b, 6)) {
            l->entries[i].type = RAFT_ENTRY_CONF;
        }
    }
    l->message.entries = l->entries;
    l->message.entries_count = count;
}

static void some_snapshot(struct bench *b, struct letter *l)
{
    struct raft_conf *c = &l->snapshot.conf;

    l->snapshot.pos = some_pos(b);
    *c = *raft_conf(b->raft);
    while (one_in(b, 2)) {
        size_t at = rng_below(&b->rng, RAFT_MEMBERS_MAX);

        at = one_in(b, 10) ? at : at % (MEMBERS_COUNT + 1);
        c->list[at].id = rng_below(&b->rng, MEMBERS_COUNT + 2);
        c->list[at].roles = (unsigned)rng_below(&b->rng, 17);
    }
    if (one_in(b, 4)) {
        c->count = rng_below(&b->rng, RAFT_MEMBERS_MAX + 2);
    }
    c->auto_leave = one_in(b, 4);
    l->message.snapshot = one_in(b, 20) ? NULL : &l->snapshot;
}

static enum status receive(struct bench *b)
{
    struct raft_status s = raft_status(b->raft);
    struct letter l = {
        .message = {.type = (enum raft_msg_type)rng_below(&b->rng, 21),
                    .from = rng_below(&b->rng, MEMBERS_COUNT + 2),
                    .to = one_in(b, 30) ? 2 : 1,
                    .term = s.hard.term,
                    .pos = some_pos(b),
                    .hint = some_pos(b),
                    .commit = some_index(b),
                    .context = near(b, b->last_read),
                    .reject = one_in(b, 3),
                    .transfer = one_in(b, 3)}};

    if (one_in(b, 4)) {
        l.message.term = near(b, s.hard.term);
    }
    if (s.leader != RAFT_NOBODY && one_in(b, 2)) {
        l.message.from = s.leader;
    }
    some_entries(b, &l);
    some_snapshot(b, &l);
    return raft_step(b->raft,
                     &(struct raft_event){.type = RAFT_RECEIVED,
                                          .now_ms = b->now_ms,
                                          .received = &l.message},
                     &b->work);
}

static enum status ask(struct bench *b)
{
    struct raft_event e = {.now_ms = b->now_ms};

    switch (rng_below(&b->rng, 4)) {
    case 0:
        e.type = RAFT_READ_ASKED;
        e.read_id = ++b->last_read;
        break;
    case 1:
        e.type = RAFT_TRANSFER_ASKED;
        e.peer = rng_below(&b->rng, MEMBERS_COUNT + 2);
        break;
    case 2:
        e.type = RAFT_PEER_LOST;
        e.peer = rng_below(&b->rng, MEMBERS_COUNT + 2);
        break;
    default:
        e.type = RAFT_SNAPSHOT_ENDED;
        e.snapshot_ended = (struct raft_snapshot_end){
            .peer = rng_below(&b->rng, MEMBERS_COUNT + 2),
            .index = some_index(b),
            .ok = one_in(b, 2)};
    }
    return raft_step(b->raft, &e, &b->work);
}

static enum status propose(struct bench *b)
{
    struct raft_entry entry = {.tag = 7};
    struct raft_event e = {.type = RAFT_PROPOSED,
                           .now_ms = b->now_ms,
                           .proposed = {.entries = &entry, .count = 1}};

    entry.type = one_in(b, 4) ? RAFT_ENTRY_CONF : RAFT_ENTRY_NORMAL;
    return raft_step(b->raft, &e, &b->work);
}

static enum status run_disk(struct bench *b)
{
    b->is_due = false;
    return raft_step(b->raft,
                     &(struct raft_event){.type = RAFT_PERSISTED,
                                          .now_ms = b->now_ms,
                                          .persisted = b->due},
                     &b->work);
}

static enum status tick(struct bench *b)
{
    b->now_ms += rng_below(&b->rng, 800);
    return raft_step(
        b->raft, &(struct raft_event){.type = RAFT_TICK, .now_ms = b->now_ms},
        &b->work);
}

/* As a driver: it says what a change means when it has applied it, and a change
 * that cannot be followed means nothing. */
static void apply_change(struct bench *b)
{
    struct raft_conf next = *raft_conf(b->raft);
    struct raft_changes changes = {
        .count = 1,
        .list = {{(enum raft_change_type)rng_below(&b->rng, 4),
                  1 + rng_below(&b->rng, MEMBERS_COUNT)}}};

    bool followed;

    if (raft_conf_is_joint(&next) && !one_in(b, 3)) {
        changes = (struct raft_changes){.v2 = true};
    } else if (one_in(b, 3)) {
        changes.v2 = true;
        changes.transition = RAFT_TRANSITION_IMPLICIT;
    }
    followed = raft_conf_apply(&next, &changes) == ST_OK;
    ck_assert(
        raft_step(b->raft,
                  &(struct raft_event){.type = RAFT_CONF_APPLIED,
                                       .now_ms = b->now_ms,
                                       .changes = followed ? &changes : NULL},
                  &b->work) == ST_OK);
}

/* Carries the work out, also that which applying causes. */
static void carry_out(struct bench *b)
{
    size_t changes = 0;

    do {
        if (b->work.must_sync) {
            b->due = b->work.persist;
            b->is_due = true;
        }
        for (size_t i = 0; i < b->work.committed_count; i++) {
            changes += b->work.committed[i].type != RAFT_ENTRY_NORMAL;
        }
        if (changes == 0) {
            return;
        }
        changes--;
        apply_change(b);
    } while (true);
}

static enum status anything(struct bench *b)
{
    uint64_t dice = rng_below(&b->rng, 20);

    if (dice < 2) {
        return tick(b);
    }
    if (dice < 4) {
        return propose(b);
    }
    if (dice < 5) {
        return ask(b);
    }
    if (dice < 9 && b->is_due) {
        return run_disk(b);
    }
    return receive(b);
}

static void bench_new(struct bench *b, uint64_t seed)
{
    struct raft_config c = {.id = 1,
                            .heartbeat_ms = 100,
                            .election_ms = 1000,
                            .append_bytes_max = 20,
                            .inflight_max = 3,
                            .inflight_bytes_max = 30,
                            .uncommitted_max = 100,
                            .rng_seed = seed};
    struct raft_conf conf = {.count = 1 + seed % MEMBERS_COUNT};

    for (size_t i = 0; i < conf.count; i++) {
        conf.list[i] = (struct raft_conf_member){i + 1, RAFT_VOTER};
    }
    *b = (struct bench){.raft = raft_new(&c), .now_ms = 1};
    rng_init(&b->rng, seed);
    raft_restore_conf(b->raft, &conf);
    ck_assert(raft_step(b->raft,
                        &(struct raft_event){.type = RAFT_STARTED, .now_ms = 1},
                        &b->work) == ST_OK);
    carry_out(b);
}

static void live_through(uint64_t seed)
{
    struct bench b;

    bench_new(&b, seed);
    for (int i = 0; i < STEPS; i++) {
        enum status st = anything(&b);

        ck_assert(st == ST_OK || st == ST_INVALID || st == ST_BUSY ||
                  st == ST_NOT_LEADER);
        carry_out(&b);
        if (one_in(&b, 10)) {
            raft_compact(b.raft, raft_status(b.raft).applied);
        }
    }
    raft_free(b.raft);
}

START_TEST(no_message_stops_us)
{
    for (int i = 0; i < SEEDS; i++) {
        live_through((uint64_t)(_i * SEEDS + i));
    }
}
END_TEST

UNIT_MAIN("robust",
          { tcase_add_loop_test(tc, no_message_stops_us, 0, ROUNDS); })
