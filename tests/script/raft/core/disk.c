#include <inttypes.h>
#include <stdlib.h>

#include "base/core/check.h"
#include "base/core/row.h"
#include "inside.h"

void core_note_writes(struct core *m, const struct raft_work *w)
{
    if (!w->must_sync) {
        return;
    }
    m->persist = w->persist;
    if (!m->dirty) {
        m->dirty = true;
        m->write_from = w->persist.last.index + 1;
    }
    if (w->snapshot != NULL) {
        m->install.due = true;
        m->install.snapshot = *w->snapshot;
        m->write_from = w->snapshot->pos.index + 1;
    }
    if (w->entries_count > 0 && w->entries[0].pos.index < m->write_from) {
        m->write_from = w->entries[0].pos.index;
    }
}

/* Before the write that they speak of they do not leave. */
void core_hold_messages(struct core *m, const struct raft_work *w)
{
    if (!m->dirty) {
        core_send(m, w->messages, w->messages_count);
        return;
    }
    for (size_t i = 0; i < w->messages_count; i++) {
        CHECK(w->messages[i].entries_count == 0);
        m->outbox = row_room(m->outbox, &m->outbox_cap, m->outbox_count,
                             sizeof(m->outbox[0]));
        m->outbox[m->outbox_count++] = w->messages[i];
    }
}

static void write_entries(struct core *m)
{
    struct raft_log *log = &m->disk.log;

    if (m->install.due) {
        m->disk.mark = m->install.snapshot;
        raft_log_release(log);
        raft_log_start(log, m->disk.mark.pos);
    }
    if (raft_log_last(log) >= m->write_from) {
        raft_log_cut(log, m->write_from);
    }
    for (uint64_t i = m->write_from; i <= m->persist.last.index; i++) {
        raft_log_append(log, raft_entry_copy(raft_entry_at(m->raft, i)));
    }
    m->disk.hard = raft_status(m->raft).hard;
    if (m->disk.hard.commit > raft_log_last(log)) {
        m->disk.hard.commit = raft_log_last(log);
    }
}

static void send_held(struct core *m)
{
    size_t count = m->outbox_count;

    m->outbox_count = 0;
    core_send(m, m->outbox, count);
}

/* Everything that is due, by one sync. */
static void write_once(struct core *m)
{
    struct raft_persist done = m->persist;
    struct install install = m->install;

    write_entries(m);
    m->dirty = false;
    m->install = (struct install){.due = false};
    send_held(m);
    if (install.due) {
        core_install(m, &install.snapshot);
        core_tell_snapshot_end(m, install.from, install.snapshot.pos.index,
                               true);
    }
    CHECK(core_step(m, (struct raft_event){.type = RAFT_PERSISTED,
                                           .persisted = done}) == ST_OK);
}

void core_write(struct core *m)
{
    while (m->dirty && !m->held) {
        write_once(m);
    }
}

void core_forget_writes(struct core *m)
{
    m->dirty = false;
    m->outbox_count = 0;
    m->install = (struct install){.due = false};
}

void cores_hold(struct cores *c, uint64_t id, bool held)
{
    core_at(c, id)->held = held;
    core_write(core_at(c, id));
    cores_settle(c);
}

void cores_sync(struct cores *c, uint64_t id)
{
    if (core_at(c, id)->dirty) {
        write_once(core_at(c, id));
    }
    cores_settle(c);
}

void cores_compact(struct cores *c, uint64_t id, uint64_t index)
{
    struct core *m = core_at(c, id);

    CHECK(index <= m->applied);
    raft_compact(m->raft, index);
    raft_log_compact(&m->disk.log, index);
    m->disk.mark = (struct raft_snapshot){
        .pos = {.term = raft_term_at(m->raft, index), .index = index},
        .conf = c->applied[index].conf};
}

void cores_lay_log(struct cores *c, uint64_t id, const uint64_t *terms,
                   size_t count)
{
    struct core *m = core_at(c, id);

    CHECK(m->raft == NULL);
    raft_log_release(&m->disk.log);
    m->disk.mark.pos = (struct raft_pos){0};
    m->disk.hard = (struct raft_hard){0};
    for (size_t i = 0; i < count; i++) {
        raft_log_append(&m->disk.log,
                        (struct raft_entry){.pos = {terms[i], i + 1}});
        m->disk.hard.term = terms[i];
    }
}

void cores_lay_hard(struct cores *c, uint64_t id, struct raft_hard hard)
{
    CHECK(core_at(c, id)->raft == NULL);
    core_at(c, id)->disk.hard = hard;
}
