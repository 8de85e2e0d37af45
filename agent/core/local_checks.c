/*
 * Checks of this host: their life and their timers.
 */
#include <stdio.h>
#include <stdlib.h>

#include "agent/core/local_model.h"
#include "base/core/check.h"
#include "base/core/utf8.h"

/* ---- Timers ------------------------------------------------------- */

void local_put_be64(uint8_t out[8], uint64_t value)
{
    for (int i = 7; i >= 0; i--) {
        out[i] = (uint8_t)value;
        value >>= 8;
    }
}

uint64_t local_get_be64(struct slice key)
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
    local_put_be64(out, at_ms);
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

uint64_t local_deregister_ms(const struct chk *c)
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
    wake_ms =
        local_deregister_ms(c) < wake_ms ? local_deregister_ms(c) : wake_ms;
    wake_ms = health_wake_ms(&c->health) < wake_ms ? health_wake_ms(&c->health)
                                                   : wake_ms;
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
    *(uint64_t *)ctx = local_get_be64(key);
    return false;
}

uint64_t local_wake_ms(const struct local *l)
{
    uint64_t at_ms = NEVER;

    if (l->unsettled && l->aliases.count > 0) {
        return 0;
    }
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
    buf_release(&c->said);
    free(c->told);
    buf_release(&c->record);
    free((void *)c->key.data);
    arena_release(&c->arena);
    free(c);
}

/* Something of its record has changed. */
static void touch(struct local *l, struct chk *c)
{
    struct svc *s = local_svc(l, c->def->service_id);

    c->record_ready = false;
    if (s != NULL) {
        s->record_ready = false;
    }
    l->unsettled = true;
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

void local_save_status(struct local *l, struct chk *c, uint64_t now_ms,
                       enum item_hurry hurry)
{
    c->saved_ms = now_ms;
    local_mark(l, "status/", c->def->id, hurry);
}

struct slice local_transition_output(const struct chk *c)
{
    return utf8_cut(buf_slice(&c->output), TRANSITION_OUTPUT);
}

/* The record in the store holds what the check said when it turned ill, and not
 * what it says since: that would be a change for everybody at each run. */
static void set_told(struct chk *c, struct slice output)
{
    free(c->told);
    c->told = NULL;
    if (c->health.status != CHECK_PASSING && output.len > 0) {
        c->told = strndup((const char *)output.data, output.len);
        CHECK(c->told != NULL);
    }
}

/* After a new status: bring everything that follows from it up to date. */
void local_status_changed(struct local *l, struct chk *c, uint64_t now_ms)
{
    note_critical(c, now_ms);
    set_told(c, local_transition_output(c));
    local_history_add(l, c, now_ms);
    touch(l, c);
    /* At once: a crash after the store has it and before our disk has it would
     * show the old status again after the restart. */
    local_save_status(l, c, now_ms, ITEM_URGENT);
}

void local_set_status(struct local *l, struct chk *c, enum check_status status,
                      uint64_t now_ms)
{
    if (health_set(&c->health, status, now_ms)) {
        local_status_changed(l, c, now_ms);
    }
    local_schedule(l, c);
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
    buf_init(&c->output, LIMIT_CHECK_OUTPUT + 1); /* For its end as a string. */
    buf_init(&c->said, LIMIT_CHECK_OUTPUT);
    buf_init(&c->record, LIMIT_RECORD_BYTES);
    pmap_put(&l->checks, slice_str(def->id), &c->shared);
    if (*def->service_id == '\0') {
        (void)shared_ref(&c->shared);
        pmap_put(&l->of_node, slice_str(def->id), &c->shared);
    }
    if (def->type == CHECK_TYPE_ALIAS) {
        (void)shared_ref(&c->shared);
        pmap_put(&l->aliases, slice_str(def->id), &c->shared);
    }
    if (s != NULL) {
        (void)shared_ref(&c->shared);
        pmap_put(&s->checks, slice_str(def->id), &c->shared);
    }
    return c;
}

/* Never passing past its deadline, whatever was stored. */
static bool ttl_is_over(const struct stash *known, struct local_time now)
{
    return known->expires_ms <= now.wall_ms;
}

static void start_ttl(struct chk *c, const struct stash *known,
                      struct local_time now)
{
    uint64_t left_ms;

    c->expires_ms = now.now_ms + c->def->ttl_ms;
    if (known == NULL) {
        return;
    }
    if (ttl_is_over(known, now)) {
        c->expires_ms = NEVER;
        return;
    }
    left_ms = (uint64_t)(known->expires_ms - now.wall_ms);
    if (left_ms < c->def->ttl_ms) {
        c->expires_ms = now.now_ms + left_ms;
    }
}

/* Its first status: from before a restart, or what the definition says. */
static void start_health(struct local *l, struct chk *c, struct local_time now)
{
    struct stash known;
    bool is_ttl = c->def->type == CHECK_TYPE_TTL;

    if (!local_recall(l, c->def, now, &known)) {
        health_init(&c->health, c->def, HEALTH_FRESH, c->def->status,
                    now.now_ms);
        if (is_ttl) {
            start_ttl(c, NULL, now);
        }
        return;
    }
    if (is_ttl && ttl_is_over(&known, now)) {
        known.status = CHECK_CRITICAL;
    }
    health_init(&c->health, c->def, HEALTH_RESTORED, known.status, now.now_ms);
    local_set_output(c, slice_str(known.output));
    set_told(c, slice_str(known.told));
    if (is_ttl && known.expires_ms != 0 && ttl_is_over(&known, now)) {
        local_expired_output(c); /* While the agent was away. */
        set_told(c, local_transition_output(c));
    }
    if (is_ttl) {
        start_ttl(c, &known, now);
    }
    arena_release(&known.arena);
}

/* Whoever registers a check again does not fail for it: what was known of it
 * under its old definition stays until the new one has a result. */
static void take_over(struct chk *c, const struct chk *old,
                      struct local_time now)
{
    enum check_status status = old->health.status;

    health_init(&c->health, c->def, HEALTH_FRESH, status, now.now_ms);
    local_set_output(c, buf_slice(&old->output));
    set_told(c, slice_str(old->told == NULL ? "" : old->told));
    if (status == CHECK_CRITICAL) {
        c->critical_since_ms = old->critical_since_ms;
    }
    if (c->def->type == CHECK_TYPE_TTL) {
        start_ttl(c, NULL, now);
    }
}

/* `old`: the check that it replaces, or NULL. */
static void start_check(struct local *l, struct chk *c, const struct chk *old,
                        struct local_time now)
{
    if (old == NULL) {
        start_health(l, c, now);
    } else {
        take_over(c, old, now);
    }
    if (check_def_active(c->def)) {
        c->due_ms = health_first_due_ms(c->def, now.now_ms);
    } else if (c->def->type == CHECK_TYPE_ALIAS) {
        local_alias_start(l, c, now);
    }
    note_critical(c, now.now_ms);
    local_schedule(l, c);
}

void local_forget_run(struct local *l, struct chk *c)
{
    uint8_t key[8];

    if (c->run != 0) {
        local_put_be64(key, c->run);
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
    struct chk *old = NULL;

    if (c != NULL && c->defs != NULL && check_def_equal(c->def, def)) {
        adopt_definition(c, def, defs, file, in_service);
        local_mark(l, "check/", def->id, ITEM_URGENT); /* Who keeps it. */
        return;
    }
    if (c != NULL && file != NULL) {
        local_remove_check(l, c); /* A file says how its checks begin. */
    } else if (c != NULL) {
        old = c;
        (void)shared_ref(&old->shared);
        local_remove_check(l, old);
    }
    c = chk_new(l, def);
    adopt_definition(c, def, defs, file, in_service);
    start_check(l, c, old, now);
    touch(l, c);
    if (old != NULL) {
        shared_unref(&old->shared);
    }
}

void local_remove_check(struct local *l, struct chk *c)
{
    struct svc *s = local_svc(l, c->def->service_id);

    (void)shared_ref(&c->shared);
    unschedule(l, c);
    local_forget_run(l, c);
    local_mark(l, "check/", c->def->id, ITEM_URGENT);
    local_mark(l, "status/", c->def->id, ITEM_LAZY);
    (void)pmap_remove(&l->checks, slice_str(c->def->id));
    (void)pmap_remove(&l->of_node, slice_str(c->def->id));
    (void)pmap_remove(&l->aliases, slice_str(c->def->id));
    if (s != NULL) {
        (void)pmap_remove(&s->checks, slice_str(c->def->id));
    }
    touch(l, c);
    shared_unref(&c->shared);
}

void local_make_check(struct local *l, const char *id, const char *service_id,
                      const char *name, const char *notes,
                      struct local_time now)
{
    struct arena a = {0};
    struct check_def made;
    struct chk *c;

    check_def_init(&made);
    made.id = arena_strdup(&a, slice_str(id));
    made.service_id = arena_strdup(&a, slice_str(service_id));
    made.name = arena_strdup(&a, slice_str(name));
    made.notes = arena_strdup(&a, slice_str(notes));
    c = chk_new(l, &made);
    c->arena = a;
    c->made = made;
    c->def = &c->made;
    health_init(&c->health, c->def, HEALTH_FRESH, CHECK_CRITICAL, now.now_ms);
    note_critical(c, now.now_ms);
    touch(l, c);
}
