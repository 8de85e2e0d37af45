#include "agent/core/local.h"

#include <stdlib.h>

#include "agent/core/catalog.h"
#include "agent/core/local_model.h"
#include "base/core/check.h"

/* ---- Life --------------------------------------------------------- */

static const char *keep(struct local *l, const char *text)
{
    return arena_strdup(&l->arena, slice_str(text));
}

static struct pairs keep_pairs(struct local *l, struct pairs from)
{
    struct pair *items = arena_zalloc(&l->arena, from.count, sizeof(*items));

    for (size_t i = 0; i < from.count; i++) {
        items[i].key = keep(l, from.items[i].key);
        items[i].value = keep(l, from.items[i].value);
    }
    return (struct pairs){.items = items, .count = from.count};
}

static void write_node_record(struct local *l)
{
    struct record_key key = {.kind = RECORD_NODE, .node = l->host.node.name};

    l->node_key = record_key_write(&l->arena, l->host.datacenter, &key);
    buf_init(&l->node_record, LIMIT_RECORD_BYTES);
    CHECK(node_record_write(&l->host.node, &l->node_record) == ST_OK);
}

struct local *local_new(const struct local_host *host, struct hash_key key)
{
    struct local *l = calloc(1, sizeof(*l));
    const struct node_record *n = &host->node;

    CHECK(l != NULL);
    l->key = key;
    l->history = calloc(LIMIT_TRANSITIONS, sizeof(*l->history));
    CHECK(l->history != NULL);
    l->generation = 1;
    l->host = *host;
    l->host.datacenter = keep(l, host->datacenter);
    l->host.node.name = keep(l, n->name);
    l->host.node.id = keep(l, n->id);
    l->host.node.address = keep(l, n->address);
    l->host.node.tagged = keep_pairs(l, n->tagged);
    l->host.node.meta = keep_pairs(l, n->meta);
    l->host.node.owner.node = keep(l, n->name);
    l->host.node.owner.incarnation = keep(l, n->owner.incarnation);
    write_node_record(l);
    return l;
}

void local_free(struct local *l)
{
    if (l == NULL) {
        return;
    }
    pmap_release(&l->timers);
    pmap_release(&l->runs);
    pmap_release(&l->services);
    pmap_release(&l->checks);
    pmap_release(&l->of_node);
    pmap_release(&l->aliases);
    catalog_unref(l->catalog);
    local_history_release(l);
    pmap_release(&l->files);
    pmap_release(&l->dirty);
    pmap_release(&l->restored);
    pmap_release(&l->outdated);
    pmap_release(&l->waiting);
    buf_release(&l->node_record);
    arena_release(&l->arena);
    free(l);
}

const struct local_host *local_host(const struct local *l)
{
    return &l->host;
}

struct svc *local_svc(const struct local *l, const char *id)
{
    return (struct svc *)pmap_get(&l->services, slice_str(id));
}

struct chk *local_chk(const struct local *l, const char *id)
{
    return (struct chk *)pmap_get(&l->checks, slice_str(id));
}

/* ---- Services ----------------------------------------------------- */

static void svc_free(struct shared *shared)
{
    struct svc *s = (struct svc *)shared;

    definitions_unref(s->defs);
    free(s->file);
    pmap_release(&s->checks);
    buf_release(&s->record);
    free((void *)s->key.data);
    free(s);
}

static void touch_service(struct local *l, struct svc *s)
{
    s->record_ready = false;
    l->unsettled = true;
    l->generation++;
}

static char *copy_file(const char *file)
{
    char *copy = file == NULL ? NULL : strdup(file);

    CHECK_IF(file != NULL, copy != NULL);
    return copy;
}

bool local_same_file(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* Names of things to remove, gathered before anything is. */
struct gather {
    struct chk *checks[4 * LIMIT_CHECKS_OF_ONE];
    size_t count;
    bool (*want)(const struct gather *g, const struct chk *c);
    const struct service_def *def;
};

static bool gather_check(void *ctx, struct slice key, struct shared *value)
{
    struct gather *g = ctx;
    struct chk *c = (struct chk *)value;

    (void)key;
    if (g->want(g, c)) {
        CHECK(g->count < sizeof(g->checks) / sizeof(g->checks[0]));
        g->checks[g->count++] = c;
    }
    return true;
}

static bool want_all(const struct gather *g, const struct chk *c)
{
    (void)g;
    (void)c;
    return true;
}

static bool is_mentioned(const struct service_def *def, const char *id)
{
    for (size_t i = 0; i < def->checks_count; i++) {
        if (strcmp(def->checks[i].id, id) == 0) {
            return true;
        }
    }
    return false;
}

/* A file says all there is about its checks. */
static bool want_unmentioned_own(const struct gather *g, const struct chk *c)
{
    return c->in_service && !is_mentioned(g->def, c->def->id);
}

static bool want_unmentioned(const struct gather *g, const struct chk *c)
{
    return c->defs != NULL && !is_mentioned(g->def, c->def->id);
}

static void remove_checks(struct local *l, struct svc *s,
                          const struct service_def *def,
                          bool (*want)(const struct gather *,
                                       const struct chk *))
{
    struct gather g = {.want = want, .def = def};

    pmap_each(&s->checks, (struct slice){0}, gather_check, &g);
    for (size_t i = 0; i < g.count; i++) {
        local_remove_check(l, g.checks[i]);
    }
}

/* A check that its service no longer mentions, but that may stay, has to be
 * stored as a check of its own from now on. */
static void keep_unmentioned(struct local *l, struct svc *s,
                             const struct service_def *def)
{
    struct gather g = {.want = want_unmentioned_own, .def = def};

    pmap_each(&s->checks, (struct slice){0}, gather_check, &g);
    for (size_t i = 0; i < g.count; i++) {
        g.checks[i]->in_service = false;
        local_mark(l, "check/", g.checks[i]->def->id, ITEM_URGENT);
    }
}

static struct svc *new_service(struct local *l, const struct service_def *def)
{
    struct svc *s = calloc(1, sizeof(*s));

    CHECK(s != NULL);
    shared_init(&s->shared, svc_free);
    s->drain_until_ms = NEVER;
    buf_init(&s->record, LIMIT_RECORD_BYTES);
    pmap_put(&l->services, slice_str(def->id), &s->shared);
    return s;
}

static void stop_drain(struct local *l, struct svc *s)
{
    struct arena a = {0};
    struct chk *drain;
    uint8_t key[16 + 512];

    if (s->drain_until_ms == NEVER) {
        return;
    }
    (void)pmap_remove(&l->timers,
                      local_timer_key(key, s->drain_until_ms, 's', s->def->id));
    s->drain_until_ms = NEVER;
    drain = local_chk(l, arena_printf(&a, "%s%s", CHECK_ID_DRAIN, s->def->id));
    if (drain != NULL) {
        local_remove_check(l, drain);
    }
    arena_release(&a);
}

static void recall_maint(struct local *l, const char *id, struct local_time now)
{
    const char *reason = local_recall_maint(l, id);

    if (reason != NULL) {
        (void)local_maint_service(l, id, reason, now);
    }
}

/* The key depends on the service's name, which a new definition may change. */
static void set_key(struct local *l, struct svc *s)
{
    struct arena a = {0};
    struct record_key key = {.kind = RECORD_INSTANCE,
                             .service = s->def->name,
                             .node = l->host.node.name,
                             .id = s->def->id};
    struct slice bytes = record_key_write(&a, l->host.datacenter, &key);
    uint8_t *copy = malloc(bytes.len);

    CHECK(copy != NULL);
    memcpy(copy, bytes.data, bytes.len);
    free((void *)s->key.data);
    s->key = slice_of(copy, bytes.len);
    arena_release(&a);
}

void local_put_service(struct local *l, const struct service_def *def,
                       struct definitions *defs, const char *file,
                       enum local_checks_mode mode, struct local_time now)
{
    struct svc *s = local_svc(l, def->id);
    bool fresh = s == NULL;
    bool stored = fresh ? false : s->file == NULL;
    struct definitions *old_defs = fresh ? NULL : s->defs;

    if (fresh) {
        s = new_service(l, def);
    } else {
        stop_drain(l, s);
        if (file != NULL) {
            remove_checks(l, s, def, want_unmentioned_own);
        } else if (mode == LOCAL_REPLACE_CHECKS) {
            remove_checks(l, s, def, want_unmentioned);
        } else {
            keep_unmentioned(l, s, def);
        }
    }
    s->def = def;
    s->defs = definitions_ref(defs);
    free(s->file);
    s->file = copy_file(file);
    set_key(l, s);
    for (size_t i = 0; i < def->checks_count; i++) {
        local_put_check(l, &def->checks[i], defs, file, true, now);
    }
    definitions_unref(old_defs);
    touch_service(l, s);
    if (file == NULL || stored) {
        local_mark(l, "service/", def->id, ITEM_URGENT);
    }
    if (fresh) {
        recall_maint(l, def->id, now);
        local_recall_checks(l, def->id, now);
    }
}

void local_remove_service(struct local *l, struct svc *s)
{
    (void)shared_ref(&s->shared);
    stop_drain(l, s);
    remove_checks(l, s, NULL, want_all);
    local_mark(l, "service/", s->def->id, ITEM_URGENT);
    local_mark(l, "maint/", s->def->id, ITEM_URGENT);
    (void)pmap_remove(&l->services, slice_str(s->def->id));
    l->unsettled = true;
    l->generation++;
    shared_unref(&s->shared);
}

/* ---- What may be registered -------------------------------------- */

bool local_defines(const struct definitions *d, const char *id)
{
    for (size_t i = 0; d != NULL && i < definitions_services_count(d); i++) {
        if (strcmp(definitions_service(d, i)->id, id) == 0) {
            return true;
        }
    }
    return false;
}

static enum status accept_check(const struct local *l, const char *file,
                                const struct check_def *c, bool exec_allowed,
                                struct err *err)
{
    const struct chk *old = local_chk(l, c->id);

    if (c->type == CHECK_TYPE_EXEC && !exec_allowed) {
        return err_set(err, ST_DENIED,
                       "check \"%s\": args checks are switched off; set %s in "
                       "the agent's configuration to allow them",
                       c->id,
                       file == NULL ? "enable_script_checks"
                                    : "enable_local_script_checks");
    }
    if (old != NULL && old->file != NULL && !local_same_file(old->file, file)) {
        return err_set(err, ST_EXISTS,
                       "check \"%s\" is already defined in %s; choose another "
                       "id",
                       c->id, old->file);
    }
    return ST_OK;
}

/* How many checks a service would have that the new definition does not
 * mention. */
static size_t staying_checks(const struct svc *s, const struct service_def *def,
                             bool (*leaves)(const struct gather *,
                                            const struct chk *))
{
    struct gather g = {.want = want_unmentioned, .def = def};
    size_t staying = 0;

    pmap_each(&s->checks, (struct slice){0}, gather_check, &g);
    for (size_t i = 0; i < g.count; i++) {
        staying += leaves == NULL || !leaves(&g, g.checks[i]);
    }
    return staying;
}

enum status local_accept_service(const struct local *l, const char *file,
                                 const struct service_def *def,
                                 enum local_checks_mode mode, struct err *err)
{
    const struct svc *old = local_svc(l, def->id);
    bool exec_allowed =
        file == NULL ? l->host.exec_from_api : l->host.exec_from_files;
    size_t staying = 0;

    if (old != NULL && old->file != NULL && !local_same_file(old->file, file)) {
        return err_set(err, ST_EXISTS,
                       "service \"%s\" is already defined in %s; choose "
                       "another id",
                       def->id, old->file);
    }
    if (old != NULL && file != NULL) {
        staying = staying_checks(old, def, want_unmentioned_own);
    } else if (old != NULL && mode == LOCAL_KEEP_CHECKS) {
        staying = staying_checks(old, def, NULL);
    }
    if (staying + def->checks_count > LIMIT_CHECKS_OF_ONE) {
        return err_set(err, ST_TOO_BIG,
                       "service \"%s\" would have %zu checks, at most %d are "
                       "allowed; deregister old ones first",
                       def->id, staying + def->checks_count,
                       LIMIT_CHECKS_OF_ONE);
    }
    for (size_t i = 0; i < def->checks_count; i++) {
        enum status st =
            accept_check(l, file, &def->checks[i], exec_allowed, err);

        if (st) {
            return st;
        }
    }
    return ST_OK;
}

enum status local_accept_check(const struct local *l, const char *file,
                               const struct check_def *c,
                               const struct definitions *defs,
                               bool exec_allowed, struct err *err)
{
    const struct svc *s = local_svc(l, c->service_id);

    if (*c->service_id != '\0' && s == NULL &&
        !local_defines(defs, c->service_id)) {
        return err_set(err, ST_NOT_FOUND,
                       "check \"%s\": service_id \"%s\" is not registered here",
                       c->id, c->service_id);
    }
    if (s != NULL && local_chk(l, c->id) == NULL &&
        s->checks.count >= LIMIT_CHECKS_OF_ONE) {
        return err_set(err, ST_TOO_BIG,
                       "service \"%s\" has %d checks already, more are not "
                       "allowed",
                       c->service_id, LIMIT_CHECKS_OF_ONE);
    }
    return accept_check(l, file, c, exec_allowed, err);
}

/* ---- The API ------------------------------------------------------ */

enum status local_register_service(struct local *l, struct definitions *defs,
                                   enum local_checks_mode mode,
                                   struct local_time now, struct err *err)
{
    const struct service_def *def = definitions_service(defs, 0);
    struct buf size;
    enum status st = local_accept_service(l, NULL, def, mode, err);

    if (st) {
        return st;
    }
    buf_init(&size, LIMIT_RECORD_BYTES / 2);
    st = service_def_write(def, &size);
    buf_release(&size);
    if (st) {
        return err_set(err, st,
                       "service \"%s\" is too large, at most %lu bytes",
                       def->id, LIMIT_RECORD_BYTES / 2);
    }
    local_put_service(l, def, defs, NULL, mode, now);
    return ST_OK;
}

enum status local_register_check(struct local *l, struct definitions *defs,
                                 struct local_time now, struct err *err)
{
    const struct check_def *def = definitions_check(defs, 0);
    enum status st =
        local_accept_check(l, NULL, def, NULL, l->host.exec_from_api, err);

    if (st == ST_OK) {
        local_put_check(l, def, defs, NULL, false, now);
        local_mark(l, "check/", def->id, ITEM_URGENT);
    }
    return st;
}

enum status local_deregister_service(struct local *l, const char *id,
                                     struct local_time now)
{
    struct svc *s = local_svc(l, id);
    struct arena a = {0};
    uint8_t key[16 + 512];

    if (s == NULL) {
        return ST_NOT_FOUND;
    }
    if (s->def->drain_ms == 0) {
        local_remove_service(l, s);
        return ST_OK;
    }
    if (s->drain_until_ms == NEVER) {
        s->drain_until_ms = now.now_ms + s->def->drain_ms;
        (void)shared_ref(&s->shared);
        pmap_put(&l->timers,
                 local_timer_key(key, s->drain_until_ms, 's', s->def->id),
                 &s->shared);
        local_make_check(l, arena_printf(&a, "%s%s", CHECK_ID_DRAIN, id), id,
                         "Service is being removed", "", now);
        arena_release(&a);
    }
    return ST_OK;
}

enum status local_deregister_check(struct local *l, const char *id,
                                   struct local_time now)
{
    struct chk *c = local_chk(l, id);

    (void)now;
    if (c == NULL || c->defs == NULL) {
        return ST_NOT_FOUND; /* Our own are ended by ending maintenance. */
    }
    local_remove_check(l, c);
    return ST_OK;
}

/* ---- Maintenance -------------------------------------------------- */

static void maintain(struct local *l, const char *check_id,
                     const char *service_id, const char *name,
                     const char *reason, struct local_time now)
{
    struct chk *c = local_chk(l, check_id);

    if (reason == NULL) {
        if (c != NULL) {
            local_remove_check(l, c);
        }
    } else if (c == NULL || strcmp(c->def->notes, reason) != 0) {
        if (c != NULL) {
            local_remove_check(l, c);
        }
        local_make_check(l, check_id, service_id, name, reason, now);
    }
    local_mark(l, "maint/", service_id, ITEM_URGENT);
}

enum status local_maint_node(struct local *l, const char *reason,
                             struct local_time now)
{
    if (reason != NULL && *reason == '\0') {
        reason = "Maintenance mode is enabled for this node, but no reason "
                 "was provided. This is a default message.";
    }
    maintain(l, CHECK_ID_NODE_MAINT, "", "Node Maintenance Mode", reason, now);
    return ST_OK;
}

void local_leave(struct local *l, struct local_time now)
{
    if (local_chk(l, CHECK_ID_NODE_MAINT) == NULL) {
        local_make_check(l, CHECK_ID_NODE_MAINT, "", "Node Maintenance Mode",
                         "leaving", now);
    }
}

enum status local_maint_service(struct local *l, const char *id,
                                const char *reason, struct local_time now)
{
    struct arena a = {0};

    if (local_svc(l, id) == NULL) {
        return ST_NOT_FOUND;
    }
    if (reason != NULL && *reason == '\0') {
        reason = "Maintenance mode is enabled for this service, but no reason "
                 "was provided. This is a default message.";
    }
    maintain(l, arena_printf(&a, "%s%s", CHECK_ID_SERVICE_MAINT, id), id,
             "Service Maintenance Mode", reason, now);
    arena_release(&a);
    return ST_OK;
}
