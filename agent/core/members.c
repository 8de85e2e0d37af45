#include "agent/core/members.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "agent/core/api_plan.h"
#include "base/core/check.h"

enum {
    OPS_MAX = LIMIT_TXN_OPS - 1, /* The lock's guard takes one place. */
    NODE_NAME_MAX = 63,
    MISSED_MAX = 2, /* Answers in a row. */
};

struct known {
    struct member member;
    unsigned missed;
};

struct members {
    char *service;
    bool listed;
    bool sweep;
    struct known items[LIMIT_STORE_MEMBERS];
    size_t count;
};

/* ---- The list ----------------------------------------------------- */

static bool is_host(const char *host)
{
    return *host != '\0' && strcmp(host, "0.0.0.0") != 0 &&
           strcmp(host, "::") != 0;
}

static bool read_port(const char *text, uint16_t *out_port)
{
    char *end;
    long port = strtol(text, &end, 10);

    if (*text < '0' || *text > '9' || *end != '\0' || port < 1 ||
        port > UINT16_MAX) {
        return false;
    }
    *out_port = (uint16_t)port;
    return true;
}

/* "10.0.0.1:2379", "[::1]:2379" */
static bool read_address(const char *text, struct member *m)
{
    const char *colon = strrchr(text, ':');
    size_t len = colon == NULL ? 0 : (size_t)(colon - text);

    if (len == 0 || strlen(text) >= sizeof(m->address) ||
        !read_port(colon + 1, &m->port)) {
        return false;
    }
    memcpy(m->address, text, strlen(text) + 1);
    if (len > 2 && text[0] == '[' && text[len - 1] == ']') {
        text++;
        len -= 2;
    }
    memcpy(m->host, text, len);
    m->host[len] = '\0';
    if (strcasecmp(m->host, "localhost") == 0) { /* As etcd's own default. */
        memcpy(m->host, "127.0.0.1", sizeof("127.0.0.1"));
    }
    return is_host(m->host);
}

bool member_read(uint64_t id, const char *name, const char *url,
                 struct member *out_member)
{
    const char *scheme = strstr(url, "://");

    *out_member = (struct member){.id = id};
    if (scheme == NULL || strncmp(url, "http", 4) != 0) {
        return false;
    }
    if (*name == '\0' || strlen(name) > NODE_NAME_MAX) {
        (void)snprintf(out_member->name, sizeof(out_member->name),
                       "store-%016llx", (unsigned long long)id);
    } else {
        memcpy(out_member->name, name, strlen(name) + 1);
    }
    return read_address(scheme + 3, out_member);
}

struct members *members_new(const char *service)
{
    struct members *m = calloc(1, sizeof(*m));

    CHECK(m != NULL);
    m->sweep = true;
    m->service = strdup(service);
    CHECK(m->service != NULL);
    return m;
}

void members_free(struct members *m)
{
    if (m != NULL) {
        free(m->service);
        free(m);
    }
}

void members_rename(struct members *m, const char *service)
{
    char *copy = strdup(service);

    CHECK(copy != NULL);
    m->sweep = m->sweep || strcmp(m->service, service) != 0;
    free(m->service);
    m->service = copy;
}

void members_sweep(struct members *m)
{
    m->sweep = true;
}

static struct known *find(struct members *m, const char *address)
{
    for (size_t i = 0; i < m->count; i++) {
        if (strcmp(m->items[i].member.address, address) == 0) {
            return &m->items[i];
        }
    }
    return NULL;
}

void members_set(struct members *m, const struct member *list, size_t count)
{
    struct known next[LIMIT_STORE_MEMBERS];

    CHECK(count <= LIMIT_STORE_MEMBERS);
    for (size_t i = 0; i < count; i++) {
        const struct known *before = find(m, list[i].address);

        next[i] = (struct known){.member = list[i],
                                 .missed = before ? before->missed : 0};
    }
    memcpy(m->items, next, count * sizeof(next[0]));
    m->count = count;
    m->listed = true;
}

void members_answered(struct members *m, const char *address, bool answered)
{
    struct known *k = find(m, address);

    if (k != NULL) {
        k->missed = answered ? 0 : k->missed + 1;
    }
}

/* ---- What there is ------------------------------------------------ */

static const char *meta_of(struct pairs meta)
{
    for (size_t i = 0; i < meta.count; i++) {
        if (strcmp(meta.items[i].key, MEMBERS_META) == 0) {
            return meta.items[i].value;
        }
    }
    return NULL;
}

static bool is_ours(const struct catalog_instance *i)
{
    return meta_of(i->record.meta) != NULL &&
           strcmp(i->record.owner.node, OWNER_CATALOG) == 0;
}

/* A node that is there for the sake of a member. */
static bool is_our_node(const struct catalog_node *n)
{
    return n != NULL && n->known && n->record.external &&
           meta_of(n->record.meta) != NULL;
}

/* ---- Where a member is -------------------------------------------- */

struct host_search {
    const char *address;
    const struct catalog_node *found;
};

static bool match_host(void *ctx, const struct catalog_node *n)
{
    struct host_search *s = ctx;

    if (!n->record.external && strcmp(n->record.address, s->address) == 0) {
        s->found = n;
    }
    return s->found == NULL;
}

/* Of several hosts' loopbacks nobody knows which one is meant. */
static bool is_loopback(const char *host)
{
    return strncmp(host, "127.", 4) == 0 || strcmp(host, "::1") == 0;
}

/* The node with an agent that it runs on; else the one of its name, if there is
 * one. */
static const struct catalog_node *node_of(const struct catalog *catalog,
                                          const struct member *m)
{
    const struct catalog_node *named = catalog_node(catalog, m->name);
    struct host_search s = {.address = m->host};

    if (named != NULL && !named->known) {
        named = NULL;
    }
    if ((named == NULL || named->record.external) && !is_loopback(m->host)) {
        catalog_each_node(catalog, match_host, &s);
    }
    return s.found != NULL ? s.found : named;
}

/* ---- Writing ------------------------------------------------------ */

struct writing {
    const struct members *members;
    const struct catalog *catalog;
    struct arena *arena;
    struct sync_op *ops;
    size_t count;
    /* Of the members: on which node, and under which id. */
    const char *nodes[LIMIT_STORE_MEMBERS];
    const char *ids[LIMIT_STORE_MEMBERS];
};

static bool add(struct writing *w, struct sync_op op)
{
    if (w->count == OPS_MAX) {
        return false;
    }
    w->ops[w->count++] = op;
    return true;
}

/* A ghost, of revision 0, is not in the store any more. */
static void put(struct writing *w, const struct record_key *key,
                struct buf *value, uint64_t old_hash, int64_t mod_revision)
{
    if (mod_revision == 0 || catalog_hash(buf_slice(value)) != old_hash) {
        (void)add(w, (struct sync_op){
                         .kind = SYNC_PUT,
                         .key = record_key_write(
                             w->arena, catalog_datacenter(w->catalog), key),
                         .value = arena_copy(w->arena, buf_slice(value)),
                         .expect_mod_revision = mod_revision,
                     });
    }
    buf_release(value);
}

static struct pairs meta_for(struct writing *w, const struct member *m)
{
    struct pair *items = arena_zalloc(w->arena, 2, sizeof(*items));

    items[0].key = MEMBERS_META;
    items[0].value =
        arena_printf(w->arena, "%016llx", (unsigned long long)m->id);
    items[1].key = "store-name";
    items[1].value = m->name;
    return (struct pairs){.items = items, .count = 2};
}

/* A node for one that runs where there is no agent. */
static void put_node(struct writing *w, const struct member *m,
                     const struct catalog_node *old)
{
    struct record_key key = {.kind = RECORD_NODE, .node = m->name};
    struct node_record record = {
        .name = m->name,
        .id = arena_printf(w->arena, "%08llx-%04llx-8%03llx-a000-%012llx",
                           (unsigned long long)m->id >> 32,
                           (unsigned long long)m->id >> 16 & 0xffff,
                           (unsigned long long)m->id & 0xfff,
                           (unsigned long long)m->id & 0xffffffffffff),
        .address = m->host,
        .meta = {.items = meta_for(w, m).items, .count = 1},
        .external = true,
        .owner = {.node = OWNER_CATALOG, .incarnation = ""},
    };
    struct buf value;

    buf_init(&value, LIMIT_RECORD_BYTES);
    CHECK(node_record_write(&record, &value) == ST_OK);
    put(w, &key, &value, old == NULL ? 0 : old->value_hash,
        old == NULL ? 0 : old->mod_revision);
}

static const struct catalog_instance *old_instance(const struct writing *w,
                                                   const char *node,
                                                   const char *id)
{
    return catalog_instance(w->catalog, w->members->service, node, id);
}

static void put_instance(struct writing *w, const struct known *k,
                         const char *node, const char *node_address,
                         const char *id)
{
    const struct member *m = &k->member;
    const struct catalog_instance *old = old_instance(w, node, id);
    bool answers = k->missed < MISSED_MAX;
    struct check_record check = {
        .id = id,
        .name = "Store member",
        .notes = "",
        .output = answers ? "" : "it does not answer",
        .type = CHECK_TYPE_NONE,
        .status = answers ? CHECK_PASSING : CHECK_CRITICAL,
    };
    struct instance_record record = {
        .node = node,
        .service = w->members->service,
        .id = id,
        .address = strcmp(node_address, m->host) == 0 ? "" : m->host,
        .port = m->port,
        .socket_path = "",
        .meta = meta_for(w, m),
        .weight_passing = 1,
        .weight_warning = 1,
        .kind = "",
        .checks = &check,
        .checks_count = 1,
        .owner = {.node = OWNER_CATALOG, .incarnation = ""},
    };
    struct record_key key = {.kind = RECORD_INSTANCE,
                             .node = node,
                             .service = record.service,
                             .id = id};
    struct buf value;

    buf_init(&value, LIMIT_RECORD_BYTES);
    CHECK(instance_record_write(&record, &value) == ST_OK);
    put(w, &key, &value, old == NULL ? 0 : old->value_hash,
        old == NULL ? 0 : old->mod_revision);
}

static void put_member(struct writing *w, size_t index)
{
    const struct known *k = &w->members->items[index];
    const struct catalog_node *n = node_of(w->catalog, &k->member);
    const char *address = n == NULL ? k->member.host : n->record.address;

    w->ids[index] = arena_printf(w->arena, "store-%016llx",
                                 (unsigned long long)k->member.id);
    w->nodes[index] = n == NULL ? k->member.name : n->record.name;
    if (n == NULL || is_our_node(n)) {
        for (size_t i = 0; i < index; i++) {
            if (strcasecmp(w->nodes[i], w->nodes[index]) == 0) {
                /* Two of one name; the first one has made the node. */
                address = w->members->items[i].member.host;
                put_instance(w, k, w->nodes[index], address, w->ids[index]);
                return;
            }
        }
        put_node(w, &k->member, n);
        address = k->member.host;
    }
    put_instance(w, k, w->nodes[index], address, w->ids[index]);
}

/* ---- Removing ----------------------------------------------------- */

static bool is_wanted(const struct writing *w, const struct instance_record *r)
{
    if (strcmp(r->service, w->members->service) != 0) {
        return false;
    }
    for (size_t i = 0; i < w->members->count; i++) {
        if (w->ids[i] != NULL && strcmp(w->ids[i], r->id) == 0 &&
            strcasecmp(w->nodes[i], r->node) == 0) {
            return true;
        }
    }
    return false;
}

struct use {
    const struct writing *writing;
    bool used;
};

static bool note_use(void *ctx, const struct catalog_instance *i)
{
    struct use *u = ctx;

    u->used = !is_ours(i) || is_wanted(u->writing, &i->record);
    return !u->used;
}

static bool is_deleted(const struct writing *w, struct slice key)
{
    for (size_t i = 0; i < w->count; i++) {
        if (slice_eq(w->ops[i].key, key)) {
            return true;
        }
    }
    return false;
}

static void remove_node(struct writing *w, const char *name)
{
    const struct catalog_node *n = catalog_node(w->catalog, name);
    struct use use = {.writing = w};

    if (!is_our_node(n) || n->mod_revision == 0 || is_deleted(w, n->key)) {
        return;
    }
    for (size_t i = 0; i < w->members->count; i++) {
        if (w->nodes[i] != NULL && strcasecmp(w->nodes[i], name) == 0) {
            return;
        }
    }
    catalog_each_node_instance(w->catalog, name, note_use, &use);
    if (!use.used) {
        (void)add(w, (struct sync_op){.kind = SYNC_DELETE,
                                      .key = n->key,
                                      .expect_mod_revision = n->mod_revision});
    }
}

static bool remove_instance(void *ctx, const struct catalog_instance *i)
{
    struct writing *w = ctx;

    if (!is_ours(i) || i->mod_revision == 0 || is_wanted(w, &i->record)) {
        return true;
    }
    /* Room for its node, so that none is left behind. */
    if (w->count + 2 > OPS_MAX) {
        return false;
    }
    (void)add(w, (struct sync_op){.kind = SYNC_DELETE,
                                  .key = i->key,
                                  .expect_mod_revision = i->mod_revision});
    remove_node(w, i->record.node);
    return true;
}

static bool remove_of_service(void *ctx, const struct catalog_service *s)
{
    catalog_each_instance(s, remove_instance, ctx);
    return true;
}

bool members_next(struct members *m, const struct catalog *catalog,
                  struct arena *a, struct sync_txn *out_txn)
{
    struct writing w = {.members = m, .catalog = catalog, .arena = a};
    const struct catalog_service *s;
    bool is_off = *m->service == '\0';

    if (!m->listed && !is_off) {
        return false;
    }
    w.ops = arena_zalloc(a, OPS_MAX, sizeof(*w.ops));
    for (size_t i = 0; i < m->count && !is_off; i++) {
        put_member(&w, i);
    }
    s = is_off ? NULL : catalog_service(catalog, m->service);
    if (m->sweep) {
        catalog_each_service(catalog, remove_of_service, &w);
    } else if (s != NULL) {
        catalog_each_instance(s, remove_instance, &w);
    }
    /* What it finds is seen again until it is gone. */
    m->sweep = m->sweep && w.count > 0;
    *out_txn = (struct sync_txn){.ops = w.ops, .ops_count = w.count};
    return w.count > 0;
}
