/*
 * From one snapshot to the next, event by event.
 */
#include <stdlib.h>

#include "agent/core/catalog_change.h"

#include "base/core/check.h"

/* ---- Instances ---------------------------------------------------- */

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
        shared_init(&fresh->shared, change_plain_free);
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

static void touch_checks(struct change *x, struct catalog_service *s)
{
    s->checks_index = x->index;
    x->c->state_index = x->index;
}

void change_remove_instance(struct change *x, const struct record_key *key)
{
    struct slice in_service = change_key(x, key->node, key->id);
    struct slice in_node = change_key(x, key->service, key->id);
    struct catalog_service *s;
    struct instance_box *old;
    struct node_box *n;

    if (catalog_service(x->c, key->service) == NULL) {
        return;
    }
    s = change_service(x, key->service);
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
    change_touch_service(x, key->service);
    n = change_node(x, key->node);
    (void)pmap_remove(&n->instances, in_node);
    change_touch_node(x, key->node, n);
    change_settle(x, key->node, n);
    if (s->instances.count == 0) {
        (void)pmap_remove(&x->c->services, slice_str(key->service));
        x->c->services_index = x->index;
        change_bury(x, 's', key->service);
    }
}

static void instance_free(struct shared *s)
{
    struct instance_box *i = (struct instance_box *)s;

    if (i->origin != NULL) {
        shared_unref(&i->origin->shared);
    }
    arena_release(&i->arena);
    free(i);
}

struct instance_box *change_new_instance(void)
{
    struct instance_box *i = calloc(1, sizeof(*i));

    CHECK(i != NULL);
    shared_init(&i->shared, instance_free);
    return i;
}

static struct instance_box *read_instance(struct change *x,
                                          const struct catalog_event *e,
                                          const struct record_key *key)
{
    struct instance_box *i = change_new_instance();
    struct err err;

    arena_reserve(&i->arena, change_expected(e));
    if (instance_record_read(&i->arena, key, e->value, &i->pub.record, &err)) {
        change_problem(x, e->key, err.text);
        shared_unref(&i->shared);
        return NULL;
    }
    i->pub.key = arena_copy(&i->arena, e->key);
    i->pub.value_hash = catalog_hash(e->value);
    i->pub.create_revision = e->create_revision;
    i->pub.mod_revision = e->mod_revision;
    return i;
}

void change_put_instance(struct change *x, struct instance_box *fresh)
{
    const struct instance_record *r = &fresh->pub.record;
    char lower[NODE_NAME_MAX + 1];
    const char *node = (const char *)catalog_lower(r->node, lower).data;
    struct slice in_service = change_key(x, node, r->id);
    const struct instance_box *old;
    struct catalog_service *s;
    struct node_box *n;

    change_unbury(x, 's', r->service);
    s = change_service(x, r->service);
    old = (struct instance_box *)pmap_get(&s->instances, in_service);
    count_tags(x, s, fresh->pub.record.tags, 1);
    if (old == NULL) {
        x->c->instances_count++;
        if (fresh->pub.record.checks_count > 0) {
            touch_checks(x, s);
        } else if (s->checks_index == 0) {
            s->checks_index = x->index; /* A new service: never go down. */
        }
    } else {
        if (!same_checks(&old->pub.record, &fresh->pub.record)) {
            touch_checks(x, s);
        }
        count_tags(x, s, old->pub.record.tags, -1);
    }
    change_touch_service(x, r->service);
    n = change_node(x, node);
    change_touch_node(x, node, n);
    (void)shared_ref(&fresh->shared);
    pmap_put(&s->instances, in_service, &fresh->shared);
    pmap_put(&n->instances, change_key(x, r->service, r->id), &fresh->shared);
}

static void put_instance(struct change *x, const struct catalog_event *e,
                         const struct record_key *key)
{
    struct instance_box *fresh = read_instance(x, e, key);

    if (fresh == NULL) {
        change_remove_instance(x, key);
    } else {
        change_put_instance(x, fresh);
    }
}

/* ---- Nodes -------------------------------------------------------- */

static bool same_pairs(struct pairs a, struct pairs b)
{
    if (a.count != b.count) {
        return false;
    }
    for (size_t i = 0; i < a.count; i++) {
        if (strcmp(a.items[i].key, b.items[i].key) != 0 ||
            strcmp(a.items[i].value, b.items[i].value) != 0) {
            return false;
        }
    }
    return true;
}

/* Whether lists of checks, which show the node's name and can be chosen by its
 * meta data, look the same. */
static bool same_for_checks(const struct node_box *n,
                            const struct node_record *record)
{
    return n->pub.known && strcmp(n->pub.record.name, record->name) == 0 &&
           same_pairs(n->pub.record.meta, record->meta);
}

void change_remove_node(struct change *x, const char *name)
{
    const struct node_box *old = catalog_node_box(x->c, name);
    struct node_box *n;

    if (old == NULL || !old->pub.known) {
        return;
    }
    n = change_node(x, name);
    change_drop(n->record_text);
    n->record_text = change_held(strlen(name) + 1);
    n->pub.record = (struct node_record){
        .name = arena_strdup(&n->record_text->arena, slice_str(name)),
        .id = "",
        .address = "",
    };
    n->pub.known = false;
    n->pub.held = false;
    n->pub.ghost = false;
    n->pub.key = (struct slice){0};
    n->pub.value_hash = 0;
    n->pub.mod_revision = 0;
    n->pub.create_revision = 0;
    x->c->nodes_known--;
    x->c->nodes_index = x->index;
    change_name(x, &x->nodes, name);
    change_name(x, &x->lives, name);
    change_touch_wholly(x, name, n);
    change_touch_checks_of(x, n);
    change_settle(x, name, n);
}

void change_put_node(struct change *x, const char *name,
                     const struct catalog_node *pub, struct held *text)
{
    struct node_box *n;

    change_unbury(x, 'n', name);
    n = change_node(x, name);
    if (!same_for_checks(n, &pub->record)) {
        change_touch_checks_of(x, n);
    }
    change_drop(n->record_text);
    n->record_text = text;
    if (!n->pub.known || n->pub.ghost) {
        change_name(x, &x->lives, name); /* It comes, or is back. */
    }
    x->c->nodes_known += !n->pub.known;
    n->pub.known = true;
    n->pub.record = pub->record;
    n->pub.held = pub->held;
    n->pub.ghost = pub->ghost;
    n->pub.key = pub->key;
    n->pub.value_hash = pub->value_hash;
    n->pub.create_revision = pub->create_revision;
    n->pub.mod_revision = pub->mod_revision;
    x->c->nodes_index = x->index;
    change_name(x, &x->nodes, name);
    change_touch_wholly(x, name, n);
}

static void put_node(struct change *x, const struct catalog_event *e,
                     const struct record_key *key)
{
    const struct node_box *old = catalog_node_box(x->c, key->node);
    struct held *text = change_held(change_expected(e));
    struct catalog_node pub = {.create_revision = e->create_revision,
                               .mod_revision = e->mod_revision};
    struct err err;

    if (node_record_read(&text->arena, key, e->value, &pub.record, &err)) {
        change_problem(x, e->key, err.text);
        change_drop(text);
        change_remove_node(x, key->node);
        return;
    }
    pub.key = arena_copy(&text->arena, e->key);
    pub.value_hash = catalog_hash(e->value);
    if (old != NULL && old->pub.ghost) {
        /* The node is back. What it does not write again is gone. */
        change_drop_ghosts(x, key->node);
    } else if (old != NULL) {
        pub.held = old->pub.held;
    }
    change_put_node(x, key->node, &pub, text);
}

static void remove_live(struct change *x, const char *name)
{
    const struct node_box *old = catalog_node_box(x->c, name);
    struct node_box *n;

    if (old == NULL || !old->pub.live) {
        return;
    }
    n = change_node(x, name);
    change_drop(n->live_text);
    n->live_text = NULL;
    n->pub.live = false;
    x->c->nodes_live--;
    n->pub.live_record = (struct live_record){0};
    n->pub.live_create_revision = 0;
    n->pub.live_key_revision = 0;
    n->pub.live_mod_revision = x->revision;
    change_name(x, &x->lives, name);
    change_touch_wholly(x, name, n);
    change_settle(x, name, n);
}

static void put_live(struct change *x, const struct catalog_event *e,
                     const struct record_key *key)
{
    struct held *text = change_held(change_expected(e));
    struct live_record record;
    struct node_box *n;
    struct err err;

    if (live_record_read(&text->arena, e->value, &record, &err)) {
        change_problem(x, e->key, err.text);
        change_drop(text);
        remove_live(x, key->node);
        return;
    }
    change_unbury(x, 'n', key->node);
    n = change_node(x, key->node);
    change_drop(n->live_text);
    n->live_text = text;
    n->pub.live_record = record;
    n->pub.live_create_revision = e->create_revision;
    n->pub.live_key_revision = e->mod_revision;
    if (!n->pub.live) {
        n->pub.live = true;
        n->pub.held = false;
        x->c->nodes_live++;
        n->pub.live_mod_revision = x->revision;
        change_name(x, &x->lives, key->node);
        change_touch_wholly(x, key->node, n);
    }
}

/* ---- Checks of nodes ---------------------------------------------- */

void change_remove_node_check(struct change *x, const struct record_key *key)
{
    struct node_box *n = catalog_node_box(x->c, key->node);

    if (n == NULL || pmap_get(&n->checks, slice_str(key->id)) == NULL) {
        return;
    }
    n = change_node(x, key->node);
    (void)pmap_remove(&n->checks, slice_str(key->id));
    change_touch_wholly(x, key->node, n);
    change_settle(x, key->node, n);
}

static void node_check_free(struct shared *s)
{
    struct node_check_box *k = (struct node_check_box *)s;

    if (k->origin != NULL) {
        shared_unref(&k->origin->shared);
    }
    arena_release(&k->arena);
    free(k);
}

struct node_check_box *change_new_node_check(void)
{
    struct node_check_box *k = calloc(1, sizeof(*k));

    CHECK(k != NULL);
    shared_init(&k->shared, node_check_free);
    return k;
}

void change_put_node_check(struct change *x, struct node_check_box *k)
{
    char lower[NODE_NAME_MAX + 1];
    const char *node =
        (const char *)catalog_lower(k->pub.record.node, lower).data;
    struct node_box *n;

    change_unbury(x, 'n', node);
    n = change_node(x, node);
    pmap_put(&n->checks, slice_str(k->pub.record.check.id), &k->shared);
    change_touch_wholly(x, node, n);
}

static void put_node_check(struct change *x, const struct catalog_event *e,
                           const struct record_key *key)
{
    struct node_check_box *k = change_new_node_check();
    struct err err;

    arena_reserve(&k->arena, change_expected(e));
    if (node_check_record_read(&k->arena, key, e->value, &k->pub.record,
                               &err)) {
        change_problem(x, e->key, err.text);
        shared_unref(&k->shared);
        change_remove_node_check(x, key);
        return;
    }
    k->pub.key = arena_copy(&k->arena, e->key);
    k->pub.value_hash = catalog_hash(e->value);
    k->pub.create_revision = e->create_revision;
    k->pub.mod_revision = e->mod_revision;
    change_put_node_check(x, k);
}

/* ---- One event ---------------------------------------------------- */

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
    case RECORD_QUERY:
        change_put_query(x, e, key->id);
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
        change_remove_node(x, key->node);
        return;
    case RECORD_LIVE:
        remove_live(x, key->node);
        return;
    case RECORD_INSTANCE:
        change_remove_instance(x, key);
        return;
    case RECORD_NODE_CHECK:
        change_remove_node_check(x, key);
        return;
    case RECORD_QUERY:
        change_remove_query(x, key->id);
        return;
    case RECORD_FOREIGN:
        return;
    }
    UNREACHABLE();
}

void change_apply(struct change *x, const struct catalog_event *e)
{
    struct record_key key;
    size_t problems = x->problems_count;

    arena_reset(&x->scratch);
    if (record_key_read(&x->scratch, x->c->datacenter, e->key, &key)) {
        if (!e->deleted) {
            change_problem(x, e->key, "the key is not well formed");
        }
        return;
    }
    if (e->deleted) {
        apply_delete(x, &key);
    } else {
        apply_put(x, e, &key);
    }
    change_note_unread(x, e, &key, x->problems_count > problems);
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
        change_at(&x, index);
        change_apply(&x, &events[i]);
    }
    x.c->revision = revision;
    change_finish(&x, out_changes);
    return x.c;
}
