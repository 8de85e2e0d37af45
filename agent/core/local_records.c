/*
 * Views of the local state, and the records that the store should hold.
 */
#include "agent/core/catalog.h"
#include "agent/core/local_model.h"
#include "base/core/check.h"

/* ---- Views -------------------------------------------------------- */

static bool sum_check(void *ctx, struct slice key, struct shared *value)
{
    enum health_sum *sum = ctx;
    const struct chk *c = (struct chk *)value;

    (void)key;
    *sum = health_add(*sum, c->def->id, c->health.status);
    return true;
}

static struct local_service view_service(const struct local *l,
                                         const struct svc *s)
{
    struct local_service view = {.def = s->def, .file = s->file};

    pmap_each(&s->checks, (struct slice){0}, sum_check, &view.health);
    view.maintenance = view.health == HEALTH_MAINTENANCE;
    pmap_each(&l->of_node, (struct slice){0}, sum_check, &view.health);
    return view;
}

static struct local_check view_check(const struct local *l, struct chk *c)
{
    const struct svc *s = local_svc(l, c->def->service_id);
    struct local_check view = {
        .def = c->def,
        .service_name = s == NULL ? "" : s->def->name,
        .status = c->health.status,
        .output = c->output.len == 0 ? "" : buf_cstr(&c->output),
    };

    if (s != NULL) {
        view.service_tags = s->def->tags;
    }
    return view;
}

bool local_service_get(const struct local *l, const char *id,
                       struct local_service *out_service)
{
    const struct svc *s = local_svc(l, id);

    if (s == NULL) {
        return false;
    }
    *out_service = view_service(l, s);
    return true;
}

bool local_check_get(const struct local *l, const char *id,
                     struct local_check *out_check)
{
    struct chk *c = local_chk(l, id);

    if (c == NULL) {
        return false;
    }
    *out_check = view_check(l, c);
    return true;
}

size_t local_services_count(const struct local *l)
{
    return l->services.count;
}

size_t local_checks_count(const struct local *l)
{
    return l->checks.count;
}

struct visit {
    const struct local *local;
    local_service_fn service;
    local_check_fn check;
    void *ctx;
};

static bool visit_service(void *ctx, struct slice key, struct shared *value)
{
    const struct visit *v = ctx;
    struct local_service view =
        view_service(v->local, (const struct svc *)value);

    (void)key;
    return v->service(v->ctx, &view);
}

static bool visit_check(void *ctx, struct slice key, struct shared *value)
{
    const struct visit *v = ctx;
    struct local_check view = view_check(v->local, (struct chk *)value);

    (void)key;
    return v->check(v->ctx, &view);
}

void local_each_service(const struct local *l, local_service_fn fn, void *ctx)
{
    struct visit v = {.local = l, .service = fn, .ctx = ctx};

    pmap_each(&l->services, (struct slice){0}, visit_service, &v);
}

void local_each_check(const struct local *l, local_check_fn fn, void *ctx)
{
    struct visit v = {.local = l, .check = fn, .ctx = ctx};

    pmap_each(&l->checks, (struct slice){0}, visit_check, &v);
}

/* ---- Records ------------------------------------------------------ */

uint64_t local_generation(const struct local *l)
{
    return l->generation;
}

static struct check_record check_record(const struct local *l,
                                        const struct chk *c)
{
    return (struct check_record){
        .id = c->def->id,
        .name = c->def->name,
        .notes = c->def->notes,
        .output = c->told == NULL || l->host.discard_output ? "" : c->told,
        .type = c->def->type,
        .status = c->health.status,
        .interval_ms = c->def->interval_ms,
        .timeout_ms = c->def->timeout_ms,
    };
}

struct check_list {
    const struct local *local;
    struct check_record *items;
    size_t count;
    bool urgent;
};

static bool add_check(void *ctx, struct slice key, struct shared *value)
{
    struct check_list *list = ctx;
    const struct chk *c = (struct chk *)value;

    (void)key;
    list->items[list->count++] = check_record(list->local, c);
    list->urgent = list->urgent || c->health.status == CHECK_CRITICAL;
    return true;
}

static struct instance_record instance_record(const struct local *l,
                                              const struct svc *s,
                                              const struct check_list *checks)
{
    struct instance_record r = instance_record_of(s->def);

    r.node = l->host.node.name;
    r.checks = checks->items;
    r.checks_count = checks->count;
    r.owner = l->host.node.owner;
    return r;
}

/* Without outputs: their room is not reckoned with where a definition is
 * accepted. */
static enum status write_quiet(const struct instance_record *record,
                               struct check_list *checks, struct buf *out)
{
    for (size_t i = 0; i < checks->count; i++) {
        checks->items[i].output = "";
    }
    return instance_record_write(record, out);
}

static enum status write_instance(const struct local *l, const struct svc *s,
                                  const struct texts *tags, struct buf *out,
                                  bool *out_urgent)
{
    struct arena a = {0};
    struct check_list checks = {
        .local = l,
        .items = arena_zalloc(&a, s->checks.count, sizeof(*checks.items))};
    struct instance_record record;
    enum status st;

    pmap_each(&s->checks, (struct slice){0}, add_check, &checks);
    record = instance_record(l, s, &checks);
    if (tags != NULL) {
        record.tags = *tags;
    }
    st = instance_record_write(&record, out);
    if (st == ST_TOO_BIG) {
        buf_clear(out);
        st = write_quiet(&record, &checks, out);
    }
    *out_urgent = checks.urgent;
    arena_release(&a);
    return st;
}

enum status local_record_retag(const struct local *l, const char *id,
                               struct texts tags, struct buf *out)
{
    const struct svc *s = local_svc(l, id);
    bool urgent;

    CHECK(s != NULL);
    return write_instance(l, s, &tags, out, &urgent);
}

struct record_visit {
    struct local *local;
    local_record_fn fn;
    void *ctx;
    bool stopped;
};

/* A definition is at most half as long as a record may be, and 66 check records
 * fit into the rest; so writing cannot pass the limit. */
static bool visit_instance(void *ctx, struct slice key, struct shared *value)
{
    struct record_visit *v = ctx;
    struct svc *s = (struct svc *)value;
    struct local_record r;

    (void)key;
    if (!s->record_ready) {
        buf_clear(&s->record);
        s->too_big =
            write_instance(v->local, s, NULL, &s->record, &s->urgent) != ST_OK;
        s->record_hash = catalog_hash(buf_slice(&s->record));
        s->record_ready = true;
    }
    if (s->too_big) {
        return true;
    }
    r = (struct local_record){
        .key = s->key,
        .value = buf_slice(&s->record),
        .hash = s->record_hash,
        .urgent = s->urgent,
        .tag_override = s->def->enable_tag_override,
        .id = s->def->id,
    };
    v->stopped = !v->fn(v->ctx, &r);
    return !v->stopped;
}

static bool visit_node_check(void *ctx, struct slice key, struct shared *value)
{
    struct record_visit *v = ctx;
    struct chk *c = (struct chk *)value;
    struct local_record r;

    (void)key;
    if (!c->record_ready) {
        struct node_check_record record = {.node = v->local->host.node.name,
                                           .check = check_record(v->local, c),
                                           .owner = v->local->host.node.owner};

        buf_clear(&c->record);
        CHECK(node_check_record_write(&record, &c->record) == ST_OK);
        c->record_hash = catalog_hash(buf_slice(&c->record));
        c->record_ready = true;
    }
    r = (struct local_record){
        .key = c->key,
        .value = buf_slice(&c->record),
        .hash = c->record_hash,
        .urgent = c->health.status == CHECK_CRITICAL,
    };
    v->stopped = !v->fn(v->ctx, &r);
    return !v->stopped;
}

void local_each_record(struct local *l, local_record_fn fn, void *ctx)
{
    struct record_visit v = {.local = l, .fn = fn, .ctx = ctx};
    struct local_record node = {
        .key = l->node_key,
        .value = buf_slice(&l->node_record),
        .hash = catalog_hash(buf_slice(&l->node_record)),
    };

    if (!fn(ctx, &node)) {
        return;
    }
    pmap_each(&l->services, (struct slice){0}, visit_instance, &v);
    if (!v.stopped) {
        pmap_each(&l->of_node, (struct slice){0}, visit_node_check, &v);
    }
}
