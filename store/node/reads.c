#include <stdlib.h>

#include "base/core/check.h"
#include "base/core/rng.h"
#include "base/core/row.h"
#include "store/node/core.h"

static void tags_add(struct node_tags *t, uint64_t tag)
{
    t->list = row_room(t->list, &t->cap, t->count, sizeof(t->list[0]));
    t->list[t->count++] = tag;
}

static void readies_add(struct node_readies *r, struct node_ready ready)
{
    if (r->head > 0 && r->head + r->count == r->cap) {
        memmove(r->list, r->list + r->head, r->count * sizeof(r->list[0]));
        r->head = 0;
    }
    r->list =
        row_room(r->list, &r->cap, r->head + r->count, sizeof(r->list[0]));
    r->list[r->head + r->count] = ready;
    r->count++;
}

void node_reads_release(struct node *n)
{
    free(n->asked.list);
    free(n->next.list);
    free(n->confirmed.list);
}

/* Rounds are told apart by their numbers, also from those before a crash, whose
 * answers may still come. */
void node_reads_start(struct node *n)
{
    struct rng rng;

    rng_init(&rng, n->config.raft.rng_seed ^ n->now_ms);
    n->round = rng_next(&rng) / 2;
}

/* A follower's round whose question or answer was lost is opened anew. */
#define ROUND_REPEAT_MS 500

/* Start a round. Whoever leads alone is confirmed inside; then its index is
 * given, else 0. */
static enum status node_open_round(struct node *n, uint64_t *out_index)
{
    struct raft_event event = {
        .type = RAFT_READ_ASKED, .now_ms = n->now_ms, .read_id = ++n->round};
    struct raft_work work;
    enum status st = raft_step(n->raft, &event, &work);

    if (st) {
        return st;
    }
    node_send_appends(n, &work);
    CHECK(!work.must_sync);
    CHECK(work.committed_count == 0);
    if (work.reads_count > 0) {
        CHECK(work.reads[work.reads_count - 1].id == n->round);
        *out_index = work.reads[work.reads_count - 1].index;
    } else {
        *out_index = 0;
        n->round_open = true;
        n->round_ms = n->now_ms;
    }
    return ST_OK;
}

enum status node_read(struct node *n, uint64_t tag, bool *out_ready)
{
    uint64_t index;
    enum status st = n->failed;

    *out_ready = false;
    if (st) {
        return st;
    }
    if (n->round_open) {
        tags_add(&n->next, tag);
        return ST_OK;
    }
    st = node_open_round(n, &index);
    if (st) {
        return st;
    }
    if (n->round_open) {
        tags_add(&n->asked, tag);
    } else if (index > n->applied) {
        readies_add(&n->confirmed, (struct node_ready){tag, index});
    } else {
        *out_ready = true;
    }
    return ST_OK;
}

static void refuse(struct node *n, struct node_tags *tags, enum status why)
{
    for (size_t i = 0; i < tags->count; i++) {
        n->ports.read_ready(n->ports.ctx, tags->list[i], why);
    }
    tags->count = 0;
}

/* Raft has an answer for the open round, or has given up on it. */
void node_note_reads(struct node *n, const struct raft_work *work)
{
    for (size_t i = 0; i < work->reads_count; i++) {
        if (!n->round_open || work->reads[i].id != n->round) {
            continue; /* The late answer to a round that was repeated. */
        }
        for (size_t j = 0; j < n->asked.count; j++) {
            readies_add(
                &n->confirmed,
                (struct node_ready){n->asked.list[j], work->reads[i].index});
        }
        n->asked.count = 0;
        n->round_open = false;
    }
    for (size_t i = 0; i < work->reads_lost_count; i++) {
        if (n->round_open && work->reads_lost[i] == n->round) {
            n->round_open = false;
            n->round_lost = true;
        }
    }
}

/* The reads that came while the last round was open get the next one. */
static void node_next_round(struct node *n)
{
    uint64_t index;
    enum status st = node_open_round(n, &index);

    if (st) {
        refuse(n, &n->next, st);
        return;
    }
    if (n->round_open) {
        struct node_tags empty = n->asked;

        n->asked = n->next;
        n->next = empty;
        return;
    }
    for (size_t i = 0; i < n->next.count; i++) {
        readies_add(&n->confirmed, (struct node_ready){n->next.list[i], index});
    }
    n->next.count = 0;
}

void node_settle_reads(struct node *n)
{
    if (n->round_lost) {
        n->round_lost = false;
        refuse(n, &n->asked, ST_NOT_LEADER);
        refuse(n, &n->next, ST_NOT_LEADER);
    }
    if (!n->round_open && n->next.count > 0) {
        node_next_round(n);
    }
    while (n->confirmed.count > 0 &&
           n->confirmed.list[n->confirmed.head].index <= n->applied) {
        uint64_t tag = n->confirmed.list[n->confirmed.head].tag;

        n->confirmed.head++;
        n->confirmed.count--;
        n->ports.read_ready(n->ports.ctx, tag, ST_OK);
    }
    if (n->confirmed.count == 0) {
        n->confirmed.head = 0;
    }
}

/* Whoever leads has been asked by messages that raft repeats itself. */
void node_repeat_round(struct node *n)
{
    uint64_t index;

    if (!n->round_open || raft_status(n->raft).role == RAFT_LEADER ||
        n->now_ms - n->round_ms < ROUND_REPEAT_MS) {
        return;
    }
    n->round_open = false;
    if (node_open_round(n, &index)) {
        n->round_lost = true;
        node_settle_reads(n);
    }
    CHECK_IF(n->round_open, index == 0); /* Nobody else can know it yet. */
}

void node_refuse_reads(struct node *n, enum status why)
{
    refuse(n, &n->asked, why);
    refuse(n, &n->next, why);
    while (n->confirmed.count > 0) {
        uint64_t tag = n->confirmed.list[n->confirmed.head].tag;

        n->confirmed.head++;
        n->confirmed.count--;
        n->ports.read_ready(n->ports.ctx, tag, why);
    }
    n->round_open = false;
}
