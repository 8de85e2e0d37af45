/*
 * What must hold after every event: the properties of the Raft paper (figure
 * 3), and what its rules promise for them.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "base/core/check.h"
#include "base/core/crc32c.h"
#include "base/core/row.h"
#include "core.h"
#include "store/node/core.h"

#define TERMS_MAX 100000

/* An entry that some log holds or held: its place, content, and predecessor. */
struct held {
    uint64_t term;
    uint64_t before; /* The term of the entry before it. */
    uint32_t sum;
};

struct place { /* By index. */
    struct held *held;
    size_t count;
    size_t cap;
    uint64_t committed;    /* The term of the entry committed here; 0: none. */
    uint64_t committed_in; /* The lowest term in which somebody knew. */
    uint64_t applied;      /* The term of the entry applied here; 0: none. */
    uint32_t applied_sum;
    uint32_t answer_sum;
    int64_t revision;
};

/* A member's log as of its last event, and what it has promised, ever. */
struct shadow {
    uint64_t *terms; /* By index. */
    size_t cap;
    uint64_t last;
    uint64_t commit;
    uint64_t sent_term;
    uint64_t *votes; /* By term: for whom. */
    size_t votes_cap;
};

struct conf_at {
    uint64_t index;
    struct raft_conf conf;
};

struct checks {
    struct sim *sim;
    struct place *places;
    size_t cap;
    uint64_t applied_last;
    uint64_t committed_last;
    uint64_t *leaders; /* By term. */
    size_t leaders_cap;
    struct shadow shadows[MEMBERS_MAX + 1];
    struct conf_at *confs; /* By index. */
    size_t confs_count;
    size_t confs_cap;
};

struct checks *checks_new(struct sim *s)
{
    struct checks *c = calloc(1, sizeof(*c));

    CHECK(c != NULL);
    c->sim = s;
    return c;
}

void checks_free(struct checks *c)
{
    for (size_t i = 0; i < c->cap; i++) {
        free(c->places[i].held);
    }
    for (size_t id = 0; id <= MEMBERS_MAX; id++) {
        free(c->shadows[id].terms);
        free(c->shadows[id].votes);
    }
    free(c->places);
    free(c->leaders);
    free(c->confs);
    free(c);
}

/* Room for [at], the new part zeroed. */
static void *reach(void *list, size_t *cap, size_t at, size_t size)
{
    size_t more = *cap == 0 ? 64 : *cap;
    uint8_t *bytes = list;

    if (at < *cap) {
        return list;
    }
    while (more <= at) {
        more *= 2;
    }
    bytes = realloc(bytes, more * size);
    CHECK(bytes != NULL);
    memset(bytes + *cap * size, 0, (more - *cap) * size);
    *cap = more;
    return bytes;
}

static struct place *place_at(struct checks *c, uint64_t index)
{
    c->places = reach(c->places, &c->cap, index, sizeof(*c->places));
    return &c->places[index];
}

uint64_t checks_applied_last(const struct sim *s)
{
    return s->checks->applied_last;
}

uint64_t checks_conf_last(const struct sim *s)
{
    const struct checks *c = s->checks;

    return c->confs_count == 0 ? 0 : c->confs[c->confs_count - 1].index;
}

/* ---- election safety ---- */

/* Leader completeness: what was committed in an earlier term is in the log of
 * every later leader. */
static void check_complete(struct member *m, const struct raft_status *st)
{
    struct checks *c = m->sim->checks;

    for (uint64_t i = st->first_index; i <= c->committed_last; i++) {
        const struct place *p = &c->places[i];

        if (p->committed != 0 && p->committed_in < st->hard.term &&
            raft_term_at(m->node->raft, i) != p->committed) {
            sim_fail(m->sim,
                     "member %" PRIu64 " leads term %" PRIu64
                     " without entry %" PRIu64 " of term %" PRIu64
                     ", committed in term %" PRIu64,
                     m->id, st->hard.term, i, p->committed, p->committed_in);
        }
    }
}

void check_leads(struct member *m, const struct raft_status *st)
{
    struct checks *c = m->sim->checks;
    uint64_t term = st->hard.term;

    if (term >= TERMS_MAX) {
        sim_fail(m->sim, "terms run away: %" PRIu64, term);
    }
    c->leaders = reach(c->leaders, &c->leaders_cap, term, sizeof(*c->leaders));
    if (c->leaders[term] != 0 && c->leaders[term] != m->id) {
        sim_fail(m->sim,
                 "two leaders in term %" PRIu64 ": %" PRIu64 " and %" PRIu64,
                 term, c->leaders[term], m->id);
    }
    c->leaders[term] = m->id;
    check_complete(m, st);
}

/* ---- promises ---- */

static void check_vote(struct member *m, uint64_t term, uint64_t candidate)
{
    struct shadow *w = &m->sim->checks->shadows[m->id];

    if (term >= TERMS_MAX) {
        sim_fail(m->sim, "terms run away: %" PRIu64, term);
    }
    w->votes = reach(w->votes, &w->votes_cap, term, sizeof(*w->votes));
    if (w->votes[term] != 0 && w->votes[term] != candidate) {
        sim_fail(m->sim,
                 "member %" PRIu64 " votes twice in term %" PRIu64
                 ": for %" PRIu64 " and %" PRIu64,
                 m->id, term, w->votes[term], candidate);
    }
    w->votes[term] = candidate;
}

/* Terms of messages never fall, not by a crash either; a pre-vote's is only a
 * wish, and requests that are passed on have none. */
void check_sent(struct member *m, const struct raft_msg *message)
{
    struct shadow *w = &m->sim->checks->shadows[m->id];
    bool wish = message->type == RAFT_MSG_PRE_VOTE ||
                message->type == RAFT_MSG_PRE_VOTE_REPLY;

    if (message->term != 0 && !wish) {
        if (message->term < w->sent_term) {
            sim_fail(m->sim,
                     "member %" PRIu64 " has forgotten term %" PRIu64
                     ", it sends %" PRIu64,
                     m->id, w->sent_term, message->term);
        }
        w->sent_term = message->term;
    }
    if (message->type == RAFT_MSG_VOTE) {
        check_vote(m, message->term, m->id);
    } else if (message->type == RAFT_MSG_VOTE_REPLY && !message->reject) {
        check_vote(m, message->term, message->to);
    }
}

/* ---- log matching ---- */

/* Two logs that agree at a place agree before it: each (index, term) has one
 * content and one predecessor. */
static void check_held(struct member *m, uint64_t index)
{
    const struct raft_entry *e = raft_entry_at(m->node->raft, index);
    struct place *p = place_at(m->sim->checks, index);
    struct held now = {.term = e->pos.term,
                       .before = raft_term_at(m->node->raft, index - 1),
                       .sum = crc32c(e->type, raft_entry_data(e))};

    for (size_t i = 0; i < p->count; i++) {
        const struct held *h = &p->held[i];

        if (h->term != now.term) {
            continue;
        }
        if (h->sum != now.sum ||
            (h->before != now.before && h->before != 0 && now.before != 0)) {
            sim_fail(m->sim,
                     "member %" PRIu64 " has another entry %" PRIu64
                     " of term %" PRIu64 " than somebody had",
                     m->id, index, now.term);
        }
        return;
    }
    p->held = row_room(p->held, &p->cap, p->count, sizeof(now));
    p->held[p->count++] = now;
}

static void check_log(struct member *m, const struct raft_status *st)
{
    struct shadow *w = &m->sim->checks->shadows[m->id];

    w->terms = reach(w->terms, &w->cap, st->last_index, sizeof(*w->terms));
    for (uint64_t i = st->last_index; i >= st->first_index; i--) {
        uint64_t term = raft_term_at(m->node->raft, i);

        if (i <= w->last && w->terms[i] == term) {
            break;
        }
        check_held(m, i);
        w->terms[i] = term;
    }
    w->last = st->last_index;
}

static void check_commit(struct member *m, const struct raft_status *st)
{
    struct checks *c = m->sim->checks;
    struct shadow *w = &c->shadows[m->id];
    uint64_t from = w->commit + 1;

    if (st->hard.commit > st->last_index) {
        sim_fail(m->sim, "member %" PRIu64 " commits %" PRIu64 " of %" PRIu64,
                 m->id, st->hard.commit, st->last_index);
    }
    if (from < st->first_index) {
        from = st->first_index;
    }
    for (uint64_t i = from; i <= st->hard.commit; i++) {
        struct place *p = place_at(c, i);
        uint64_t term = raft_term_at(m->node->raft, i);

        if (p->committed != 0 && p->committed != term) {
            sim_fail(m->sim,
                     "member %" PRIu64 " commits entry %" PRIu64
                     " of term %" PRIu64 ", but that of term %" PRIu64
                     " was committed",
                     m->id, i, term, p->committed);
        }
        if (p->committed == 0 || st->hard.term < p->committed_in) {
            p->committed_in = st->hard.term;
        }
        p->committed = term;
        w->commit = i;
    }
    if (w->commit > c->committed_last) {
        c->committed_last = w->commit;
    }
}

void check_member(struct member *m)
{
    struct raft_status st = member_status(m);

    check_log(m, &st);
    check_commit(m, &st);
    m->seen = st;
}

void check_started(struct member *m)
{
    m->sim->checks->shadows[m->id].last = 0;
    check_member(m);
}

/* ---- state machine safety ---- */

/* Each member applies the same entries, to the same effect. The first one to do
 * so is compared with the model by its revision. */
static void check_first(struct member *m, const struct raft_entry *e)
{
    struct slice data = raft_entry_data(e);
    uint64_t name =
        e->type == RAFT_ENTRY_NORMAL && data.len > 0 ? kv_entry_id(data) : 0;
    struct sim *s = m->sim;

    if (name > 0 && name <= s->history.count) {
        model_apply(s->model, &s->history.ops[name - 1]);
    }
    if (kv_revision(m->kv) != model_revision(s->model)) {
        sim_fail(s,
                 "member %" PRIu64 " is at revision %" PRId64
                 " after entry %" PRIu64 ", not %" PRId64,
                 m->id, kv_revision(m->kv), e->pos.index,
                 model_revision(s->model));
    }
}

void check_applied(struct member *m, const struct raft_entry *e, uint32_t sum)
{
    struct checks *c = m->sim->checks;
    struct place *p = place_at(c, e->pos.index);
    struct place now = {.applied = e->pos.term,
                        .applied_sum = crc32c(e->type, raft_entry_data(e)),
                        .answer_sum = sum,
                        .revision = kv_revision(m->kv)};

    if (kv_index(m->kv) != e->pos.index) {
        sim_fail(m->sim, "member %" PRIu64 " applies %" PRIu64 " at %" PRIu64,
                 m->id, e->pos.index, kv_index(m->kv));
    }
    if (p->applied == 0) {
        if (e->pos.index != c->applied_last + 1) {
            sim_fail(m->sim, "entry %" PRIu64 " is applied behind %" PRIu64,
                     e->pos.index, c->applied_last);
        }
        c->applied_last = e->pos.index;
        p->applied = now.applied;
        p->applied_sum = now.applied_sum;
        p->answer_sum = now.answer_sum;
        check_first(m, e);
        p->revision = kv_revision(m->kv);
    } else if (p->applied != now.applied || p->applied_sum != now.applied_sum) {
        sim_fail(m->sim,
                 "member %" PRIu64 " applies entry %" PRIu64 " of term %" PRIu64
                 ", others that of term %" PRIu64,
                 m->id, e->pos.index, now.applied, p->applied);
    } else if (p->answer_sum != now.answer_sum || p->revision != now.revision) {
        sim_fail(m->sim,
                 "member %" PRIu64 " answers entry %" PRIu64
                 " as no other: revision %" PRId64 ", theirs %" PRId64,
                 m->id, e->pos.index, now.revision, p->revision);
    }
}

/* ---- membership ---- */

static void conf_is_new(struct checks *c, uint64_t index,
                        const struct raft_conf *conf)
{
    struct sim *s = c->sim;

    c->confs =
        row_room(c->confs, &c->confs_cap, c->confs_count, sizeof(c->confs[0]));
    c->confs[c->confs_count++] = (struct conf_at){index, *conf};
    s->conf = *conf;
    for (size_t i = 0; i < conf->count; i++) {
        uint64_t id = conf->list[i].id;

        if (id > s->members_count) { /* Somebody sets it up. */
            s->members_count = id;
            sim_at(s, 1000 * sim_upto(s, 1000), EVENT_START)->member = id;
        }
    }
}

void check_conf(struct member *m, uint64_t index, const struct raft_conf *conf)
{
    struct checks *c = m->sim->checks;
    size_t at = c->confs_count;

    while (at > 0 && c->confs[at - 1].index > index) {
        at--;
    }
    if (at == c->confs_count && (at == 0 || c->confs[at - 1].index < index) &&
        !(at > 0 && raft_conf_eq(&c->confs[at - 1].conf, conf))) {
        conf_is_new(c, index, conf);
    } else if (at == 0 || !raft_conf_eq(&c->confs[at - 1].conf, conf)) {
        sim_fail(m->sim,
                 "member %" PRIu64 " has other members at %" PRIu64
                 " than somebody had",
                 m->id, index);
    }
}
