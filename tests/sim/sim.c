#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/core/check.h"
#include "base/core/row.h"
#include "core.h"

enum {
    HEALED_OPS = 20,            /* Answers that must come once all is well, */
    PROGRESS_US = 30 * 1000000, /* within this. */
    LOOK_US = 100 * 1000,
};

/* ---- words ---- */

void sim_trace(struct sim *s, const char *format, ...)
{
    va_list args;

    if (!s->trace) {
        return;
    }
    (void)printf("%10.3f  ", (double)s->now_us / 1000);
    va_start(args, format);
    (void)vprintf(format, args);
    va_end(args);
    (void)putchar('\n');
}

void sim_fail(struct sim *s, const char *format, ...)
{
    va_list args;

    (void)fflush(stdout);
    (void)fprintf(stderr, "seed %" PRIu64 ", profile %s, at %.3f ms: ", s->seed,
                  s->profile->name, (double)s->now_us / 1000);
    va_start(args, format);
    (void)vfprintf(stderr, format, args);
    va_end(args);
    (void)fputc('\n', stderr);
    exit(1);
}

uint64_t sim_upto(struct sim *s, uint64_t most)
{
    return rng_below(&s->rng, most + 1);
}

bool sim_chance(struct sim *s, unsigned of_thousand)
{
    return of_thousand > 0 && rng_below(&s->rng, 1000) < of_thousand;
}

/* ---- the queue ---- */

static bool before(const struct event *a, const struct event *b)
{
    return a->due_us != b->due_us ? a->due_us < b->due_us
                                  : a->number < b->number;
}

static void heap_swap(struct heap *h, size_t a, size_t b)
{
    struct event e = h->list[a];

    h->list[a] = h->list[b];
    h->list[b] = e;
}

static size_t heap_up(struct heap *h, size_t at)
{
    while (at > 0 && before(&h->list[at], &h->list[(at - 1) / 2])) {
        heap_swap(h, at, (at - 1) / 2);
        at = (at - 1) / 2;
    }
    return at;
}

static void heap_down(struct heap *h, size_t at)
{
    for (;;) {
        size_t least = at;

        for (size_t child = 2 * at + 1; child <= 2 * at + 2; child++) {
            if (child < h->count && before(&h->list[child], &h->list[least])) {
                least = child;
            }
        }
        if (least == at) {
            return;
        }
        heap_swap(h, at, least);
        at = least;
    }
}

static struct event *heap_push(struct heap *h, const struct event *e)
{
    h->list = row_room(h->list, &h->cap, h->count, sizeof(h->list[0]));
    h->list[h->count++] = *e;
    return &h->list[heap_up(h, h->count - 1)];
}

static struct event heap_pop(struct heap *h)
{
    struct event e = h->list[0];

    h->list[0] = h->list[--h->count];
    heap_down(h, 0);
    return e;
}

/* What it returns may be filled in, but not its time, until the next call. */
struct event *sim_at(struct sim *s, uint64_t delay_us, enum event_type type)
{
    struct event e = {
        .due_us = s->now_us + delay_us, .number = ++s->numbers, .type = type};

    return heap_push(&s->heap, &e);
}

struct event *sim_at_member(struct sim *s, uint64_t delay_us,
                            enum event_type type, const struct member *m)
{
    struct event *e = sim_at(s, delay_us, type);

    e->member = m->id;
    e->life = m->life;
    return e;
}

/* ---- events ---- */

static void run_member_event(struct sim *s, struct event *e)
{
    struct member *m = sim_member(s, e->member);

    switch ((unsigned)e->type) {
    case EVENT_TICK:
        member_tick(m);
        break;
    case EVENT_MESSAGE:
        network_arrive(s, e);
        break;
    case EVENT_SYNCED:
        member_synced(m);
        break;
    case EVENT_BATCH:
        member_batch(m);
        break;
    case EVENT_BATCH_DONE:
        member_batch_done(m);
        break;
    case EVENT_IMPORTED:
        snapshot_imported(m);
        break;
    case EVENT_SNAPSHOT_ENDED:
        sim_trace(s, "%" PRIu64 " hears that its snapshot %s %" PRIu64, m->id,
                  e->ok ? "has reached" : "did not reach", e->value);
        (void)node_snapshot_ended(m->node, e->value, e->index, e->ok,
                                  member_ms(m));
        break;
    case EVENT_PEER_LOST:
        (void)node_peer_lost(m->node, e->value, member_ms(m));
        break;
    default: /* EVENT_TURN has nothing of its own. */
        m->turn_scheduled = false;
        break;
    }
    member_turn(m);
}

/* Is it for nobody any more, or not yet? */
static bool misses(struct sim *s, const struct event *e)
{
    const struct member *m = sim_member(s, e->member);

    return !member_is_up(m) || (e->life != 0 && e->life != m->life);
}

static void run_event(struct sim *s, struct event *e)
{
    if (e->type == EVENT_CLIENT) {
        client_event(s, e->value);
    } else if (e->type == EVENT_FAULT) {
        fault_event(s);
    } else if (e->type == EVENT_CUT) {
        fault_cut(s);
    } else if (e->type == EVENT_START) {
        member_start(sim_member(s, e->member));
    } else if (misses(s, e)) {
        network_miss(s, e);
    } else if (sim_member(s, e->member)->paused_us > s->now_us) {
        struct event later = *e;

        later.due_us = sim_member(s, e->member)->paused_us;
        later.number = ++s->numbers;
        (void)heap_push(&s->heap, &later);
        return;
    } else {
        run_member_event(s, e);
    }
    parcel_free(e->parcel);
}

/* ---- the end ---- */

/* It holds all that the cluster does, and nothing is under way. */
static bool is_done(struct member *m, uint64_t last)
{
    return member_is_up(m) && kv_index(m->kv) == last &&
           kv_compacted_to(m->kv) == kv_compacted(m->kv);
}

static bool all_agree(struct sim *s)
{
    uint64_t last = checks_applied_last(s);

    for (uint64_t id = 1; id <= s->members_count; id++) {
        struct member *m = sim_member(s, id);

        if (sim_is_member(s, id) && !is_done(m, last)) {
            return false;
        }
    }
    return sim_leader(s) != 0;
}

static void hash_of(struct member *m, struct kv_reply *out)
{
    struct kv_hash *hash;

    kv_reply_init(out);
    hash = kv_hash_start(m->kv, 0, out);
    while (!kv_hash_step(hash)) {
    }
    kv_hash_free(hash);
}

/* All members hold the same: data, compaction, members. */
static void compare_members(struct sim *s)
{
    struct kv_reply first = {0};
    bool any = false;

    for (uint64_t id = 1; id <= s->members_count; id++) {
        struct member *m = sim_member(s, id);
        struct kv_reply reply;

        if (!sim_is_member(s, id)) {
            continue;
        }
        kv_verify(m->kv);
        if (!raft_conf_eq(node_conf(m->node), &s->conf)) {
            sim_fail(s, "member %" PRIu64 " has other members", id);
        }
        hash_of(m, &reply);
        if (any && !slice_eq(buf_slice(&reply.body), buf_slice(&first.body))) {
            sim_fail(s, "member %" PRIu64 " holds other data", id);
        }
        if (any) {
            kv_reply_release(&reply);
        } else {
            first = reply;
            any = true;
        }
    }
    kv_reply_release(&first);
}

static void look(struct sim *s)
{
    if (s->now_us - s->healed_us > PROGRESS_US) {
        sim_fail(s,
                 "no progress: %zu answers in %d s after all was mended, "
                 "leader %" PRIu64,
                 s->healed_ops, PROGRESS_US / 1000000, sim_leader(s));
    }
    faults_admin(s);
    watchers_attach(s);
    if (s->healed_ops < HEALED_OPS || !clients_are_done(s) || !all_agree(s) ||
        !watchers_are_done(s)) {
        (void)sim_at(s, LOOK_US, EVENT_LOOK);
        return;
    }
    compare_members(s);
    clients_judge(s);
    s->over = true;
}

/* ---- a run ---- */

static void begin(struct sim *s)
{
    s->founders = s->profile->members;
    s->members_count = s->founders;
    s->loss = s->profile->loss;
    for (uint64_t id = 1; id <= MEMBERS_MAX; id++) {
        s->members[id] = (struct member){.sim = s,
                                         .id = id,
                                         .skew_ms = 1 + sim_upto(s, 100000),
                                         .disk = mem_disk_new()};
        memory_table_init(&s->members[id].tables[0]);
        memory_table_init(&s->members[id].tables[1]);
        kv_reply_init(&s->members[id].reply);
    }
    for (uint64_t id = 1; id <= s->founders; id++) {
        struct event *e = sim_at(s, sim_upto(s, 1000), EVENT_START);

        e->member = id;
    }
    clients_start(s);
    (void)sim_at(s, 1000000, EVENT_FAULT);
}

static void end(struct sim *s)
{
    for (uint64_t id = 1; id <= MEMBERS_MAX; id++) {
        struct member *m = &s->members[id];

        if (member_is_up(m)) {
            member_crash(m, false);
        }
        memory_table_release(&m->tables[0]);
        memory_table_release(&m->tables[1]);
        kv_reply_release(&m->reply);
        mem_disk_free(m->disk);
    }
    for (size_t i = 0; i < s->heap.count; i++) {
        parcel_free(s->heap.list[i].parcel);
    }
    free(s->heap.list);
    free(s->members);
    free(s->history.ops);
    model_free(s->model);
    checks_free(s->checks);
}

static void heal(struct sim *s)
{
    s->healed = true;
    s->healed_us = s->now_us;
    sim_trace(s, "all is mended");
    faults_heal(s);
    (void)sim_at(s, LOOK_US, EVENT_LOOK);
}

int sim_run(const struct profile *profile, uint64_t seed, bool trace,
            struct sim_totals *out_totals)
{
    struct sim s = {.profile = profile, .seed = seed, .trace = trace};

    rng_init(&s.rng, seed);
    s.members = calloc(MEMBERS_MAX + 1, sizeof(*s.members));
    s.history.ops = calloc(OPS_MAX, sizeof(struct op));
    CHECK(s.members != NULL);
    CHECK(s.history.ops != NULL);
    s.model = model_new();
    s.checks = checks_new(&s);
    begin(&s);
    while (!s.over) {
        struct event e;

        CHECK(s.heap.count > 0);
        e = heap_pop(&s.heap);
        s.now_us = e.due_us;
        s.totals.events++;
        if (!s.healed && s.now_us >= profile->chaos_ms * 1000) {
            heal(&s);
        }
        if (e.type == EVENT_LOOK) {
            look(&s);
        } else {
            run_event(&s, &e);
        }
    }
    sim_trace(&s,
              "over: %" PRIu64 " events, %" PRIu64 " elections, %" PRIu64
              " snapshots installed, %zu operations, %" PRIu64 " answered",
              s.totals.events, s.totals.elections, s.totals.installs,
              s.history.count, s.totals.operations);
    *out_totals = s.totals;
    end(&s);
    return 0;
}
