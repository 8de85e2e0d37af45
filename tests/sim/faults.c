#include <inttypes.h>
#include <stdio.h>

#include "base/core/check.h"
#include "base/core/pb.h"
#include "core.h"
#include "store/raftpb/raftpb.h"

/* ---- whom it hits ---- */

static struct member *any_up(struct sim *s)
{
    uint64_t from = sim_upto(s, s->members_count - 1);

    for (uint64_t i = 0; i < s->members_count; i++) {
        struct member *m = sim_member(s, 1 + (from + i) % s->members_count);

        if (member_is_up(m)) {
            return m;
        }
    }
    return NULL;
}

static size_t voters(const struct sim *s)
{
    size_t count = 0;

    for (size_t i = 0; i < s->conf.count; i++) {
        count += (s->conf.list[i].roles & RAFT_VOTER) != 0;
    }
    return count;
}

static void restart_soon(struct sim *s, const struct member *m)
{
    uint64_t ms =
        s->profile->quick_restart ? sim_upto(s, 10) : 20 + sim_upto(s, 1200);

    sim_at(s, 1000 * ms, EVENT_START)->member = m->id;
}

/* ---- the network ---- */

static void heal_network(struct sim *s)
{
    memset(s->cut, 0, sizeof(s->cut));
    sim_trace(s, "no link is cut");
}

static void cut_into_two(struct sim *s)
{
    uint64_t side = rng_next(&s->rng);

    for (uint64_t a = 1; a <= MEMBERS_MAX; a++) {
        for (uint64_t b = 1; b <= MEMBERS_MAX; b++) {
            s->cut[a][b] = ((side >> a) & 1) != ((side >> b) & 1);
        }
    }
    sim_trace(s, "the network falls into two: %03x", (unsigned)(side & 0x3fe));
}

static void cut_off(struct sim *s, uint64_t id)
{
    uint64_t friend =
        sim_chance(s, 500) ? 1 + sim_upto(s, s->members_count) : 0;

    if (id == 0) {
        return;
    }
    for (uint64_t other = 1; other <= MEMBERS_MAX; other++) {
        s->cut[id][other] = s->cut[other][id] = other != id && other != friend;
    }
    if (sim_chance(s, 300)) {
        sim_member(s, id)->slow_us = s->now_us + 1000 * sim_upto(s, 3000);
    }
    sim_trace(s, "%" PRIu64 " is cut off from all but %" PRIu64, id, friend);
}

static void cut_one_way(struct sim *s)
{
    uint64_t a = 1 + sim_upto(s, s->members_count - 1);
    uint64_t b = 1 + sim_upto(s, s->members_count - 1);

    if (a != b) {
        s->cut[a][b] = true;
        sim_trace(s, "from %" PRIu64 " nothing reaches %" PRIu64, a, b);
    }
}

/* ---- machines ---- */

static void crash(struct sim *s, struct member *m, bool power)
{
    if (m != NULL && member_is_up(m)) {
        member_crash(m, power);
        restart_soon(s, m);
    }
}

static void power_off_all(struct sim *s)
{
    for (uint64_t id = 1; id <= s->members_count; id++) {
        crash(s, sim_member(s, id), true);
    }
}

static void pause_one(struct sim *s)
{
    struct member *m = any_up(s);

    if (m != NULL) {
        m->paused_us = s->now_us + 1000 * (100 + sim_upto(s, 4000));
        sim_trace(s, "%" PRIu64 " is frozen", m->id);
    }
}

static void disk_fails(struct sim *s, enum status why)
{
    struct member *m = any_up(s);

    if (m == NULL) {
        return;
    }
    m->full = true;
    if (why == ST_IO) {
        m->sync_fails = why;
    } else {
        mem_disk_fail_at(m->disk, 1 + sim_upto(s, 20), why);
    }
    sim_trace(s, "%" PRIu64 "'s disk will fail: %s", m->id, status_text(why));
}

/* One disk may go if the others are good, and know who belongs to the group: a
 * majority by the newest configuration and by any older one. */
static bool can_lose(struct sim *s, uint64_t lost)
{
    for (uint64_t id = 1; id <= s->members_count; id++) {
        struct member *m = sim_member(s, id);

        if (sim_is_member(s, id) &&
            (m->rotten ||
             (id != lost && snapshot_durable(m) < checks_conf_last(s)))) {
            return false;
        }
    }
    return voters(s) >= 3;
}

/* Not in the record synced last: to a log that looks the same as a torn one
 * (store/wal/wal.h). */
static void rot(struct sim *s)
{
    struct member *m = any_up(s);

    if (m == NULL || m->syncs < 3 || !can_lose(s, m->id)) {
        return;
    }
    member_crash(m, false);
    m->rotten = mem_disk_rot(m->disk, &s->rng);
    sim_trace(s, "%" PRIu64 "'s disk rots: %d", m->id, m->rotten);
    restart_soon(s, m);
}

/* ---- what an administrator asks ---- */

static void propose_change(struct sim *s, struct raft_change change,
                           const char *more)
{
    uint64_t id = sim_chance(s, 700) ? sim_leader(s) : 0;
    struct member *m = id == 0 ? any_up(s) : sim_member(s, id);
    uint64_t name = OPS_MAX + ++s->admin_names;
    char json[128];
    struct buf body;
    bool forwarded;
    enum status st;

    if (m == NULL || m->paused_us > s->now_us) {
        return;
    }
    (void)snprintf(json, sizeof(json),
                   "{\"id\":%" PRIu64 ",\"peerURLs\":[\"http://10.0.0.%" PRIu64
                   ":1\"]%s}",
                   change.id, change.id, more);
    buf_init(&body, 1024);
    raftpb_change_pack(&change, name, slice_str(json), &body);
    st = node_propose(m->node, RAFT_ENTRY_CONF, buf_slice(&body), name,
                      &forwarded);
    sim_trace(s, "change %u of member %" PRIu64 " is asked of %" PRIu64 ": %s",
              (unsigned)change.type, change.id, m->id, status_text(st));
    buf_release(&body);
    member_turn(m);
}

static void add(struct sim *s, enum raft_change_type type)
{
    uint64_t id = s->members_count + 1;

    if (id > MEMBERS_MAX || s->conf.count >= 6) {
        return;
    }
    propose_change(s, (struct raft_change){type, id},
                   type == RAFT_ADD_LEARNER ? ",\"isLearner\":true" : "");
}

/* As store/api: only one that has caught up. */
static void promote(struct sim *s)
{
    uint64_t leader = sim_leader(s);

    for (size_t i = 0; i < s->conf.count && leader != 0; i++) {
        uint64_t id = s->conf.list[i].id;
        struct member *m = sim_member(s, leader);
        struct raft_progress p;

        if ((s->conf.list[i].roles & RAFT_LEARNER) &&
            node_progress(m->node, id, &p) &&
            p.match * 10 >= member_status(m).hard.commit * 9) {
            propose_change(s, (struct raft_change){RAFT_ADD_VOTER, id},
                           ",\"isPromote\":true");
            return;
        }
    }
}

static void remove_one(struct sim *s)
{
    size_t at = (size_t)sim_upto(s, s->conf.count);

    if (voters(s) >= 3 && at < s->conf.count) {
        propose_change(
            s, (struct raft_change){RAFT_REMOVE, s->conf.list[at].id}, "");
    }
}

/* Whoever asks for two at once gets one at most. */
static void two_changes(struct sim *s)
{
    bool fewer = voters(s) >= 4;

    for (int i = 0; i < 2; i++) {
        if (fewer) {
            remove_one(s);
        } else {
            add(s, i == 0 ? RAFT_ADD_VOTER : RAFT_ADD_LEARNER);
        }
    }
    (void)sim_at(s, sim_upto(s, 30000), EVENT_CUT);
}

void fault_cut(struct sim *s)
{
    if (!s->healed) {
        cut_into_two(s);
    }
}

static void transfer(struct sim *s)
{
    uint64_t leader = sim_leader(s);
    uint64_t to = 1 + sim_upto(s, s->members_count - 1);
    struct member *m;

    if (leader == 0) {
        return;
    }
    m = sim_member(s, leader);
    if (m->paused_us <= s->now_us) {
        sim_trace(s, "%" PRIu64 " is asked to hand over to %" PRIu64, leader,
                  to);
        (void)node_transfer(m->node, to, member_ms(m));
        member_turn(m);
    }
}

static void compact(struct sim *s)
{
    struct member *m = any_up(s);
    int64_t revision = model_revision(s->model) - (int64_t)sim_upto(s, 30);
    struct buf request;
    struct buf entry;
    bool forwarded;

    if (m == NULL || revision < 2 || m->paused_us > s->now_us) {
        return;
    }
    buf_init(&request, 32);
    buf_init(&entry, 128);
    pb_int(&request, 1, revision);
    kv_entry_pack(&entry, OPS_MAX + ++s->admin_names, KV_COMPACTION,
                  buf_slice(&request));
    (void)node_propose(m->node, RAFT_ENTRY_NORMAL, buf_slice(&entry),
                       OPS_MAX + s->admin_names, &forwarded);
    sim_trace(s, "%" PRIu64 " is asked to compact to %" PRId64, m->id,
              revision);
    buf_release(&request);
    buf_release(&entry);
    member_turn(m);
}

/* ---- the choice ---- */

static enum fault choose(struct sim *s)
{
    uint64_t sum = 0;
    uint64_t dice;

    for (size_t i = 0; i < FAULTS_COUNT; i++) {
        sum += s->profile->weights[i];
    }
    dice = sim_upto(s, sum - 1);
    for (size_t i = 0; i < FAULTS_COUNT; i++) {
        if (dice < s->profile->weights[i]) {
            return (enum fault)i;
        }
        dice -= s->profile->weights[i];
    }
    UNREACHABLE();
}

static void strike_network(struct sim *s, enum fault fault)
{
    switch ((unsigned)fault) {
    case FAULT_CUT:
        cut_into_two(s);
        return;
    case FAULT_ONE_WAY:
        cut_one_way(s);
        return;
    case FAULT_CUT_LEADER:
        cut_off(s, sim_leader(s));
        return;
    case FAULT_HEAL:
        heal_network(s);
        return;
    default:
        s->loss = 300;
        s->storm_ends_us = s->now_us + 1000 * sim_upto(s, 1500);
        sim_trace(s, "a storm begins");
        return;
    }
}

/* Where a write is under way a power cut does most harm. */
static struct member *slow_or(struct sim *s, struct member *other)
{
    for (uint64_t id = 1; id <= s->members_count; id++) {
        struct member *m = sim_member(s, id);

        if (member_is_up(m) && m->slow_us > s->now_us) {
            return sim_chance(s, 700) ? m : other;
        }
    }
    return other;
}

static void strike_machine(struct sim *s, enum fault fault)
{
    uint64_t leader = sim_leader(s);
    struct member *m = any_up(s);

    switch ((unsigned)fault) {
    case FAULT_KILL:
        crash(s, m, false);
        return;
    case FAULT_KILL_LEADER:
        crash(s, leader == 0 ? m : sim_member(s, leader), sim_chance(s, 300));
        return;
    case FAULT_POWER:
        crash(s, slow_or(s, m), true);
        return;
    case FAULT_POWER_ALL:
        power_off_all(s);
        return;
    case FAULT_PAUSE:
        pause_one(s);
        return;
    case FAULT_SLOW_DISK:
        if (m != NULL) {
            m->slow_us = s->now_us + 1000 * sim_upto(s, 3000);
            sim_trace(s, "%" PRIu64 "'s disk is slow", m->id);
        }
        return;
    case FAULT_SYNC_FAILS:
        disk_fails(s, ST_IO);
        return;
    case FAULT_DISK_FULL:
        disk_fails(s, ST_NO_SPACE);
        return;
    case FAULT_INSTALL_CRASH:
        if (m != NULL) {
            m->install_crash = 1 + (unsigned)sim_upto(s, 1);
        }
        return;
    default:
        rot(s);
        return;
    }
}

static void strike_members(struct sim *s, enum fault fault)
{
    switch ((unsigned)fault) {
    case FAULT_TRANSFER:
        transfer(s);
        return;
    case FAULT_ADD:
        add(s, RAFT_ADD_VOTER);
        return;
    case FAULT_ADD_LEARNER:
        add(s, RAFT_ADD_LEARNER);
        return;
    case FAULT_PROMOTE:
        promote(s);
        return;
    case FAULT_REMOVE:
        remove_one(s);
        return;
    case FAULT_TWO_CHANGES:
        two_changes(s);
        return;
    default:
        compact(s);
        return;
    }
}

static void strike(struct sim *s, enum fault fault)
{
    if (fault <= FAULT_STORM) {
        strike_network(s, fault);
    } else if (fault <= FAULT_ROT || fault == FAULT_INSTALL_CRASH) {
        strike_machine(s, fault);
    } else {
        strike_members(s, fault);
    }
}

/* A member with a damaged disk is removed, and another one takes its place. */
static void replace_broken(struct sim *s)
{
    for (uint64_t id = 1; id <= s->members_count; id++) {
        if (sim_is_member(s, id) && sim_member(s, id)->state == MEMBER_BROKEN) {
            propose_change(s, (struct raft_change){RAFT_REMOVE, id}, "");
            return;
        }
    }
    if (voters(s) < s->founders) {
        add(s, RAFT_ADD_VOTER);
    }
}

void fault_event(struct sim *s)
{
    if (s->healed) {
        return;
    }
    if (s->storm_ends_us <= s->now_us) {
        s->loss = s->profile->loss;
    }
    strike(s, choose(s));
    if (s->profile->weights[FAULT_ROT] > 0) {
        replace_broken(s);
    }
    (void)sim_at(s, 1000 * (1 + sim_upto(s, s->profile->fault_ms)),
                 EVENT_FAULT);
}

/* ---- the end of trouble ---- */

void faults_heal(struct sim *s)
{
    heal_network(s);
    s->loss = 0;
    for (uint64_t id = 1; id <= s->members_count; id++) {
        struct member *m = sim_member(s, id);

        m->paused_us = 0;
        m->slow_us = 0;
        m->install_crash = 0;
        m->sync_fails = ST_OK;
        mem_disk_fail_at(m->disk, 0, ST_OK);
    }
}

void faults_admin(struct sim *s)
{
    for (uint64_t id = 1; id <= s->members_count; id++) {
        struct member *m = sim_member(s, id);

        if (!sim_is_member(s, id)) {
            if (member_is_up(m)) { /* It was not told. */
                member_crash(m, false);
                m->state = MEMBER_REMOVED;
            }
        } else if (m->state == MEMBER_DOWN || m->state == MEMBER_NEVER) {
            member_start(m);
        } else if (m->state == MEMBER_BROKEN && voters(s) > 1) {
            propose_change(s, (struct raft_change){RAFT_REMOVE, id}, "");
        }
    }
}
