#include "agent/core/catalog.h"

#include <stdio.h>
#include <stdlib.h>

#include "agent/core/catalog_model.h"
#include "base/core/check.h"
#include "base/core/hash.h"

/* ---- Life --------------------------------------------------------- */

static void catalog_free(struct shared *s)
{
    struct catalog *c = (struct catalog *)s;

    pmap_release(&c->nodes);
    pmap_release(&c->services);
    pmap_release(&c->tombstones);
    pmap_release(&c->queries);
    pmap_release(&c->unread);
    query_table_unref(c->query_table);
    free(c->datacenter);
    free(c);
}

struct catalog *catalog_new(const char *datacenter)
{
    struct catalog *c = calloc(1, sizeof(*c));

    CHECK(c != NULL);
    shared_init(&c->shared, catalog_free);
    c->datacenter = strdup(datacenter);
    CHECK(c->datacenter != NULL);
    return c;
}

struct catalog *catalog_copy(const struct catalog *old)
{
    struct catalog *c = catalog_new(old->datacenter);

    c->revision = old->revision;
    c->skew = old->skew;
    c->nodes = pmap_share(&old->nodes);
    c->services = pmap_share(&old->services);
    c->tombstones = pmap_share(&old->tombstones);
    c->queries = pmap_share(&old->queries);
    c->unread = pmap_share(&old->unread);
    c->query_table =
        old->query_table == NULL ? NULL : query_table_ref(old->query_table);
    c->nodes_known = old->nodes_known;
    c->nodes_live = old->nodes_live;
    c->instances_count = old->instances_count;
    c->services_index = old->services_index;
    c->nodes_index = old->nodes_index;
    c->state_index = old->state_index;
    c->all_index = old->all_index;
    c->queries_index = old->queries_index;
    c->floor_index = old->floor_index;
    return c;
}

struct catalog *catalog_ref(const struct catalog *c)
{
    /* Counting is no change of what the snapshot says. */
    return (struct catalog *)shared_ref(&((struct catalog *)c)->shared);
}

void catalog_unref(const struct catalog *c)
{
    if (c != NULL) {
        shared_unref(&((struct catalog *)c)->shared);
    }
}

uint64_t catalog_hash(struct slice value)
{
    static const struct hash_key key = {0x636174616c6f6701, 0x76616c7565000002};

    return hash_bytes(key, value);
}

int64_t catalog_revision(const struct catalog *c)
{
    return c->revision;
}

const char *catalog_datacenter(const struct catalog *c)
{
    return c->datacenter;
}

/* ---- Look-ups ----------------------------------------------------- */

struct slice catalog_lower(const char *name, char out[NODE_NAME_MAX + 1])
{
    size_t len = strlen(name);

    if (len > NODE_NAME_MAX) {
        return (struct slice){0};
    }
    for (size_t i = 0; i < len; i++) {
        char c = name[i];

        out[i] = (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    }
    out[len] = '\0';
    return slice_of(out, len);
}

struct node_box *catalog_node_box(const struct catalog *c, const char *name)
{
    char lower[NODE_NAME_MAX + 1];

    return (struct node_box *)pmap_get(&c->nodes, catalog_lower(name, lower));
}

const struct catalog_node *catalog_node(const struct catalog *c,
                                        const char *name)
{
    const struct node_box *n = catalog_node_box(c, name);

    return n == NULL ? NULL : &n->pub;
}

const struct catalog_service *catalog_service(const struct catalog *c,
                                              const char *name)
{
    return (struct catalog_service *)pmap_get(&c->services, slice_str(name));
}

const struct catalog_instance *catalog_instance(const struct catalog *c,
                                                const char *service,
                                                const char *node,
                                                const char *id)
{
    const struct node_box *n = catalog_node_box(c, node);
    char key[2 * NODE_NAME_MAX + 2];
    size_t first = strlen(service) + 1;
    size_t second = strlen(id);
    const struct instance_box *i;

    if (n == NULL || first + second > sizeof(key)) {
        return NULL;
    }
    memcpy(key, service, first);
    memcpy(key + first, id, second);
    i = (const struct instance_box *)pmap_get(&n->instances,
                                              slice_of(key, first + second));
    return i == NULL ? NULL : &i->pub;
}

size_t catalog_nodes_count(const struct catalog *c)
{
    return c->nodes_known;
}

size_t catalog_live_count(const struct catalog *c)
{
    return c->nodes_live;
}

size_t catalog_services_count(const struct catalog *c)
{
    return c->services.count;
}

size_t catalog_instances_count(const struct catalog *c)
{
    return c->instances_count;
}

const char *catalog_service_name(const struct catalog_service *s)
{
    return s->name;
}

size_t catalog_service_size(const struct catalog_service *s)
{
    return s->instances.count;
}

static uint64_t gone_index(const struct catalog *c, char kind, const char *name)
{
    char key[NODE_NAME_MAX + 3];
    const struct tombstone *t;
    int len = snprintf(key, sizeof(key), "%c:%s", kind, name);

    if (len < 0 || (size_t)len >= sizeof(key)) {
        return c->floor_index;
    }
    t = (struct tombstone *)pmap_get(&c->tombstones,
                                     slice_of(key, (size_t)len));
    return t == NULL ? c->floor_index : t->index;
}

static uint64_t service_index(const struct catalog *c,
                              struct catalog_scope scope)
{
    const struct catalog_service *s = catalog_service(c, scope.name);

    if (s == NULL) {
        return gone_index(c, 's', scope.name);
    }
    return scope.kind == SCOPE_SERVICE ? s->index : s->checks_index;
}

static uint64_t node_index(const struct catalog *c, const char *name)
{
    char lower[NODE_NAME_MAX + 1];
    const struct node_box *n = catalog_node_box(c, name);

    if (n != NULL) {
        return n->index;
    }
    if (catalog_lower(name, lower).len == 0) {
        return c->floor_index;
    }
    return gone_index(c, 'n', lower);
}

uint64_t catalog_index(const struct catalog *c, struct catalog_scope scope)
{
    uint64_t index = 0;

    switch (scope.kind) {
    case SCOPE_NONE:
        index = (uint64_t)c->revision + c->skew;
        break;
    case SCOPE_SERVICES:
        index = c->services_index;
        break;
    case SCOPE_SERVICE:
    case SCOPE_CHECKS:
        index = service_index(c, scope);
        break;
    case SCOPE_NODES:
        index = c->nodes_index;
        break;
    case SCOPE_NODE:
        index = node_index(c, scope.name);
        break;
    case SCOPE_STATE:
        index = c->state_index;
        break;
    case SCOPE_ALL:
        index = c->all_index;
        break;
    case SCOPE_QUERIES:
        index = c->queries_index;
        break;
    case SCOPE_QUERY:
        index = catalog_query_index(c, scope.name);
        break;
    }
    return index == 0 ? 1 : index;
}

/* ---- Visits ------------------------------------------------------- */

/* Adapters from pmap_fn to the typed visitors; one struct for all, because
 * exactly one of the pointers is used. */
struct visit {
    catalog_node_fn node;
    catalog_service_fn service;
    catalog_instance_fn instance;
    catalog_node_check_fn node_check;
    catalog_tag_fn tag;
    void *ctx;
};

static bool visit_node(void *ctx, struct slice key, struct shared *value)
{
    const struct visit *v = ctx;
    const struct node_box *n = (struct node_box *)value;

    (void)key;
    return !n->pub.known || v->node(v->ctx, &n->pub);
}

static bool visit_service(void *ctx, struct slice key, struct shared *value)
{
    const struct visit *v = ctx;

    (void)key;
    return v->service(v->ctx, (struct catalog_service *)value);
}

static bool visit_instance(void *ctx, struct slice key, struct shared *value)
{
    const struct visit *v = ctx;

    (void)key;
    return v->instance(v->ctx, &((struct instance_box *)value)->pub);
}

static bool visit_node_check(void *ctx, struct slice key, struct shared *value)
{
    const struct visit *v = ctx;

    (void)key;
    return v->node_check(v->ctx, &((struct node_check_box *)value)->pub);
}

static bool visit_tag(void *ctx, struct slice key, struct shared *value)
{
    const struct visit *v = ctx;

    (void)value;
    return v->tag(v->ctx, key);
}

void catalog_each_node(const struct catalog *c, catalog_node_fn fn, void *ctx)
{
    struct visit v = {.node = fn, .ctx = ctx};

    pmap_each(&c->nodes, (struct slice){0}, visit_node, &v);
}

void catalog_each_service(const struct catalog *c, catalog_service_fn fn,
                          void *ctx)
{
    struct visit v = {.service = fn, .ctx = ctx};

    pmap_each(&c->services, (struct slice){0}, visit_service, &v);
}

void catalog_each_instance(const struct catalog_service *s,
                           catalog_instance_fn fn, void *ctx)
{
    struct visit v = {.instance = fn, .ctx = ctx};

    pmap_each(&s->instances, (struct slice){0}, visit_instance, &v);
}

void catalog_each_tag(const struct catalog_service *s, catalog_tag_fn fn,
                      void *ctx)
{
    struct visit v = {.tag = fn, .ctx = ctx};

    pmap_each(&s->tags, (struct slice){0}, visit_tag, &v);
}

void catalog_each_node_instance(const struct catalog *c, const char *node,
                                catalog_instance_fn fn, void *ctx)
{
    struct visit v = {.instance = fn, .ctx = ctx};
    const struct node_box *n = catalog_node_box(c, node);

    if (n != NULL) {
        pmap_each(&n->instances, (struct slice){0}, visit_instance, &v);
    }
}

void catalog_each_node_check(const struct catalog *c, const char *node,
                             catalog_node_check_fn fn, void *ctx)
{
    struct visit v = {.node_check = fn, .ctx = ctx};
    const struct node_box *n = catalog_node_box(c, node);

    if (n != NULL) {
        pmap_each(&n->checks, (struct slice){0}, visit_node_check, &v);
    }
}

/* ---- Health ------------------------------------------------------- */

static const char *serf_output(const struct catalog_node *n)
{
    if (n->held) {
        return "liveness unknown, guard active";
    }
    return n->live ? "Agent alive and reachable"
                   : "Agent not live or unreachable";
}

static enum check_status serf_status(const struct catalog_node *n)
{
    if (n->held) {
        return CHECK_WARNING;
    }
    return n->live ? CHECK_PASSING : CHECK_CRITICAL;
}

bool catalog_node_serf(const struct catalog_node *n,
                       struct catalog_check *out_check)
{
    if (!n->known || n->record.external) {
        return false;
    }
    *out_check = (struct catalog_check){
        .record = {.id = CHECK_ID_SERF,
                   .name = "Serf Health Status",
                   .notes = "",
                   .output = serf_output(n),
                   .status = serf_status(n)},
        .create_revision = n->create_revision,
        .mod_revision = n->live_mod_revision > n->create_revision
                            ? n->live_mod_revision
                            : n->create_revision,
    };
    return true;
}

static bool add_node_check(void *ctx, const struct catalog_node_check *k)
{
    enum health_sum *sum = ctx;

    *sum = health_add(*sum, k->record.check.id, k->record.check.status);
    return true;
}

enum health_sum catalog_instance_alone(const struct catalog *c,
                                       const struct catalog_instance *i)
{
    enum health_sum sum = HEALTH_PASSING;
    struct visit v = {.node_check = add_node_check, .ctx = &sum};
    const struct node_box *n = catalog_node_box(c, i->record.node);

    for (size_t k = 0; k < i->record.checks_count; k++) {
        sum =
            health_add(sum, i->record.checks[k].id, i->record.checks[k].status);
    }
    if (n != NULL) {
        pmap_each(&n->checks, (struct slice){0}, visit_node_check, &v);
    }
    return sum;
}

enum health_sum catalog_instance_health(const struct catalog *c,
                                        const struct catalog_instance *i)
{
    enum health_sum sum = catalog_instance_alone(c, i);
    const struct node_box *n = catalog_node_box(c, i->record.node);
    struct catalog_check serf;

    if (n == NULL || !n->pub.known) {
        return health_add(sum, CHECK_ID_SERF, CHECK_CRITICAL);
    }
    if (catalog_node_serf(&n->pub, &serf)) {
        sum = health_add(sum, serf.record.id, serf.record.status);
    }
    return sum;
}
