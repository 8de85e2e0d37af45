#include "agent/io/state.h"

#include <errno.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/io/kvfile.h"
#include "base/core/check.h"
#include "base/core/limits.h"
#include "base/core/log.h"

#define LAZY_MS 1000

enum {
    TABLE_ITEMS = 'i',
    TABLE_IDENTITY = 'm'
};

#define KEY_NODE_ID     "node-id"
#define KEY_INCARNATION "incarnation"

/* One flush: what it writes, and who waits for it. */
struct saving {
    struct state *state;
    struct local *local;
    struct arena arena;
    struct slice *keys; /* Of the items. */
    size_t keys_count;
    size_t keys_cap;
    unsigned failures;            /* Of the state when it was flushed. */
    state_durable_fn *on_durable; /* NULL: nobody. */
    void *arg;
};

struct state {
    struct kvfile *file;
    uv_timer_t lazy;
    struct saving *next; /* Not flushed yet; NULL: nothing. */
    unsigned failures;   /* So far. */
    enum status st;      /* Of what was saved last. */
    struct err err;
    char node_id[40];
    char incarnation[40];
    state_closed_fn *on_closed;
    void *arg;
};

/* ---- Who we are -----------------------------------------------------------
 */

static bool on_identity(void *ctx, struct slice key, struct slice value)
{
    struct state *s = ctx;
    char *to = NULL;

    if (slice_eq(key, slice_str(KEY_NODE_ID))) {
        to = s->node_id;
    } else if (slice_eq(key, slice_str(KEY_INCARNATION))) {
        to = s->incarnation;
    }
    if (to && value.len < sizeof(s->node_id)) {
        memcpy(to, value.data, value.len);
        to[value.len] = '\0';
    }
    return true;
}

/* RFC 4122, 4.4: random. */
static void uuid_make(char out[40])
{
    uint8_t b[16];

    CHECK(RAND_bytes(b, sizeof(b)) == 1);
    b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
    b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
    (void)snprintf(out, 40,
                   "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-"
                   "%02x%02x%02x%02x%02x%02x",
                   b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9],
                   b[10], b[11], b[12], b[13], b[14], b[15]);
}

static void identity_ensure(struct state *s)
{
    if (s->node_id[0] == '\0') {
        uuid_make(s->node_id);
        kvfile_put(s->file, TABLE_IDENTITY, slice_str(KEY_NODE_ID),
                   slice_str(s->node_id));
    }
    if (s->incarnation[0] == '\0') {
        uuid_make(s->incarnation);
        kvfile_put(s->file, TABLE_IDENTITY, slice_str(KEY_INCARNATION),
                   slice_str(s->incarnation));
    }
}

const char *state_node_id(const struct state *s)
{
    return s->node_id;
}

const char *state_incarnation(const struct state *s)
{
    return s->incarnation;
}

/* ---- Opening ---------------------------------------------------------------
 */

static bool on_any(void *ctx, struct slice key, struct slice value)
{
    (void)ctx;
    (void)key;
    (void)value;
    return true;
}

static void on_damaged_closed(void *arg)
{
    (void)arg;
}

/* Open and look at every entry once. */
static enum status file_open(uv_loop_t *loop, const char *path,
                             struct kvfile **out_file, struct err *err)
{
    struct kvfile *file;
    enum status st = kvfile_open(loop, path, LIMIT_STATE_BYTES, &file, err);

    if (st) {
        return st;
    }
    st = kvfile_each(file, TABLE_ITEMS, on_any, NULL);
    if (!st) {
        st = kvfile_each(file, TABLE_IDENTITY, on_any, NULL);
    }
    if (st) {
        kvfile_close(file, on_damaged_closed, NULL);
        return err_set(err, st, "%s: an entry is damaged", path);
    }
    *out_file = file;
    return ST_OK;
}

/* The damaged file is kept for whoever wants to look. */
static enum status move_aside(const char *path, struct err *err)
{
    char aside[4200];
    char lock[4200];

    (void)snprintf(aside, sizeof(aside), "%s.damaged", path);
    (void)snprintf(lock, sizeof(lock), "%s-lock", path);
    (void)remove(lock); /* It may not exist. */
    if (rename(path, aside)) {
        return err_set(err, ST_IO, "%s: cannot be moved aside: %s", path,
                       strerror(errno));
    }
    log_error("agent",
              "%s; moved to %s. What was registered through the API is lost "
              "and has to be registered again",
              err->text, aside);
    return ST_OK;
}

enum status state_open(uv_loop_t *loop, const char *path,
                       struct state **out_state, struct err *out_err)
{
    struct kvfile *file = NULL;
    struct state *s;
    enum status st = file_open(loop, path, &file, out_err);

    if (st == ST_CORRUPT) {
        st = move_aside(path, out_err);
        if (!st) {
            st = file_open(loop, path, &file, out_err);
        }
    }
    if (st) {
        return st;
    }
    s = calloc(1, sizeof(*s));
    CHECK(s != NULL);
    s->file = file;
    CHECK(uv_timer_init(loop, &s->lazy) == 0);
    s->lazy.data = s;
    (void)kvfile_each(file, TABLE_IDENTITY, on_identity, s);
    identity_ensure(s);
    *out_state = s;
    return ST_OK;
}

/* ---- Items -----------------------------------------------------------------
 */

struct restoring {
    struct local *local;
    struct local_time now;
};

static bool on_item(void *ctx, struct slice key, struct slice value)
{
    struct restoring *r = ctx;
    struct local_item item = {.key = key, .value = value};
    struct err err;

    if (local_restore(r->local, &item, r->now, &err)) {
        log_error("agent", "state: %.*s: %s; left out", (int)key.len,
                  (const char *)key.data, err.text);
    }
    return true;
}

void state_restore(struct state *s, struct local *local, struct local_time now)
{
    struct restoring r = {.local = local, .now = now};

    (void)kvfile_each(s->file, TABLE_ITEMS, on_item, &r);
    kvfile_flush(s->file, NULL, NULL); /* The identity, when it is new. */
    local_restored(local, now);
}

static struct saving *saving_open(struct state *s)
{
    if (!s->next) {
        s->next = calloc(1, sizeof(*s->next));
        CHECK(s->next != NULL);
        s->next->state = s;
    }
    return s->next;
}

static void saving_add(struct saving *g, struct slice key)
{
    if (g->keys_count == g->keys_cap) {
        g->keys_cap = g->keys_cap == 0 ? 4 : 2 * g->keys_cap;
        g->keys = realloc(g->keys, g->keys_cap * sizeof(*g->keys));
        CHECK(g->keys != NULL);
    }
    g->keys[g->keys_count++] = arena_copy(&g->arena, key);
}

static void saving_failed(struct saving *g, enum status st,
                          const struct err *err)
{
    struct state *s = g->state;

    if (!s->st) {
        log_error("agent",
                  "state: %s; what is registered now may be lost at the next "
                  "restart",
                  err->text);
    }
    s->failures++;
    s->st = st;
    s->err = *err;
    for (size_t i = 0; i < g->keys_count; i++) {
        local_item_again(g->local, g->keys[i]);
    }
}

/* Only a batch that was begun after the last failure holds all there is. */
static void saving_worked(struct saving *g)
{
    struct state *s = g->state;

    if (s->st && g->failures == s->failures && g->keys_count > 0) {
        log_info("agent", "state: is written again");
        s->st = ST_OK;
    }
}

static void on_written(void *arg, enum status st, const struct err *err)
{
    struct saving *g = arg;
    struct state *s = g->state;

    if (st) {
        saving_failed(g, st, err);
    } else {
        saving_worked(g);
    }
    if (g->on_durable) {
        g->on_durable(g->arg, s->st, &s->err);
    }
    arena_release(&g->arena);
    free(g->keys);
    free(g);
}

static void flush(struct state *s)
{
    struct saving *g = saving_open(s);

    g->failures = s->failures;
    s->next = NULL;
    kvfile_flush(s->file, on_written, g);
}

static void on_lazy(uv_timer_t *timer)
{
    flush(timer->data);
}

bool state_save(struct state *s, struct local *local, struct local_time now)
{
    struct arena arena = {0};
    struct local_item item;
    bool urgent = false;

    while (local_item_next(local, now, &arena, &item)) {
        if (item.value.len > 0) {
            kvfile_put(s->file, TABLE_ITEMS, item.key, item.value);
        } else {
            kvfile_delete(s->file, TABLE_ITEMS, item.key);
        }
        saving_open(s)->local = local;
        saving_add(s->next, item.key);
        urgent |= item.urgent;
    }
    arena_release(&arena);
    if (urgent) {
        flush(s);
    } else if (s->next && !uv_is_active((uv_handle_t *)&s->lazy)) {
        CHECK(uv_timer_start(&s->lazy, on_lazy, LAZY_MS, 0) == 0);
    }
    return urgent;
}

void state_sync(struct state *s, state_durable_fn *on_durable, void *arg)
{
    struct saving *g = saving_open(s);

    g->on_durable = on_durable;
    g->arg = arg;
    flush(s);
}

/* ---- Closing ---------------------------------------------------------------
 */

static void on_file_closed(void *arg)
{
    struct state *s = arg;
    state_closed_fn *on_closed = s->on_closed;
    void *closed_arg = s->arg;

    free(s);
    on_closed(closed_arg);
}

static void on_lazy_closed(uv_handle_t *handle)
{
    struct state *s = handle->data;

    if (s->next) {
        flush(s);
    }
    kvfile_close(s->file, on_file_closed, s);
}

void state_close(struct state *s, state_closed_fn *on_closed, void *arg)
{
    s->on_closed = on_closed;
    s->arg = arg;
    uv_close((uv_handle_t *)&s->lazy, on_lazy_closed);
}
