/*
 * What happens to checks: runs and their results, updates, and time.
 */
#include "agent/core/duration.h"
#include "agent/core/local_model.h"
#include "base/core/check.h"

/* A status is stored again at least this often, so that a restart can tell a
 * fresh one from an old one without a write for every result. */
#define SAVE_MS_MIN 30000

/* ---- Updates and results ------------------------------------------ */

/* A check that is held says so: its own words would not tell why it is
 * critical. */
static void say_held(struct chk *c, struct slice output, uint64_t now_ms)
{
    struct arena a = {0};
    char window[DURATION_TEXT];
    char left[DURATION_TEXT];

    buf_clear(&c->said);
    (void)buf_add(&c->said, output); /* Too long, it is not kept. */
    local_set_output(
        c,
        slice_str(arena_printf(
            &a,
            "Flapping: more than %u changes within %s; held critical for "
            "%s more if it is stable. %.*s",
            c->def->flap_max, duration_format(c->def->flap_window_ms, window),
            duration_format(c->health.held_until_ms - now_ms, left),
            (int)output.len, (const char *)output.data)));
    arena_release(&a);
}

static void set_told_output(struct chk *c, struct slice output, uint64_t now_ms)
{
    if (c->health.held_until_ms > 0) {
        say_held(c, output, now_ms);
    } else {
        local_set_output(c, output);
    }
}

enum status local_ttl_update(struct local *l, const char *check_id,
                             enum check_status status, struct slice output,
                             struct local_time now)
{
    struct chk *c = local_chk(l, check_id);
    bool changed;

    if (c == NULL) {
        return ST_NOT_FOUND;
    }
    if (c->def->type != CHECK_TYPE_TTL) {
        return ST_INVALID;
    }
    c->expires_ms = now.now_ms + c->def->ttl_ms;
    changed = health_set(&c->health, status, now.now_ms);
    set_told_output(c, output, now.now_ms);
    if (changed) {
        local_status_changed(l, c, now.now_ms);
    }
    local_save_status(l, c, now.now_ms, ITEM_LAZY);
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

    if (local_get_be64(key) > f->now_ms) {
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
    local_put_be64(key, f.found->run);
    (void)shared_ref(&f.found->shared);
    pmap_put(&l->runs, slice_of(key, sizeof(key)), &f.found->shared);
    local_schedule(l, f.found);
    *out_run = (struct local_run){.run = f.found->run,
                                  .late_ms = now.now_ms - f.found->due_ms,
                                  .def = f.found->def};
    return true;
}

static struct chk *find_run(const struct local *l, uint64_t run)
{
    uint8_t key[8];

    local_put_be64(key, run);
    return (struct chk *)pmap_get(&l->runs, slice_of(key, sizeof(key)));
}

struct definitions *local_run_hold(struct local *l, uint64_t run)
{
    struct chk *c = find_run(l, run);

    return c == NULL ? NULL : definitions_ref(c->defs);
}

static void plan_next(struct local *l, struct chk *c, uint64_t now_ms)
{
    uint64_t wanted_ms = health_next_due_ms(c->def, c->due_ms, c->due_ms);

    c->due_ms = health_next_due_ms(c->def, c->due_ms, now_ms);
    l->missed += (c->due_ms - wanted_ms) / c->def->interval_ms;
}

uint64_t local_missed(const struct local *l)
{
    return l->missed;
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
    local_forget_run(l, c);
    plan_next(l, c, now.now_ms);
    changed = health_step(&c->health, status, now.now_ms);
    set_told_output(c, output, now.now_ms);
    if (changed) {
        local_status_changed(l, c, now.now_ms);
    }
    save_ms = c->def->interval_ms > save_ms ? c->def->interval_ms : save_ms;
    if (c->saved_ms == 0 || now.now_ms - c->saved_ms >= save_ms) {
        local_save_status(l, c, now.now_ms, ITEM_LAZY);
    }
    local_schedule(l, c);
    return changed;
}

/* ---- Time --------------------------------------------------------- */

void local_expired_output(struct chk *c)
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
}

static void expire_ttl(struct local *l, struct chk *c, uint64_t now_ms)
{
    local_expired_output(c);
    c->expires_ms = NEVER;
    local_set_status(l, c, CHECK_CRITICAL, now_ms);
}

static bool shorten_ttl(void *ctx, struct slice key, struct shared *value)
{
    struct chk *c = (struct chk *)value;
    uint64_t slept_ms = *(const uint64_t *)ctx;

    (void)key;
    if (c->expires_ms != NEVER) {
        c->expires_ms -= c->expires_ms < slept_ms ? c->expires_ms : slept_ms;
    }
    return true;
}

static bool reschedule(void *ctx, struct slice key, struct shared *value)
{
    (void)key;
    local_schedule(ctx, (struct chk *)value);
    return true;
}

void local_slept(struct local *l, uint64_t slept_ms)
{
    pmap_each(&l->checks, (struct slice){0}, shorten_ttl, &slept_ms);
    pmap_each(&l->checks, (struct slice){0}, reschedule, l);
}

struct find_overdue {
    uint64_t now_ms;
    struct chk *expired;
    struct chk *calm; /* Its hold is over. */
    struct chk *hopeless;
    struct svc *drained;
};

static bool find_overdue(void *ctx, struct slice key, struct shared *value)
{
    struct find_overdue *f = ctx;
    struct chk *c = (struct chk *)value;

    if (local_get_be64(key) > f->now_ms) {
        return false;
    }
    if (key.data[8] == 's') {
        f->drained = (struct svc *)value;
    } else if (c->expires_ms <= f->now_ms) {
        f->expired = c;
    } else if (health_wake_ms(&c->health) <= f->now_ms) {
        f->calm = c;
    } else if (local_deregister_ms(c) <= f->now_ms) {
        f->hopeless = c;
    } else {
        return true; /* A check that is due to run. */
    }
    return false;
}

static void end_hold(struct local *l, struct chk *c, uint64_t now_ms)
{
    bool changed = health_tick(&c->health, now_ms);

    local_set_output(c, buf_slice(&c->said));
    buf_release(&c->said);
    if (changed) {
        local_status_changed(l, c, now_ms);
    }
    local_schedule(l, c);
}

void local_tick(struct local *l, struct local_time now)
{
    local_alias_settle(l, now);
    for (;;) {
        struct find_overdue f = {.now_ms = now.now_ms};

        pmap_each(&l->timers, (struct slice){0}, find_overdue, &f);
        if (f.drained != NULL) {
            local_remove_service(l, f.drained);
        } else if (f.expired != NULL) {
            expire_ttl(l, f.expired, now.now_ms);
        } else if (f.calm != NULL) {
            end_hold(l, f.calm, now.now_ms);
        } else if (f.hopeless != NULL) {
            struct svc *s = local_svc(l, f.hopeless->def->service_id);

            CHECK(s != NULL); /* Checks go with their service. */
            local_remove_service(l, s);
        } else {
            break;
        }
    }
    local_alias_settle(l, now);
}
