/*
 * run.c - runs stories of the guard: what happens to nodes and the store, and
 * what the catalogue shows of it, in virtual time.
 *
 *     guard_script FILE...            compare
 *     guard_script --rewrite FILE...  fill in what comes out
 *
 * A block is commands, a line "----", and the output expected, up to an empty
 * line. The world lives on from block to block. NODES are names, "n1..n8" among
 * them. Commands:
 *
 *     anew                     an empty world, the limits as they are
 *     limits KEY=VALUE...      min, percent, window, max
 *     nodes NODES              they register and have a lease
 *     external NODES           they are registered, without an agent
 *     service NAME NODES       an instance on each
 *     fails SERVICE NODES      its check is critical there
 *     lose NODES               their leases end, each an event of its own
 *     back NODES               they have a lease again
 *     leave NODES              their records and leases go
 *     forget NODES             their records go, as by the reaper
 *     empty                    the watch shows that everything was deleted
 *     store NODES              a full read of another store, which has these
 *     read                     a full read of this store
 *     pass TIME                time goes by
 *     gap TIME                 what follows is seen after so long out of
 * contact mode on|off|auto         the operator says so show SERVICE... what
 * the catalogue shows, and whether polls wake
 */
#include "agent/core/guard.h"

#include <stdio.h>
#include <stdlib.h>

#include "agent/core/duration.h"
#include "base/core/check.h"
#include "tests/script/driver.h"

enum {
    WORDS_MAX = 64,
    ROWS_MAX = 4096,
    NAMES_MAX = 512,
};

struct row {
    char *key;
    char *value;
    int64_t create;
    int64_t mod;
};

struct run {
    struct guard *guard;
    struct guard_limits limits;
    struct catalog *catalog;
    struct row rows[ROWS_MAX]; /* The store. */
    size_t rows_count;
    int64_t revision;
    uint64_t now_ms;
    uint64_t gap_ms;
    uint64_t shown_index; /* Of the last show. */
    struct arena scratch; /* Of a command. */
    struct buf *out;
};

static void say(struct run *r, const char *text)
{
    CHECK(buf_add_str(r->out, text) == ST_OK);
}

/* ---- The guard's work ---------------------------------------------- */

static void say_names(struct run *r, const char *what, struct texts names)
{
    if (names.count > 0) {
        say(r, what);
        for (size_t i = 0; i < names.count; i++) {
            say(r, " ");
            say(r, names.items[i]);
        }
        say(r, "\n");
    }
}

static void adopt(struct run *r, struct catalog *next)
{
    catalog_unref(r->catalog);
    r->catalog = next;
}

static void work_do(struct run *r, const struct guard_work *work,
                    const struct catalog *before)
{
    struct catalog_changes changes;

    if (work->said) {
        CHECK(buf_addf(r->out, "%s: %s\n",
                       guard_status(r->guard).cause == GUARD_CAUSE_NONE
                           ? "ends"
                           : "begins",
                       work->said) == ST_OK);
    }
    if (work->refill) {
        say(r, "keeps what was known before\n");
        adopt(r, catalog_refill(r->catalog, before, &r->scratch, &changes));
    }
    say_names(r, "holds", work->hold);
    say_names(r, "releases", work->release);
    if (work->hold.count + work->release.count > 0) {
        adopt(r, catalog_hold(r->catalog, work->hold, work->release,
                              &r->scratch, &changes));
    }
}

static void seen(struct run *r, struct catalog *next,
                 const struct catalog_changes *changes, bool replaced)
{
    struct catalog *before = catalog_ref(r->catalog);
    struct guard_input in = {.before = before,
                             .after = next,
                             .lives = changes->lives,
                             .gap_ms = r->gap_ms,
                             .replaced = replaced};
    struct guard_work work;

    adopt(r, next);
    guard_update(r->guard, &in, r->now_ms, &r->scratch, &work);
    work_do(r, &work, before);
    catalog_unref(before);
}

/* ---- The store ----------------------------------------------------- */

static struct row *row_of(struct run *r, const char *key)
{
    for (size_t i = 0; i < r->rows_count; i++) {
        if (strcmp(r->rows[i].key, key) == 0) {
            return &r->rows[i];
        }
    }
    return NULL;
}

static void row_remove(struct run *r, struct row *row)
{
    free(row->key);
    free(row->value);
    *row = r->rows[--r->rows_count];
}

static struct row *row_put(struct run *r, const char *key, const char *value)
{
    struct row *row = row_of(r, key);

    if (row == NULL) {
        CHECK(r->rows_count < ROWS_MAX);
        row = &r->rows[r->rows_count++];
        *row = (struct row){.key = strdup(key), .create = r->revision};
    }
    free(row->value);
    row->value = strdup(value);
    row->mod = r->revision;
    return row;
}

static struct catalog_event event_of(const struct row *row)
{
    return (struct catalog_event){.key = slice_str(row->key),
                                  .value = slice_str(row->value),
                                  .create_revision = row->create,
                                  .mod_revision = row->mod};
}

/* One event of the watch; `value` NULL deletes. */
static void change(struct run *r, const char *key, const char *value)
{
    struct catalog_event e;
    struct catalog_changes changes;

    r->revision++;
    if (value != NULL) {
        e = event_of(row_put(r, key, value));
    } else {
        e = (struct catalog_event){.key = slice_str(key),
                                   .deleted = true,
                                   .mod_revision = r->revision};
        if (row_of(r, key) == NULL) {
            return;
        }
    }
    seen(r,
         catalog_apply(r->catalog, &e, 1, r->revision, &r->scratch, &changes),
         &changes, false);
    if (value == NULL) {
        row_remove(r, row_of(r, key));
    }
}

static void full_read(struct run *r, bool replaced)
{
    struct catalog_event events[ROWS_MAX];
    struct catalog_changes changes;

    for (size_t i = 0; i < r->rows_count; i++) {
        events[i] = event_of(&r->rows[i]);
    }
    seen(r,
         catalog_replace(r->catalog, events, r->rows_count, r->revision,
                         &r->scratch, &changes),
         &changes, replaced);
}

/* ---- Commands ------------------------------------------------------ */

#define ROOT "/muster/v1/dc1/"

/* Names among words, "n1..n8" written out. */
static struct texts names_of(struct run *r, char **words, size_t count)
{
    const char **names = arena_alloc(&r->scratch, NAMES_MAX * sizeof(*names));
    size_t found = 0;

    for (size_t i = 0; i < count; i++) {
        char *dots = strstr(words[i], "..");
        int first = dots == NULL ? 0 : atoi(words[i] + 1);
        int last = dots == NULL ? 0 : atoi(dots + 3);

        for (int n = first; n <= last; n++) {
            CHECK(found < NAMES_MAX);
            names[found++] =
                dots == NULL ? words[i]
                             : arena_printf(&r->scratch, "%c%d", *words[i], n);
        }
    }
    return (struct texts){.items = names, .count = found};
}

static void node_put(struct run *r, const char *name, const char *more)
{
    char value[256];

    (void)snprintf(value, sizeof(value),
                   "{\"name\":\"%s\",\"id\":\"%s\",\"address\":\"10.0.0.1\"%s}",
                   name, name, more);
    change(r, arena_printf(&r->scratch, ROOT "node/%s", name), value);
}

static void live_put(struct run *r, const char *name)
{
    change(r, arena_printf(&r->scratch, ROOT "live/%s", name),
           "{\"node_id\":\"x\",\"incarnation\":\"1\"}");
}

static void instance_put(struct run *r, const char *service, const char *node,
                         const char *status)
{
    char value[256];

    (void)snprintf(value, sizeof(value),
                   "{\"node\":\"%s\",\"service\":\"%s\",\"id\":\"1\","
                   "\"checks\":[{\"id\":\"c\",\"status\":\"%s\"}]}",
                   node, service, status);
    change(r, arena_printf(&r->scratch, ROOT "inst/%s/%s/1", service, node),
           value);
}

/* All records of a node, and then its lease. */
static void records_remove(struct run *r, const char *name)
{
    char *keys[ROWS_MAX];
    char infix[80];
    size_t count = 0;

    (void)snprintf(infix, sizeof(infix), "/%s/1", name);
    for (size_t i = 0; i < r->rows_count; i++) {
        if (strstr(r->rows[i].key, infix) != NULL) {
            keys[count++] = strdup(r->rows[i].key);
        }
    }
    for (size_t i = 0; i < count; i++) {
        change(r, keys[i], NULL);
        free(keys[i]);
    }
    change(r, arena_printf(&r->scratch, ROOT "node/%s", name), NULL);
}

static void rows_clear(struct run *r)
{
    while (r->rows_count > 0) {
        row_remove(r, &r->rows[r->rows_count - 1]);
    }
}

/* Everything goes in one transaction, as the watch tells it. */
static void do_empty(struct run *r)
{
    struct catalog_event events[ROWS_MAX];
    struct catalog_changes changes;

    r->revision++;
    for (size_t i = 0; i < r->rows_count; i++) {
        events[i] = (struct catalog_event){.key = slice_str(r->rows[i].key),
                                           .deleted = true,
                                           .mod_revision = r->revision};
    }
    seen(r,
         catalog_apply(r->catalog, events, r->rows_count, r->revision,
                       &r->scratch, &changes),
         &changes, false);
    rows_clear(r);
}

static void do_store(struct run *r, struct texts names)
{
    char key[128];
    char value[256];

    rows_clear(r);
    r->revision = 5;
    for (size_t i = 0; i < names.count; i++) {
        (void)snprintf(key, sizeof(key), ROOT "node/%s", names.items[i]);
        (void)snprintf(
            value, sizeof(value),
            "{\"name\":\"%s\",\"id\":\"x\",\"address\":\"10.0.0.1\"}",
            names.items[i]);
        (void)row_put(r, key, value);
        (void)snprintf(key, sizeof(key), ROOT "live/%s", names.items[i]);
        (void)row_put(r, key, "{\"node_id\":\"x\",\"incarnation\":\"1\"}");
    }
    full_read(r, true);
}

static void do_limits(struct run *r, char **words, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char *value = strchr(words[i], '=');
        uint64_t ms = 0;

        CHECK(value != NULL);
        *value++ = '\0';
        if (strcmp(words[i], "min") == 0) {
            r->limits.min_nodes = (uint32_t)atoi(value);
        } else if (strcmp(words[i], "percent") == 0) {
            r->limits.percent = (uint32_t)atoi(value);
        } else {
            CHECK(duration_parse(slice_str(value), &ms) == ST_OK);
            if (strcmp(words[i], "window") == 0) {
                r->limits.window_ms = ms;
            } else {
                r->limits.max_ms = ms;
            }
        }
    }
    guard_set_limits(r->guard, &r->limits);
}

static void tick(struct run *r)
{
    struct guard_work work;

    guard_tick(r->guard, r->catalog, r->now_ms, &r->scratch, &work);
    work_do(r, &work, r->catalog);
}

static void do_pass(struct run *r, const char *text)
{
    uint64_t ms = 0;
    uint64_t until;

    CHECK(duration_parse(slice_str(text), &ms) == ST_OK);
    until = r->now_ms + ms;
    while (guard_due_ms(r->guard) <= until) {
        r->now_ms = guard_due_ms(r->guard);
        tick(r);
    }
    r->now_ms = until;
}

static void do_mode(struct run *r, const char *text)
{
    struct guard_work work;
    enum guard_mode mode;

    CHECK(guard_mode_parse(text, &mode));
    guard_set_mode(r->guard, mode, r->catalog, r->now_ms, &r->scratch, &work);
    work_do(r, &work, r->catalog);
}

static bool say_instance(void *ctx, const struct catalog_instance *i)
{
    struct run *r = ctx;

    CHECK(buf_addf(r->out, " %s %s%s", i->record.node,
                   health_sum_text(catalog_instance_health(r->catalog, i)),
                   i->mod_revision == 0 ? " (ghost)" : "") == ST_OK);
    return true;
}

static void do_show(struct run *r, char **words, size_t count)
{
    struct guard_status s = guard_status(r->guard);
    struct catalog_scope all = {.kind = SCOPE_NONE};

    CHECK(buf_addf(r->out, "%s, holds %zu of %zu nodes%s\n",
                   s.cause == GUARD_CAUSE_NONE ? "idle" : "active", s.held,
                   catalog_nodes_count(r->catalog),
                   s.store_emptied ? ", the store is emptied" : "") == ST_OK);
    for (size_t i = 0; i < count; i++) {
        const struct catalog_service *service =
            catalog_service(r->catalog, words[i]);

        CHECK(buf_addf(r->out, "%s:", words[i]) == ST_OK);
        if (service != NULL) {
            catalog_each_instance(service, say_instance, r);
        }
        CHECK(buf_addf(r->out, "%s\n",
                       catalog_index(r->catalog,
                                     (struct catalog_scope){
                                         .kind = SCOPE_SERVICE,
                                         .name = words[i]}) > r->shown_index
                           ? " (wakes)"
                           : "") == ST_OK);
    }
    r->shown_index = catalog_index(r->catalog, all);
}

static void world_end(struct run *r)
{
    guard_free(r->guard);
    catalog_unref(r->catalog);
    rows_clear(r);
}

static void world_begin(struct run *r)
{
    r->guard = guard_new(&r->limits, GUARD_AUTO);
    r->catalog = catalog_new("dc1");
    r->revision = 100;
    r->now_ms = 1000;
    r->shown_index = 0;
}

/* Commands that do one thing to each of several nodes. */
static bool do_nodes(struct run *r, const char *command, struct texts names)
{
    for (size_t i = 0; i < names.count; i++) {
        const char *name = names.items[i];

        if (strcmp(command, "nodes") == 0) {
            node_put(r, name, "");
            live_put(r, name);
        } else if (strcmp(command, "external") == 0) {
            node_put(r, name, ",\"external\":true");
        } else if (strcmp(command, "lose") == 0) {
            change(r, arena_printf(&r->scratch, ROOT "live/%s", name), NULL);
        } else if (strcmp(command, "back") == 0) {
            live_put(r, name);
        } else if (strcmp(command, "forget") == 0) {
            records_remove(r, name);
        } else if (strcmp(command, "leave") == 0) {
            records_remove(r, name);
            change(r, arena_printf(&r->scratch, ROOT "live/%s", name), NULL);
        } else {
            return false;
        }
    }
    return true;
}

static void do_service(struct run *r, const char *service, struct texts names,
                       const char *status)
{
    for (size_t i = 0; i < names.count; i++) {
        instance_put(r, service, names.items[i], status);
    }
}

static void do_line(void *run, char *line)
{
    struct run *r = run;
    char *words[WORDS_MAX];
    size_t count = 0;
    char *save = NULL;

    for (char *w = strtok_r(line, " \n", &save); w != NULL;
         w = strtok_r(NULL, " \n", &save)) {
        CHECK(count < WORDS_MAX);
        words[count++] = w;
    }
    if (count == 0 || *words[0] == '#') {
        return;
    }
    if (strcmp(words[0], "anew") == 0) {
        world_end(r);
        world_begin(r);
    } else if (strcmp(words[0], "limits") == 0) {
        do_limits(r, words + 1, count - 1);
    } else if (strcmp(words[0], "service") == 0) {
        do_service(r, words[1], names_of(r, words + 2, count - 2), "passing");
    } else if (strcmp(words[0], "fails") == 0) {
        do_service(r, words[1], names_of(r, words + 2, count - 2), "critical");
    } else if (strcmp(words[0], "empty") == 0) {
        do_empty(r);
    } else if (strcmp(words[0], "store") == 0) {
        do_store(r, names_of(r, words + 1, count - 1));
    } else if (strcmp(words[0], "read") == 0) {
        full_read(r, false);
    } else if (strcmp(words[0], "pass") == 0) {
        do_pass(r, words[1]);
    } else if (strcmp(words[0], "gap") == 0) {
        CHECK(duration_parse(slice_str(words[1]), &r->gap_ms) == ST_OK);
    } else if (strcmp(words[0], "mode") == 0) {
        do_mode(r, words[1]);
    } else if (strcmp(words[0], "show") == 0) {
        do_show(r, words + 1, count - 1);
    } else if (!do_nodes(r, words[0], names_of(r, words + 1, count - 1))) {
        CHECK(buf_addf(r->out, "unknown command %s\n", words[0]) == ST_OK);
    }
    arena_reset(&r->scratch);
}

static void *begin(struct buf *out)
{
    struct run *r = calloc(1, sizeof(*r));

    CHECK(r != NULL);
    r->limits = guard_limits_default;
    r->out = out;
    world_begin(r);
    return r;
}

static void end(void *run)
{
    struct run *r = run;

    world_end(r);
    arena_release(&r->scratch);
    free(r);
}

int main(int argc, char **argv)
{
    static const struct script_player player = {begin, do_line, end};

    return script_main(argc, argv, &player);
}
