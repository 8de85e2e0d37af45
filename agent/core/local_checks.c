/*
 * Checks of this host: their life, their timers, their results.
 */
#include <stdio.h>
#include <stdlib.h>

#include "agent/core/local_model.h"
#include "base/core/check.h"

/* A status is stored again at least this often, so that a restart can tell a
 * fresh one from an old one without a write for every result. */
#define SAVE_MS_MIN 30000

/* ---- Timers ------------------------------------------------------- */

static void put_be64(uint8_t out[8], uint64_t value)
{
    for (int i = 7; i >= 0; i--) {
        out[i] = (uint8_t)value;
        value >>= 8;
    }
}

static uint64_t get_be64(struct slice key)
{
    uint64_t value = 0;

    CHECK(key.len >= 8);
    for (int i = 0; i < 8; i++) {
        value = value << 8 | key.data[i];
    }
    return value;
}

struct slice local_timer_key(uint8_t out[16 + 512], uint64_t at_ms, char kind,
                             const char *id)
{
    size_t len = strlen(id);

    CHECK(len <= 512);
    put_be64(out, at_ms);
    out[8] = (uint8_t)kind;
    memcpy(out + 9, id, len);
    return slice_of(out, 9 + len);
}

static void unschedule(struct local *l, struct chk *c)
{
    uint8_t key[16 + 512];

    if (c->wake_ms != NEVER) {
        (void)pmap_remove(&l->timers,
                          local_timer_key(key, c->wake_ms, 'c', c->def->id));
        c->wake_ms = NEVER;
    }
}

static uint64_t deregister_ms(const struct chk *c)
{
    return c->def->deregister_after_ms == 0 || c->critical_since_ms == NEVER
               ? NEVER
               : c->critical_since_ms + c->def->deregister_after_ms;
}

void local_schedule(struct local *l, struct chk *c)
{
    uint8_t key[16 + 512];
    uint64_t wake_ms = c->run == 0 ? c->due_ms : NEVER;

    wake_ms = c->expires_ms < wake_ms ? c->expires_ms : wake_ms;
    wake_ms = deregister_ms(c) < wake_ms ? deregister_ms(c) : wake_ms;
    if (wake_ms == c->wake_ms) {
        return;
    }
    unschedule(l, c);
    c->wake_ms = wake_ms;
    if (wake_ms != NEVER) {
        (void)shared_ref(&c->shared);
        pmap_put(&l->timers, local_timer_key(key, wake_ms, 'c', c->def->id),
                 &c->shared);
    }
}

static bool first_key(void *ctx, struct slice key, struct shared *value)
{
    (void)value;
    *(uint64_t *)ctx = get_be64(key);
    return false;
}

uint64_t local_wake_ms(const struct local *l)
{
    uint64_t at_ms = NEVER;

    pmap_each(&l->timers, (struct slice){0}, first_key, &at_ms);
    return at_ms;
}

/* ---- Life --------------------------------------------------------- */

static void chk_free(struct shared *shared)
{
    struct chk *c = (struct chk *)shared;

    definitions_unref(c->defs);
    free(c->file);
    buf_release(&c->output);
    buf_release(&c->record);
    free((void *)c->key.data);
    arena_release(&c->arena);
    free(c);
}

void local_touch(struct local *l, struct chk *c)
{
    struct svc *s = local_svc(l, c->def->service_id);

    c->record_ready = false;
    if (s != NULL) {
        s->record_ready = false;
    }
    l->generation++;
}

void local_set_output(struct chk *c, struct slice output)
{
    size_t len =
        output.len < c->def->output_max ? output.len : c->def->output_max;

    buf_clear(&c->output);
    CHECK(buf_add(&c->output, slice_of(output.data, len)) == ST_OK);
}

static void note_critical(struct chk *c, uint64_t now_ms)
{
    if (c->health.status != CHECK_CRITICAL) {
        c->critical_since_ms = NEVER;
    } else if (c->critical_since_ms == NEVER) {
        c->critical_since_ms = now_ms;
    }
}

static void save_status(struct local *l, struct chk *c, uint64_t now_ms,
                        enum item_hurry hurry)
{
    c->saved_ms = now_ms;
    local_mark(l, "status/", c->def->id, hurry);
}

/* After a new status: bring everything that follows from it up to date. */
static void status_changed(struct local *l, struct chk *c, uint64_t now_ms)
{
    note_critical(c, now_ms);
    local_touch(l, c);
    /* At once: a crash after the store has it and before our disk has it would
     * show the old status again after the restart. */
    save_status(l, c, now_ms, ITEM_URGENT);
}

void local_set_status(struct local *l, struct chk *c, enum check_status status,
                      uint64_t now_ms)
{
    if (c->health.status != status) {
        c->health.status = status;
        status_changed(l, c, now_ms);
    }
}

static struct chk *chk_new(struct local *l, const struct check_def *def)
{
    struct chk *c = calloc(1, sizeof(*c));
    struct svc *s = local_svc(l, def->service_id);
    struct arena a = {0};
    struct record_key key = {
        .kind = RECORD_NODE_CHECK, .node = l->host.node.name, .id = def->id};
    struct slice bytes = record_key_write(&a, l->host.datacenter, &key);
    uint8_t *copy = malloc(bytes.len);

    CHECK(c != NULL);
    CHECK(copy != NULL);
    memcpy(copy, bytes.data, bytes.len);
    arena_release(&a);
    shared_init(&c->shared, chk_free);
    c->key = slice_of(copy, bytes.len);
    c->def = def;
    c->due_ms = NEVER;
    c->expires_ms = NEVER;
    c->critical_since_ms = NEVER;
    c->wake_ms = NEVER;
    buf_init(&c->output, LIMIT_CHECK_OUTPUT);
    buf_init(&c->record, LIMIT_RECORD_BYTES);
    pmap_put(&l->checks, slice_str(def->id), &c->shared);
    if (s != NULL) {
        (void)shared_ref(&c->shared);
        pmap_put(&s->checks, slice_str(def->id), &c->shared);
    }
    return c;
}

static void start_ttl(struct chk *c, const struct stash *known,
                      struct local_time now)
{
    c->expires_ms = now.now_ms + c->def->ttl_ms;
    if (known == NULL) {
        return;
    }
    /* Never passing past its deadline, whatever was stored. */
    if (known->expires_ms > now.wall_ms) {
        uint64_t left_ms = (uint64_t)(known->expires_ms - now.wall_ms);

        c->expires_ms =
            now.now_ms + (left_ms < c->def->ttl_ms ? left_ms : c->def->ttl_ms);
    } else {
        c->health.status = CHECK_CRITICAL;
        c->expires_ms = NEVER;
    }
}

static void start_check(struct local *l, struct chk *c, struct local_time now)
{
    struct stash known;
    bool recalled = local_recall(l, c->def, now, &known);

    health_init(&c->health, c->def, recalled ? HEALTH_RESTORED : HEALTH_FRESH,
                recalled ? known.status : c->def->status, now.now_ms);
    if (recalled) {
        local_set_output(c, slice_str(known.output));
    }
    if (c->def->type == CHECK_TYPE_TTL) {
        start_ttl(c, recalled ? &known : NULL, now);
    } else if (c->def->type != CHECK_TYPE_NONE) {
        c->due_ms = health_first_due_ms(c->def, now.now_ms);
    }
    note_critical(c, now.now_ms);
    local_schedule(l, c);
    if (recalled) {
        arena_release(&known.arena);
    }
}

static void forget_run(struct local *l, struct chk *c)
{
    uint8_t key[8];

    if (c->run != 0) {
        put_be64(key, c->run);
        c->run = 0;
        (void)pmap_remove(&l->runs, slice_of(key, sizeof(key)));
    }
}

/* The same check under a definition that says the same. */
static void adopt_definition(struct chk *c, const struct check_def *def,
                             struct definitions *defs, const char *file,
                             bool in_service)
{
    struct definitions *old = c->defs;
    char *copy = file == NULL ? NULL : strdup(file);

    CHECK_IF(file != NULL, copy != NULL);
    free(c->file);
    c->file = copy;
    c->in_service = in_service;
    c->def = def;
    c->defs = definitions_ref(defs);
    definitions_unref(old);
}

void local_put_check(struct local *l, const struct check_def *def,
                     struct definitions *defs, const char *file,
                     bool in_service, struct local_time now)
{
    struct chk *c = local_chk(l, def->id);

    if (c != NULL && c->defs != NULL && check_def_equal(c->def, def)) {
        adopt_definition(c, def, defs, file, in_service);
        local_mark(l, "check/", def->id, ITEM_URGENT); /* Who keeps it. */
        return;
    }
    if (c != NULL) {
        local_remove_check(l, c);
    }
    c = chk_new(l, def);
    adopt_definition(c, def, defs, file, in_service);
    start_check(l, c, now);
    local_touch(l, c);
}

void local_remove_check(struct local *l, struct chk *c)
{
    struct svc *s = local_svc(l, c->def->service_id);

    (void)shared_ref(&c->shared);
    unschedule(l, c);
    forget_run(l, c);
    local_mark(l, "check/", c->def->id, ITEM_URGENT);
    local_mark(l, "status/", c->def->id, ITEM_LAZY);
    (void)pmap_remove(&l->checks, slice_str(c->def->id));
    if (s != NULL) {
        (void)pmap_remove(&s->checks, slice_str(c->def->id));
    }
    local_touch(l, c);
    shared_unref(&c->shared);
}

void local_make_check(struct local *l, const char *id, const char *service_id,
                      const char *name, const char *notes,
                      struct local_time now)
{
    struct arena a = {0};
    struct check_def made = {
        .id = arena_strdup(&a, slice_str(id)),
        .service_id = arena_strdup(&a, slice_str(service_id)),
        .name = arena_strdup(&a, slice_str(name)),
        .notes = arena_strdup(&a, slice_str(notes)),
        .type = CHECK_TYPE_NONE,
        .status = CHECK_CRITICAL,
        .initial_delay_ms = UINT64_MAX,
        .output_max = LIMIT_CHECK_OUTPUT,
        .http = "",
        .method = "",
        .body = "",
        .tcp = "",
        .tcp_host = "",
        .tls_server_name = "",
    };
    struct chk *c = chk_new(l, &made);

    c->arena = a;
    c->made = made;
    c->def = &c->made;
    health_init(&c->health, c->def, HEALTH_FRESH, CHECK_CRITICAL, now.now_ms);
    note_critical(c, now.now_ms);
    local_touch(l, c);
}

/* ---- Updates and results ------------------------------------------ */

enum status local_ttl_update(struct local *l, const char *check_id,
                             enum check_status status, struct slice output,
                             struct local_time now)
{
    struct chk *c = local_chk(l, check_id);

    if (c == NULL) {
        return ST_NOT_FOUND;
    }
    if (c->def->type != CHECK_TYPE_TTL) {
        return ST_INVALID;
    }
    local_set_output(c, output);
    c->expires_ms = now.now_ms + c->def->ttl_ms;
    local_set_status(l, c, status, now.now_ms);
    save_status(l, c, now.now_ms, ITEM_LAZY);
    local_schedule(l, c);
    return ST_OK;
}

struct find_due {
    uint64_t now_ms;
    struct chk *found;
};

static bool find_due(void *ctx, struct slice key, struct shared *value)
{
    struct find_due *f = ctx;
    struct chk *c = (struct chk *)value;

    if (get_be64(key) > f->now_ms) {
        return false;
    }
    if (key.data[8] == 'c' && c->run == 0 && c->due_ms <= f->now_ms) {
        f->found = c;
        return false;
    }
    return true;
}

bool local_due(struct local *l, struct local_time now,
               struct local_run *out_run)
{
    struct find_due f = {.now_ms = now.now_ms};
    uint8_t key[8];

    pmap_each(&l->timers, (struct slice){0}, find_due, &f);
    if (f.found == NULL) {
        return false;
    }
    f.found->run = ++l->last_run;
    put_be64(key, f.found->run);
    (void)shared_ref(&f.found->shared);
    pmap_put(&l->runs, slice_of(key, sizeof(key)), &f.found->shared);
    local_schedule(l, f.found);
    *out_run = (struct local_run){.run = f.found->run, .def = f.found->def};
    return true;
}

static struct chk *find_run(const struct local *l, uint64_t run)
{
    uint8_t key[8];

    put_be64(key, run);
    return (struct chk *)pmap_get(&l->runs, slice_of(key, sizeof(key)));
}

struct definitions *local_run_hold(struct local *l, uint64_t run)
{
    struct chk *c = find_run(l, run);

    return c == NULL ? NULL : definitions_ref(c->defs);
}

bool local_result(struct local *l, uint64_t run, enum check_status status,
                  struct slice output, struct local_time now)
{
    struct chk *c = find_run(l, run);
    uint64_t save_ms = SAVE_MS_MIN;
    bool changed;

    if (c == NULL) {
        return false;
    }
    forget_run(l, c);
    c->due_ms = health_next_due_ms(c->def, c->due_ms, now.now_ms);
    local_set_output(c, output);
    changed = health_step(&c->health, status, now.now_ms);
    if (changed) {
        status_changed(l, c, now.now_ms);
    }
    save_ms = c->def->interval_ms > save_ms ? c->def->interval_ms : save_ms;
    if (c->saved_ms == 0 || now.now_ms - c->saved_ms >= save_ms) {
        save_status(l, c, now.now_ms, ITEM_LAZY);
    }
    local_schedule(l, c);
    return changed;
}

/* ---- Time --------------------------------------------------------- */

static void expire_ttl(struct local *l, struct chk *c, uint64_t now_ms)
{
    struct buf text;

    buf_init(&text, LIMIT_CHECK_OUTPUT + 64);
    (void)buf_add_str(&text, "TTL expired");
    if (c->output.len > 0) {
        (void)buf_add_str(&text, ". Last output: ");
        (void)buf_add(&text, buf_slice(&c->output));
    }
    local_set_output(c, buf_slice(&text));
    buf_release(&text);
    c->expires_ms = NEVER;
    local_set_status(l, c, CHECK_CRITICAL, now_ms);
    local_schedule(l, c);
}

struct find_overdue {
    uint64_t now_ms;
    struct chk *expired;
    struct chk *hopeless;
    struct svc *drained;
};

static bool find_overdue(void *ctx, struct slice key, struct shared *value)
{
    struct find_overdue *f = ctx;
    struct chk *c = (struct chk *)value;

    if (get_be64(key) > f->now_ms) {
        return false;
    }
    if (key.data[8] == 's') {
        f->drained = (struct svc *)value;
    } else if (c->expires_ms <= f->now_ms) {
        f->expired = c;
    } else if (deregister_ms(c) <= f->now_ms) {
        f->hopeless = c;
    } else {
        return true; /* A check that is due to run. */
    }
    return false;
}

void local_tick(struct local *l, struct local_time now)
{
    for (;;) {
        struct find_overdue f = {.now_ms = now.now_ms};

        pmap_each(&l->timers, (struct slice){0}, find_overdue, &f);
        if (f.drained != NULL) {
            local_remove_service(l, f.drained);
        } else if (f.expired != NULL) {
            expire_ttl(l, f.expired, now.now_ms);
        } else if (f.hopeless != NULL) {
            struct svc *s = local_svc(l, f.hopeless->def->service_id);

            CHECK(s != NULL); /* Checks go with their service. */
            local_remove_service(l, s);
        } else {
            return;
        }
    }
}
