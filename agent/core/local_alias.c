/*
 * Alias checks: as healthy as another service, or another node.
 *
 * What an alias of this node stands for is in the local state, the rest is in
 * the catalogue; neither is asked for, a change of either settles the aliases
 * anew. The checks of a service include those of its node.
 *
 * Two services may stand for each other. So an alias does not look at the
 * aliases of its target that stand for its own service: both would be critical
 * for ever, because both once were.
 */
#include <stdio.h>
#include <strings.h>

#include "agent/core/catalog.h"
#include "agent/core/local_model.h"
#include "base/core/check.h"

/* Aliases of aliases: as many steps are taken at once. What goes in a circle
 * longer than two stays as it is. */
#define SETTLE_ROUNDS 8

/* What is seen while looking at the target's checks. */
struct look {
    const struct chk *alias;
    enum check_status worst;
    unsigned count;
    char name[64]; /* Of the first one that is as bad as the worst. */
};

static void see(struct look *look, const char *name, enum check_status status)
{
    look->count++;
    if (status > look->worst) {
        look->worst = status;
        (void)snprintf(look->name, sizeof(look->name), "%s", name);
    }
}

static bool stands_for(const struct check_def *alias, const char *service_id)
{
    return alias->type == CHECK_TYPE_ALIAS && *service_id != '\0' &&
           strcmp(alias->alias_service, service_id) == 0;
}

static bool see_local(void *ctx, struct slice key, struct shared *value)
{
    struct look *look = ctx;
    const struct chk *c = (const struct chk *)value;

    (void)key;
    if (c != look->alias && !stands_for(c->def, look->alias->def->service_id)) {
        see(look, c->def->name, c->health.status);
    }
    return true;
}

/* False: there is no such service. */
static bool look_here(const struct local *l, const char *service_id,
                      struct look *look)
{
    const struct svc *s = local_svc(l, service_id);

    if (*service_id != '\0' && s == NULL) {
        return false;
    }
    if (s != NULL) {
        pmap_each(&s->checks, (struct slice){0}, see_local, look);
    }
    pmap_each(&l->of_node, (struct slice){0}, see_local, look);
    return true;
}

static bool see_node_check(void *ctx, const struct catalog_node_check *k)
{
    see(ctx, k->record.check.name, k->record.check.status);
    return true;
}

struct find_instance {
    const char *id;
    const struct catalog_instance *found;
};

static bool find_instance(void *ctx, const struct catalog_instance *i)
{
    struct find_instance *f = ctx;

    if (strcmp(i->record.id, f->id) == 0) {
        f->found = i;
    }
    return f->found == NULL;
}

/* The same on another node, whose lease counts, too. */
static bool look_there(const struct local *l, const struct check_def *def,
                       struct look *look)
{
    const struct catalog_node *node = catalog_node(l->catalog, def->alias_node);
    struct find_instance f = {.id = def->alias_service};
    struct catalog_check serf;

    if (node == NULL || !node->known) {
        return false;
    }
    if (*def->alias_service != '\0') {
        catalog_each_node_instance(l->catalog, def->alias_node, find_instance,
                                   &f);
        if (f.found == NULL) {
            return false;
        }
        for (size_t i = 0; i < f.found->record.checks_count; i++) {
            see(look, f.found->record.checks[i].name,
                f.found->record.checks[i].status);
        }
    }
    if (catalog_node_serf(node, &serf)) {
        see(look, serf.record.name, serf.record.status);
    }
    catalog_each_node_check(l->catalog, def->alias_node, see_node_check, look);
    return true;
}

static void say(const struct check_def *def, bool exists,
                const struct look *look, struct buf *out)
{
    const char *node = *def->alias_node == '\0' ? "this node" : def->alias_node;

    if (*def->alias_service == '\0') {
        (void)buf_addf(out, "%.200s ", node);
    } else {
        (void)buf_addf(out, "Service \"%.200s\" on %.200s ", def->alias_service,
                       node);
    }
    if (!exists) {
        (void)buf_add_str(out, "is not registered");
    } else if (look->worst == CHECK_PASSING) {
        (void)buf_addf(out, "passes (%u checks)", look->count);
    } else {
        (void)buf_addf(out, "is %s: check \"%s\"",
                       check_status_text(look->worst), look->name);
    }
}

/* False: it cannot be told yet, because the catalogue is not known. */
static bool alias_look(const struct local *l, const struct chk *c,
                       enum check_status *out_status, struct buf *text)
{
    const struct check_def *def = c->def;
    struct look look = {.alias = c};
    bool exists;

    if (*def->alias_node == '\0' ||
        strcasecmp(def->alias_node, l->host.node.name) == 0) {
        exists = look_here(l, def->alias_service, &look);
    } else if (l->catalog == NULL || catalog_revision(l->catalog) == 0) {
        return false;
    } else {
        exists = look_there(l, def, &look);
    }
    say(def, exists, &look, text);
    *out_status = exists ? look.worst : CHECK_CRITICAL;
    return true;
}

void local_alias_start(struct local *l, struct chk *c, struct local_time now)
{
    enum check_status status;
    struct buf text;

    buf_init(&text, LIMIT_CHECK_OUTPUT);
    if (alias_look(l, c, &status, &text)) {
        (void)health_set(&c->health, status, now.now_ms);
        local_set_output(c, buf_slice(&text));
    }
    buf_release(&text);
}

struct settle {
    struct local *local;
    struct local_time now;
    bool changed;
};

static bool settle_one(void *ctx, struct slice key, struct shared *value)
{
    struct settle *s = ctx;
    struct chk *c = (struct chk *)value;
    enum check_status before = c->health.status;
    enum check_status status;
    struct buf text;

    (void)key;
    buf_init(&text, LIMIT_CHECK_OUTPUT);
    if (alias_look(s->local, c, &status, &text)) {
        local_set_output(c, buf_slice(&text));
        local_set_status(s->local, c, status, s->now.now_ms);
        s->changed = s->changed || c->health.status != before;
    }
    buf_release(&text);
    return true;
}

void local_alias_settle(struct local *l, struct local_time now)
{
    struct settle s = {.local = l, .now = now, .changed = true};

    if (!l->unsettled) {
        return;
    }
    for (int i = 0; i < SETTLE_ROUNDS && s.changed; i++) {
        s.changed = false;
        pmap_each(&l->aliases, (struct slice){0}, settle_one, &s);
    }
    l->unsettled = false;
}

bool local_catalog(struct local *l, const struct catalog *catalog)
{
    const struct catalog *old = l->catalog;

    l->catalog = catalog_ref(catalog);
    catalog_unref(old);
    l->unsettled = true;
    return l->aliases.count > 0;
}
