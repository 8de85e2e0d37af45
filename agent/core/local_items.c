/*
 * What survives a restart of the agent: registrations of the API, maintenance,
 * statuses of checks.
 */
#include <stdio.h>
#include <stdlib.h>

#include "agent/core/definition_tables.h"
#include "agent/core/local_model.h"
#include "base/core/check.h"

/* A status older than this many intervals says nothing any more. */
enum {
    STATUS_INTERVALS = 3
};
#define STATUS_SLACK_MS 30000

/* Statuses of checks that never came back. */
#define STASH_MS_MAX (72 * 3600 * 1000LL)

struct stored_status {
    enum check_status status;
    const char *output;
    const char *told;
    int64_t saved_ms;
    int64_t expires_ms;
    const char *definition;
};

struct stored_maint {
    const char *reason;
};

static const struct field status_items[] = {
    {.key = "status",
     .kind = FIELD_WORD,
     .words = check_status_words,
     .offset = offsetof(struct stored_status, status)},
    {.key = "output",
     .kind = FIELD_TEXT,
     .max = 3 * LIMIT_CHECK_OUTPUT,
     .offset = offsetof(struct stored_status, output)},
    {.key = "told",
     .kind = FIELD_TEXT,
     .max = 3 * TRANSITION_OUTPUT,
     .offset = offsetof(struct stored_status, told)},
    {.key = "saved_ms",
     .kind = FIELD_I64,
     .max = INT64_MAX,
     .offset = offsetof(struct stored_status, saved_ms)},
    {.key = "expires_ms",
     .kind = FIELD_I64,
     .max = INT64_MAX,
     .offset = offsetof(struct stored_status, expires_ms)},
    {.key = "definition",
     .kind = FIELD_TEXT,
     .max = 16,
     .offset = offsetof(struct stored_status, definition)},
};

static const struct fields status_fields = {
    .items = status_items, .count = 6, .size = sizeof(struct stored_status)};

static const struct field maint_items[] = {
    {.key = "reason",
     .kind = FIELD_TEXT,
     .offset = offsetof(struct stored_maint, reason)},
};

static const struct fields maint_fields = {
    .items = maint_items, .count = 1, .size = sizeof(struct stored_maint)};

/* ---- Writing ------------------------------------------------------ */

static void plain_free(struct shared *s)
{
    free(s);
}

static struct shared *mark_new(enum item_hurry hurry)
{
    struct mark *m = malloc(sizeof(*m));

    CHECK(m != NULL);
    shared_init(&m->shared, plain_free);
    m->urgent = hurry == ITEM_URGENT;
    return &m->shared;
}

static void mark_key(struct local *l, struct slice key, enum item_hurry hurry)
{
    struct mark *m = (struct mark *)pmap_get(&l->dirty, key);

    if (m != NULL) {
        m->urgent = m->urgent || hurry == ITEM_URGENT;
        return;
    }
    pmap_put(&l->dirty, key, mark_new(hurry));
}

void local_mark(struct local *l, const char *kind, const char *id,
                enum item_hurry hurry)
{
    char key[16 + 512];
    int len = snprintf(key, sizeof(key), "%s%s", kind, id);

    CHECK(len > 0 && (size_t)len < sizeof(key));
    mark_key(l, slice_of(key, (size_t)len), hurry);
}

void local_item_again(struct local *l, struct slice key)
{
    mark_key(l, key, ITEM_URGENT);
}

/* 16 hex digits of what defines a check. */
static void check_hash(const struct check_def *def, char out[17])
{
    static const struct hash_key key = {0x636865636b000001, 0x6465660000000002};
    struct buf text;

    buf_init(&text, LIMIT_DEFINITION_BYTES);
    CHECK(check_def_write(def, &text) == ST_OK);
    (void)snprintf(out, 17, "%016llx",
                   (unsigned long long)hash_bytes(key, buf_slice(&text)));
    buf_release(&text);
}

static void write_status(const struct chk *c, struct local_time now,
                         struct buf *out)
{
    struct arena a = {0};
    char hash[17];
    struct stored_status s = {
        .status = c->health.status,
        .output = arena_strdup(&a, buf_slice(&c->output)),
        .told = c->told == NULL ? "" : c->told,
        .saved_ms = now.wall_ms,
        .definition = hash,
    };
    struct jsonw w;

    check_hash(c->def, hash);
    if (c->def->type == CHECK_TYPE_TTL && c->expires_ms != NEVER &&
        c->expires_ms > now.now_ms) {
        s.expires_ms = now.wall_ms + (int64_t)(c->expires_ms - now.now_ms);
    }
    jsonw_init(&w, out, JSONW_COMPACT);
    fields_write(&status_fields, &s, &w);
    CHECK(jsonw_finish(&w) == ST_OK);
    arena_release(&a);
}

static void write_maint(const struct local *l, const char *service_id,
                        struct buf *out)
{
    struct arena a = {0};
    const char *id =
        *service_id == '\0'
            ? CHECK_ID_NODE_MAINT
            : arena_printf(&a, "%s%s", CHECK_ID_SERVICE_MAINT, service_id);
    const struct chk *c = local_chk(l, id);
    struct jsonw w;

    if (c != NULL) {
        struct stored_maint m = {.reason = c->def->notes};

        jsonw_init(&w, out, JSONW_COMPACT);
        fields_write(&maint_fields, &m, &w);
        CHECK(jsonw_finish(&w) == ST_OK);
    }
    arena_release(&a);
}

/* Leaves `out` empty if there is nothing (any more) to keep. */
static void write_item(const struct local *l, const char *key,
                       struct local_time now, struct buf *out)
{
    const char *id = strchr(key, '/') + 1;
    const struct svc *s = local_svc(l, id);
    const struct chk *c = local_chk(l, id);
    enum status st = ST_OK;

    if (strncmp(key, "service/", 8) == 0 && s != NULL && s->file == NULL) {
        st = service_def_write(s->def, out);
    } else if (strncmp(key, "check/", 6) == 0 && c != NULL && c->defs != NULL &&
               c->file == NULL && !c->in_service) {
        st = check_def_write(c->def, out);
    } else if (strncmp(key, "status/", 7) == 0 && c != NULL &&
               c->defs != NULL) {
        write_status(c, now, out);
    } else if (strncmp(key, "maint/", 6) == 0) {
        write_maint(l, id, out);
    }
    CHECK(st == ST_OK); /* They were read from less than the limit. */
}

struct first_mark {
    struct arena *arena;
    const char *key;
    bool urgent;
};

static bool first_mark(void *ctx, struct slice key, struct shared *value)
{
    struct first_mark *f = ctx;

    f->key = arena_strdup(f->arena, key);
    f->urgent = ((struct mark *)value)->urgent;
    return false;
}

bool local_item_next(struct local *l, struct local_time now, struct arena *a,
                     struct local_item *out_item)
{
    struct first_mark f = {.arena = a};
    struct buf value;

    pmap_each(&l->dirty, (struct slice){0}, first_mark, &f);
    if (f.key == NULL) {
        return false;
    }
    (void)pmap_remove(&l->dirty, slice_str(f.key));
    buf_init(&value, 8 * LIMIT_DEFINITION_BYTES); /* Escapes make it longer. */
    write_item(l, f.key, now, &value);
    *out_item = (struct local_item){
        .key = slice_str(f.key),
        .value = arena_copy(a, buf_slice(&value)),
        .urgent = f.urgent,
    };
    buf_release(&value);
    return true;
}

/* ---- Reading back ------------------------------------------------- */

static void stash_free(struct shared *shared)
{
    struct stash *s = (struct stash *)shared;

    definitions_unref(s->defs);
    arena_release(&s->arena);
    free(s);
}

static enum status read_status(struct stash *s, struct slice value,
                               struct err *err)
{
    struct stored_status stored = {0};
    struct field_reader r = {.arena = &s->arena,
                             .text = value,
                             .unknown = FIELD_UNKNOWN_IGNORED,
                             .err = err};
    enum status st =
        fields_parse(&r, &status_fields, LIMIT_DEFINITION_BYTES, &stored);

    s->status = stored.status;
    s->output = stored.output;
    s->told = stored.told;
    s->saved_ms = stored.saved_ms;
    s->expires_ms = stored.expires_ms;
    s->definition = stored.definition;
    return st;
}

static enum status read_maint(struct stash *s, struct slice value,
                              struct err *err)
{
    struct stored_maint stored = {0};
    struct field_reader r = {.arena = &s->arena,
                             .text = value,
                             .unknown = FIELD_UNKNOWN_IGNORED,
                             .err = err};
    enum status st =
        fields_parse(&r, &maint_fields, LIMIT_DEFINITION_BYTES, &stored);

    s->reason = stored.reason;
    return st;
}

static enum status read_item(struct stash *s, const struct local_item *item,
                             struct err *err)
{
    if (slice_starts(item->key, slice_str("service/"))) {
        return definitions_parse(DEFINITION_SERVICE, "-", item->value, &s->defs,
                                 err);
    }
    if (slice_starts(item->key, slice_str("check/"))) {
        return definitions_parse(DEFINITION_CHECK, "-", item->value, &s->defs,
                                 err);
    }
    if (slice_starts(item->key, slice_str("status/"))) {
        return read_status(s, item->value, err);
    }
    if (slice_starts(item->key, slice_str("maint/"))) {
        return read_maint(s, item->value, err);
    }
    return err_set(err, ST_CORRUPT, "unknown kind of item");
}

enum status local_restore(struct local *l, const struct local_item *item,
                          struct local_time now, struct err *err)
{
    struct stash *s = calloc(1, sizeof(*s));
    enum status st;

    CHECK(s != NULL);
    shared_init(&s->shared, stash_free);
    st = read_item(s, item, err);
    if (st == ST_OK && s->output != NULL &&
        (s->saved_ms > now.wall_ms ||
         now.wall_ms - s->saved_ms > STASH_MS_MAX)) {
        shared_unref(&s->shared);
        pmap_put(&l->outdated, item->key, mark_new(ITEM_LAZY));
        return ST_OK;
    }
    if (st) {
        shared_unref(&s->shared);
        return err_prefix(err, ST_CORRUPT, "stored item \"%.*s\"",
                          (int)item->key.len, (const char *)item->key.data);
    }
    pmap_put(&l->restored, item->key, &s->shared);
    return ST_OK;
}

/* The stashed item, out of the stash; the caller drops it. */
static struct stash *unstash(struct local *l, const char *kind, const char *id)
{
    struct arena a = {0};
    struct slice key = slice_str(arena_printf(&a, "%s%s", kind, id));
    struct stash *s = (struct stash *)pmap_get(&l->restored, key);

    if (s != NULL) {
        (void)shared_ref(&s->shared);
        (void)pmap_remove(&l->restored, key);
    }
    arena_release(&a);
    return s;
}

static bool still_counts(const struct stash *s, const struct check_def *def,
                         struct local_time now)
{
    uint64_t age_ms = (uint64_t)(now.wall_ms - s->saved_ms);

    return def->type == CHECK_TYPE_TTL ||
           age_ms <= STATUS_INTERVALS * def->interval_ms + STATUS_SLACK_MS;
}

bool local_recall(struct local *l, const struct check_def *def,
                  struct local_time now, struct stash *out_stash)
{
    struct stash *s = unstash(l, "status/", def->id);
    char hash[17];

    if (s == NULL) {
        return false;
    }
    check_hash(def, hash);
    if (strcmp(hash, s->definition) != 0 || !still_counts(s, def, now)) {
        shared_unref(&s->shared);
        return false;
    }
    *out_stash = *s;
    s->arena = (struct arena){0}; /* The caller's now. */
    shared_unref(&s->shared);
    return true;
}

const char *local_recall_maint(struct local *l, const char *id)
{
    struct stash *s = unstash(l, "maint/", id);
    const char *reason;

    if (s == NULL) {
        return NULL;
    }
    reason = arena_strdup(&l->arena, slice_str(s->reason));
    shared_unref(&s->shared);
    return reason;
}

struct next_of {
    const char *kind;
    struct arena *arena;
    const char *id;
};

static bool next_of_kind(void *ctx, struct slice key, struct shared *value)
{
    struct next_of *n = ctx;

    (void)value;
    if (slice_starts(key, slice_str(n->kind))) {
        n->id = arena_strdup(n->arena, slice_skip(key, strlen(n->kind)));
    }
    return false;
}

/* Register everything of one kind again. */
static void restore_kind(struct local *l, const char *kind,
                         enum status (*give_back)(struct local *l,
                                                  struct definitions *defs,
                                                  struct local_time now,
                                                  struct err *err),
                         struct local_time now)
{
    for (;;) {
        struct arena a = {0};
        struct next_of n = {.kind = kind, .arena = &a};
        struct stash *s;
        struct err err;

        pmap_each(&l->restored, slice_str(kind), next_of_kind, &n);
        if (n.id == NULL) {
            arena_release(&a);
            return;
        }
        s = unstash(l, kind, n.id);
        /* What the configuration forbids today it may allow tomorrow: the
         * item stays on disk. */
        if (give_back(l, s->defs, now, &err) == ST_NOT_FOUND) {
            pmap_put(&l->waiting, slice_str(n.id), shared_ref(&s->shared));
        }
        shared_unref(&s->shared);
        arena_release(&a);
    }
}

struct find_waiting {
    const char *service_id;
    struct stash *found;
};

static bool find_waiting(void *ctx, struct slice key, struct shared *value)
{
    struct find_waiting *f = ctx;
    struct stash *s = (struct stash *)value;

    (void)key;
    if (strcmp(definitions_check(s->defs, 0)->service_id, f->service_id) == 0) {
        f->found = s;
    }
    return f->found == NULL;
}

void local_recall_checks(struct local *l, const char *service_id,
                         struct local_time now)
{
    for (;;) {
        struct find_waiting f = {.service_id = service_id};
        struct err err;

        pmap_each(&l->waiting, (struct slice){0}, find_waiting, &f);
        if (f.found == NULL) {
            return;
        }
        (void)shared_ref(&f.found->shared);
        (void)pmap_remove(&l->waiting,
                          slice_str(definitions_check(f.found->defs, 0)->id));
        (void)local_register_check(l, f.found->defs, now, &err);
        shared_unref(&f.found->shared);
    }
}

static enum status restore_service(struct local *l, struct definitions *defs,
                                   struct local_time now, struct err *err)
{
    return local_register_service(l, defs, LOCAL_KEEP_CHECKS, now, err);
}

void local_restored(struct local *l, struct local_time now)
{
    const char *reason = local_recall_maint(l, "");

    if (reason != NULL) {
        (void)local_maint_node(l, reason, now);
    }
    restore_kind(l, "service/", restore_service, now);
    restore_kind(l, "check/", local_register_check, now);
    pmap_release(&l->dirty); /* What was just read need not be written. */
    l->dirty = l->outdated;
    l->outdated = (struct pmap){0};
}
