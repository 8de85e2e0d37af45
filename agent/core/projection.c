#include "agent/core/projection.h"

#include <stdlib.h>

#include "agent/core/catalog.h"
#include "agent/core/pace.h"
#include "agent/core/projection_format.h"
#include "base/core/check.h"

/* One guard of each transaction is the live key's. */
#define OPS_MAX (LIMIT_TXN_OPS - 1)

enum {
    BATCH_BYTES_MAX = 1024 * 1024,
    KEY_BURST = 20, /* Changes of one key, and then one in */
    KEY_MS = 1000,
    RETRY_MS_MIN = 1000,
    RETRY_MS_MAX = 15000,
    REFUSED_MS = 60000,
    LOOK_MS = 60000, /* Whether all that was written is still there. */
};

/* A key that stands, or is on its way. */
struct held {
    char *key;
    uint64_t hash;    /* Of the value; on its way 0: it is being deleted. */
    int64_t revision; /* At which it was written. */
};

struct projections {
    char *skydns;
    char *domain;
    char *grpc;
    uint32_t ttl_s;

    int64_t lease; /* The ground of what is held. */
    int64_t live_create_revision;
    struct held *held; /* In order of key. */
    size_t held_count;

    struct held flight[OPS_MAX];
    size_t flight_count;
    bool in_flight;
    bool fate_lost; /* What is in flight is of another ground. */
    bool looking;   /* It is only read. */
    uint64_t look_at_ms;
    size_t look_next; /* Of what is held. */

    bool settled; /* Nothing was to do at this generation. */
    uint64_t seen_generation;
    uint64_t retry_at_ms;
    unsigned failures_in_row;
    size_t farewell_at;
    struct paces paces;
};

struct projections *projections_new(void)
{
    struct projections *p = calloc(1, sizeof(*p));

    CHECK(p != NULL);
    p->paces = (struct paces){.burst = KEY_BURST, .refill_ms = KEY_MS};
    return p;
}

static void forget_held(struct projections *p)
{
    for (size_t i = 0; i < p->held_count; i++) {
        free(p->held[i].key);
    }
    free(p->held);
    p->held = NULL;
    p->held_count = 0;
}

static void forget_flight(struct projections *p)
{
    for (size_t i = 0; i < p->flight_count; i++) {
        free(p->flight[i].key);
    }
    p->flight_count = 0;
}

void projections_free(struct projections *p)
{
    if (p == NULL) {
        return;
    }
    forget_held(p);
    forget_flight(p);
    free(p->skydns);
    free(p->domain);
    free(p->grpc);
    free(p);
}

size_t projections_count(const struct projections *p)
{
    return p->held_count;
}

static void set_text(char **to, const char *text)
{
    free(*to);
    *to = strdup(text);
    CHECK(*to != NULL);
}

void projections_set(struct projections *p, const struct projection_settings *s,
                     uint64_t now_ms)
{
    set_text(&p->skydns, s->skydns);
    set_text(&p->domain, s->domain);
    set_text(&p->grpc, s->grpc);
    p->ttl_s = s->ttl_s > 0 ? s->ttl_s : 1;
    p->settled = false;
    p->retry_at_ms = now_ms;
}

void projections_forget(struct projections *p)
{
    forget_held(p);
    p->fate_lost = p->in_flight;
    p->settled = false;
    p->retry_at_ms = 0;
    p->failures_in_row = 0;
}

/* ---- What stands --------------------------------------------------------- */

/* Where the key is, or would be. */
static size_t place_of(const struct projections *p, const char *key,
                       bool *out_found)
{
    size_t low = 0;
    size_t high = p->held_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(p->held[middle].key, key);

        if (order == 0) {
            *out_found = true;
            return middle;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    *out_found = false;
    return low;
}

static const struct held *held_find(const struct projections *p,
                                    const char *key)
{
    bool found;
    size_t at = place_of(p, key, &found);

    return found ? &p->held[at] : NULL;
}

static void held_drop(struct projections *p, const char *key)
{
    bool found;
    size_t at = place_of(p, key, &found);

    if (found) {
        free(p->held[at].key);
        memmove(&p->held[at], &p->held[at + 1],
                (p->held_count - at - 1) * sizeof(*p->held));
        p->held_count--;
    }
}

static void held_put(struct projections *p, const struct held *new)
{
    bool found;
    size_t at = place_of(p, new->key, &found);
    char *key;

    if (!found) {
        p->held = realloc(p->held, (p->held_count + 1) * sizeof(*p->held));
        key = strdup(new->key);
        CHECK(p->held != NULL && key != NULL);
        memmove(&p->held[at + 1], &p->held[at],
                (p->held_count - at) * sizeof(*p->held));
        p->held[at].key = key;
        p->held_count++;
    }
    p->held[at].hash = new->hash;
    p->held[at].revision = new->revision;
}

/* ---- What should stand --------------------------------------------------- */

struct wanted_list {
    const struct projections *p;
    const struct local *local;
    struct arena *arena;
    struct projected *items;
    size_t count;
    size_t cap;
};

static void want(struct wanted_list *w, struct projected item)
{
    if (w->count == w->cap) {
        size_t cap = w->cap == 0 ? 16 : 2 * w->cap;
        struct projected *items =
            arena_alloc(w->arena, cap * sizeof(*w->items));

        if (w->count > 0) {
            memcpy(items, w->items, w->count * sizeof(*items));
        }
        w->items = items;
        w->cap = cap;
    }
    w->items[w->count++] = item;
}

static bool want_service(void *ctx, const struct local_service *s)
{
    struct wanted_list *w = ctx;
    const struct projections *p = w->p;
    const struct node_record *node = &local_host(w->local)->node;
    bool warning = s->health == HEALTH_WARNING;

    if (s->health != HEALTH_PASSING && !warning) {
        return true;
    }
    if (p->skydns[0] != '\0') {
        want(w, projected_skydns(w->arena, p->skydns, p->domain, p->ttl_s, node,
                                 s->def, warning));
    }
    if (p->grpc[0] != '\0' && s->def->port != 0) {
        want(w, projected_grpc(w->arena, p->grpc, node, s->def, warning));
    }
    return true;
}

static int compare_wanted(const void *a, const void *b)
{
    const struct projected *x = a;
    const struct projected *y = b;
    int order = strcmp(x->key, y->key);

    /* Two instances behind one address: always the same one of them. */
    return order != 0 ? order : slice_cmp(x->value, y->value);
}

/* In order of key, each once. */
static struct wanted_list wanted_of(const struct projections *p,
                                    const struct local *local, struct arena *a)
{
    struct wanted_list w = {.p = p, .local = local, .arena = a};
    size_t count = 0;

    local_each_service(local, want_service, &w);
    if (w.count > 0) {
        qsort(w.items, w.count, sizeof(*w.items), compare_wanted);
    }
    for (size_t i = 0; i < w.count; i++) {
        if (count == 0 || strcmp(w.items[count - 1].key, w.items[i].key) != 0) {
            w.items[count++] = w.items[i];
        }
    }
    w.count = count;
    return w;
}

/* ---- The difference ------------------------------------------------------ */

struct difference {
    struct projections *p;
    struct store_ask *ask;
    size_t bytes;
    uint64_t throttled_ms; /* When what has to wait may go; 0: nothing has. */
    uint64_t now_ms;
};

static bool has_room(const struct difference *d)
{
    return d->p->flight_count < OPS_MAX && d->bytes < BATCH_BYTES_MAX;
}

static void fly(struct difference *d, const char *key, uint64_t hash)
{
    struct held *f = &d->p->flight[d->p->flight_count++];

    *f = (struct held){.key = strdup(key), .hash = hash};
    CHECK(f->key != NULL);
}

static void put(struct difference *d, const struct projected *w)
{
    uint64_t until_ms =
        paces_take(&d->p->paces, catalog_hash(slice_str(w->key)), d->now_ms);

    if (until_ms != 0) {
        if (d->throttled_ms == 0 || until_ms < d->throttled_ms) {
            d->throttled_ms = until_ms;
        }
        return;
    }
    store_put(d->ask, slice_str(w->key), w->value, d->p->lease);
    d->bytes += w->value.len;
    fly(d, w->key, w->hash);
}

static void take_away(struct difference *d, struct arena *a,
                      const struct held *h)
{
    struct slice key = slice_str(arena_strdup(a, slice_str(h->key)));

    store_guard(d->ask, STORE_MOD_IS, key, (struct slice){0}, h->revision);
    store_read_key(d->ask, key);
    store_delete(d->ask, key, (struct slice){0});
    fly(d, h->key, 0);
}

/* Who is critical goes first. */
static void difference_make(struct difference *d, const struct wanted_list *w)
{
    size_t at = 0;

    for (size_t i = 0; i < d->p->held_count && has_room(d); i++) {
        const struct held *h = &d->p->held[i];

        while (at < w->count && strcmp(w->items[at].key, h->key) < 0) {
            at++;
        }
        if (at == w->count || strcmp(w->items[at].key, h->key) != 0) {
            take_away(d, w->arena, h);
        }
    }
    for (size_t i = 0; i < w->count && has_room(d); i++) {
        const struct held *h = held_find(d->p, w->items[i].key);

        if (h == NULL || h->hash != w->items[i].hash) {
            put(d, &w->items[i]);
        }
    }
}

/* Somebody may have deleted what nobody but us writes. */
static bool look(struct projections *p, uint64_t now_ms, struct arena *a,
                 struct store_ask *ask)
{
    size_t i = p->look_next;

    if (p->held_count == 0 || now_ms < p->look_at_ms) {
        return false;
    }
    store_txn(ask, a);
    for (; i < p->held_count && p->flight_count < OPS_MAX; i++) {
        const char *key = arena_strdup(a, slice_str(p->held[i].key));
        struct held *f = &p->flight[p->flight_count++];

        store_read_key(ask, slice_str(key));
        *f = (struct held){.key = strdup(key)};
        CHECK(f->key != NULL);
    }
    p->look_next = i < p->held_count ? i : 0;
    if (p->look_next == 0) {
        p->look_at_ms = now_ms + LOOK_MS;
    }
    p->looking = p->flight_count > 0;
    p->in_flight = p->looking;
    return p->looking;
}

static void looked(struct projections *p, const struct store_answer *answer)
{
    for (size_t i = 0; i < p->flight_count; i++) {
        const char *key = p->flight[i].key;
        const struct held *h = held_find(p, key);
        const struct store_kv *kv = store_found(answer, slice_str(key));

        if (h != NULL && (kv == NULL || kv->mod_revision != h->revision)) {
            held_drop(p, key);
            p->settled = false;
        }
    }
}

static bool may_ask(struct projections *p,
                    const struct projection_ground *ground, uint64_t now_ms,
                    uint64_t *out_wake_ms)
{
    *out_wake_ms = UINT64_MAX;
    if (ground->lease != p->lease ||
        ground->live_create_revision != p->live_create_revision) {
        projections_forget(p);
        p->lease = ground->lease;
        p->live_create_revision = ground->live_create_revision;
    }
    if (p->in_flight) {
        return false;
    }
    if (now_ms < p->retry_at_ms) {
        *out_wake_ms = p->retry_at_ms;
        return false;
    }
    return true;
}

static bool is_settled(const struct projections *p, const struct local *local)
{
    return p->settled && p->seen_generation == local_generation(local);
}

bool projections_next(struct projections *p, const struct local *local,
                      const struct projection_ground *ground, uint64_t now_ms,
                      struct arena *a, struct store_ask *out_ask,
                      uint64_t *out_wake_ms)
{
    struct difference d = {.p = p, .ask = out_ask, .now_ms = now_ms};
    struct wanted_list w;

    if (!may_ask(p, ground, now_ms, out_wake_ms)) {
        return false;
    }
    if (is_settled(p, local)) {
        *out_wake_ms = p->held_count > 0 ? p->look_at_ms : UINT64_MAX;
        return look(p, now_ms, a, out_ask);
    }
    store_txn(out_ask, a);
    store_guard(out_ask, STORE_CREATE_IS, ground->live_key, (struct slice){0},
                ground->live_create_revision);
    w = wanted_of(p, local, a);
    difference_make(&d, &w);
    if (p->flight_count > 0) {
        p->in_flight = true;
        p->settled = false;
        return true;
    }
    p->settled = d.throttled_ms == 0;
    p->seen_generation = local_generation(local);
    p->look_at_ms = now_ms + LOOK_MS;
    p->look_next = 0;
    *out_wake_ms = !p->settled         ? d.throttled_ms
                   : p->held_count > 0 ? p->look_at_ms
                                       : UINT64_MAX;
    return false;
}

static void written(struct projections *p, int64_t revision)
{
    for (size_t i = 0; i < p->flight_count; i++) {
        if (p->flight[i].hash == 0) {
            held_drop(p, p->flight[i].key);
        } else {
            p->flight[i].revision = revision;
            held_put(p, &p->flight[i]);
        }
    }
}

/* Nothing was written: somebody else's keys are not ours to delete. */
static void guarded(struct projections *p, const struct store_answer *answer)
{
    for (size_t i = 0; i < p->flight_count; i++) {
        const char *key = p->flight[i].key;
        const struct held *h = held_find(p, key);
        const struct store_kv *kv;

        if (p->flight[i].hash == 0 && h != NULL) {
            kv = store_found(answer, slice_str(key));
            if (kv == NULL || kv->mod_revision != h->revision) {
                held_drop(p, key);
            }
        }
    }
}

static uint64_t pause_ms(struct projections *p)
{
    uint64_t pause = RETRY_MS_MIN;

    for (unsigned i = 0; i < p->failures_in_row && pause < RETRY_MS_MAX; i++) {
        pause *= 2;
    }
    p->failures_in_row++;
    return pause < RETRY_MS_MAX ? pause : RETRY_MS_MAX;
}

void projections_done(struct projections *p, const struct store_answer *answer,
                      uint64_t now_ms)
{
    bool ours = !p->fate_lost;
    bool looking = p->looking;

    CHECK(p->in_flight);
    p->in_flight = false;
    p->fate_lost = false;
    p->looking = false;
    if (ours && looking && answer->result == STORE_DONE) {
        looked(p, answer);
    } else if (ours && answer->result == STORE_DONE) {
        written(p, answer->revision);
        p->failures_in_row = 0;
    } else if (ours && answer->result == STORE_GUARDED) {
        guarded(p, answer);
        p->retry_at_ms = now_ms + RETRY_MS_MIN;
    } else if (ours && answer->result == STORE_FAILED) {
        p->retry_at_ms = now_ms + pause_ms(p);
    } else if (ours) {
        p->retry_at_ms = now_ms + REFUSED_MS;
    }
    forget_flight(p);
}

bool projections_farewell(struct projections *p, const struct local *local,
                          int64_t lease, struct arena *a,
                          struct sync_txn *out_txn)
{
    struct wanted_list w = wanted_of(p, local, a);
    struct sync_op *ops = arena_zalloc(a, OPS_MAX, sizeof(*ops));
    size_t count = 0;

    while (p->farewell_at < w.count && count < OPS_MAX) {
        const struct projected *it = &w.items[p->farewell_at++];
        const struct held *h = held_find(p, it->key);

        if (h != NULL && h->hash == it->hash) {
            ops[count++] = (struct sync_op){.kind = SYNC_PUT,
                                            .key = slice_str(it->key),
                                            .value = it->value,
                                            .lease = lease,
                                            .expect_mod_revision = h->revision};
        }
    }
    *out_txn = (struct sync_txn){.ops = ops, .ops_count = count};
    return count > 0;
}
