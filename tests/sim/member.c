#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/core/check.h"
#include "base/core/crc32c.h"
#include "core.h"
#include "store/raftpb/raftpb.h"

enum {
    HEARTBEAT_MS = 30,
    ELECTION_MS = 300,
    BATCH_US = 100 * 1000,
    CLUSTER_ID = 0xc1,
};

struct member *sim_member(struct sim *s, uint64_t id)
{
    CHECK(id >= 1);
    CHECK(id <= MEMBERS_MAX);
    return &s->members[id];
}

bool member_is_up(const struct member *m)
{
    return m->state == MEMBER_UP;
}

uint64_t member_ms(const struct member *m)
{
    return m->sim->now_us / 1000 + m->skew_ms;
}

struct raft_status member_status(const struct member *m)
{
    return node_status(m->node);
}

uint64_t sim_leader(struct sim *s)
{
    uint64_t term = 0;
    uint64_t leader = 0;

    for (uint64_t id = 1; id <= s->members_count; id++) {
        if (member_is_up(&s->members[id])) {
            struct raft_status st = member_status(&s->members[id]);

            if (st.role == RAFT_LEADER && st.hard.term > term) {
                term = st.hard.term;
                leader = id;
            }
        }
    }
    return leader;
}

bool sim_is_member(const struct sim *s, uint64_t id)
{
    return raft_conf_roles(&s->conf, id) != 0;
}

/* ---- ports ---- */

static uint32_t sum_of(const struct kv_reply *r)
{
    uint32_t sum = crc32c((uint32_t)r->error, buf_slice(&r->body));

    return crc32c(sum, slice_of(&r->revision, sizeof(r->revision)));
}

static void apply_one(struct member *m, const struct raft_entry *e)
{
    struct slice data = raft_entry_data(e);
    struct kv_entry entry = {
        .index = e->pos.index, .term = e->pos.term, .data = data};
    uint64_t name = data.len == 0 ? 0 : kv_entry_id(data);

    kv_apply(m->kv, &entry, member_ms(m), &m->reply);
    check_applied(m, e, sum_of(&m->reply));
    clients_applied(m, e, name, &m->reply);
}

static void on_apply(void *ctx, const struct raft_entry *entries, size_t count)
{
    struct member *m = ctx;

    sim_trace(m->sim, "%" PRIu64 " applies %" PRIu64 " to %" PRIu64, m->id,
              entries[0].pos.index, entries[count - 1].pos.index);
    for (size_t i = 0; i < count; i++) {
        apply_one(m, &entries[i]);
    }
}

static enum kv_member_change change_of(enum raft_change_type type)
{
    static const enum kv_member_change changes[] = {
        [RAFT_ADD_VOTER] = KV_MEMBER_ADD,
        [RAFT_ADD_LEARNER] = KV_MEMBER_ADD_LEARNER,
        [RAFT_REMOVE] = KV_MEMBER_REMOVE,
        [RAFT_UPDATE] = KV_MEMBER_UPDATE};

    return changes[type];
}

static void apply_member(struct member *m, const struct kv_entry *e,
                         const struct kv_membership *change,
                         const struct raft_conf *conf)
{
    struct buf json;

    buf_init(&json, SIZE_MAX);
    raftpb_conf_to_json(conf, &json);
    kv_apply_member(m->kv, e, change, buf_slice(&json));
    buf_release(&json);
}

/* As store/api does it: the state machine has the last word. */
static bool on_apply_conf(void *ctx, const struct node_conf_entry *told)
{
    struct member *m = ctx;
    const struct raft_entry *entry = told->entry;
    struct kv_entry e = {.index = entry->pos.index, .term = entry->pos.term};
    struct kv_membership change = {.context =
                                       raftpb_change_note(entry).context};
    enum kv_error error;

    CHECK(!told->refused);
    change.change = change_of(told->changes->list[0].type);
    change.id = told->changes->list[0].id;
    error = kv_check_member(m->kv, &change);
    if (error) {
        kv_apply(m->kv, &e, member_ms(m), NULL);
    } else {
        apply_member(m, &e, &change, told->conf);
    }
    sim_trace(m->sim,
              "%" PRIu64 " applies change %u of member %" PRIu64 " at %" PRIu64
              ": %s",
              m->id, (unsigned)change.change, change.id, e.index,
              error ? kv_error_text(error) : "done");
    check_applied(m, entry, (uint32_t)error);
    if (!error) {
        check_conf(m, e.index, told->conf);
    }
    return error == KV_OK;
}

static enum status on_install(void *ctx, struct raft_pos pos, struct err *err)
{
    struct member *m = ctx;
    enum status st = snapshot_install(m, pos, err);
    struct raft_conf conf;

    if (st == ST_OK) {
        CHECK(raftpb_conf_from_json(kv_conf_state(m->kv), &conf) == ST_OK);
        check_conf(m, pos.index, &conf);
    }
    return st;
}

static void on_send(void *ctx, const struct raft_msg *messages, size_t count)
{
    struct member *m = ctx;

    for (size_t i = 0; i < count && !m->dying; i++) {
        check_sent(m, &messages[i]);
        network_send(m, &messages[i], NULL);
    }
}

static void on_send_snapshot(void *ctx, const struct raft_msg *message)
{
    snapshot_send(ctx, message);
}

static void on_dropped(void *ctx, uint64_t tag, enum status why)
{
    clients_dropped(ctx, tag, why);
}

static void on_read_ready(void *ctx, uint64_t tag, enum status why)
{
    clients_read_ready(ctx, tag, why);
}

static const char *role_text(enum raft_role role)
{
    static const char *const texts[] = {
        [RAFT_FOLLOWER] = "follows",
        [RAFT_PRE_CANDIDATE] = "asks around",
        [RAFT_CANDIDATE] = "stands",
        [RAFT_LEADER] = "LEADS",
    };

    return texts[role];
}

static void on_changed(void *ctx, const struct raft_status *status)
{
    struct member *m = ctx;

    sim_trace(m->sim, "%" PRIu64 " %s, term %" PRIu64 ", leader %" PRIu64,
              m->id, role_text(status->role), status->hard.term,
              status->leader);
    if (status->role == RAFT_LEADER) {
        m->sim->totals.elections++;
        check_leads(m, status);
        kv_lead(m->kv, member_ms(m));
    } else {
        kv_follow(m->kv);
    }
}

static void on_failed(void *ctx, enum status why, const struct err *err)
{
    struct member *m = ctx;

    (void)why;
    if (!m->dying) {
        sim_trace(m->sim, "%" PRIu64 " fails: %s", m->id, err->text);
    }
    m->dying = true;
}

/* ---- starting ---- */

static struct node_config config_of(const struct member *m)
{
    static const size_t append_bytes[] = {1, 100, 400, 4000};
    static const size_t inflight[] = {1, 3, 8, 64};
    const struct profile *p = m->sim->profile;
    struct node_config c = node_config_default();

    c.raft.id = m->id;
    c.raft.heartbeat_ms = HEARTBEAT_MS;
    c.raft.election_ms = ELECTION_MS;
    c.raft.append_bytes_max = append_bytes[m->sim->seed % 4];
    c.raft.inflight_max = inflight[m->sim->seed / 4 % 4];
    c.raft.inflight_bytes_max = 4096;
    c.raft.uncommitted_max = 64 * 1024;
    c.raft.rng_seed = m->sim->seed * 1000 + m->id * 100 + m->life;
    c.wal.first_bytes = 8 * 1024;
    c.wal.file_bytes = 16 * 1024;
    c.cluster_id = CLUSTER_ID;
    c.snapshot_count = p->snapshot_count;
    c.keep_count = p->keep_count;
    return c;
}

/* The first members, as each of them founds the cluster. */
static void found(const struct sim *s, struct node_config *c,
                  struct node_member members[MEMBERS_MAX],
                  char json[MEMBERS_MAX][96])
{
    for (size_t i = 0; i < s->founders; i++) {
        (void)snprintf(json[i], sizeof(json[i]),
                       "{\"id\":%zu,\"peerURLs\":[\"http://10.0.0.%zu:1\"]}",
                       i + 1, i + 1);
        members[i] =
            (struct node_member){.id = i + 1, .context = slice_str(json[i])};
    }
    c->members = members;
    c->members_count = s->founders;
}

static enum status open_kv(struct member *m, struct err *err)
{
    struct kv_config config = kv_config_default();

    memset(&config.hash_key, (int)(m->sim->seed & 0x7f),
           sizeof(config.hash_key));
    config.seed = m->sim->seed + m->id;
    return kv_open(&config, &m->tables[m->current].port, &m->kv, err);
}

static enum status open_node(struct member *m, struct err *err)
{
    struct node_member members[MEMBERS_MAX];
    char json[MEMBERS_MAX][96];
    struct node_config c = config_of(m);
    struct node_ports ports = {.ctx = m,
                               .apply = on_apply,
                               .apply_conf = on_apply_conf,
                               .install = on_install,
                               .dropped = on_dropped,
                               .read_ready = on_read_ready,
                               .send = on_send,
                               .send_snapshot = on_send_snapshot,
                               .changed = on_changed,
                               .failed = on_failed};
    struct raft_conf conf;

    if (m->id <= m->sim->founders) {
        found(m->sim, &c, members, json);
    }
    c.applied = kv_index(m->kv);
    if (kv_conf_state(m->kv).len > 0) {
        CHECK(raftpb_conf_from_json(kv_conf_state(m->kv), &conf) == ST_OK);
        c.conf = &conf;
    }
    return node_new(&c, mem_disk_port(m->disk), &ports, &m->node, err);
}

static bool knows_of_removal(const struct member *m)
{
    size_t count;
    const uint64_t *removed = kv_members_removed(m->kv, &count);

    for (size_t i = 0; i < count; i++) {
        if (removed[i] == m->id) {
            return true;
        }
    }
    return false;
}

static void start_failed(struct member *m, enum status st,
                         const struct err *err)
{
    struct sim *s = m->sim;

    sim_trace(s, "%" PRIu64 " does not start: %s", m->id, err->text);
    kv_free(m->kv);
    m->kv = NULL;
    mem_disk_crash(m->disk, UINT64_MAX, mem_disk_dirty_names(m->disk));
    if (m->rotten && st == ST_CORRUPT) {
        m->state = MEMBER_BROKEN;
    } else if (m->full) {
        m->full = false;
        m->state = MEMBER_DOWN;
        sim_at(s, 1000 * sim_upto(s, 500), EVENT_START)->member = m->id;
    } else {
        sim_fail(s, "member %" PRIu64 " does not start: %s", m->id, err->text);
    }
}

static void begin(struct member *m)
{
    m->state = MEMBER_UP;
    m->seen = member_status(m);
    mem_disk_put_off(m->disk);
    sim_trace(m->sim, "%" PRIu64 " starts at %" PRIu64 ", log to %" PRIu64,
              m->id, kv_index(m->kv), m->seen.last_index);
    check_started(m);
    (void)node_start(m->node, member_ms(m));
    (void)sim_at_member(m->sim, sim_upto(m->sim, 1000 * HEARTBEAT_MS),
                        EVENT_TICK, m);
    (void)sim_at_member(m->sim, BATCH_US, EVENT_BATCH, m);
    member_turn(m);
}

void member_start(struct member *m)
{
    struct node_config c = config_of(m);
    struct err err = {0};
    enum status st;

    if (m->state != MEMBER_DOWN && m->state != MEMBER_NEVER) {
        return;
    }
    if (m->state == MEMBER_NEVER && m->id > m->sim->founders &&
        !sim_is_member(m->sim, m->id)) {
        m->state = MEMBER_REMOVED;
        return;
    }
    m->life++;
    m->dying = m->sync_scheduled = m->turn_scheduled = false;
    m->batch = NULL;
    m->syncs = 0;
    m->paused_us = m->slow_us = 0;
    m->sync_fails = ST_OK;
    st = snapshot_finish_install(m, &c, &err);
    CHECK(open_kv(m, &err) == ST_OK);
    if (st == ST_OK && knows_of_removal(m)) {
        kv_free(m->kv);
        m->state = MEMBER_REMOVED;
        return;
    }
    if (st == ST_OK) {
        st = open_node(m, &err);
    }
    if (st) {
        start_failed(m, st, &err);
    } else {
        begin(m);
    }
}

/* ---- crashing ---- */

/* What is being written may be there in part; its sync has not returned. */
static void cut_off_write(struct member *m)
{
    if (mem_disk_busy(m->disk)) {
        mem_disk_fail_at(m->disk, 1 + sim_upto(m->sim, 1), ST_IO);
        (void)node_persisted(m->node, mem_disk_finish(m->disk), member_ms(m));
    }
}

/* The backend's transaction is there or not, whole. */
static void cut_off_batch(struct member *m)
{
    if (m->batch != NULL && sim_chance(m->sim, 500)) {
        for (size_t i = 0; i < m->batch->writes_count; i++) {
            memory_table_write(&m->tables[m->current], &m->batch->writes[i]);
        }
    }
    m->batch = NULL;
}

static void tell_others(struct member *m)
{
    struct sim *s = m->sim;

    for (uint64_t id = 1; id <= s->members_count; id++) {
        if (id != m->id && member_is_up(&s->members[id]) &&
            sim_chance(s, 500)) {
            sim_at_member(s, sim_upto(s, 50000), EVENT_PEER_LOST,
                          &s->members[id])
                ->value = m->id;
        }
    }
}

void member_crash(struct member *m, bool power)
{
    size_t names;

    CHECK(member_is_up(m));
    sim_trace(m->sim, "%" PRIu64 " %s", m->id,
              power ? "loses power" : "is killed");
    m->dying = true;
    clients_crashed(m);
    cut_off_write(m);
    node_free(m->node);
    m->node = NULL;
    cut_off_batch(m);
    kv_free(m->kv);
    m->kv = NULL;
    names = mem_disk_dirty_names(m->disk);
    mem_disk_crash(m->disk, power ? rng_next(&m->sim->rng) : UINT64_MAX,
                   power ? sim_upto(m->sim, names) : names);
    snapshot_forget(m);
    m->state = MEMBER_DOWN;
    m->sim->totals.crashes++;
    tell_others(m);
}

/* ---- running ---- */

static void schedule_sync(struct member *m)
{
    struct sim *s = m->sim;
    uint64_t delay = 20 + sim_upto(s, s->profile->sync_us);

    if (!mem_disk_busy(m->disk) || m->sync_scheduled) {
        return;
    }
    if (m->slow_us > s->now_us) {
        delay += 100000 + sim_upto(s, 1000000);
    }
    m->sync_scheduled = true;
    (void)sim_at_member(s, delay, EVENT_SYNCED, m);
}

static void exit_failed(struct member *m)
{
    struct sim *s = m->sim;

    member_crash(m, sim_chance(s, 700));
    sim_at(s, 1000 * (50 + sim_upto(s, 1000)), EVENT_START)->member = m->id;
}

void member_turn(struct member *m)
{
    struct sim *s = m->sim;

    if (!member_is_up(m) || m->turn_scheduled) {
        return;
    }
    if (!m->dying && sim_chance(s, 200)) { /* The loop is busy. */
        m->turn_scheduled = true;
        (void)sim_at_member(s, sim_upto(s, 2000), EVENT_TURN, m);
        return;
    }
    if (node_wants_flush(m->node)) {
        (void)node_flush(m->node, member_ms(m));
    }
    if (!m->dying) {
        schedule_sync(m);
        (void)kv_work(m->kv);
        watchers_turn(m);
        check_member(m);
        CHECK(kv_failure(m->kv) == ST_OK);
    }
    if (m->dying) {
        exit_failed(m);
    } else if (knows_of_removal(m)) {
        sim_trace(s, "%" PRIu64 " has been removed and stops", m->id);
        member_crash(m, false);
        m->state = MEMBER_REMOVED;
    }
}

void member_tick(struct member *m)
{
    (void)node_tick(m->node, member_ms(m));
    (void)sim_at_member(m->sim, 1000 * HEARTBEAT_MS, EVENT_TICK, m);
}

void member_synced(struct member *m)
{
    m->sync_scheduled = false;
    if (m->sync_fails) {
        mem_disk_fail_at(m->disk, 1 + sim_upto(m->sim, 1), m->sync_fails);
        m->sync_fails = ST_OK;
    }
    m->syncs++;
    (void)node_persisted(m->node, mem_disk_finish(m->disk), member_ms(m));
}

void member_batch(struct member *m)
{
    if (m->batch == NULL && !m->dying) {
        m->batch = kv_take(m->kv);
        if (m->batch != NULL) {
            (void)sim_at_member(m->sim, 500 + sim_upto(m->sim, 20000),
                                EVENT_BATCH_DONE, m);
        }
    }
    (void)sim_at_member(m->sim, BATCH_US, EVENT_BATCH, m);
}

void member_batch_done(struct member *m)
{
    const struct kv_batch *batch = m->batch;
    uint64_t index;

    if (batch == NULL) {
        return; /* An installation has ended it. */
    }
    for (size_t i = 0; i < batch->writes_count; i++) {
        memory_table_write(&m->tables[m->current], &batch->writes[i]);
    }
    index = batch->index;
    m->batch = NULL;
    kv_done(m->kv);
    (void)node_durable(m->node, index);
}
