#include <inttypes.h>
#include <stdlib.h>

#include "base/core/check.h"
#include "base/core/crc32c.h"
#include "base/core/row.h"
#include "inside.h"
#include "words.h"

/* What a step hands out lives until the next one, so it is copied. */
void core_queue(struct core *m, const struct raft_work *w)
{
    for (size_t i = 0; i < w->committed_count; i++) {
        struct raft_entry e = raft_entry_copy(&w->committed[i]);

        e.tag = w->committed[i].tag;
        m->queue = row_room(m->queue, &m->queue_cap, m->queue_count,
                            sizeof(m->queue[0]));
        m->queue[m->queue_count++] = e;
    }
    for (size_t i = 0; i < w->reads_count; i++) {
        m->reads = row_room(m->reads, &m->reads_cap, m->reads_count,
                            sizeof(m->reads[0]));
        m->reads[m->reads_count++] = w->reads[i];
    }
}

static struct raft_entry queue_take(struct core *m)
{
    struct raft_entry e = m->queue[0];

    m->queue_count--;
    memmove(m->queue, m->queue + 1, m->queue_count * sizeof(m->queue[0]));
    return e;
}

void core_forget_queue(struct core *m)
{
    while (m->queue_count > 0) {
        free(queue_take(m).data);
    }
}

/* ---- what must hold ---- */

static void agree(struct core *m, const struct raft_entry *e)
{
    struct cores *c = m->cores;
    uint64_t index = e->pos.index;
    uint32_t sum = crc32c(0, raft_entry_data(e));

    CHECK(index == m->applied + 1);
    CHECK(index < CORES_INDEX_MAX);
    if (index <= c->applied_last) {
        CHECK(c->applied[index].term == e->pos.term);
        CHECK(c->applied[index].sum == sum);
        CHECK(raft_conf_eq(&c->applied[index].conf, &m->conf));
    } else {
        CHECK(index == c->applied_last + 1);
        c->applied[index].term = e->pos.term;
        c->applied[index].sum = sum;
        c->applied[index].conf = m->conf;
        c->applied_last = index;
    }
    m->applied = index;
}

/* ---- applying ---- */

static void say_applied(struct core *m, uint64_t from)
{
    struct script *s = m->cores->script;

    if (m->applied == from) {
        script_say(s, "%" PRIu64 " applies %" PRIu64, m->id, from);
    } else if (m->applied > from) {
        script_say(s, "%" PRIu64 " applies %" PRIu64 " to %" PRIu64, m->id,
                   from, m->applied);
    }
}

static void answer(struct core *m, const struct raft_entry *e)
{
    struct cores *c = m->cores;

    if (e->tag != 0) {
        script_say(c->script, "%" PRIu64 " answers %" PRIu64, m->id, e->tag);
        c->answered_last =
            e->pos.index > c->answered_last ? e->pos.index : c->answered_last;
    }
}

static void apply_normal(struct core *m)
{
    uint64_t from = m->applied + 1;

    while (m->queue_count > 0 && m->queue[0].type == RAFT_ENTRY_NORMAL) {
        struct raft_entry e = queue_take(m);

        agree(m, &e);
        answer(m, &e);
        free(e.data);
    }
    say_applied(m, from);
}

/* One that cannot be followed changes nothing, and the core is told so. */
static void apply_change(struct core *m)
{
    struct raft_entry e = queue_take(m);
    struct raft_changes changes;
    char text[80];
    bool followed;

    words_changes_text(&e, text, sizeof(text));
    CHECK(words_changes(text, &changes));
    followed = raft_conf_apply(&m->conf, &changes) == ST_OK;
    agree(m, &e);
    script_say(m->cores->script, "%" PRIu64 " applies %" PRIu64 ": %s%s", m->id,
               e.pos.index, text, followed ? "" : ", which cannot be followed");
    free(e.data);
    CHECK(core_step(m, (struct raft_event){
                           .type = RAFT_CONF_APPLIED,
                           .changes = followed ? &changes : NULL}) == ST_OK);
}

static void answer_reads(struct core *m)
{
    size_t left = 0;

    for (size_t i = 0; i < m->reads_count; i++) {
        struct raft_read r = m->reads[i];

        if (r.index > m->applied) {
            m->reads[left++] = r;
            continue;
        }
        CHECK(m->applied >= m->cores->floors[r.id]);
        script_say(m->cores->script,
                   "%" PRIu64 " answers read %" PRIu64 " at %" PRIu64, m->id,
                   r.id, m->applied);
    }
    m->reads_count = left;
}

/* Applying a change steps the core, which may commit more: then the call for
 * that is nested in this one, and the loop here goes on with it. */
void core_apply(struct core *m)
{
    if (m->applying) {
        return;
    }
    m->applying = true;
    while (m->queue_count > 0 && !m->still && !m->install.due) {
        if (m->queue[0].type == RAFT_ENTRY_NORMAL) {
            apply_normal(m);
        } else {
            apply_change(m);
        }
    }
    m->applying = false;
    answer_reads(m);
}

void core_install(struct core *m, const struct raft_snapshot *s)
{
    core_forget_queue(m);
    m->applied = s->pos.index;
    m->conf = s->conf;
    script_say(m->cores->script,
               "%" PRIu64 " is replaced by the snapshot of %" PRIu64, m->id,
               s->pos.index);
}

void cores_stand_still(struct cores *c, uint64_t id, bool still)
{
    core_at(c, id)->still = still;
    core_apply(core_at(c, id));
    cores_settle(c);
}
