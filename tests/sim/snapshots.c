/*
 * A snapshot on its way and at its goal, step by step as store/io does it:
 * arrived, imported beside the backend, accepted by raft, its mark in the log
 * synced, exchanged. A crash may come between any two.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "base/core/check.h"
#include "base/core/wire.h"
#include "core.h"
#include "store/raftpb/raftpb.h"

static uint64_t meta_number(struct memory_table *t, const char *name)
{
    struct slice value;

    if (t->port.get(&t->port, TABLE_META, slice_str(name), &value) != ST_OK) {
        return 0;
    }
    CHECK(value.len == 8);
    return wire_get_u64be(value.data);
}

static struct raft_pos pos_of(struct memory_table *t)
{
    return (struct raft_pos){.term = meta_number(t, "term"),
                             .index = meta_number(t, "consistent_index")};
}

uint64_t snapshot_durable(struct member *m)
{
    return pos_of(&m->tables[m->current]).index;
}

static void table_copy(struct memory_table *to, const struct memory_table *from)
{
    for (unsigned id = 0; id < TABLES_COUNT; id++) {
        for (size_t i = 0; i < from->tables[id].count; i++) {
            struct table_write w = {.table = (enum table_id)id,
                                    .key = from->tables[id].list[i].key,
                                    .value = from->tables[id].list[i].value};

            memory_table_write(to, &w);
        }
    }
}

static struct memory_table *table_clone(const struct memory_table *from)
{
    struct memory_table *to = calloc(1, sizeof(*to));

    CHECK(to != NULL);
    memory_table_init(to);
    table_copy(to, from);
    return to;
}

static struct memory_table *other_table(struct member *m)
{
    return &m->tables[1 - m->current];
}

static void other_table_clear(struct member *m)
{
    m->incoming_whole = false;
    memory_table_release(other_table(m));
    memory_table_init(other_table(m));
}

/* ---- sending ---- */

void snapshot_ended(struct sim *s, uint64_t to, uint64_t to_life, uint64_t peer,
                    uint64_t index, bool ok)
{
    struct event *e = sim_at(s, 100 + sim_upto(s, 5000), EVENT_SNAPSHOT_ENDED);

    e->member = to;
    e->life = to_life;
    e->value = peer;
    e->index = index;
    e->ok = ok;
}

void snapshot_send(struct member *m, const struct raft_msg *message)
{
    struct memory_table *table = &m->tables[m->current];
    struct raft_snapshot state = {.pos = pos_of(table)};
    struct raft_msg with_state = *message;
    struct slice json;

    if (table->port.get(&table->port, TABLE_META, slice_str("confState"),
                        &json) != ST_OK) {
        snapshot_ended(m->sim, m->id, m->life, message->to, 0, false);
        return;
    }
    CHECK(raftpb_conf_from_json(json, &state.conf) == ST_OK);
    with_state.snapshot = &state;
    network_send(m, &with_state, table_clone(table));
}

/* ---- taking in ---- */

static void arriving_end(struct member *m, bool ok)
{
    struct arriving a = m->arriving;

    m->arriving = (struct arriving){0};
    if (a.content != NULL) {
        memory_table_release(a.content);
        free(a.content);
    }
    snapshot_ended(m->sim, a.from, a.from_life, m->id, a.snapshot.pos.index,
                   ok);
}

void snapshot_arrive(struct member *m, const struct raft_msg *message,
                     struct parcel *p)
{
    sim_trace(m->sim, "%" PRIu64 " gets a snapshot of %" PRIu64 "%s", m->id,
              message->snapshot->pos.index,
              m->arriving.is ? " and is busy with another" : "");
    if (m->arriving.is) {
        snapshot_ended(m->sim, p->from, p->from_life, m->id, 0, false);
        return;
    }
    m->arriving = (struct arriving){.is = true,
                                    .from = p->from,
                                    .from_life = p->from_life,
                                    .message = *message,
                                    .snapshot = *message->snapshot,
                                    .content = p->content};
    p->content = NULL;
    (void)sim_at_member(m->sim, sim_upto(m->sim, 50000), EVENT_IMPORTED, m);
}

void snapshot_imported(struct member *m)
{
    struct arriving *a = &m->arriving;
    uint64_t index = a->snapshot.pos.index;
    enum status st;

    CHECK(a->is);
    other_table_clear(m);
    table_copy(other_table(m), a->content);
    m->incoming_whole = true;
    a->message.snapshot = &a->snapshot;
    st = node_receive(m->node, &a->message, member_ms(m));
    if (!m->dying && a->is && (st || node_installing(m->node).index != index)) {
        sim_trace(m->sim, "%" PRIu64 " has no use for the snapshot: %s", m->id,
                  status_text(st));
        other_table_clear(m);
        arriving_end(m, st == ST_OK);
    }
}

void snapshot_forget(struct member *m)
{
    if (m->arriving.is) {
        arriving_end(m, false);
    }
}

/* ---- in its place ---- */

/* What was on its way into the old state is written, as store/io waits for
 * it. */
static void end_batch(struct member *m)
{
    if (m->batch == NULL) {
        return;
    }
    for (size_t i = 0; i < m->batch->writes_count; i++) {
        memory_table_write(&m->tables[m->current], &m->batch->writes[i]);
    }
    m->batch = NULL;
    kv_done(m->kv);
}

enum status snapshot_install(struct member *m, struct raft_pos pos,
                             struct err *err)
{
    unsigned crash = m->install_crash;
    enum status st;

    m->install_crash = 0;
    end_batch(m);
    if (crash == 1) {
        return err_set(err, ST_IO, "dies before a snapshot is in its place");
    }
    CHECK(m->incoming_whole);
    m->current = 1 - m->current; /* The old one is removed below. */
    if (crash == 2) {
        other_table_clear(m);
        return err_set(err, ST_IO, "dies behind a snapshot's installation");
    }
    st = kv_reopen(m->kv, &m->tables[m->current].port, err);
    other_table_clear(m);
    if (st) {
        return st;
    }
    CHECK(kv_index(m->kv) == pos.index);
    m->sim->totals.installs++;
    sim_trace(m->sim, "%" PRIu64 " has installed the snapshot of %" PRIu64,
              m->id, pos.index);
    arriving_end(m, true);
    return ST_OK;
}

/* At start: a snapshot that raft has accepted replaces an older backend. */
enum status snapshot_finish_install(struct member *m,
                                    const struct node_config *c,
                                    struct err *err)
{
    struct raft_pos old = pos_of(&m->tables[m->current]);
    struct raft_pos new = pos_of(other_table(m));
    struct raft_pos mark = {0};
    enum status st = ST_OK;

    if (m->incoming_whole) {
        st = node_peek_mark(c, mem_disk_port(m->disk), &mark, err);
    }
    if (st) {
        return st;
    }
    if (m->incoming_whole && new.index > 0 &&
        new.index == mark.index &&new.term == mark.term &&
        old.index < mark.index) {
        sim_trace(m->sim, "%" PRIu64 " ends the installation of %" PRIu64,
                  m->id, mark.index);
        m->current = 1 - m->current;
    }
    other_table_clear(m);
    return ST_OK;
}
