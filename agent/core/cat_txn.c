#include "agent/core/cat_txn.h"

#include <string.h>
#include <strings.h>

#include "agent/core/api_plan.h"
#include "base/core/check.h"

static const struct slice none;

/* ---- Reading ------------------------------------------------------ */

static struct slice key_of(const struct cat_txn *t, enum record_kind kind,
                           const char *node, const char *service,
                           const char *id)
{
    struct record_key key = {
        .kind = kind, .node = node, .service = service, .id = id};

    return record_key_write(t->arena, t->dc, &key);
}

struct reading {
    struct store_ask *ask;
    const char *id; /* NULL: every one. */
};

static bool read_instance(void *ctx, const struct catalog_instance *i)
{
    struct reading *r = ctx;

    if (r->id == NULL || strcmp(r->id, i->record.id) == 0) {
        store_read_key(r->ask, i->key);
    }
    return true;
}

static bool read_check(void *ctx, const struct catalog_node_check *k)
{
    struct reading *r = ctx;

    store_read_key(r->ask, k->key);
    return true;
}

static void read_op(const struct cat_txn *t, const struct cat_op *op,
                    struct store_ask *ask)
{
    struct reading r = {.ask = ask, .id = op->service_id};

    store_read_key(ask, key_of(t, RECORD_NODE, op->node, NULL, NULL));
    if (op->kind == CAT_CHECK && *op->service_id == '\0') {
        store_read_key(
            ask, key_of(t, RECORD_NODE_CHECK, op->node, NULL, op->check.id));
        return;
    }
    if (op->kind == CAT_NODE) {
        if (op->verb != CAT_DELETE && op->verb != CAT_DELETE_CAS) {
            return;
        }
        r.id = NULL;
        catalog_each_node_check(t->catalog, op->node, read_check, &r);
    }
    catalog_each_node_instance(t->catalog, op->node, read_instance, &r);
    if (op->kind == CAT_SERVICE && *op->service.service != '\0') {
        store_read_key(ask, key_of(t, RECORD_INSTANCE, op->node,
                                   op->service.service, op->service_id));
    }
}

void cat_txn_reads(const struct cat_txn *t, struct store_ask *ask)
{
    for (size_t i = 0; i < t->ops_count; i++) {
        read_op(t, &t->ops[i], ask);
    }
}

/* ---- The copy ----------------------------------------------------- */

/* A record that cannot be read counts as none, and may be replaced. */
static bool decode(const struct cat_txn *t, const struct store_kv *kv,
                   struct cat_slot *s)
{
    switch (s->name.kind) {
    case RECORD_NODE:
        return node_record_read(t->arena, &s->name, kv->value, &s->node,
                                NULL) == ST_OK;
    case RECORD_INSTANCE:
        return instance_record_read(t->arena, &s->name, kv->value, &s->instance,
                                    NULL) == ST_OK;
    case RECORD_NODE_CHECK:
        return node_check_record_read(t->arena, &s->name, kv->value, &s->check,
                                      NULL) == ST_OK;
    case RECORD_LIVE:
    case RECORD_QUERY:
    case RECORD_FOREIGN:
        return false;
    }
    UNREACHABLE();
}

static void load(struct cat_txn *t, const struct store_range *r)
{
    struct cat_slot s = {.key = r->key};

    if (record_key_read(t->arena, t->dc, r->key, &s.name) ||
        s.name.kind == RECORD_FOREIGN || r->end.len > 0) {
        return; /* An entry's. */
    }
    if (r->count > 0) {
        s.was = true;
        s.was_revision = r->items[0].mod_revision;
        s.create_revision = r->items[0].create_revision;
        s.mod_revision = r->items[0].mod_revision;
        s.exists = decode(t, &r->items[0], &s);
    }
    t->slots[t->slots_count++] = s;
}

static struct cat_slot *find(const struct cat_txn *t, enum record_kind kind,
                             const char *node, const char *service,
                             const char *id)
{
    for (size_t i = 0; i < t->slots_count; i++) {
        struct cat_slot *s = &t->slots[i];

        if (s->name.kind == kind && strcasecmp(s->name.node, node) == 0 &&
            (service == NULL || strcmp(s->name.service, service) == 0) &&
            (id == NULL || strcmp(s->name.id, id) == 0) &&
            (service != NULL || kind != RECORD_INSTANCE || s->exists)) {
            return s;
        }
    }
    return NULL;
}

static struct cat_slot *find_node(const struct cat_txn *t, const char *node)
{
    struct cat_slot *s = find(t, RECORD_NODE, node, NULL, NULL);

    CHECK(s != NULL); /* Each operation has read it. */
    return s;
}

/* By its id, under whatever name; NULL: there is none. */
static struct cat_slot *find_service(const struct cat_txn *t,
                                     const struct cat_op *op)
{
    return find(t, RECORD_INSTANCE, op->node, NULL, op->service_id);
}

/* ---- Playing ------------------------------------------------------ */

static void fail(struct cat_txn *t, const struct cat_op *op, const char *text)
{
    t->errors[t->errors_count++] =
        (struct cat_error){.op = (size_t)(op - t->ops), .text = text};
}

static void add_result(struct cat_txn *t, const struct cat_op *op,
                       const struct cat_slot *s,
                       const struct check_record *check)
{
    struct cat_result *r = &t->results[t->results_count++];

    *r = (struct cat_result){.op = (size_t)(op - t->ops), .slot = *s};
    if (check != NULL) {
        r->check = *check;
    }
}

static void put(struct cat_txn *t, struct cat_slot *s)
{
    if (!s->exists) {
        s->create_revision = t->revision;
    }
    s->exists = true;
    s->changed = true;
    s->mod_revision = t->revision;
}

static void take_out(struct cat_slot *s)
{
    if (s->exists) {
        s->exists = false;
        s->changed = true;
    }
}

static const char *what_of(const struct cat_txn *t, const struct cat_op *op)
{
    switch (op->kind) {
    case CAT_NODE:
        return arena_printf(t->arena, "node \"%s\"", op->node);
    case CAT_SERVICE:
        return arena_printf(t->arena, "service \"%s\" on node \"%s\"",
                            op->service_id, op->node);
    case CAT_CHECK:
        return arena_printf(t->arena, "check \"%s\" on node \"%s\"",
                            op->check.id, op->node);
    }
    UNREACHABLE();
}

/* Whether the operation goes on with the thing as it is; `revision` 0: it is
 * not there. */
static bool accept_index(struct cat_txn *t, const struct cat_op *op,
                         int64_t revision)
{
    bool sets = op->verb == CAT_CAS;

    if (op->verb == CAT_GET && revision == 0) {
        fail(t, op, arena_printf(t->arena, "%s doesn't exist", what_of(t, op)));
        return false;
    }
    if ((sets || op->verb == CAT_DELETE_CAS) &&
        op->index != (uint64_t)revision) {
        fail(t, op,
             arena_printf(t->arena, "failed to %s %s, index is stale",
                          sets ? "set" : "delete", what_of(t, op)));
        return false;
    }
    return true;
}

static bool writes(const struct cat_op *op)
{
    return op->verb == CAT_SET || op->verb == CAT_CAS;
}

/* As in /v1/catalog/register and deregister: a host with an agent is that
 * agent's business, and what a dead one has left behind is anybody's. */
static bool accept_host(struct cat_txn *t, const struct cat_op *op)
{
    const struct catalog_node *n = catalog_node(t->catalog, op->node);
    const struct cat_slot *s = find_node(t, op->node);
    bool live = n != NULL && n->live;
    bool agents = s->exists && !s->node.external;

    if (op->verb == CAT_GET || t->force || t->revision != 0 ||
        !(live || (agents && writes(op)))) {
        return true;
    }
    fail(t, op,
         arena_printf(t->arena,
                      "Node \"%s\" runs an agent; use /v1/agent/ there, or "
                      "force=1",
                      op->node));
    return false;
}

static void play_node_delete(struct cat_txn *t, const struct cat_op *op)
{
    for (size_t i = 0; i < t->slots_count; i++) {
        if (strcasecmp(t->slots[i].name.node, op->node) == 0) {
            take_out(&t->slots[i]);
        }
    }
}

/* A name belongs to the node id that it was first registered with; one that we
 * have made up stands for any. */
static bool is_reserved(const struct cat_txn *t, const struct cat_op *op,
                        const struct cat_slot *s)
{
    const char *id = op->node_record.id;

    return s->exists && !t->force && *id != '\0' &&
           strcasecmp(id, s->node.id) != 0 &&
           strcmp(s->node.id, plan_made_up_id(t->arena, s->key)) != 0;
}

/* What an agent says of its own host stays. */
static void play_node_set(struct cat_txn *t, const struct cat_op *op,
                          struct cat_slot *s)
{
    struct node_record record = op->node_record;

    if (s->exists && !s->node.external) {
        return;
    }
    if (is_reserved(t, op, s)) {
        fail(t, op,
             arena_printf(t->arena, "Node name %s is reserved by node %s",
                          op->node, s->node.id));
        return;
    }
    if (*record.address == '\0' && s->exists) {
        record.address = s->node.address;
    }
    if (*record.address == '\0') {
        fail(t, op, "Must provide address");
        return;
    }
    if (*record.id == '\0') {
        record.id = s->exists ? s->node.id : plan_made_up_id(t->arena, s->key);
    }
    s->node = record;
    put(t, s);
}

static void play_node(struct cat_txn *t, const struct cat_op *op)
{
    struct cat_slot *s = find_node(t, op->node);
    size_t errors = t->errors_count;

    if (!accept_index(t, op, s->exists ? s->mod_revision : 0)) {
        return;
    }
    if (op->verb == CAT_DELETE || op->verb == CAT_DELETE_CAS) {
        play_node_delete(t, op);
        return;
    }
    if (writes(op)) {
        play_node_set(t, op, s);
    }
    if (t->errors_count == errors) {
        add_result(t, op, s, NULL);
    }
}

/* The name is part of the key: with another one it moves. Its checks stay. */
static void play_service_set(struct cat_txn *t, const struct cat_op *op,
                             struct cat_slot *old)
{
    struct cat_slot *s =
        find(t, RECORD_INSTANCE, op->node, op->service.service, op->service_id);
    struct instance_record record = op->service;

    CHECK(s != NULL); /* It was read. */
    if (!find_node(t, op->node)->exists) {
        fail(t, op, "Missing node registration");
        return;
    }
    if (old != NULL) {
        record.checks = old->instance.checks;
        record.checks_count = old->instance.checks_count;
    }
    if (old != NULL && old != s) {
        take_out(old);
    }
    s->instance = record;
    put(t, s);
    add_result(t, op, s, NULL);
}

static void play_service(struct cat_txn *t, const struct cat_op *op)
{
    struct cat_slot *s = find_service(t, op);

    if (!accept_index(t, op, s ? s->mod_revision : 0)) {
        return;
    }
    if (writes(op)) {
        play_service_set(t, op, s);
    } else if (op->verb == CAT_GET) {
        add_result(t, op, s, NULL);
    } else if (s != NULL) {
        take_out(s);
    }
}

/* ---- Checks ------------------------------------------------------- */

static void play_node_check(struct cat_txn *t, const struct cat_op *op)
{
    struct cat_slot *s =
        find(t, RECORD_NODE_CHECK, op->node, NULL, op->check.id);

    CHECK(s != NULL); /* It was read. */
    if (!accept_index(t, op, s->exists ? s->mod_revision : 0)) {
        return;
    }
    if (op->verb == CAT_DELETE || op->verb == CAT_DELETE_CAS) {
        take_out(s);
        return;
    }
    if (writes(op)) {
        if (!find_node(t, op->node)->exists) {
            fail(t, op, "Missing node registration");
            return;
        }
        s->check = (struct node_check_record){
            .node = op->node,
            .check = op->check,
            .owner = {.node = OWNER_CATALOG, .incarnation = ""}};
        put(t, s);
    }
    add_result(t, op, s, &s->check.check);
}

static size_t place_of(const struct instance_record *r, const char *check_id)
{
    size_t at = 0;

    while (at < r->checks_count && strcmp(r->checks[at].id, check_id) != 0) {
        at++;
    }
    return at;
}

/* The instance's record with the check set, or without it (NULL). */
static void replace_check(const struct cat_txn *t, struct instance_record *r,
                          size_t at, const struct check_record *check)
{
    struct check_record *all =
        arena_zalloc(t->arena, r->checks_count + 1, sizeof(*all));
    size_t count = 0;

    for (size_t i = 0; i < r->checks_count; i++) {
        if (i != at) {
            all[count++] = r->checks[i];
        } else if (check != NULL) {
            all[count++] = *check;
        }
    }
    if (at == r->checks_count && check != NULL) {
        all[count++] = *check;
    }
    r->checks = all;
    r->checks_count = count;
}

static void play_service_check(struct cat_txn *t, const struct cat_op *op)
{
    struct cat_slot *s = find_service(t, op);
    size_t at = s ? place_of(&s->instance, op->check.id) : 0;
    bool there = s != NULL && at < s->instance.checks_count;

    if (!accept_index(t, op, there ? s->mod_revision : 0)) {
        return;
    }
    if (op->verb == CAT_DELETE || op->verb == CAT_DELETE_CAS) {
        if (there) {
            replace_check(t, &s->instance, at, NULL);
            put(t, s);
        }
        return;
    }
    if (writes(op)) {
        if (s == NULL) {
            fail(t, op, "Missing service registration");
            return;
        }
        if (!there && s->instance.checks_count == LIMIT_CHECKS_OF_ONE) {
            fail(t, op, "Too many checks of one service");
            return;
        }
        replace_check(t, &s->instance, at, &op->check);
        put(t, s);
    }
    add_result(t, op, s, &s->instance.checks[at]);
}

static void play_op(struct cat_txn *t, const struct cat_op *op)
{
    if (!accept_host(t, op)) {
        return;
    }
    switch (op->kind) {
    case CAT_NODE:
        play_node(t, op);
        return;
    case CAT_SERVICE:
        play_service(t, op);
        return;
    case CAT_CHECK:
        if (*op->service_id == '\0') {
            play_node_check(t, op);
        } else {
            play_service_check(t, op);
        }
        return;
    }
    UNREACHABLE();
}

void cat_txn_play(struct cat_txn *t, const struct store_answer *seen,
                  int64_t revision)
{
    t->revision = revision;
    t->errors = arena_zalloc(t->arena, t->ops_count + 1, sizeof(*t->errors));
    t->results = arena_zalloc(t->arena, t->ops_count + 1, sizeof(*t->results));
    t->errors_count = 0;
    t->results_count = 0;
    t->slots_count = 0;
    if (t->ops_count == 0) {
        return;
    }
    t->slots =
        arena_zalloc(t->arena, seen->ranges_count + 1, sizeof(*t->slots));
    for (size_t i = 0; i < seen->ranges_count; i++) {
        load(t, &seen->ranges[i]);
    }
    for (size_t i = 0; i < t->ops_count; i++) {
        play_op(t, &t->ops[i]);
    }
}

/* ---- Writing ------------------------------------------------------ */

static enum status encode(const struct cat_slot *s, struct buf *out)
{
    switch (s->name.kind) {
    case RECORD_NODE:
        return node_record_write(&s->node, out);
    case RECORD_INSTANCE:
        return instance_record_write(&s->instance, out);
    case RECORD_NODE_CHECK:
        return node_check_record_write(&s->check, out);
    case RECORD_LIVE:
    case RECORD_QUERY:
    case RECORD_FOREIGN:
        break;
    }
    UNREACHABLE();
}

enum status cat_txn_changes(const struct cat_txn *t, struct store_ask *ask)
{
    enum status st = ST_OK;

    cat_txn_reads(t, ask);
    for (size_t i = 0; i < t->slots_count && !st; i++) {
        const struct cat_slot *s = &t->slots[i];
        struct buf value;

        if (!s->changed) {
            continue;
        }
        if (!s->exists) {
            if (s->was) {
                store_delete(ask, s->key, none);
            }
            continue;
        }
        buf_init(&value, LIMIT_RECORD_BYTES);
        st = encode(s, &value);
        store_put(ask, s->key, arena_copy(t->arena, buf_slice(&value)), 0);
        buf_release(&value);
    }
    return st;
}

void cat_txn_guards(const struct cat_txn *t, struct store_ask *ask)
{
    for (size_t i = 0; i < t->slots_count; i++) {
        const struct cat_slot *s = &t->slots[i];

        store_guard(ask, STORE_MOD_IS, s->key, none,
                    s->was ? s->was_revision : 0);
    }
}
