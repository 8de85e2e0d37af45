#include "agent/core/catalog_change.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/core/check.h"

void change_name(struct change *x, struct names *n, const char *name)
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
static struct texts change_take(struct change *x, struct names *n)
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

void change_problem(struct change *x, struct slice key, const char *text)
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

void change_at(struct change *x, int64_t revision)
{
    x->revision = revision;
    x->index = (uint64_t)revision + x->c->skew;
}

/* ---- Boxes -------------------------------------------------------- */

static void held_free(struct shared *s)
{
    struct held *h = (struct held *)s;

    arena_release(&h->arena);
    free(h);
}

struct held *change_held(size_t expected)
{
    struct held *h = calloc(1, sizeof(*h));

    CHECK(h != NULL);
    shared_init(&h->shared, held_free);
    arena_reserve(&h->arena, expected);
    return h;
}

void change_drop(struct held *h)
{
    shared_unref(h == NULL ? NULL : &h->shared);
}

static void node_free(struct shared *s)
{
    struct node_box *n = (struct node_box *)s;

    pmap_release(&n->instances);
    pmap_release(&n->checks);
    change_drop(n->record_text);
    change_drop(n->live_text);
    free(n);
}

static void service_free(struct shared *s)
{
    struct catalog_service *v = (struct catalog_service *)s;

    pmap_release(&v->instances);
    pmap_release(&v->tags);
    free(v);
}

void change_plain_free(struct shared *s)
{
    free(s);
}

/* About what a record's strings and lists take in memory: JSON's own signs and
 * keys make up for the pointers. */
size_t change_expected(const struct catalog_event *e)
{
    return e->value.len + e->key.len + 64;
}

/* ---- Own copies --------------------------------------------------- */

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
    n->record_text = change_held(strlen(name) + 1);
    n->pub.record.name = arena_strdup(&n->record_text->arena, slice_str(name));
    n->pub.record.id = "";
    n->pub.record.address = "";
    return n;
}

/* The node of this lower-case name, made if absent, free to be changed. */
struct node_box *change_node(struct change *x, const char *name)
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

struct catalog_service *change_service(struct change *x, const char *name)
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

/* ---- Tombstones --------------------------------------------------- */

bool change_forget(void *ctx, struct slice key, struct shared *value)
{
    struct change *x = ctx;

    (void)value;
    change_name(x, &x->forgotten, arena_strdup(&x->scratch, key));
    return true;
}

void change_bury(struct change *x, char kind, const char *name)
{
    struct tombstone *t;

    if (x->c->tombstones.count >= LIMIT_TOMBSTONES) {
        pmap_each(&x->c->tombstones, (struct slice){0}, change_forget, x);
        pmap_release(&x->c->tombstones);
        x->c->floor_index = x->index;
    }
    t = malloc(sizeof(*t));
    CHECK(t != NULL);
    shared_init(&t->shared, change_plain_free);
    t->index = x->index;
    pmap_put(&x->c->tombstones,
             slice_str(arena_printf(&x->scratch, "%c:%s", kind, name)),
             &t->shared);
}

void change_unbury(struct change *x, char kind, const char *name)
{
    (void)pmap_remove(
        &x->c->tombstones,
        slice_str(arena_printf(&x->scratch, "%c:%s", kind, name)));
}

/* ---- Touching ----------------------------------------------------- */

void change_touch_service(struct change *x, const char *name)
{
    change_service(x, name)->index = x->index;
    x->c->all_index = x->index;
    change_name(x, &x->services, name);
}

static bool touch_its_service(void *ctx, struct slice key, struct shared *value)
{
    (void)key;
    change_touch_service(ctx,
                         ((struct instance_box *)value)->pub.record.service);
    return true;
}

void change_touch_node(struct change *x, const char *name, struct node_box *n)
{
    n->index = x->index;
    change_name(x, &x->node_marks, name);
}

/* Something that every instance on the node depends on has changed. */
void change_touch_wholly(struct change *x, const char *name, struct node_box *n)
{
    change_touch_node(x, name, n);
    x->c->state_index = x->index;
    pmap_each(&n->instances, (struct slice){0}, touch_its_service, x);
}

static bool touch_its_checks(void *ctx, struct slice key, struct shared *value)
{
    struct change *x = ctx;

    (void)key;
    change_service(x, ((struct instance_box *)value)->pub.record.service)
        ->checks_index = x->index;
    return true;
}

void change_touch_checks_of(struct change *x, const struct node_box *n)
{
    x->c->all_index = x->index;
    pmap_each(&n->instances, (struct slice){0}, touch_its_checks, x);
}

/* A node of which nothing is left goes away. */
void change_settle(struct change *x, const char *name, struct node_box *n)
{
    if (n->pub.known || n->pub.live || n->instances.count > 0 ||
        n->checks.count > 0) {
        return;
    }
    (void)pmap_remove(&x->c->nodes, slice_str(name));
    change_bury(x, 'n', name);
}

struct slice change_key(struct change *x, const char *first, const char *second)
{
    size_t a = strlen(first) + 1;
    size_t b = strlen(second);
    char *key = arena_alloc(&x->scratch, a + b);

    memcpy(key, first, a);
    memcpy(key + a, second, b);
    return slice_of(key, a + b);
}

/* ---- Marks -------------------------------------------------------- */

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

static void mark_queries(struct change *x, struct catalog_mark *marks,
                         size_t *count, struct texts ids)
{
    for (size_t i = 0; i < ids.count; i++) {
        const struct shared *q =
            pmap_get(&x->c->queries, slice_str(ids.items[i]));

        add_mark(x, marks, count, arena_printf(x->arena, "q:%s", ids.items[i]),
                 q == NULL ? 0 : catalog_query_index(x->c, ids.items[i]));
    }
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

/* Of scopes that are there once. */
enum {
    MARKS_OF_ALL = 7
};

void change_finish(struct change *x, struct catalog_changes *out)
{
    struct texts node_marks = change_take(x, &x->node_marks);
    struct texts forgotten = change_take(x, &x->forgotten);
    struct texts query_marks = change_take(x, &x->query_marks);
    struct catalog_mark *marks;
    size_t count = 0;

    if (x->queries_changed) {
        change_list_queries(x);
    }
    out->queries = x->queries_changed;
    out->services = change_take(x, &x->services);
    out->nodes = change_take(x, &x->nodes);
    out->lives = change_take(x, &x->lives);
    marks = arena_zalloc(x->arena,
                         2 * out->services.count + node_marks.count +
                             forgotten.count + query_marks.count + MARKS_OF_ALL,
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
    mark_queries(x, marks, &count, query_marks);
    add_mark(x, marks, &count, "K", x->c->skew);
    add_mark(x, marks, &count, "S", x->c->services_index);
    add_mark(x, marks, &count, "N", x->c->nodes_index);
    add_mark(x, marks, &count, "T", x->c->state_index);
    add_mark(x, marks, &count, "A", x->c->all_index);
    add_mark(x, marks, &count, "F", x->c->floor_index);
    add_mark(x, marks, &count, "Q", x->c->queries_index);
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
