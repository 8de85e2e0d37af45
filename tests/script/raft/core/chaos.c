/*
 * chaos.c - raft_core_chaos: whatever can befall bare cores, at random.
 *
 *     raft_core_chaos FIRST COUNT     the seeds FIRST to FIRST + COUNT - 1
 *     raft_core_chaos FIRST COUNT -v  ... with their traces
 *
 * cores.h says what must hold after every event. When the chaos ends,
 * everything that was kept back arrives and all members are well: then somebody
 * must lead, commit, and bring all who belong up to date.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/core/check.h"
#include "base/core/rng.h"
#include "cores.h"
#include "words.h"

#define STEPS        300
#define MEMBERS_MAX  6
#define OUT_BYTES    (1024 * 1024)
#define CALM_MS      10000
#define COUNT_OF(a)  (sizeof(a) / sizeof((a)[0]))
#define NEARLY(most) ((most)-20)

struct chaos {
    struct script script;
    struct rng rng;
    struct cores *cores;
    uint64_t name; /* Of the last proposal or read. */
    bool talks;
};

static uint64_t below(struct chaos *c, uint64_t bound)
{
    return rng_below(&c->rng, bound);
}

static uint64_t somebody(struct chaos *c)
{
    return 1 + below(c, MEMBERS_MAX);
}

static struct raft_status status(const struct chaos *c, uint64_t id)
{
    return raft_status(cores_raft(c->cores, id));
}

static void show(struct chaos *c)
{
    if (c->talks) {
        (void)fwrite(c->script.out.data, 1, c->script.out.len, stdout);
    }
    buf_clear(&c->script.out);
}

/* ---- what befalls a member that runs ---- */

static void crash(struct chaos *c, uint64_t id)
{
    cores_crash(c->cores, id);
}

static void elect(struct chaos *c, uint64_t id)
{
    cores_elect(c->cores, id);
}

static void propose(struct chaos *c, uint64_t id)
{
    (void)cores_propose(c->cores, id, ++c->name, 8);
}

static void ask(struct chaos *c, uint64_t id)
{
    (void)cores_read(c->cores, id, ++c->name);
}

static void hold(struct chaos *c, uint64_t id)
{
    cores_hold(c->cores, id, true);
}

static void let_go(struct chaos *c, uint64_t id)
{
    cores_hold(c->cores, id, false);
}

static void sync_once(struct chaos *c, uint64_t id)
{
    cores_sync(c->cores, id);
}

static void stand(struct chaos *c, uint64_t id)
{
    cores_stand_still(c->cores, id, true);
}

static void go(struct chaos *c, uint64_t id)
{
    cores_stand_still(c->cores, id, false);
}

static void compact(struct chaos *c, uint64_t id)
{
    cores_compact(c->cores, id, cores_applied(c->cores, id));
}

static void lose_peer(struct chaos *c, uint64_t id)
{
    cores_lose_peer(c->cores, id, somebody(c));
}

static void transfer(struct chaos *c, uint64_t id)
{
    (void)cores_transfer(c->cores, id, somebody(c));
}

static void change(struct chaos *c, uint64_t id)
{
    static const char *const kinds[] = {"",      "",          "",
                                        "auto ", "implicit ", "explicit "};
    static const char types[] = "+~-";
    const char *kind = kinds[below(c, COUNT_OF(kinds))];
    char text[40];
    int len = snprintf(text, sizeof(text), "%s%c%" PRIu64, kind,
                       types[below(c, 3)], somebody(c));

    if (kind[0] != '\0') {
        (void)snprintf(text + len, sizeof(text) - (size_t)len, " %c%" PRIu64,
                       types[below(c, 3)], somebody(c));
    }
    (void)cores_change(c->cores, id, below(c, 6) == 0 ? "leave" : text);
}

static const struct {
    unsigned weight;
    void (*befall)(struct chaos *c, uint64_t id);
} fates[] = {
    {4, crash},     {4, elect},     {14, propose}, {10, ask}, {3, hold},
    {4, let_go},    {3, sync_once}, {2, stand},    {3, go},   {2, compact},
    {2, lose_peer}, {2, transfer},  {3, change},
};

static void befall_one(struct chaos *c)
{
    uint64_t id = somebody(c);
    uint64_t dice = 0;

    if (!cores_is_up(c->cores, id)) {
        if (below(c, 3) == 0) {
            cores_start(c->cores, id);
        }
        return;
    }
    for (size_t i = 0; i < COUNT_OF(fates); i++) {
        dice += fates[i].weight;
    }
    dice = below(c, dice);
    for (size_t i = 0; i < COUNT_OF(fates); i++) {
        if (dice < fates[i].weight) {
            fates[i].befall(c, id);
            return;
        }
        dice -= fates[i].weight;
    }
}

/* ---- what befalls the network ---- */

static void let_one(struct chaos *c)
{
    static const enum cores_fate ends[] = {
        CORES_ARRIVES, CORES_ARRIVES, CORES_ARRIVES_AND_STAYS, CORES_IS_LOST};
    uint64_t a = somebody(c);
    uint64_t b = somebody(c);

    (void)cores_let(c->cores, a, b, 1 + (size_t)below(c, 4),
                    ends[below(c, COUNT_OF(ends))]);
}

static void isolate(struct chaos *c, uint64_t id)
{
    for (uint64_t other = 1; other <= MEMBERS_MAX; other++) {
        cores_cut(c->cores, id, other);
        cores_cut(c->cores, other, id);
    }
}

static void befall_network(struct chaos *c)
{
    uint64_t a = somebody(c);
    uint64_t b = somebody(c);

    switch (below(c, 10)) {
    case 0:
        cores_cut(c->cores, a, b);
        return;
    case 1:
        isolate(c, a);
        return;
    case 2:
        if (below(c, 3) == 0) {
            cores_heal(c->cores);
        }
        return;
    case 3:
        cores_delay(c->cores, a, b, below(c, 3) != 0);
        return;
    default:
        for (int i = 0; i < 10; i++) {
            let_one(c);
        }
    }
}

/* The harness keeps tables by index, term and name. */
static bool is_full(const struct chaos *c)
{
    for (uint64_t id = 1; id <= MEMBERS_MAX; id++) {
        if (cores_is_up(c->cores, id) &&
            (status(c, id).last_index > NEARLY(CORES_INDEX_MAX) ||
             status(c, id).hard.term > NEARLY(CORES_INDEX_MAX))) {
            return true;
        }
    }
    return c->name > NEARLY(CORES_NAME_MAX);
}

static void disturb(struct chaos *c)
{
    for (int i = 0; i < STEPS && !is_full(c); i++) {
        uint64_t dice = below(c, 10);

        if (dice < 1) {
            cores_pass(c->cores, 25 * (1 + below(c, 20)));
        } else if (dice < 4) {
            befall_network(c);
        } else {
            befall_one(c);
        }
        show(c);
    }
}

/* ---- and afterwards ---- */

static void calm(struct chaos *c)
{
    cores_heal(c->cores);
    for (uint64_t a = 1; a <= MEMBERS_MAX; a++) {
        for (uint64_t b = 1; b <= MEMBERS_MAX; b++) {
            cores_delay(c->cores, a, b, false);
            while (cores_let(c->cores, a, b, 1, CORES_ARRIVES)) {
            }
        }
    }
    for (uint64_t id = 1; id <= MEMBERS_MAX; id++) {
        if (!cores_is_up(c->cores, id)) {
            cores_start(c->cores, id);
        }
        let_go(c, id);
        go(c, id);
    }
    cores_pass(c->cores, CALM_MS);
    show(c);
}

static uint64_t find_leader(const struct chaos *c)
{
    uint64_t leader = 0;

    for (uint64_t id = 1; id <= MEMBERS_MAX; id++) {
        if (status(c, id).role == RAFT_LEADER &&
            (leader == 0 ||
             status(c, id).hard.term > status(c, leader).hard.term)) {
            leader = id;
        }
    }
    return leader;
}

static bool all_follow(const struct chaos *c, uint64_t leader)
{
    const struct raft *raft = cores_raft(c->cores, leader);
    uint64_t applied = cores_applied(c->cores, leader);

    for (uint64_t id = 1; id <= MEMBERS_MAX; id++) {
        if (raft_conf_roles(raft_conf(raft), id) != 0 &&
            cores_applied(c->cores, id) != applied) {
            return false;
        }
    }
    return true;
}

/* NULL: they are well. */
static const char *complaint(struct chaos *c)
{
    uint64_t leader = find_leader(c);
    uint64_t applied;

    if (leader == 0) {
        return "nobody leads";
    }
    applied = cores_applied(c->cores, leader);
    if (cores_propose(c->cores, leader, ++c->name, 8) != ST_OK) {
        return "the leader takes nothing";
    }
    cores_pass(c->cores, 1000);
    show(c);
    if (cores_applied(c->cores, leader) == applied) {
        return "nothing is committed";
    }
    return all_follow(c, leader) ? NULL : "somebody lags";
}

static uint64_t seed_now;

/* A failed check ends the process; whose life it was should be known. */
static void on_abort(int signal_number)
{
    (void)signal_number;
    (void)fprintf(stderr, "seed %" PRIu64 ": a check failed\n", seed_now);
}

static bool live_through(uint64_t seed, bool talks)
{
    struct raft_config limits = {.heartbeat_ms = 100,
                                 .election_ms = 1000,
                                 .append_bytes_max = 20,
                                 .inflight_max = 3,
                                 .inflight_bytes_max = 40,
                                 .uncommitted_max = 200};
    struct chaos c = {.script.quiet = !talks, .talks = talks};
    const char *what;

    seed_now = seed;
    buf_init(&c.script.out, OUT_BYTES);
    rng_init(&c.rng, seed);
    c.cores = cores_new(&limits, 1 + seed % 5, &c.script);
    disturb(&c);
    calm(&c);
    what = complaint(&c);
    if (what != NULL) {
        (void)fprintf(stderr, "seed %" PRIu64 ": %s\n", seed, what);
    }
    cores_free(c.cores);
    buf_release(&c.script.out);
    return what == NULL;
}

int main(int argc, char **argv)
{
    uint64_t first;
    uint64_t count;
    bool good = true;

    if (argc < 3) {
        (void)fprintf(stderr, "usage: %s FIRST COUNT [-v]\n", argv[0]);
        return 2;
    }
    (void)signal(SIGABRT, on_abort);
    first = strtoull(argv[1], NULL, 10);
    count = strtoull(argv[2], NULL, 10);
    for (uint64_t seed = first; seed < first + count; seed++) {
        good = live_through(seed, argc > 3) && good;
    }
    return good ? 0 : 1;
}
