#include <inttypes.h>
#include <stdlib.h>

#include "base/core/check.h"
#include "base/core/pb.h"
#include "core.h"

enum {
    PATIENCE_US = 1500 * 1000,
    THINK_US = 40 * 1000,
    ENOUGH_OPS = 20, /* Once healed; see sim.c. */
};

/* ---- one operation ---- */

static uint64_t any_member_up(struct sim *s)
{
    uint64_t from = sim_upto(s, s->members_count - 1);

    for (uint64_t i = 0; i < s->members_count; i++) {
        uint64_t id = 1 + (from + i) % s->members_count;

        if (member_is_up(sim_member(s, id))) {
            return id;
        }
    }
    return 0;
}

static void wake_at(struct sim *s, struct client *c, uint64_t delay_us)
{
    c->wake_us = s->now_us + delay_us;
    sim_at(s, delay_us, EVENT_CLIENT)->value = (uint64_t)(c - s->clients);
}

/* Without an answer: it may have happened, or may happen yet. */
static void give_up(struct sim *s, struct client *c, const char *why)
{
    sim_trace(s, "  operation %" PRIu64 " at %" PRIu64 " has no answer: %s",
              c->op->value, c->member, why);
    c->op = NULL;
    c->member = 0;
    wake_at(s, c, sim_upto(s, 2 * THINK_US));
}

static void answered(struct sim *s, struct client *c,
                     const struct kv_reply *reply, uint64_t index)
{
    struct op *op = c->op;

    op->ok = true;
    op->end = s->totals.events;
    op->revision = (uint64_t)reply->revision;
    op_understand(op, buf_slice(&reply->body));
    if (op->saw) {
        c->mods[op->key] = op->mod;
    }
    sim_trace(s,
              "  operation %" PRIu64 " is answered by %" PRIu64
              ", revision %" PRIu64,
              op->value, c->member, op->revision);
    if (index > s->acknowledged) {
        s->acknowledged = index;
    }
    s->totals.operations++;
    s->healed_ops += s->healed;
    c->op = NULL;
    wake_at(s, c, sim_upto(s, THINK_US));
}

static enum kv_kind kind_of(enum op_kind kind)
{
    static const enum kv_kind kinds[] = {[PUT] = KV_PUT,
                                         [GET] = KV_RANGE,
                                         [DELETE] = KV_DELETE_RANGE,
                                         [CAS] = KV_TXN};

    return kinds[kind];
}

static void answer_read(struct member *m, struct client *c)
{
    struct kv_range *range = NULL;
    struct kv_reply reply;
    struct buf request;

    if (kv_index(m->kv) < c->floor) {
        sim_fail(m->sim,
                 "member %" PRIu64 " answers read %" PRIu64 " as of %" PRIu64
                 ", when %" PRIu64 " was known before it was asked",
                 m->id, c->op->value, kv_index(m->kv), c->floor);
    }
    kv_reply_init(&reply);
    buf_init(&request, OP_REQUEST_BYTES);
    op_pack(c->op, &request);
    kv_range_start(m->kv, buf_slice(&request), &reply, &range);
    while (range != NULL && !kv_range_step(range)) {
    }
    if (range != NULL) {
        kv_range_free(range);
    }
    CHECK(reply.error == KV_OK);
    answered(m->sim, c, &reply, kv_index(m->kv));
    buf_release(&request);
    kv_reply_release(&reply);
}

static enum status propose(struct member *m, const struct op *op)
{
    struct buf request;
    struct buf entry;
    bool forwarded;
    enum status st;

    buf_init(&request, OP_REQUEST_BYTES);
    buf_init(&entry, 2 * OP_REQUEST_BYTES);
    op_pack(op, &request);
    CHECK(kv_check(m->kv, kind_of(op->kind), buf_slice(&request)) == KV_OK);
    kv_entry_pack(&entry, op->value, kind_of(op->kind), buf_slice(&request));
    st = node_propose(m->node, RAFT_ENTRY_NORMAL, buf_slice(&entry), op->value,
                      &forwarded);
    buf_release(&request);
    buf_release(&entry);
    return st;
}

static void ask(struct sim *s, struct client *c)
{
    struct member *m = sim_member(s, c->member);
    bool ready = false;
    enum status st = c->op->kind == GET
                         ? node_read(m->node, c->op->value, &ready)
                         : propose(m, c->op);

    if (st) {
        give_up(s, c, status_text(st));
    } else if (ready) {
        answer_read(m, c);
    }
    member_turn(m);
}

static struct op *new_op(struct sim *s, const struct client *c)
{
    uint64_t dice = sim_upto(s, 99);
    struct op *op = &s->history.ops[s->history.count++];

    CHECK(s->history.count < OPS_MAX);
    *op = (struct op){.kind = dice < 45   ? PUT
                              : dice < 80 ? GET
                              : dice < 87 ? DELETE
                                          : CAS,
                      .key = 1 + (unsigned)sim_upto(s, KEYS - 1),
                      .value = s->history.count,
                      .start = s->totals.events,
                      .end = UINT64_MAX};
    op->expected = c->mods[op->key];
    return op;
}

static const char *kind_text(enum op_kind kind)
{
    static const char *const texts[] = {
        [PUT] = "put", [GET] = "get", [DELETE] = "delete", [CAS] = "cas"};

    return texts[kind];
}

static void begin_op(struct sim *s, struct client *c)
{
    if (c->member == 0 || !member_is_up(sim_member(s, c->member)) ||
        sim_chance(s, 50)) {
        c->member = any_member_up(s);
    }
    if (c->member == 0) {
        wake_at(s, c, THINK_US);
        return;
    }
    c->life = sim_member(s, c->member)->life;
    c->floor = s->acknowledged;
    c->op = new_op(s, c);
    sim_trace(s, "  operation %" PRIu64 " at %" PRIu64 ": %s %u", c->op->value,
              c->member, kind_text(c->op->kind), c->op->key);
    wake_at(s, c, PATIENCE_US);
    if (sim_member(s, c->member)->paused_us <= s->now_us) {
        ask(s, c);
    } /* Else it is not heard; as good as lost. */
}

void client_event(struct sim *s, uint64_t number)
{
    struct client *c = &s->clients[number];

    if (s->now_us < c->wake_us) {
        return; /* It was answered, or gave up, before. */
    }
    watchers_attach(s);
    if (c->op != NULL) {
        give_up(s, c, "time is up");
    } else if (!s->healed || s->healed_ops < ENOUGH_OPS) {
        begin_op(s, c);
    }
}

void clients_start(struct sim *s)
{
    for (size_t i = 0; i < CLIENTS; i++) {
        wake_at(s, &s->clients[i], sim_upto(s, 2000000));
    }
    for (size_t i = 0; i < WATCHERS; i++) {
        s->watching[i].next = 1;
    }
}

bool clients_are_done(const struct sim *s)
{
    for (size_t i = 0; i < CLIENTS; i++) {
        if (s->clients[i].op != NULL) {
            return false;
        }
    }
    return true;
}

/* ---- what comes back ---- */

static struct client *client_of(struct member *m, uint64_t name)
{
    for (size_t i = 0; i < CLIENTS; i++) {
        struct client *c = &m->sim->clients[i];

        if (c->op != NULL && c->op->value == name && c->member == m->id &&
            c->life == m->life) {
            return c;
        }
    }
    return NULL;
}

void clients_applied(struct member *m, const struct raft_entry *e,
                     uint64_t name, const struct kv_reply *reply)
{
    struct client *c = client_of(m, name);

    if (c != NULL && !m->dying) {
        CHECK(reply->error == KV_OK);
        answered(m->sim, c, reply, e->pos.index);
    }
}

void clients_dropped(struct member *m, uint64_t tag, enum status why)
{
    struct client *c = client_of(m, tag);

    if (c != NULL) {
        give_up(m->sim, c, status_text(why));
    }
}

void clients_read_ready(struct member *m, uint64_t tag, enum status why)
{
    struct client *c = client_of(m, tag);

    if (c != NULL && (why || m->dying)) {
        give_up(m->sim, c, status_text(why));
    } else if (c != NULL) {
        answer_read(m, c);
    }
}

void clients_crashed(struct member *m)
{
    struct sim *s = m->sim;

    for (size_t i = 0; i < CLIENTS; i++) {
        struct client *c = &s->clients[i];

        if (c->op != NULL && c->member == m->id) {
            give_up(s, c, "the member is gone");
        }
    }
    for (size_t i = 0; i < WATCHERS; i++) {
        struct watching *w = &s->watching[i];

        if (w->member == m->id) {
            watch_free(w->watcher);
            w->watcher = NULL;
            w->member = 0;
        }
    }
}

void clients_judge(struct sim *s)
{
    if (!history_judge(&s->history)) {
        sim_fail(s, "what clients saw is not linearizable");
    }
}

/* ---- those who watch ---- */

void watchers_attach(struct sim *s)
{
    static const uint8_t zero = 0;

    for (size_t i = 0; i < WATCHERS; i++) {
        struct watching *w = &s->watching[i];
        struct watch_spec spec = {.key = slice_of(&zero, 1),
                                  .range_end = slice_of(&zero, 1),
                                  .start_revision = w->next,
                                  .owner = w};
        struct member *m;

        if (w->member == 0) {
            w->member = any_member_up(s);
            if (w->member == 0) {
                return;
            }
            m = sim_member(s, w->member);
            w->watcher = watch_add(m->kv, &spec);
        }
    }
}

static void detach(struct watching *w)
{
    watch_free(w->watcher);
    w->watcher = NULL;
    w->member = 0;
}

static void check_event(struct member *m, struct watching *w, struct slice wire)
{
    struct pb_field f;
    struct slice kv;
    size_t count;
    const struct change *all = model_changes(m->sim->model, &count);
    const struct change *want = &all[w->cursor];
    struct change got = {0};

    CHECK(pb_next(&wire, &f));
    kv = op_bytes(f.bytes, 2);
    got.revision = (int64_t)op_number(kv, 3);
    got.key = op_key_of(op_bytes(kv, 1));
    got.value = op_number(f.bytes, 1) == 1 ? 0 : op_value_of(op_bytes(kv, 5));
    if (w->cursor >= count || got.revision != want->revision ||
        got.key != want->key || got.value != want->value) {
        sim_fail(m->sim,
                 "a watcher at %" PRIu64 " is told of key %u, value %" PRIu64
                 " at revision %" PRId64 ", to come was key %u, value %" PRIu64
                 " at %" PRId64,
                 m->id, got.key, got.value, got.revision,
                 w->cursor < count ? want->key : 0,
                 w->cursor < count ? want->value : 0,
                 w->cursor < count ? want->revision : 0);
    }
    w->cursor++;
    w->next = got.revision + 1;
}

static void compacted(struct member *m, struct watching *w, int64_t revision)
{
    size_t count;
    const struct change *all = model_changes(m->sim->model, &count);

    if (w->next > revision) {
        sim_fail(m->sim,
                 "a watcher at %" PRIu64 " for %" PRId64
                 " is told that %" PRId64 " is compacted",
                 m->id, w->next, revision);
    }
    w->next = revision + 1;
    while (w->cursor < count && all[w->cursor].revision < w->next) {
        w->cursor++;
    }
    detach(w);
}

void watchers_turn(struct member *m)
{
    struct watcher *watcher;

    if (!m->sim->healed && sim_chance(m->sim, 500)) {
        return; /* Their sockets are full. */
    }
    while ((watcher = watch_ready(m->kv)) != NULL) {
        struct watching *w = watch_owner(watcher);
        struct watch_notice notice;

        watch_next(watcher, &notice);
        for (size_t i = 0;
             notice.type == WATCH_EVENTS && i < notice.events_count; i++) {
            check_event(m, w, notice.events[i]);
        }
        if (notice.type == WATCH_COMPACTED) {
            compacted(m, w, notice.compact_revision);
        }
    }
}

bool watchers_are_done(const struct sim *s)
{
    size_t count;

    (void)model_changes(s->model, &count);
    for (size_t i = 0; i < WATCHERS; i++) {
        if (s->watching[i].member == 0 || s->watching[i].cursor != count) {
            return false;
        }
    }
    return true;
}
