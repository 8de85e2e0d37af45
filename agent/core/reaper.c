#include "agent/core/reaper.h"

#include <stdlib.h>
#include <strings.h>

#include "base/core/check.h"

enum {
    MINUTE_MS = 60000,
    NODES_PER_REMOVAL = 100,        /* One in a hundred a minute. */
    OPS_MAX = LIMIT_TXN_OPS - 1,    /* The lock's guard takes one place. */
    REAP_MS_DEFAULT = 72 * 3600000, /* Of records that do not say. */
};

/* A node without its live key. */
struct dead {
    char *name;
    int64_t live_mod_revision; /* Tells one death from the next. */
    uint64_t since_ms;
};

struct reaper {
    struct dead *dead; /* By name, as strcasecmp() orders. */
    size_t dead_count;
    size_t dead_cap;
    char *node; /* Being removed, or was last. */
    bool whole; /* The transaction under way is its last one. */
    size_t flight_records;
    bool begun;       /* A part of `node` is removed. */
    uint64_t next_ms; /* Not before: the pace. */
    size_t nodes_count;
    struct reaper_stats stats;
};

struct reaper *reaper_new(void)
{
    struct reaper *r = calloc(1, sizeof(*r));

    CHECK(r != NULL);
    return r;
}

static void dead_release(struct dead *items, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(items[i].name);
    }
    free(items);
}

void reaper_free(struct reaper *r)
{
    if (r != NULL) {
        dead_release(r->dead, r->dead_count);
        free(r->node);
        free(r);
    }
}

const char *reaper_node(const struct reaper *r)
{
    return r->node == NULL ? "" : r->node;
}

struct reaper_stats reaper_stats(const struct reaper *r)
{
    struct reaper_stats stats = r->stats;

    stats.dead = r->dead_count;
    return stats;
}

/* ---- Who is dead -------------------------------------------------- */

static int compare_dead(const void *a, const void *b)
{
    return strcasecmp(((const struct dead *)a)->name,
                      ((const struct dead *)b)->name);
}

static struct dead *find_dead(struct dead *items, size_t count,
                              const char *name)
{
    struct dead probe = {.name = (char *)name};

    return count == 0
               ? NULL
               : bsearch(&probe, items, count, sizeof(*items), compare_dead);
}

struct looking {
    struct reaper *r;
    struct dead *old;
    size_t old_count;
    uint64_t now_ms;
};

static bool is_dead(const struct catalog_node *n)
{
    return n != NULL && n->known && !n->live && !n->ghost &&
           !n->record.external;
}

/* Nodes come in the order of their lower-case names. */
static bool look_at(void *ctx, const struct catalog_node *n)
{
    struct looking *g = ctx;
    struct reaper *r = g->r;
    const struct dead *before;
    struct dead *d;

    if (!is_dead(n)) {
        return true;
    }
    if (r->dead_count == r->dead_cap) {
        r->dead_cap = r->dead_cap == 0 ? 16 : 2 * r->dead_cap;
        r->dead = realloc(r->dead, r->dead_cap * sizeof(*r->dead));
        CHECK(r->dead != NULL);
    }
    before = find_dead(g->old, g->old_count, n->record.name);
    d = &r->dead[r->dead_count++];
    *d = (struct dead){.name = strdup(n->record.name),
                       .live_mod_revision = n->live_mod_revision,
                       .since_ms = g->now_ms};
    CHECK(d->name != NULL);
    if (before != NULL && before->live_mod_revision == n->live_mod_revision) {
        d->since_ms = before->since_ms;
    }
    return true;
}

void reaper_look(struct reaper *r, const struct catalog *catalog,
                 uint64_t now_ms)
{
    struct looking g = {
        .r = r, .old = r->dead, .old_count = r->dead_count, .now_ms = now_ms};

    r->dead = NULL;
    r->dead_count = 0;
    r->dead_cap = 0;
    catalog_each_node(catalog, look_at, &g);
    dead_release(g.old, g.old_count);
}

/* ---- What goes ---------------------------------------------------- */

struct removal {
    struct arena *arena;
    struct sync_op *ops;
    size_t count;
    bool full; /* There is more than fits. */
};

static bool removal_add(struct removal *m, struct slice key,
                        int64_t mod_revision)
{
    if (m->count == OPS_MAX) {
        m->full = true;
        return false;
    }
    m->ops[m->count++] = (struct sync_op){
        .kind = SYNC_DELETE, .key = key, .expect_mod_revision = mod_revision};
    return true;
}

static bool remove_instance(void *ctx, const struct catalog_instance *i)
{
    return removal_add(ctx, i->key, i->mod_revision);
}

static bool remove_check(void *ctx, const struct catalog_node_check *k)
{
    return removal_add(ctx, k->key, k->mod_revision);
}

static bool remove_unread(void *ctx, const struct catalog_unread *u)
{
    return removal_add(ctx, u->key, u->mod_revision);
}

/* The node's own record goes last, so that what is left of a removal that was
 * broken off still belongs to a node. */
static void removal_make(struct removal *m, const struct catalog *catalog,
                         const struct catalog_node *n)
{
    struct record_key live = {.kind = RECORD_LIVE, .node = n->record.name};
    struct slice live_key =
        record_key_write(m->arena, catalog_datacenter(catalog), &live);

    m->ops = arena_zalloc(m->arena, OPS_MAX, sizeof(*m->ops));
    /* It is absent: a guard, and nothing is deleted by it. Or it was left
     * behind, and goes. */
    (void)removal_add(m, live_key, n->live_key_revision);
    catalog_each_node_instance(catalog, n->record.name, remove_instance, m);
    if (!m->full) {
        catalog_each_node_check(catalog, n->record.name, remove_check, m);
    }
    if (!m->full) {
        catalog_each_unread(catalog, n->record.name, remove_unread, m);
    }
    if (!m->full) {
        (void)removal_add(m, n->key, n->mod_revision);
    }
}

bool reaper_removal(const struct catalog *catalog, const struct catalog_node *n,
                    struct arena *a, struct sync_txn *out_txn)
{
    struct removal m = {.arena = a};

    removal_make(&m, catalog, n);
    *out_txn = (struct sync_txn){.ops = m.ops, .ops_count = m.count};
    return !m.full;
}

static uint64_t due_ms(const struct dead *d, const struct catalog_node *n)
{
    uint64_t reap_ms =
        n->record.reap_ms > 0 ? n->record.reap_ms : REAP_MS_DEFAULT;

    return reap_ms < UINT64_MAX - d->since_ms ? d->since_ms + reap_ms
                                              : UINT64_MAX;
}

/* The one that has been due for longest. */
static const struct catalog_node *choose(struct reaper *r,
                                         const struct catalog *catalog,
                                         uint64_t now_ms, uint64_t *out_due_ms)
{
    const struct catalog_node *chosen = NULL;
    uint64_t first_ms = UINT64_MAX;

    for (size_t i = 0; i < r->dead_count; i++) {
        const struct catalog_node *n = catalog_node(catalog, r->dead[i].name);

        if (is_dead(n) && due_ms(&r->dead[i], n) < first_ms) {
            first_ms = due_ms(&r->dead[i], n);
            chosen = n;
        }
    }
    *out_due_ms = first_ms;
    return first_ms <= now_ms ? chosen : NULL;
}

static void node_is(struct reaper *r, const char *name)
{
    if (r->node == NULL || strcasecmp(r->node, name) != 0) {
        r->begun = false;
    }
    free(r->node);
    r->node = strdup(name);
    CHECK(r->node != NULL);
}

bool reaper_next(struct reaper *r, const struct catalog *catalog,
                 uint64_t now_ms, struct arena *a, struct sync_txn *out_txn,
                 uint64_t *out_wake_ms)
{
    uint64_t due = UINT64_MAX;
    const struct catalog_node *n = choose(r, catalog, now_ms, &due);

    *out_wake_ms = due;
    if (n == NULL) {
        return false;
    }
    if (!r->begun && now_ms < r->next_ms) {
        *out_wake_ms = r->next_ms;
        return false;
    }
    node_is(r, n->record.name);
    r->whole = reaper_removal(catalog, n, a, out_txn);
    r->flight_records = out_txn->ops_count - 1;
    r->nodes_count = catalog_nodes_count(catalog);
    return true;
}

void reaper_done(struct reaper *r, bool written, uint64_t now_ms)
{
    size_t a_minute = r->nodes_count / NODES_PER_REMOVAL;

    if (!written) {
        return;
    }
    if (!r->begun) {
        r->next_ms = now_ms + MINUTE_MS / (a_minute > 0 ? a_minute : 1) + 1;
    }
    r->begun = !r->whole;
    r->stats.records += r->flight_records;
    r->stats.nodes += r->whole;
}
