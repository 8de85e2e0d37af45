#include "world.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/core/check.h"

#define START_MS   100000
#define START_WALL 1700000000000LL

/* ---- The agent --------------------------------------------------------- */

static void local_begin(struct world *w)
{
    static const struct local_host host = {
        .datacenter = "dc1",
        .exec_from_files = true,
        .node = {.name = "edge",
                 .id = "c0ffee00-0000-4000-8000-000000000001",
                 .address = "10.0.0.7",
                 .owner = {.node = "edge", .incarnation = "1"}},
    };

    w->local = local_new(&host, (struct hash_key){1, 2});
    (void)local_catalog(w->local, w->catalog);
}

void world_start(struct world *w, world_say_fn say, void *ctx)
{
    *w = (struct world){
        .now = {.now_ms = START_MS, .wall_ms = START_WALL},
        .revision = 1,
        .say = say,
        .ctx = ctx,
    };
    w->catalog = catalog_new("dc1");
    local_begin(w);
}

static void free_items(struct item *items, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(items[i].key);
        free(items[i].value);
    }
}

void world_end(struct world *w)
{
    local_free(w->local);
    catalog_unref(w->catalog);
    free_items(w->files, w->files_count);
    free_items(w->items, w->items_count);
}

/* ---- Telling ----------------------------------------------------------- */

static void say(struct world *w, const char *what)
{
    char text[2 * WORLD_TEXT];
    uint64_t ms = w->now.now_ms - START_MS;

    (void)snprintf(text, sizeof(text), "%llu.%03llu %s",
                   (unsigned long long)ms / 1000, (unsigned long long)ms % 1000,
                   what);
    w->say(w->ctx, text);
}

static struct seen *seen_of(struct world *w, const char *id)
{
    struct seen *s;

    for (size_t i = 0; i < w->seen_count; i++) {
        if (strcmp(w->seen[i].id, id) == 0) {
            return &w->seen[i];
        }
    }
    CHECK(w->seen_count < WORLD_CHECKS);
    s = &w->seen[w->seen_count++];
    *s = (struct seen){.status = CHECK_CRITICAL};
    (void)snprintf(s->id, sizeof(s->id), "%s", id);
    return s;
}

static bool look_at(void *ctx, const struct local_check *c)
{
    struct world *w = ctx;
    struct seen *s = seen_of(w, c->def->id);
    char text[WORLD_TEXT];

    if (!s->exists || s->status != c->status) {
        (void)snprintf(text, sizeof(text), "%.100s is %s%s%.350s", c->def->id,
                       check_status_text(c->status),
                       *c->output == '\0' ? "" : ": ", c->output);
        say(w, text);
    }
    s->status = c->status;
    s->exists = true;
    return true;
}

static struct item *item_of(struct item *items, size_t *count, size_t most,
                            const char *key)
{
    for (size_t i = 0; i < *count; i++) {
        if (strcmp(items[i].key, key) == 0) {
            return &items[i];
        }
    }
    CHECK(*count < most);
    items[*count] = (struct item){.key = strdup(key)};
    return &items[(*count)++];
}

static void item_drop(struct item *items, size_t *count, struct item *i)
{
    free(i->key);
    free(i->value);
    *i = items[--*count];
}

/* An empty value takes the item away. */
static void item_set(struct item *items, size_t *count, size_t most,
                     const char *key, const char *value)
{
    struct item *i = item_of(items, count, most, key);

    free(i->value);
    i->value = NULL;
    if (*value == '\0') {
        item_drop(items, count, i);
    } else {
        i->value = strdup(value);
    }
}

static void save(struct world *w)
{
    struct arena a = {0};
    struct local_item item;

    while (local_item_next(w->local, w->now, &a, &item)) {
        item_set(w->items, &w->items_count, WORLD_ITEMS,
                 arena_strdup(&a, item.key), arena_strdup(&a, item.value));
    }
    arena_release(&a);
}

void world_look(struct world *w)
{
    local_tick(w->local, w->now);
    local_each_check(w->local, look_at, w);
    for (size_t i = 0; i < w->seen_count; i++) {
        struct local_check c;
        char text[WORLD_TEXT];

        if (w->seen[i].exists &&
            !local_check_get(w->local, w->seen[i].id, &c)) {
            (void)snprintf(text, sizeof(text), "%.400s is gone", w->seen[i].id);
            say(w, text);
            w->seen[i].exists = false;
        }
    }
    save(w);
}

/* ---- Time -------------------------------------------------------------- */

struct behaviour *world_behaviour(struct world *w, const char *id)
{
    struct behaviour *b;

    for (size_t i = 0; i < w->behaviours_count; i++) {
        if (strcmp(w->behaviours[i].id, id) == 0) {
            return &w->behaviours[i];
        }
    }
    CHECK(w->behaviours_count < WORLD_CHECKS);
    b = &w->behaviours[w->behaviours_count++];
    *b = (struct behaviour){.status = CHECK_PASSING};
    (void)snprintf(b->id, sizeof(b->id), "%s", id);
    return b;
}

/* Give back the results that are there; what a check finds is decided when its
 * run ends. */
static void results(struct world *w)
{
    for (size_t i = 0; i < w->pending_count;) {
        struct pending p = w->pending[i];

        if (p.done_ms > w->now.now_ms) {
            i++;
            continue;
        }
        w->pending[i] = w->pending[--w->pending_count];
        (void)local_result(w->local, p.run, p.finds->status,
                           slice_str(p.finds->output), w->now);
    }
}

static void begin_runs(struct world *w)
{
    struct local_run run;

    while (local_due(w->local, w->now, &run)) {
        const struct behaviour *b = world_behaviour(w, run.def->id);

        CHECK(w->pending_count < WORLD_CHECKS);
        w->pending[w->pending_count++] = (struct pending){
            .run = run.run, .done_ms = w->now.now_ms + b->takes_ms, .finds = b};
        w->runs++;
    }
}

static uint64_t next_ms(const struct world *w)
{
    uint64_t next = local_wake_ms(w->local);

    for (size_t i = 0; i < w->pending_count; i++) {
        next = w->pending[i].done_ms < next ? w->pending[i].done_ms : next;
    }
    return next > w->now.now_ms ? next : w->now.now_ms;
}

static void set_now(struct world *w, uint64_t at_ms)
{
    w->now.wall_ms += (int64_t)(at_ms - w->now.now_ms);
    w->now.now_ms = at_ms;
}

void world_pass(struct world *w, uint64_t ms)
{
    uint64_t end_ms = w->now.now_ms + ms;

    while (next_ms(w) <= end_ms) {
        set_now(w, next_ms(w));
        begin_runs(w);
        results(w);
        world_look(w);
    }
    set_now(w, end_ms);
    world_look(w);
}

void world_suspend(struct world *w, uint64_t ms)
{
    w->now.wall_ms += (int64_t)ms;
    local_slept(w->local, ms);
    local_tick(w->local, w->now);
    world_look(w);
}

/* ---- Files and the disk ------------------------------------------------ */

static void load(struct world *w, const char *name, const char *text)
{
    struct definitions *defs = NULL;
    struct err err;
    char why[WORLD_TEXT + 16];

    if (definitions_parse(DEFINITION_FILE, name, slice_str(text), &defs,
                          &err) ||
        local_load_file(w->local, name, defs, w->now, &err)) {
        (void)snprintf(why, sizeof(why), "refused: %.400s", err.text);
        say(w, why);
    }
    for (size_t i = 0; defs != NULL && i < definitions_warnings_count(defs);
         i++) {
        (void)snprintf(why, sizeof(why), "warning: %.400s",
                       definitions_warning(defs, i));
        say(w, why);
    }
    definitions_unref(defs);
}

void world_file(struct world *w, const char *name, const char *text)
{
    item_set(w->files, &w->files_count, WORLD_CHECKS, name, text);
    load(w, name, text);
}

void world_forget(struct world *w, const char *name)
{
    item_set(w->files, &w->files_count, WORLD_CHECKS, name, "");
    local_forget_file(w->local, name, w->now);
}

void world_restart(struct world *w, uint64_t ms)
{
    struct err err;

    local_free(w->local);
    w->pending_count = 0;
    set_now(w, w->now.now_ms + ms);
    local_begin(w);
    for (size_t i = 0; i < w->items_count; i++) {
        struct local_item item = {.key = slice_str(w->items[i].key),
                                  .value = slice_str(w->items[i].value)};

        CHECK(local_restore(w->local, &item, w->now, &err) == ST_OK);
    }
    local_restored(w->local, w->now);
    for (size_t i = 0; i < w->files_count; i++) {
        load(w, w->files[i].key, w->files[i].value);
    }
}

/* ---- Other hosts ------------------------------------------------------- */

static void put(struct world *w, const struct record_key *key,
                const struct buf *value)
{
    struct arena a = {0};
    struct catalog_changes changes;
    struct catalog_event event = {
        .key = record_key_write(&a, "dc1", key),
        .value = value == NULL ? (struct slice){0} : buf_slice(value),
        .deleted = value == NULL,
        .create_revision = w->revision + 1,
        .mod_revision = w->revision + 1,
    };
    struct catalog *next =
        catalog_apply(w->catalog, &event, 1, ++w->revision, &a, &changes);

    CHECK(changes.problems_count == 0);
    catalog_unref(w->catalog);
    w->catalog = next;
    (void)local_catalog(w->local, next);
    arena_release(&a);
}

void world_node(struct world *w, const char *name, bool live)
{
    struct node_record node = {.name = name,
                               .id = "c0ffee00-0000-4000-8000-000000000002",
                               .address = "10.0.0.8",
                               .owner = {.node = name, .incarnation = "1"}};
    struct live_record lease = {.node_id = node.id, .incarnation = "1"};
    struct record_key key = {.kind = RECORD_NODE, .node = name};
    struct buf value;

    buf_init(&value, LIMIT_RECORD_BYTES);
    CHECK(node_record_write(&node, &value) == ST_OK);
    put(w, &key, &value);
    buf_clear(&value);
    CHECK(live_record_write(&lease, &value) == ST_OK);
    key.kind = RECORD_LIVE;
    put(w, &key, live ? &value : NULL);
    buf_release(&value);
}

void world_remote(struct world *w, const char *node, const char *service,
                  enum check_status status)
{
    struct check_record check = {.id = "up",
                                 .name = "up",
                                 .notes = "",
                                 .output = "",
                                 .type = CHECK_TYPE_TTL,
                                 .status = status};
    struct instance_record record = {
        .node = node,
        .service = service,
        .id = service,
        .address = "",
        .socket_path = "",
        .kind = "",
        .weight_passing = 1,
        .weight_warning = 1,
        .checks = &check,
        .checks_count = 1,
        .owner = {.node = node, .incarnation = "1"},
    };
    struct record_key key = {.kind = RECORD_INSTANCE,
                             .service = service,
                             .node = node,
                             .id = service};
    struct buf value;

    buf_init(&value, LIMIT_RECORD_BYTES);
    CHECK(instance_record_write(&record, &value) == ST_OK);
    put(w, &key, &value);
    buf_release(&value);
}
