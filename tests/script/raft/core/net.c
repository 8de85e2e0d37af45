#include <inttypes.h>
#include <stdlib.h>

#include "base/core/check.h"
#include "base/core/row.h"
#include "inside.h"

/* ---- letters ---- */

static struct letter letter_from(const struct raft_msg *m)
{
    struct letter l = {.msg = *m};

    if (m->entries_count > 0) {
        l.entries = calloc(m->entries_count, sizeof(l.entries[0]));
        CHECK(l.entries != NULL);
        for (size_t i = 0; i < m->entries_count; i++) {
            l.entries[i] = raft_entry_copy(&m->entries[i]);
        }
    }
    if (m->snapshot != NULL) {
        l.snapshot = *m->snapshot;
    }
    return l;
}

/* The letter moves; so what it points at is set when it is looked at. */
static const struct raft_msg *letter_open(struct letter *l)
{
    l->msg.entries = l->entries;
    l->msg.snapshot = l->msg.type == RAFT_MSG_SNAPSHOT ? &l->snapshot : NULL;
    return &l->msg;
}

static void letter_free(struct letter *l)
{
    for (size_t i = 0; i < l->msg.entries_count; i++) {
        free(l->entries[i].data);
    }
    free(l->entries);
}

static void letters_add(struct letters *ls, struct letter l)
{
    ls->list = row_room(ls->list, &ls->cap, ls->count, sizeof(ls->list[0]));
    ls->list[ls->count++] = l;
}

static struct letter letters_take(struct letters *ls, size_t at)
{
    struct letter l = ls->list[at];

    ls->count--;
    memmove(&ls->list[at], &ls->list[at + 1],
            (ls->count - at) * sizeof(ls->list[0]));
    return l;
}

static void letters_release(struct letters *ls)
{
    for (size_t i = 0; i < ls->count; i++) {
        letter_free(&ls->list[i]);
    }
    free(ls->list);
}

void cores_net_release(struct cores *c)
{
    letters_release(&c->flying);
    for (size_t a = 0; a <= CORES_MAX; a++) {
        for (size_t b = 0; b <= CORES_MAX; b++) {
            letters_release(&c->bags[a][b]);
        }
    }
}

/* ---- arriving ---- */

/* What the sender's transport tells it. */
void core_tell_snapshot_end(struct core *to, uint64_t from, uint64_t index,
                            bool ok)
{
    struct core *sender = core_at(to->cores, from);

    if (sender->raft == NULL) {
        return;
    }
    if (!ok) {
        script_say(to->cores->script,
                   "%" PRIu64 " has no success with %" PRIu64 "'s snapshot",
                   from, to->id);
    }
    CHECK(core_step(sender, (struct raft_event){
                                .type = RAFT_SNAPSHOT_ENDED,
                                .snapshot_ended = {.peer = to->id,
                                                   .index = index,
                                                   .ok = ok}}) == ST_OK);
}

static void arrive(struct cores *c, const struct raft_msg *m)
{
    struct core *to = core_at(c, m->to);
    bool is_snapshot = m->type == RAFT_MSG_SNAPSHOT;
    bool was_due = to->install.due;
    enum status st = ST_CLOSED;

    if (to->raft != NULL) {
        to->install.from = is_snapshot ? m->from : to->install.from;
        st = core_step(
            to, (struct raft_event){.type = RAFT_RECEIVED, .received = m});
        if (st) {
            script_say(c->script,
                       "%" PRIu64 " refuses a message of %" PRIu64 ": %s",
                       m->to, m->from, status_text(st));
        }
    }
    /* If it is to be installed, the disk tells of its end. */
    if (is_snapshot && (st || !to->install.due || was_due)) {
        core_tell_snapshot_end(to, m->from, m->snapshot->pos.index,
                               st == ST_OK);
    }
}

void cores_settle(struct cores *c)
{
    while (c->flying.count > 0) {
        struct letter l = letters_take(&c->flying, 0);

        arrive(c, letter_open(&l));
        letter_free(&l);
    }
}

/* ---- sending ---- */

static void lose(struct cores *c, struct letter *l)
{
    if (l->msg.type == RAFT_MSG_SNAPSHOT) {
        core_tell_snapshot_end(core_at(c, l->msg.to), l->msg.from, 0, false);
    }
    letter_free(l);
}

static void send_one(struct cores *c, const struct raft_msg *m, uint64_t by)
{
    struct letter l = letter_from(m);

    if (c->cut[by][m->to]) {
        trace_message(&c->trace, m, " (lost)");
        lose(c, &l);
    } else if (c->delayed[by][m->to]) {
        trace_message(&c->trace, m, " (waits)");
        letters_add(&c->bags[by][m->to], l);
    } else {
        trace_message(&c->trace, m, "");
        letters_add(&c->flying, l);
    }
}

/* A snapshot is of the state machine as it is. */
static void send_snapshot(struct core *m, struct raft_msg message)
{
    struct raft_snapshot s = {
        .pos = {.term = raft_term_at(m->raft, m->applied), .index = m->applied},
        .conf = m->conf};

    message.snapshot = &s;
    send_one(m->cores, &message, m->id);
}

/* Losing a snapshot steps the core again, and then its messages are gone. So
 * they are copied first. */
void core_send(struct core *m, const struct raft_msg *messages, size_t count)
{
    struct letters ls = {0};

    for (size_t i = 0; i < count; i++) {
        letters_add(&ls, letter_from(&messages[i]));
    }
    for (size_t i = 0; i < count; i++) {
        if (ls.list[i].msg.type == RAFT_MSG_SNAPSHOT) {
            send_snapshot(m, ls.list[i].msg);
        } else {
            send_one(m->cores, letter_open(&ls.list[i]), m->id);
        }
    }
    letters_release(&ls);
}

/* ---- as the story wants it ---- */

void cores_cut(struct cores *c, uint64_t a, uint64_t b)
{
    c->cut[a][b] = true;
}

void cores_heal(struct cores *c)
{
    memset(c->cut, 0, sizeof(c->cut));
}

void cores_delay(struct cores *c, uint64_t a, uint64_t b, bool delayed)
{
    c->delayed[a][b] = delayed;
}

bool cores_let(struct cores *c, uint64_t a, uint64_t b, size_t nth,
               enum cores_fate fate)
{
    struct letters *bag = &c->bags[a][b];
    struct letter l;

    if (nth == 0 || nth > bag->count) {
        return false;
    }
    if (fate == CORES_ARRIVES_AND_STAYS) {
        l = letter_from(letter_open(&bag->list[nth - 1]));
    } else {
        l = letters_take(bag, nth - 1);
    }
    if (fate == CORES_IS_LOST) {
        lose(c, &l);
    } else {
        letters_add(&c->flying, l);
    }
    cores_settle(c);
    return true;
}

void cores_list(struct cores *c, uint64_t a, uint64_t b)
{
    struct letters *bag = &c->bags[a][b];

    for (size_t i = 0; i < bag->count; i++) {
        trace_message(&c->trace, letter_open(&bag->list[i]), " (waits)");
    }
}

void cores_say(struct cores *c, const struct raft_msg *m)
{
    letters_add(&c->flying, letter_from(m));
    cores_settle(c);
}
