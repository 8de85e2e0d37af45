#include "agent/core/recent.h"

#include <stdlib.h>

#include "agent/core/pmap.h"
#include "base/core/check.h"

struct recent {
    struct shared shared;
    uint64_t until_ms;
    char service[];
};

struct recents {
    struct pmap items; /* The instance's key in the store -> recent */
};

struct recents *recents_new(void)
{
    struct recents *r = calloc(1, sizeof(*r));

    CHECK(r != NULL);
    return r;
}

void recents_free(struct recents *r)
{
    if (r != NULL) {
        pmap_release(&r->items);
        free(r);
    }
}

static void recent_free(struct shared *s)
{
    free(s);
}

static void note(struct recents *r, const struct catalog_instance *i,
                 uint64_t now_ms)
{
    size_t len = strlen(i->record.service);
    struct recent *item = malloc(sizeof(*item) + len + 1);

    CHECK(item != NULL);
    shared_init(&item->shared, recent_free);
    item->until_ms = now_ms + RECENT_MS;
    memcpy(item->service, i->record.service, len + 1);
    pmap_put(&r->items, i->key, &item->shared);
}

struct looking {
    struct recents *recents;
    const struct catalog *before;
    const struct catalog *after;
    uint64_t now_ms;
};

static bool is_healthy(enum health_sum sum)
{
    return sum == HEALTH_PASSING || sum == HEALTH_WARNING;
}

static bool look_at(void *ctx, const struct catalog_instance *i)
{
    const struct looking *g = ctx;
    enum health_sum sum = catalog_instance_health(g->after, i);
    const struct catalog_instance *old;

    if (sum != HEALTH_CRITICAL) {
        (void)pmap_remove(&g->recents->items, i->key);
        return true;
    }
    old = g->before == NULL ? NULL
                            : catalog_instance(g->before, i->record.service,
                                               i->record.node, i->record.id);
    if (old != NULL && is_healthy(catalog_instance_health(g->before, old))) {
        note(g->recents, i, g->now_ms);
    }
    return true;
}

void recents_look(struct recents *r, const struct catalog *before,
                  const struct catalog *after, const char *service,
                  uint64_t now_ms)
{
    struct looking g = {r, before, after, now_ms};
    const struct catalog_service *s = catalog_service(after, service);

    if (s != NULL) {
        catalog_each_instance(s, look_at, &g);
    }
}

bool recents_has(const struct recents *r, const struct catalog_instance *i,
                 uint64_t now_ms)
{
    const struct recent *item =
        (const struct recent *)pmap_get(&r->items, i->key);

    return item != NULL && now_ms < item->until_ms;
}

static bool find_first(void *ctx, struct slice key, struct shared *value)
{
    const struct recent *item = (const struct recent *)value;
    uint64_t *first_ms = ctx;

    (void)key;
    *first_ms = item->until_ms < *first_ms ? item->until_ms : *first_ms;
    return true;
}

uint64_t recents_due_ms(const struct recents *r)
{
    uint64_t first_ms = UINT64_MAX;

    pmap_each(&r->items, (struct slice){0}, find_first, &first_ms);
    return first_ms;
}

struct expiring {
    struct arena *arena;
    uint64_t now_ms;
    struct slice *keys;
    const char **services;
    size_t count;
};

static bool find_old(void *ctx, struct slice key, struct shared *value)
{
    const struct recent *item = (const struct recent *)value;
    struct expiring *e = ctx;

    if (e->now_ms >= item->until_ms) {
        e->keys[e->count] = arena_copy(e->arena, key);
        e->services[e->count++] =
            arena_strdup(e->arena, slice_str(item->service));
    }
    return true;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

struct texts recents_expire(struct recents *r, uint64_t now_ms, struct arena *a)
{
    size_t most = r->items.count;
    struct expiring e = {.arena = a,
                         .now_ms = now_ms,
                         .keys = arena_alloc(a, most * sizeof(*e.keys)),
                         .services =
                             arena_alloc(a, most * sizeof(*e.services))};
    size_t kept = 0;

    pmap_each(&r->items, (struct slice){0}, find_old, &e);
    for (size_t i = 0; i < e.count; i++) {
        (void)pmap_remove(&r->items, e.keys[i]);
    }
    if (e.count > 0) {
        qsort(e.services, e.count, sizeof(*e.services), compare_names);
    }
    for (size_t i = 0; i < e.count; i++) {
        if (kept == 0 || strcmp(e.services[kept - 1], e.services[i]) != 0) {
            e.services[kept++] = e.services[i];
        }
    }
    return (struct texts){.items = e.services, .count = kept};
}
