#include "agent/io/coords_told.h"

#include <stdlib.h>

#include "base/core/check.h"

struct coords_told {
    struct link *link;
    struct coords *known;
    coords_told_fn *on_known;
    void *ctx;
    bool loaded; /* `known` is all there is, and follows. */
    bool loading;
    bool stopped;
};

struct coords_told *coords_told_new(struct link *link, const char *datacenter,
                                    coords_told_fn *on_known, void *ctx)
{
    struct coords_told *t = calloc(1, sizeof(*t));

    CHECK(t != NULL);
    t->link = link;
    t->known = coords_new(datacenter);
    t->on_known = on_known;
    t->ctx = ctx;
    return t;
}

void coords_told_stop(struct coords_told *t)
{
    t->stopped = true;
}

void coords_told_free(struct coords_told *t)
{
    if (t != NULL) {
        coords_free(t->known);
    }
    free(t);
}

const struct coords *coords_told_known(const struct coords_told *t)
{
    return t->known;
}

bool coords_told_loaded(const struct coords_told *t)
{
    return t->loaded;
}

static void take(struct coords_told *t, const struct catalog_event *events,
                 size_t count, bool full)
{
    if (coords_apply(t->known, events, count, full) && t->on_known) {
        t->on_known(t->ctx, t->known);
    }
}

static void on_listed(void *arg, struct store_answer *answer)
{
    struct coords_told *t = arg;

    t->loading = false;
    if (answer->result == STORE_DONE && !t->stopped) {
        const struct store_range *r = &answer->ranges[0];
        struct catalog_event *events =
            arena_zalloc(&answer->arena, r->count + 1, sizeof(*events));

        for (size_t i = 0; i < r->count; i++) {
            events[i] = (struct catalog_event){
                .key = r->items[i].key,
                .value = r->items[i].value,
                .create_revision = r->items[i].create_revision,
                .mod_revision = r->items[i].mod_revision};
        }
        take(t, events, r->count, true);
        t->loaded = true;
    }
    store_answer_release(answer);
}

/* The replica on disk has none of it, and a watch that goes on where it was
 * does not tell it again. */
void coords_told_contact(struct coords_told *t)
{
    struct arena arena = {0};
    struct slice folder;
    struct store_ask ask;

    if (t->stopped || t->loaded || t->loading || !link_current(t->link)) {
        return;
    }
    folder = coords_folder(t->known, &arena);
    store_list(&ask, &arena, folder, store_prefix_end(&arena, folder), false);
    t->loading = true;
    link_store(t->link, &ask, on_listed, t);
    arena_release(&arena);
}

void coords_told_update(struct coords_told *t, const struct link_update *update)
{
    if (!update->aside) {
        take(t, update->events, update->events_count, update->full);
        t->loaded = t->loaded || update->full;
    }
}
