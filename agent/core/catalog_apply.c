/*
 * From one snapshot to the next.
 *
 * A struct change is a new catalogue under construction. Its maps share their
 * nodes with the old one; own_node() and own_service() are the only ways to get
 * at a box that may be changed.
 */
#include <stdio.h>
#include <stdlib.h>

#include "agent/core/catalog.h"
#include "agent/core/catalog_model.h"
#include "base/core/check.h"

/* Growing list of names, made unique at the end. */
struct names {
    const char **items;
    size_t count;
    size_t cap;
};

struct change {
    struct catalog *c;
    struct arena *arena;
    struct arena scratch;
    uint64_t index; /* What touched scopes get. */
    struct names services;
    struct names nodes;      /* For readers: record changed, new or gone. */
    struct names node_marks; /* Their index changed. */
    struct names forgotten;  /* Tombstones that are no more. */
    struct catalog_problem *problems;
    size_t problems_count;
    size_t problems_cap;
};

static void names_add(struct change *x, struct names *n, const char *name)
{
    if (n->count > 0 && strcmp(n->items[n->count - 1], name) == 0) {
        return; /* Events of one name often follow each other. */
    }
    if (n->count == n->cap) {
        n->cap = n->cap == 0 ? 16 : 2 * n->cap;
        n->items = realloc(n->items, n->cap * sizeof(*n->items));
        CHECK(n->items != NULL);
    }
    n->items[n->count++] = arena_strdup(x->arena, slice_str(name));
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Sorted, each once, in the arena; the list is left empty. */
static struct texts names_take(struct change *x, struct names *n)
{
    const char **items = arena_alloc(x->arena, n->count * sizeof(*items));
    size_t kept = 0;

    if (n->count > 0) {
        qsort(n->items, n->count, sizeof(*n->items), compare_names);
    }
    for (size_t i = 0; i < n->count; i++) {
        if (kept == 0 || strcmp(items[kept - 1], n->items[i]) != 0) {
            items[kept++] = n->items[i];
        }
    }
    free(n->items);
    *n = (struct names){0};
    return (struct texts){.items = items, .count = kept};
}

static void add_problem(struct change *x, struct slice key, const char *text)
{
    if (x->problems_count == x->problems_cap) {
        x->problems_cap = x->problems_cap == 0 ? 8 : 2 * x->problems_cap;
        x->problems =
            realloc(x->problems, x->problems_cap * sizeof(*x->problems));
        CHECK(x->problems != NULL);
    }
    x->problems[x->problems_count++] = (struct catalog_problem){
        .key = arena_strdup(x->arena, key),
        .text = arena_strdup(x->arena, slice_str(text)),
    };
}

/* ---- Boxes ----------------------------------------------------------------
 */

static void held_free(struct shared *s)
{
    struct held *h = (struct held *)s;

    arena_release(&h->arena);
    free(h);
}

static struct held *held_new(size_t expected)
{
    struct held *h = calloc(1, sizeof(*h));

    CHECK(h != NULL);
    shared_init(&h->shared, held_free);
    arena_reserve(&h->arena, expected);
    return h;
}

static void held_drop(struct held *h)
{
    shared_unref(h == NULL ? NULL : &h->shared);
}

static void instance_free(struct shared *s)
{
    struct instance_box *i = (struct instance_box *)s;

    arena_release(&i->arena);
    free(i);
}

static void node_check_free(struct shared *s)
{
    struct node_check_box *k = (struct node_check_box *)s;

    arena_release(&k->arena);
    free(k);
}

static void node_free(struct shared *s)
{
    struct node_box *n = (struct node_box *)s;

    pmap_release(&n->instances);
    pmap_release(&n->checks);
    held_drop(n->record_text);
    held_drop(n->live_text);
    free(n);
}

static void service_free(struct shared *s)
{
    struct catalog_service *v = (struct catalog_service *)s;

    pmap_release(&v->instances);
    pmap_release(&v->tags);
    free(v);
}

static void plain_free(struct shared *s)
{
    free(s);
}

/* About what a record's strings and lists take in memory. */
static size_t expected_bytes(const struct catalog_event *e)
{
    return 2 * (e->value.len + e->key.len) + 128;
}

/* ---- Own copies ------------------------------------------------------------
 */

static struct node_box *node_copy(const struct node_box *old)
{
    struct node_box *n = malloc(sizeof(*n));

    CHECK(n != NULL);
    n->pub = old->pub;
    n->index = old->index;
    shared_init(&n->shared, node_free);
    (void)shared_ref(&old->record_text->shared);
    n->record_text = old->record_text;
    n->live_text = old->live_text;
    if (n->live_text != NULL) {
        (void)shared_ref(&n->live_text->shared);
    }
    n->instances = pmap_share(&old->instances);
    n->checks = pmap_share(&old->checks);
    return n;
}

static struct node_box *node_new(const char *name)
{
    struct node_box *n = calloc(1, sizeof(*n));

    CHECK(n != NULL);
    shared_init(&n->shared, node_free);
    n->record_text = held_new(strlen(name) + 1);
    n->pub.record.name = arena_strdup(&n->record_text->arena, slice_str(name));
    n->pub.record.id = "";
    n->pub.record.address = "";
    return n;
}

/* The node of this lower-case name, made if absent, free to be changed. */
static struct node_box *own_node(struct change *x, const char *name)
{
    struct shared **slot = pmap_slot(&x->c->nodes, slice_str(name));
    struct node_box *n;

    if (slot == NULL) {
        n = node_new(name);
        pmap_put(&x->c->nodes, slice_str(name), &n->shared);
        return n;
    }
    n = (struct node_box *)*slot;
    if (!shared_is_sole(&n->shared)) {
        n = node_copy(n);
        shared_unref(*slot);
        *slot = &n->shared;
    }
    return n;
}

static struct catalog_service *service_new(const char *name)
{
    size_t len = strlen(name);
    struct catalog_service *s = calloc(1, sizeof(*s) + len + 1);

    CHECK(s != NULL);
    shared_init(&s->shared, service_free);
    memcpy(s->name, name, len + 1);
    return s;
}

static struct catalog_service *own_service(struct change *x, const char *name)
{
    struct shared **slot = pmap_slot(&x->c->services, slice_str(name));
    struct catalog_service *s;
    struct catalog_service *old;

    if (slot == NULL) {
        s = service_new(name);
        pmap_put(&x->c->services, slice_str(name), &s->shared);
        x->c->services_index = x->index;
        return s;
    }
    old = (struct catalog_service *)*slot;
    if (shared_is_sole(&old->shared)) {
        return old;
    }
    s = service_new(name);
    s->instances = pmap_share(&old->instances);
    s->tags = pmap_share(&old->tags);
    s->index = old->index;
    s->checks_index = old->checks_index;
    shared_unref(*slot);
    *slot = &s->shared;
    return s;
}

/* ---- Tombstones -------------------------------------------------------------
 */

static bool forget_tombstone(void *ctx, struct slice key, struct shared *value)
{
    struct change *x = ctx;

    (void)value;
    names_add(x, &x->forgotten, arena_strdup(&x->scratch, key));
    return true;
}

static void bury(struct change *x, char kind, const char *name)
{
    struct tombstone *t;

    if (x->c->tombstones.count >= LIMIT_TOMBSTONES) {
        pmap_each(&x->c->tombstones, (struct slice){0}, forget_tombstone, x);
        pmap_release(&x->c->tombstones);
        x->c->floor_index = x->index;
    }
    t = malloc(sizeof(*t));
    CHECK(t != NULL);
    shared_init(&t->shared, plain_free);
    t->index = x->index;
    pmap_put(&x->c->tombstones,
             slice_str(arena_printf(&x->scratch, "%c:%s", kind, name)),
             &t->shared);
}

static void unbury(struct change *x, char kind, const char *name)
{
    (void)pmap_remove(
        &x->c->tombstones,
        slice_str(arena_printf(&x->scratch, "%c:%s", kind, name)));
}

/* ---- Touching ---------------------------------------------------------------
 */

static void touch_service(struct change *x, const char *name)
{
    own_service(x, name)->index = x->index;
    names_add(x, &x->services, name);
}

static bool touch_its_service(void *ctx, struct slice key, struct shared *value)
{
    (void)key;
    touch_service(ctx, ((struct instance_box *)value)->pub.record.service);
    return true;
}

static void touch_node(struct change *x, const char *name, struct node_box *n)
{
    n->index = x->index;
    names_add(x, &x->node_marks, name);
}

/* Something that every instance on the node depends on has changed. */
static void touch_node_wholly(struct change *x, const char *name,
                              struct node_box *n)
{
    touch_node(x, name, n);
    x->c->state_index = x->index;
    pmap_each(&n->instances, (struct slice){0}, touch_its_service, x);
}

/* A node of which nothing is left goes away. */
static void settle_node(struct change *x, const char *name, struct node_box *n)
{
    if (n->pub.known || n->pub.live || n->instances.count > 0 ||
        n->checks.count > 0) {
        return;
    }
    (void)pmap_remove(&x->c->nodes, slice_str(name));
    bury(x, 'n', name);
}

/* ---- Instances
 * --------------------------------------------------------------- */

static void count_tags(struct change *x, struct catalog_service *s,
                       struct texts tags, int by)
{
    for (size_t i = 0; i < tags.count; i++) {
        struct slice tag = slice_str(tags.items[i]);
        const struct tag_box *old = (struct tag_box *)pmap_get(&s->tags, tag);
        size_t uses = old == NULL ? 0 : old->uses;
        struct tag_box *fresh;

        CHECK_IF(by<0, uses> 0);
        uses = by < 0 ? uses - 1 : uses + 1;
        if (uses == 0 || old == NULL) {
            x->c->services_index = x->index;
        }
        if (uses == 0) {
            (void)pmap_remove(&s->tags, tag);
            continue;
        }
        fresh = malloc(sizeof(*fresh));
        CHECK(fresh != NULL);
        shared_init(&fresh->shared, plain_free);
        fresh->uses = uses;
        pmap_put(&s->tags, tag, &fresh->shared);
    }
}

static bool same_texts(struct texts a, struct texts b)
{
    if (a.count != b.count) {
        return false;
    }
    for (size_t i = 0; i < a.count; i++) {
        if (strcmp(a.items[i], b.items[i]) != 0) {
            return false;
        }
    }
    return true;
}

static bool same_check(const struct check_record *a,
                       const struct check_record *b)
{
    return strcmp(a->id, b->id) == 0 && strcmp(a->name, b->name) == 0 &&
           strcmp(a->notes, b->notes) == 0 &&
           strcmp(a->output, b->output) == 0 && a->type == b->type &&
           a->status == b->status && a->interval_ms == b->interval_ms &&
           a->timeout_ms == b->timeout_ms;
}

/* Whether the checks look the same from outside; they show the tags too. */
static bool same_checks(const struct instance_record *a,
                        const struct instance_record *b)
{
    if (a->checks_count != b->checks_count ||
        (a->checks_count > 0 && !same_texts(a->tags, b->tags))) {
        return false;
    }
    for (size_t i = 0; i < a->checks_count; i++) {
        if (!same_check(&a->checks[i], &b->checks[i])) {
            return false;
        }
    }
    return true;
}

static struct slice join_key(struct change *x, const char *first,
                             const char *second)
{
    size_t a = strlen(first) + 1;
    size_t b = strlen(second);
    char *key = arena_alloc(&x->scratch, a + b);

    memcpy(key, first, a);
    memcpy(key + a, second, b);
    return slice_of(key, a + b);
}

static void touch_checks(struct change *x, struct catalog_service *s)
{
    s->checks_index = x->index;
    x->c->state_index = x->index;
}

static void remove_instance(struct change *x, const struct record_key *key)
{
    struct slice in_service = join_key(x, key->node, key->id);
    struct slice in_node = join_key(x, key->service, key->id);
    struct catalog_service *s;
    struct instance_box *old;
    struct node_box *n;

    if (catalog_service(x->c, key->service) == NULL) {
        return;
    }
    s = own_service(x, key->service);
    old = (struct instance_box *)pmap_get(&s->instances, in_service);
    if (old == NULL) {
        return;
    }
    count_tags(x, s, old->pub.record.tags, -1);
    if (old->pub.record.checks_count > 0) {
        touch_checks(x, s);
    }
    (void)pmap_remove(&s->instances, in_service);
    x->c->instances_count--;
    touch_service(x, key->service);
    n = own_node(x, key->node);
    (void)pmap_remove(&n->instances, in_node);
    touch_node(x, key->node, n);
    settle_node(x, key->node, n);
    if (s->instances.count == 0) {
        (void)pmap_remove(&x->c->services, slice_str(key->service));
        x->c->services_index = x->index;
        bury(x, 's', key->service);
    }
}

static struct instance_box *read_instance(struct change *x,
                                          const struct catalog_event *e,
                                          const struct record_key *key)
{
    struct instance_box *i = calloc(1, sizeof(*i));
    struct err err;

    CHECK(i != NULL);
    shared_init(&i->shared, instance_free);
    arena_reserve(&i->arena, expected_bytes(e));
    if (instance_record_read(&i->arena, key, e->value, &i->pub.record, &err)) {
        add_problem(x, e->key, err.text);
        shared_unref(&i->shared);
        return NULL;
    }
    i->pub.key = arena_copy(&i->arena, e->key);
    i->pub.value_hash = catalog_hash(e->value);
    i->pub.create_revision = e->create_revision;
    i->pub.mod_revision = e->mod_revision;
    return i;
}

static void put_instance(struct change *x, const struct catalog_event *e,
                         const struct record_key *key)
{
    struct slice in_service = join_key(x, key->node, key->id);
    struct instance_box *fresh = read_instance(x, e, key);
    const struct instance_box *old;
    struct catalog_service *s;
    struct node_box *n;

    if (fresh == NULL) {
        remove_instance(x, key);
        return;
    }
    unbury(x, 's', key->service);
    s = own_service(x, key->service);
    old = (struct instance_box *)pmap_get(&s->instances, in_service);
    count_tags(x, s, fresh->pub.record.tags, 1);
    if (old == NULL) {
        x->c->instances_count++;
        touch_checks(x, s);
    } else {
        if (!same_checks(&old->pub.record, &fresh->pub.record)) {
            touch_checks(x, s);
        }
        count_tags(x, s, old->pub.record.tags, -1);
    }
    touch_service(x, key->service);
    n = own_node(x, key->node);
    touch_node(x, key->node, n);
    (void)shared_ref(&fresh->shared);
    pmap_put(&s->instances, in_service, &fresh->shared);
    pmap_put(&n->instances, join_key(x, key->service, key->id), &fresh->shared);
}

/* ---- Nodes
 * -------------------------------------------------------------------- */

static void remove_node(struct change *x, const char *name)
{
    const struct node_box *old = catalog_node_box(x->c, name);
    struct node_box *n;

    if (old == NULL || !old->pub.known) {
        return;
    }
    n = own_node(x, name);
    held_drop(n->record_text);
    n->record_text = held_new(strlen(name) + 1);
    n->pub.record = (struct node_record){
        .name = arena_strdup(&n->record_text->arena, slice_str(name)),
        .id = "",
        .address = "",
    };
    n->pub.known = false;
    n->pub.key = (struct slice){0};
    n->pub.value_hash = 0;
    n->pub.mod_revision = 0;
    n->pub.create_revision = 0;
    x->c->nodes_known--;
    x->c->nodes_index = x->index;
    names_add(x, &x->nodes, name);
    touch_node_wholly(x, name, n);
    settle_node(x, name, n);
}

static void put_node(struct change *x, const struct catalog_event *e,
                     const struct record_key *key)
{
    struct held *text = held_new(expected_bytes(e));
    struct node_record record;
    struct node_box *n;
    struct err err;

    if (node_record_read(&text->arena, key, e->value, &record, &err)) {
        add_problem(x, e->key, err.text);
        held_drop(text);
        remove_node(x, key->node);
        return;
    }
    unbury(x, 'n', key->node);
    n = own_node(x, key->node);
    held_drop(n->record_text);
    n->record_text = text;
    n->pub.record = record;
    x->c->nodes_known += !n->pub.known;
    n->pub.known = true;
    n->pub.key = arena_copy(&text->arena, e->key);
    n->pub.value_hash = catalog_hash(e->value);
    n->pub.create_revision = e->create_revision;
    n->pub.mod_revision = e->mod_revision;
    x->c->nodes_index = x->index;
    names_add(x, &x->nodes, key->node);
    touch_node_wholly(x, key->node, n);
}

static void remove_live(struct change *x, const char *name)
{
    const struct node_box *old = catalog_node_box(x->c, name);
    struct node_box *n;

    if (old == NULL || !old->pub.live) {
        return;
    }
    n = own_node(x, name);
    held_drop(n->live_text);
    n->live_text = NULL;
    n->pub.live = false;
    n->pub.live_record = (struct live_record){0};
    n->pub.live_create_revision = 0;
    n->pub.live_mod_revision = (int64_t)x->index;
    touch_node_wholly(x, name, n);
    settle_node(x, name, n);
}

static void put_live(struct change *x, const struct catalog_event *e,
                     const struct record_key *key)
{
    struct held *text = held_new(expected_bytes(e));
    struct live_record record;
    struct node_box *n;
    struct err err;

    if (live_record_read(&text->arena, e->value, &record, &err)) {
        add_problem(x, e->key, err.text);
        held_drop(text);
        remove_live(x, key->node);
        return;
    }
    unbury(x, 'n', key->node);
    n = own_node(x, key->node);
    held_drop(n->live_text);
    n->live_text = text;
    n->pub.live_record = record;
    n->pub.live_create_revision = e->create_revision;
    if (!n->pub.live) {
        n->pub.live = true;
        n->pub.live_mod_revision = (int64_t)x->index;
        touch_node_wholly(x, key->node, n);
    }
}

/* ---- Checks of nodes
 * ---------------------------------------------------------- */

static void remove_node_check(struct change *x, const struct record_key *key)
{
    struct node_box *n = catalog_node_box(x->c, key->node);

    if (n == NULL || pmap_get(&n->checks, slice_str(key->id)) == NULL) {
        return;
    }
    n = own_node(x, key->node);
    (void)pmap_remove(&n->checks, slice_str(key->id));
    touch_node_wholly(x, key->node, n);
    settle_node(x, key->node, n);
}

static void put_node_check(struct change *x, const struct catalog_event *e,
                           const struct record_key *key)
{
    struct node_check_box *k = calloc(1, sizeof(*k));
    struct node_box *n;
    struct err err;

    CHECK(k != NULL);
    shared_init(&k->shared, node_check_free);
    arena_reserve(&k->arena, expected_bytes(e));
    if (node_check_record_read(&k->arena, key, e->value, &k->pub.record,
                               &err)) {
        add_problem(x, e->key, err.text);
        shared_unref(&k->shared);
        remove_node_check(x, key);
        return;
    }
    k->pub.key = arena_copy(&k->arena, e->key);
    k->pub.value_hash = catalog_hash(e->value);
    k->pub.create_revision = e->create_revision;
    k->pub.mod_revision = e->mod_revision;
    unbury(x, 'n', key->node);
    n = own_node(x, key->node);
    pmap_put(&n->checks, slice_str(key->id), &k->shared);
    touch_node_wholly(x, key->node, n);
}

/* ---- One event
 * ------------------------------------------------------------------ */

static void apply_put(struct change *x, const struct catalog_event *e,
                      const struct record_key *key)
{
    switch (key->kind) {
    case RECORD_NODE:
        put_node(x, e, key);
        return;
    case RECORD_LIVE:
        put_live(x, e, key);
        return;
    case RECORD_INSTANCE:
        put_instance(x, e, key);
        return;
    case RECORD_NODE_CHECK:
        put_node_check(x, e, key);
        return;
    case RECORD_FOREIGN:
        return;
    }
    UNREACHABLE();
}

static void apply_delete(struct change *x, const struct record_key *key)
{
    switch (key->kind) {
    case RECORD_NODE:
        remove_node(x, key->node);
        return;
    case RECORD_LIVE:
        remove_live(x, key->node);
        return;
    case RECORD_INSTANCE:
        remove_instance(x, key);
        return;
    case RECORD_NODE_CHECK:
        remove_node_check(x, key);
        return;
    case RECORD_FOREIGN:
        return;
    }
    UNREACHABLE();
}

static void apply_event(struct change *x, const struct catalog_event *e)
{
    struct record_key key;

    arena_reset(&x->scratch);
    if (record_key_read(&x->scratch, x->c->datacenter, e->key, &key)) {
        if (!e->deleted) {
            add_problem(x, e->key, "the key is not well formed");
        }
        return;
    }
    if (e->deleted) {
        apply_delete(x, &key);
    } else {
        apply_put(x, e, &key);
    }
}

/* ---- Marks
 * ------------------------------------------------------------------------ */

static void add_mark(struct change *x, struct catalog_mark *marks,
                     size_t *count, const char *scope, uint64_t index)
{
    marks[(*count)++] = (struct catalog_mark){
        .scope = arena_strdup(x->arena, slice_str(scope)),
        .index = index,
    };
}

static uint64_t tombstone_index(const struct catalog *c, const char *key)
{
    const struct tombstone *t =
        (struct tombstone *)pmap_get(&c->tombstones, slice_str(key));

    return t == NULL ? 0 : t->index;
}

static void mark_service(struct change *x, struct catalog_mark *marks,
                         size_t *count, const char *name)
{
    const struct catalog_service *s = catalog_service(x->c, name);
    const char *scope = arena_printf(x->arena, "s:%s", name);
    const char *checks = arena_printf(x->arena, "c:%s", name);

    add_mark(x, marks, count, scope,
             s == NULL ? tombstone_index(x->c, scope) : s->index);
    add_mark(x, marks, count, checks, s == NULL ? 0 : s->checks_index);
}

static void mark_node(struct change *x, struct catalog_mark *marks,
                      size_t *count, const char *name)
{
    const struct node_box *n =
        (struct node_box *)pmap_get(&x->c->nodes, slice_str(name));
    const char *scope = arena_printf(x->arena, "n:%s", name);

    add_mark(x, marks, count, scope,
             n == NULL ? tombstone_index(x->c, scope) : n->index);
}

static void change_finish(struct change *x, struct catalog_changes *out)
{
    struct texts node_marks = names_take(x, &x->node_marks);
    struct texts forgotten = names_take(x, &x->forgotten);
    struct catalog_mark *marks;
    size_t count = 0;

    out->services = names_take(x, &x->services);
    out->nodes = names_take(x, &x->nodes);
    marks = arena_zalloc(x->arena,
                         2 * out->services.count + node_marks.count +
                             forgotten.count + 4,
                         sizeof(*marks));
    for (size_t i = 0; i < forgotten.count; i++) {
        add_mark(x, marks, &count, forgotten.items[i], 0);
    }
    for (size_t i = 0; i < out->services.count; i++) {
        mark_service(x, marks, &count, out->services.items[i]);
    }
    for (size_t i = 0; i < node_marks.count; i++) {
        mark_node(x, marks, &count, node_marks.items[i]);
    }
    add_mark(x, marks, &count, "S", x->c->services_index);
    add_mark(x, marks, &count, "N", x->c->nodes_index);
    add_mark(x, marks, &count, "T", x->c->state_index);
    add_mark(x, marks, &count, "F", x->c->floor_index);
    out->marks = marks;
    out->marks_count = count;
    out->problems =
        arena_alloc(x->arena, x->problems_count * sizeof(*out->problems));
    if (x->problems_count > 0) {
        memcpy((void *)out->problems, x->problems,
               x->problems_count * sizeof(*out->problems));
    }
    out->problems_count = x->problems_count;
    free(x->problems);
    arena_release(&x->scratch);
}

struct catalog *catalog_apply(const struct catalog *old,
                              const struct catalog_event *events,
                              size_t events_count, int64_t revision,
                              struct arena *arena,
                              struct catalog_changes *out_changes)
{
    struct change x = {.c = catalog_copy(old), .arena = arena};

    /* A store that counts backwards is not believed: clients rely on indexes
     * that only grow. */
    revision = revision < old->revision ? old->revision : revision;
    for (size_t i = 0; i < events_count; i++) {
        int64_t index = events[i].mod_revision;

        index = index > revision || index < 1 ? revision : index;
        x.index = (uint64_t)index;
        apply_event(&x, &events[i]);
    }
    x.c->revision = revision;
    change_finish(&x, out_changes);
    return x.c;
}

/* ---- Full reads
 * ------------------------------------------------------------------- */

static int compare_keys(const void *a, const void *b)
{
    const struct catalog_event *x = *(const struct catalog_event *const *)a;
    const struct catalog_event *y = *(const struct catalog_event *const *)b;

    return slice_cmp(x->key, y->key);
}

struct sweep {
    struct change *x;
    const struct catalog_event **sorted;
    size_t count;
    int64_t revision;
};

/* Delete `key` in the new snapshot unless the full read has it. */
static void sweep_key(const struct sweep *w, struct slice key)
{
    struct catalog_event gone = {
        .key = key, .deleted = true, .mod_revision = w->revision};
    const struct catalog_event *probe = &gone;

    if (w->count == 0 || bsearch(&probe, w->sorted, w->count,
                                 sizeof(*w->sorted), compare_keys) == NULL) {
        apply_event(w->x, &gone);
    }
}

static bool sweep_instance(void *ctx, struct slice key, struct shared *value)
{
    (void)key;
    sweep_key(ctx, ((struct instance_box *)value)->pub.key);
    return true;
}

static bool sweep_node_check(void *ctx, struct slice key, struct shared *value)
{
    (void)key;
    sweep_key(ctx, ((struct node_check_box *)value)->pub.key);
    return true;
}

static bool sweep_node(void *ctx, struct slice key, struct shared *value)
{
    const struct sweep *w = ctx;
    const struct node_box *n = (struct node_box *)value;

    pmap_each(&n->instances, (struct slice){0}, sweep_instance, ctx);
    pmap_each(&n->checks, (struct slice){0}, sweep_node_check, ctx);
    if (n->pub.known) {
        sweep_key(w, n->pub.key);
    }
    if (n->pub.live) {
        struct arena scratch = {0};
        const char *name = arena_strdup(&scratch, key);
        struct record_key live = {.kind = RECORD_LIVE, .node = name};

        sweep_key(w, record_key_write(&scratch, w->x->c->datacenter, &live));
        arena_release(&scratch);
    }
    return true;
}

/* Whether `old` holds exactly this already. */
static bool is_unchanged(struct change *x, const struct catalog *old,
                         const struct catalog_event *e)
{
    struct record_key key;
    const struct node_box *n;
    const struct instance_box *i;
    const struct node_check_box *k;

    arena_reset(&x->scratch);
    if (record_key_read(&x->scratch, old->datacenter, e->key, &key)) {
        return false;
    }
    n = key.kind == RECORD_FOREIGN ? NULL : catalog_node_box(old, key.node);
    if (n == NULL) {
        return false;
    }
    switch (key.kind) {
    case RECORD_NODE:
        return n->pub.known && n->pub.mod_revision == e->mod_revision &&
               n->pub.value_hash == catalog_hash(e->value);
    case RECORD_INSTANCE:
        i = (struct instance_box *)pmap_get(&n->instances,
                                            join_key(x, key.service, key.id));
        return i != NULL && i->pub.mod_revision == e->mod_revision &&
               i->pub.value_hash == catalog_hash(e->value);
    case RECORD_NODE_CHECK:
        k = (struct node_check_box *)pmap_get(&n->checks, slice_str(key.id));
        return k != NULL && k->pub.mod_revision == e->mod_revision &&
               k->pub.value_hash == catalog_hash(e->value);
    case RECORD_LIVE: /* put_live() tells a change from none itself. */
    case RECORD_FOREIGN:
        return false;
    }
    UNREACHABLE();
}

static bool touch_gone_service(void *ctx, struct slice key,
                               struct shared *value)
{
    struct change *x = ctx;

    (void)value;
    names_add(x, &x->services, arena_strdup(x->arena, key));
    return true;
}

static bool touch_gone_node(void *ctx, struct slice key, struct shared *value)
{
    struct change *x = ctx;
    const char *name = arena_strdup(x->arena, key);

    (void)value;
    names_add(x, &x->nodes, name);
    names_add(x, &x->node_marks, name);
    return true;
}

/* Everything in `old` is of another store: start from nothing, but tell
 * readers about each name that was there. */
static struct change change_from_nothing(const struct catalog *old,
                                         struct arena *arena)
{
    struct change x = {.c = catalog_new(old->datacenter), .arena = arena};

    pmap_each(&old->services, (struct slice){0}, touch_gone_service, &x);
    pmap_each(&old->nodes, (struct slice){0}, touch_gone_node, &x);
    pmap_each(&old->tombstones, (struct slice){0}, forget_tombstone, &x);
    return x;
}

struct catalog *catalog_replace(const struct catalog *old,
                                const struct catalog_event *events,
                                size_t events_count, int64_t revision,
                                struct arena *arena,
                                struct catalog_changes *out_changes)
{
    bool anew = revision < old->revision || old->revision == 0;
    struct change x = {.arena = arena};
    struct sweep w = {.x = &x, .count = events_count, .revision = revision};

    if (anew) {
        x = change_from_nothing(old, arena);
        x.c->floor_index = (uint64_t)revision;
        x.c->services_index = (uint64_t)revision;
        x.c->nodes_index = (uint64_t)revision;
        x.c->state_index = (uint64_t)revision;
    } else {
        x.c = catalog_copy(old);
    }
    x.index = (uint64_t)revision;
    for (size_t i = 0; i < events_count; i++) {
        if (anew || !is_unchanged(&x, old, &events[i])) {
            apply_event(&x, &events[i]);
        }
    }
    if (!anew) {
        w.sorted = calloc(events_count + 1, sizeof(*w.sorted));
        CHECK(w.sorted != NULL);
        for (size_t i = 0; i < events_count; i++) {
            w.sorted[i] = &events[i];
        }
        qsort(w.sorted, events_count, sizeof(*w.sorted), compare_keys);
        pmap_each(&old->nodes, (struct slice){0}, sweep_node, &w);
        free(w.sorted);
    }
    x.c->revision = revision;
    change_finish(&x, out_changes);
    return x.c;
}

/* ---- Indexes kept with a replica
 * --------------------------------------------------- */

static void restore_tombstone(struct change *x, const struct catalog_mark *m)
{
    if (x->c->tombstones.count < LIMIT_TOMBSTONES) {
        bury(x, m->scope[0], m->scope + 2);
    } else if (x->c->floor_index < m->index) {
        x->c->floor_index = m->index;
    }
}

static void restore_mark(struct change *x, const struct catalog_mark *m)
{
    const char *name = m->scope + 2;
    struct shared *exists;

    x->index = m->index;
    if (m->scope[0] == '\0' || m->scope[1] != ':') {
        x->c->services_index =
            m->scope[0] == 'S' ? m->index : x->c->services_index;
        x->c->nodes_index = m->scope[0] == 'N' ? m->index : x->c->nodes_index;
        x->c->state_index = m->scope[0] == 'T' ? m->index : x->c->state_index;
        x->c->floor_index = m->scope[0] == 'F' ? m->index : x->c->floor_index;
        return;
    }
    exists = pmap_get(m->scope[0] == 'n' ? &x->c->nodes : &x->c->services,
                      slice_str(name));
    if (m->scope[0] == 's' && exists != NULL) {
        own_service(x, name)->index = m->index;
    } else if (m->scope[0] == 'c' && exists != NULL) {
        own_service(x, name)->checks_index = m->index;
    } else if (m->scope[0] == 'n' && exists != NULL) {
        own_node(x, name)->index = m->index;
    } else if (exists == NULL && m->scope[0] != 'c') {
        restore_tombstone(x, m);
    }
}

void catalog_restore_marks(struct catalog *c, const struct catalog_mark *marks,
                           size_t marks_count)
{
    struct change x = {.c = c};

    CHECK(shared_is_sole(&c->shared));
    for (size_t i = 0; i < marks_count; i++) {
        if (marks[i].index > 0 && marks[i].index <= (uint64_t)c->revision) {
            restore_mark(&x, &marks[i]);
        }
        arena_reset(&x.scratch);
    }
    arena_release(&x.scratch);
}
