#include "cores.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/core/check.h"
#include "inside.h"

#define TICK_MS 25

struct core *core_at(const struct cores *c, uint64_t id)
{
    CHECK(id >= 1);
    CHECK(id <= CORES_MAX);
    return (struct core *)&c->list[id];
}

static void on_line(void *ctx, const char *line)
{
    script_say(ctx, "%s", line);
}

struct cores *cores_new(const struct raft_config *limits, size_t voters_count,
                        struct script *script)
{
    struct cores *c = calloc(1, sizeof(*c));
    struct raft_conf conf = {.count = voters_count};

    CHECK(c != NULL);
    CHECK(voters_count <= CORES_MAX);
    c->limits = *limits;
    c->script = script;
    c->trace = (struct group_config){.on_line = on_line, .line_ctx = script};
    c->now_ms = 1;
    for (uint64_t id = 1; id <= voters_count; id++) {
        conf.list[id - 1] = (struct raft_conf_member){id, RAFT_VOTER};
    }
    c->applied[0].conf = conf;
    for (uint64_t id = 1; id <= CORES_MAX; id++) {
        c->list[id] = (struct core){.cores = c, .id = id};
        c->list[id].disk.mark.conf = conf;
    }
    for (uint64_t id = 1; id <= voters_count; id++) {
        cores_start(c, id);
    }
    return c;
}

void cores_free(struct cores *c)
{
    if (c == NULL) {
        return;
    }
    for (uint64_t id = 1; id <= CORES_MAX; id++) {
        struct core *m = core_at(c, id);

        if (m->raft != NULL) {
            cores_crash(c, id);
        }
        raft_log_release(&m->disk.log);
        free(m->outbox);
        free(m->queue);
        free(m->reads);
    }
    cores_net_release(c);
    free(c);
}

bool cores_is_up(const struct cores *c, uint64_t id)
{
    return core_at(c, id)->raft != NULL;
}

const struct raft *cores_raft(const struct cores *c, uint64_t id)
{
    return core_at(c, id)->raft;
}

uint64_t cores_applied(const struct cores *c, uint64_t id)
{
    return core_at(c, id)->applied;
}

/* ---- a step ---- */

static void tell_changed(struct core *m)
{
    struct raft_status s = raft_status(m->raft);
    struct cores *c = m->cores;

    if (s.role == m->told.role && s.leader == m->told.leader &&
        s.hard.term == m->told.hard.term) {
        return;
    }
    m->told = s;
    trace_role(&c->trace, m->id, &s);
    if (s.role == RAFT_LEADER) {
        CHECK(s.hard.term < CORES_INDEX_MAX);
        CHECK(c->leaders[s.hard.term] == 0 || c->leaders[s.hard.term] == m->id);
        c->leaders[s.hard.term] = m->id;
    }
}

static void tell_lost(struct core *m, const struct raft_work *w)
{
    for (size_t i = 0; i < w->dropped_count; i++) {
        script_say(m->cores->script, "%" PRIu64 " drops %" PRIu64, m->id,
                   w->dropped[i]);
    }
    for (size_t i = 0; i < w->reads_lost_count; i++) {
        script_say(m->cores->script, "%" PRIu64 " gives up read %" PRIu64,
                   m->id, w->reads_lost[i]);
    }
}

enum status core_step(struct core *m, struct raft_event event)
{
    struct raft_work w;
    enum status st;

    event.now_ms = m->cores->now_ms + m->ahead_ms;
    st = raft_step(m->raft, &event, &w);
    if (st) {
        return st;
    }
    core_send(m, w.appends, w.appends_count);
    core_note_writes(m, &w);
    core_hold_messages(m, &w);
    core_queue(m, &w);
    tell_changed(m);
    tell_lost(m, &w);
    core_write(m); /* From here on w is of the past. */
    core_apply(m);
    return ST_OK;
}

/* ---- members ---- */

static uint64_t seed_of(const struct core *m)
{
    return 100 + m->id;
}

void cores_start(struct cores *c, uint64_t id)
{
    struct core *m = core_at(c, id);
    struct raft_config config = c->limits;
    struct raft_log log = {0};

    CHECK(m->raft == NULL);
    config.id = id;
    config.rng_seed = seed_of(m);
    m->raft = raft_new(&config);
    raft_log_start(&log, m->disk.mark.pos);
    for (uint64_t i = m->disk.mark.pos.index + 1;
         i <= raft_log_last(&m->disk.log); i++) {
        raft_log_append(&log, raft_entry_copy(raft_log_at(&m->disk.log, i)));
    }
    raft_restore_log(m->raft, &log);
    CHECK(raft_restore_hard(m->raft, m->disk.hard) == ST_OK);
    m->applied = m->disk.mark.pos.index;
    m->conf = m->disk.mark.conf;
    CHECK(raft_restore_applied(m->raft, m->applied) == ST_OK);
    raft_restore_conf(m->raft, &m->conf);
    m->told = raft_status(m->raft);
    CHECK(core_step(m, (struct raft_event){.type = RAFT_STARTED}) == ST_OK);
    cores_settle(c);
}

void cores_crash(struct cores *c, uint64_t id)
{
    struct core *m = core_at(c, id);
    struct install install = m->install;

    CHECK(m->raft != NULL);
    raft_free(m->raft);
    m->raft = NULL;
    m->held = false;
    m->still = false;
    core_forget_writes(m);
    core_forget_queue(m);
    m->reads_count = 0;
    if (install.due) {
        core_tell_snapshot_end(m, install.from, 0, false);
        cores_settle(c);
    }
}

/* ---- time ---- */

void cores_pass(struct cores *c, uint64_t ms)
{
    for (uint64_t end = c->now_ms + ms; c->now_ms < end;) {
        c->now_ms++;
        if (c->now_ms % TICK_MS != 0) {
            continue;
        }
        for (uint64_t id = 1; id <= CORES_MAX; id++) {
            if (cores_is_up(c, id)) {
                (void)core_step(core_at(c, id),
                                (struct raft_event){.type = RAFT_TICK});
            }
        }
        cores_settle(c);
    }
}

void cores_elect(struct cores *c, uint64_t id)
{
    struct core *m = core_at(c, id);

    m->ahead_ms += 2 * c->limits.election_ms;
    (void)core_step(m, (struct raft_event){.type = RAFT_TICK});
    cores_settle(c);
}

/* ---- wishes ---- */

/* The core takes the data over, unless it refuses or sends it on. */
static enum status propose(struct core *m, struct raft_entry entry)
{
    bool forwards = raft_forwards(m->raft);
    enum status st;

    entry.tag = forwards ? 0 : entry.tag;
    st = core_step(
        m, (struct raft_event){.type = RAFT_PROPOSED,
                               .proposed = {.entries = &entry, .count = 1}});
    if (st || forwards) {
        free(entry.data);
    }
    cores_settle(m->cores);
    return st;
}

static struct raft_entry entry_of(const char *text, size_t len)
{
    struct raft_entry e = {.len = len};

    if (len > 0) {
        e.data = calloc(1, len);
        CHECK(e.data != NULL);
        memcpy(e.data, text, strnlen(text, len));
    }
    return e;
}

enum status cores_propose(struct cores *c, uint64_t id, uint64_t name,
                          size_t bytes)
{
    char text[24];
    struct raft_entry e;

    (void)snprintf(text, sizeof(text), "%" PRIu64, name);
    e = entry_of(text, bytes);
    e.tag = name;
    return propose(core_at(c, id), e);
}

enum status cores_change(struct cores *c, uint64_t id, const char *text)
{
    bool v1 = text[0] == '+' || text[0] == '~' || text[0] == '-';
    struct raft_entry e =
        entry_of(text, strcmp(text, "leave") == 0 ? 0 : strlen(text));

    e.type = v1 ? RAFT_ENTRY_CONF : RAFT_ENTRY_CONF_V2;
    return propose(core_at(c, id), e);
}

enum status cores_read(struct cores *c, uint64_t id, uint64_t name)
{
    enum status st;

    CHECK(name < CORES_NAME_MAX);
    c->floors[name] = c->answered_last;
    st = core_step(core_at(c, id), (struct raft_event){.type = RAFT_READ_ASKED,
                                                       .read_id = name});
    cores_settle(c);
    return st;
}

enum status cores_transfer(struct cores *c, uint64_t id, uint64_t to)
{
    enum status st =
        core_step(core_at(c, id),
                  (struct raft_event){.type = RAFT_TRANSFER_ASKED, .peer = to});

    cores_settle(c);
    return st;
}

void cores_lose_peer(struct cores *c, uint64_t id, uint64_t peer)
{
    (void)core_step(core_at(c, id),
                    (struct raft_event){.type = RAFT_PEER_LOST, .peer = peer});
    cores_settle(c);
}
