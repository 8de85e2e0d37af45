/* Tables
 *   c   catalogue key -> create revision u64 | mod revision u64 | value
 *   x   scope -> index u64
 *   m   "datacenter" -> name, "revision" -> u64, "cluster" -> u64
 * The revision is in the same batch as the entries it belongs to. */

#include "agent/io/replica.h"

#include <stdio.h>
#include <stdlib.h>

#include "agent/io/kvfile.h"
#include "base/core/arena.h"
#include "base/core/check.h"
#include "base/core/limits.h"
#include "base/core/log.h"
#include "base/core/wire.h"

/* How far the file is behind, which costs a restart some reading of what it
 * missed. Where writing takes long (a slow disk, a hundred agents on one
 * machine) it takes a fiftieth of the time at most, and what comes meanwhile is
 * one batch. A catalogue that was read as a whole is written at once. */
#define BATCH_MS_MIN    100
#define BATCH_MS_MAX    3000
#define BATCH_TAKES_PER 50

enum {
    TABLE_ENTRIES = 'c',
    TABLE_MARKS = 'x',
    TABLE_META = 'm'
};

/* What changes with every update, and is written once a batch. */
struct heads {
    int64_t revision; /* 0: nothing to be written. */
    uint64_t cluster_id;
    uint64_t marks[26]; /* By scope, a capital letter, */
    uint32_t given;     /* of which these were given. */
};

struct replica {
    struct kvfile *file;
    char *datacenter;
    uv_timer_t batch;
    struct heads heads;
    bool lost;   /* Wait for a full update, */
    bool behind; /* and ask for it once all is written. */
    replica_lost_fn *on_lost;
    void *arg;
    struct replica_content content;
    replica_closed_fn *on_closed;
    void *closed_arg;
};

/* ---- Reading ----------------------------------------------------------- */

struct loading {
    struct arena arena;
    struct catalog_event *events;
    size_t events_count;
    size_t events_cap;
    struct catalog_mark *marks;
    size_t marks_count;
    size_t marks_cap;
    int64_t revision;
    uint64_t cluster_id;
    bool ours; /* Of this datacenter. */
    const char *datacenter;
    bool damaged;
};

static bool on_entry(void *ctx, struct slice key, struct slice value)
{
    struct loading *g = ctx;
    struct wire_reader r = {.rest = value};
    struct catalog_event *event;

    if (g->events_count == g->events_cap) {
        g->events_cap = g->events_cap ? g->events_cap * 2 : 256;
        g->events = realloc(g->events, g->events_cap * sizeof(*g->events));
        CHECK(g->events != NULL);
    }
    event = &g->events[g->events_count++];
    *event = (struct catalog_event){.key = arena_copy(&g->arena, key)};
    event->create_revision = (int64_t)wire_u64(&r);
    event->mod_revision = (int64_t)wire_u64(&r);
    event->value = arena_copy(&g->arena, r.rest);
    g->damaged |= wire_finish(&r) != ST_OK;
    return !g->damaged;
}

static bool on_mark(void *ctx, struct slice key, struct slice value)
{
    struct loading *g = ctx;
    struct wire_reader r = {.rest = value};

    if (g->marks_count == g->marks_cap) {
        g->marks_cap = g->marks_cap ? g->marks_cap * 2 : 256;
        g->marks = realloc(g->marks, g->marks_cap * sizeof(*g->marks));
        CHECK(g->marks != NULL);
    }
    g->marks[g->marks_count++] = (struct catalog_mark){
        .scope = arena_strdup(&g->arena, key), .index = wire_u64(&r)};
    g->damaged |= wire_finish(&r) != ST_OK;
    return !g->damaged;
}

static bool on_meta(void *ctx, struct slice key, struct slice value)
{
    struct loading *g = ctx;
    struct wire_reader r = {.rest = value};

    if (slice_eq(key, slice_str("datacenter"))) {
        g->ours = slice_eq(value, slice_str(g->datacenter));
    } else if (slice_eq(key, slice_str("revision"))) {
        g->revision = (int64_t)wire_u64(&r);
    } else if (slice_eq(key, slice_str("cluster"))) {
        g->cluster_id = wire_u64(&r);
    }
    return true;
}

static void loading_release(struct loading *g)
{
    free(g->events);
    free(g->marks);
    arena_release(&g->arena);
}

/* Tokens and policies, which are not the catalogue's. */
static void acl_take(const struct loading *g, struct replica_content *out)
{
    struct slice folder = record_folder(&out->acl_arena, g->datacenter, "acl");
    struct catalog_event *events =
        arena_zalloc(&out->acl_arena, g->events_count, sizeof(*events));

    for (size_t i = 0; i < g->events_count; i++) {
        if (slice_starts(g->events[i].key, folder)) {
            struct catalog_event *copy = &events[out->acl_count++];

            *copy = g->events[i];
            copy->key = arena_copy(&out->acl_arena, copy->key);
            copy->value = arena_copy(&out->acl_arena, copy->value);
        }
    }
    out->acl = events;
}

static void content_make(struct loading *g, struct replica_content *out)
{
    struct catalog *empty = catalog_new(g->datacenter);
    struct catalog_changes changes;
    struct arena arena = {0};

    *out = (struct replica_content){.catalog = empty};
    if (!g->ours || g->revision <= 0) {
        return;
    }
    out->catalog = catalog_replace(empty, g->events, g->events_count,
                                   g->revision, &arena, &changes);
    catalog_restore_marks(out->catalog, g->marks, g->marks_count);
    out->cluster_id = g->cluster_id;
    out->keys_count = g->events_count;
    acl_take(g, out);
    catalog_unref(empty);
    arena_release(&arena);
}

/* ST_CORRUPT: damage anywhere; nothing is taken. */
static enum status content_load(struct kvfile *file, const char *datacenter,
                                struct replica_content *out_content)
{
    struct loading g = {.datacenter = datacenter};
    enum status st = kvfile_each(file, TABLE_META, on_meta, &g);

    if (!st && g.ours) {
        st = kvfile_each(file, TABLE_ENTRIES, on_entry, &g);
    }
    if (!st && g.ours) {
        st = kvfile_each(file, TABLE_MARKS, on_mark, &g);
    }
    if (!st && g.damaged) {
        st = ST_CORRUPT;
    }
    if (!st) {
        content_make(&g, out_content);
    }
    loading_release(&g);
    return st;
}

/* ---- Opening ----------------------------------------------------------- */

static void on_damaged_closed(void *arg)
{
    (void)arg;
}

static enum status file_open(uv_loop_t *loop, const char *path,
                             const char *datacenter, struct kvfile **out_file,
                             struct replica_content *out_content,
                             struct err *err)
{
    struct kvfile *file;
    enum status st = kvfile_open(loop, path, LIMIT_REPLICA_BYTES, &file, err);

    if (st) {
        return st;
    }
    st = content_load(file, datacenter, out_content);
    if (st) {
        kvfile_close(file, on_damaged_closed, NULL);
        return err_set(err, st, "%s: %s", path, status_text(st));
    }
    *out_file = file;
    return ST_OK;
}

enum status replica_open(uv_loop_t *loop, const char *path,
                         const char *datacenter, replica_lost_fn *on_lost,
                         void *arg, struct replica **out_replica,
                         struct err *out_err)
{
    struct replica_content content;
    struct kvfile *file;
    struct replica *r;
    char lock[4200];
    enum status st =
        file_open(loop, path, datacenter, &file, &content, out_err);

    if (st == ST_CORRUPT) {
        log_error("agent",
                  "replica: %s; dropped, reading it again from the store",
                  out_err->text);
        (void)snprintf(lock, sizeof(lock), "%s-lock", path);
        (void)remove(path);
        (void)remove(lock);
        st = file_open(loop, path, datacenter, &file, &content, out_err);
    }
    if (st) {
        return st;
    }
    r = calloc(1, sizeof(*r));
    CHECK(r != NULL);
    r->file = file;
    r->datacenter = strdup(datacenter);
    CHECK(r->datacenter != NULL);
    r->on_lost = on_lost;
    r->arg = arg;
    r->content = content;
    r->lost = catalog_revision(content.catalog) == 0;
    CHECK(uv_timer_init(loop, &r->batch) == 0);
    r->batch.data = r;
    *out_replica = r;
    return ST_OK;
}

void replica_take(struct replica *r, struct replica_content *out_content)
{
    CHECK(r->content.catalog != NULL);
    *out_content = r->content;
    r->content = (struct replica_content){0};
}

/* ---- Writing ----------------------------------------------------------- */

static void put_u64(struct replica *r, char table, struct slice key,
                    uint64_t number)
{
    uint8_t bytes[8];

    wire_put_u64(bytes, number);
    kvfile_put(r->file, table, key, slice_of(bytes, sizeof(bytes)));
}

static void put_entry(struct replica *r, const struct catalog_event *event)
{
    struct buf b;
    uint8_t head[16];

    if (event->deleted) {
        kvfile_delete(r->file, TABLE_ENTRIES, event->key);
        return;
    }
    wire_put_u64(head, (uint64_t)event->create_revision);
    wire_put_u64(head + 8, (uint64_t)event->mod_revision);
    buf_init(&b, sizeof(head) + event->value.len);
    CHECK(buf_add(&b, slice_of(head, sizeof(head))) == ST_OK);
    CHECK(buf_add(&b, event->value) == ST_OK);
    kvfile_put(r->file, TABLE_ENTRIES, event->key, buf_slice(&b));
    buf_release(&b);
}

static void put_mark(struct replica *r, struct slice scope, uint64_t index)
{
    if (index == 0) {
        kvfile_delete(r->file, TABLE_MARKS, scope);
    } else {
        put_u64(r, TABLE_MARKS, scope, index);
    }
}

/* Whether a scope is there once, and not of a service, a node, ... */
static bool is_head(const char *scope)
{
    return scope[0] >= 'A' && scope[0] <= 'Z' && scope[1] == '\0';
}

static void put_marks(struct replica *r, const struct catalog_changes *changes)
{
    for (size_t i = 0; i < changes->marks_count; i++) {
        const struct catalog_mark *mark = &changes->marks[i];

        if (is_head(mark->scope)) {
            int at = mark->scope[0] - 'A';

            r->heads.marks[at] = mark->index;
            r->heads.given |= 1U << at;
        } else {
            put_mark(r, slice_str(mark->scope), mark->index);
        }
    }
}

static void put_heads(struct replica *r)
{
    const struct heads *h = &r->heads;

    if (h->revision == 0) {
        return;
    }
    for (size_t i = 0; i < sizeof(h->marks) / sizeof(h->marks[0]); i++) {
        char scope = (char)('A' + i);

        if (h->given & 1U << i) {
            put_mark(r, slice_of(&scope, 1), h->marks[i]);
        }
    }
    kvfile_put(r->file, TABLE_META, slice_str("datacenter"),
               slice_str(r->datacenter));
    put_u64(r, TABLE_META, slice_str("revision"), (uint64_t)h->revision);
    put_u64(r, TABLE_META, slice_str("cluster"), h->cluster_id);
    r->heads = (struct heads){0};
}

static void on_written(void *arg, enum status st, const struct err *err)
{
    struct replica *r = arg;

    if (r->behind && kvfile_pending(r->file) == 0) {
        r->behind = false;
        log_info("agent", "replica: the disk has caught up");
        r->on_lost(r->arg);
    }
    if (st && !r->lost) {
        r->lost = true;
        log_error("agent",
                  "replica: %s; a restart would know an old catalogue until "
                  "this works again",
                  err->text);
        r->on_lost(r->arg);
    }
}

static void on_batch(uv_timer_t *timer)
{
    struct replica *r = timer->data;

    put_heads(r);
    kvfile_flush(r->file, on_written, r);
}

/* Rather an old file than all of memory. */
static void look_behind(struct replica *r)
{
    if (!r->lost && kvfile_pending(r->file) > LIMIT_REPLICA_BACKLOG) {
        log_error(
            "agent",
            "replica: the disk takes nothing, and %zu MiB wait; a restart "
            "would know an old catalogue until it does",
            kvfile_pending(r->file) >> 20);
        r->lost = true;
        r->behind = true;
    }
}

static uint64_t batch_ms(const struct replica *r)
{
    uint64_t ms = BATCH_TAKES_PER * kvfile_took_ms(r->file);

    if (ms < BATCH_MS_MIN) {
        return BATCH_MS_MIN;
    }
    return ms > BATCH_MS_MAX ? BATCH_MS_MAX : ms;
}

void replica_update(struct replica *r, const struct link_update *update)
{
    look_behind(r);
    if (r->lost && (r->behind || !update->full)) {
        return;
    }
    r->lost = false;
    if (update->full) {
        kvfile_clear(r->file, TABLE_ENTRIES);
    }
    for (size_t i = 0; i < update->events_count; i++) {
        put_entry(r, &update->events[i]);
    }
    put_marks(r, update->changes);
    r->heads.revision = update->revision;
    r->heads.cluster_id = update->cluster_id;
    if (update->full || !uv_is_active((uv_handle_t *)&r->batch)) {
        CHECK(uv_timer_start(&r->batch, on_batch,
                             update->full ? 0 : batch_ms(r), 0) == 0);
    }
}

/* ---- Closing ----------------------------------------------------------- */

static void on_file_closed(void *arg)
{
    struct replica *r = arg;
    replica_closed_fn *on_closed = r->on_closed;
    void *closed_arg = r->closed_arg;

    catalog_unref(r->content.catalog);
    arena_release(&r->content.acl_arena);
    free(r->datacenter);
    free(r);
    on_closed(closed_arg);
}

static void on_batch_closed(uv_handle_t *handle)
{
    struct replica *r = handle->data;

    put_heads(r);
    kvfile_close(r->file, on_file_closed, r);
}

void replica_close(struct replica *r, replica_closed_fn *on_closed, void *arg)
{
    r->on_closed = on_closed;
    r->closed_arg = arg;
    uv_close((uv_handle_t *)&r->batch, on_batch_closed);
}
