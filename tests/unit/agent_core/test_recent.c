#include "agent/core/recent.h"

#include <stdio.h>

#include "suite.h"

struct world {
    struct catalog *catalog;
    struct recents *recents;
    struct arena arena;
    int64_t revision;
    uint64_t now_ms;
};

static void record(struct world *w, const char *key, const char *value)
{
    struct catalog_event e = {.key = slice_str(key),
                              .value = slice_str(value == NULL ? "" : value),
                              .deleted = value == NULL,
                              .create_revision = w->revision + 1,
                              .mod_revision = w->revision + 1};
    struct catalog_changes changes;
    struct catalog *next =
        catalog_apply(w->catalog, &e, 1, ++w->revision, &w->arena, &changes);

    for (size_t i = 0; i < changes.services.count; i++) {
        recents_look(w->recents, w->catalog, next, changes.services.items[i],
                     w->now_ms);
    }
    catalog_unref(w->catalog);
    w->catalog = next;
}

static void web(struct world *w, const char *check, const char *status)
{
    char value[200];

    (void)snprintf(value, sizeof(value),
                   "{\"node\":\"n\",\"service\":\"web\",\"id\":\"1\","
                   "\"checks\":[{\"id\":\"%s\",\"status\":\"%s\"}]}",
                   check, status);
    record(w, "/muster/v1/dc1/inst/web/n/1", value);
}

static bool is_recent(const struct world *w)
{
    return recents_has(
        w->recents, catalog_instance(w->catalog, "web", "n", "1"), w->now_ms);
}

static void world_init(struct world *w)
{
    *w = (struct world){.catalog = catalog_new("dc1"),
                        .recents = recents_new(),
                        .now_ms = 1000};
    record(w, "/muster/v1/dc1/node/n",
           "{\"name\":\"n\",\"id\":\"x\",\"address\":\"10.0.0.1\"}");
    record(w, "/muster/v1/dc1/live/n",
           "{\"node_id\":\"x\",\"incarnation\":\"1\"}");
}

static void world_release(struct world *w)
{
    catalog_unref(w->catalog);
    recents_free(w->recents);
    arena_release(&w->arena);
}

START_TEST(what_fails_is_remembered_for_a_minute)
{
    struct world w;
    struct texts names;

    world_init(&w);
    web(&w, "c", "critical"); /* Born so: it never was healthy. */
    ck_assert(!is_recent(&w));
    web(&w, "c", "passing");
    web(&w, "c", "critical");
    ck_assert(is_recent(&w));
    ck_assert_uint_eq(recents_due_ms(w.recents), 1000 + RECENT_MS);
    w.now_ms += RECENT_MS / 2;
    web(&w, "d", "critical"); /* Another change starts nothing anew. */
    w.now_ms = 1000 + RECENT_MS - 1;
    ck_assert(is_recent(&w));
    ck_assert_uint_eq(recents_expire(w.recents, w.now_ms, &w.arena).count, 0);
    w.now_ms++;
    ck_assert(!is_recent(&w));
    names = recents_expire(w.recents, w.now_ms, &w.arena);
    ck_assert_uint_eq(names.count, 1);
    ck_assert_str_eq(names.items[0], "web");
    ck_assert_uint_eq(recents_due_ms(w.recents), UINT64_MAX);
    world_release(&w);
}
END_TEST

START_TEST(who_dies_is_remembered_too)
{
    struct world w;

    world_init(&w);
    web(&w, "c", "warning");
    record(&w, "/muster/v1/dc1/live/n", NULL);
    ck_assert(is_recent(&w));
    record(&w, "/muster/v1/dc1/live/n",
           "{\"node_id\":\"x\",\"incarnation\":\"1\"}");
    ck_assert(!is_recent(&w));
    world_release(&w);
}
END_TEST

START_TEST(maintenance_is_meant)
{
    struct world w;

    world_init(&w);
    web(&w, "c", "passing");
    web(&w, "c", "critical");
    web(&w, "_service_maintenance:1", "critical");
    ck_assert(!is_recent(&w));
    world_release(&w);
}
END_TEST

UNIT_MAIN("recent", {
    tcase_add_test(tc, what_fails_is_remembered_for_a_minute);
    tcase_add_test(tc, who_dies_is_remembered_too);
    tcase_add_test(tc, maintenance_is_meant);
})
