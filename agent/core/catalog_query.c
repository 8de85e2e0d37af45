/*
 * Prepared queries in a snapshot.
 */
#include <stdlib.h>

#include "agent/core/catalog_change.h"
#include "agent/core/query_record.h"
#include "base/core/check.h"
#include "base/core/limits.h"

static void query_box_free(struct shared *s)
{
    struct query_box *q = (struct query_box *)s;

    query_unref(q->pub.query);
    free(q);
}

static enum status read_query(struct arena *scratch, const char *id,
                              const struct catalog_event *e,
                              struct query **out_query, struct err *err)
{
    struct query_def def;
    enum status st = query_def_read(scratch, e->value, &def, err);

    if (st) {
        return st;
    }
    def.id = id;
    return query_new(&def, out_query, err);
}

static void touch(struct change *x, const char *id)
{
    x->c->queries_index = x->index;
    x->queries_changed = true;
    change_name(x, &x->query_marks, id);
}

void change_remove_query(struct change *x, const char *id)
{
    if (pmap_remove(&x->c->queries, slice_str(id))) {
        touch(x, id);
    }
}

void change_put_query(struct change *x, const struct catalog_event *e,
                      const char *id)
{
    struct query *query = NULL;
    struct query_box *box;
    struct err err = {0};
    bool is_new = pmap_get(&x->c->queries, slice_str(id)) == NULL;
    enum status st = read_query(&x->scratch, id, e, &query, &err);

    if (!st && is_new && x->c->queries.count >= LIMIT_QUERIES) {
        query_unref(query);
        st = err_set(&err, ST_TOO_BIG, "more than %d prepared queries",
                     LIMIT_QUERIES);
    }
    if (st) {
        change_problem(x, e->key, err.text);
        change_remove_query(x, id);
        return;
    }
    box = calloc(1, sizeof(*box));
    CHECK(box != NULL);
    shared_init(&box->shared, query_box_free);
    box->pub = (struct catalog_query){.query = query,
                                      .value_hash = catalog_hash(e->value),
                                      .create_revision = e->create_revision,
                                      .mod_revision = e->mod_revision};
    box->index = x->index;
    pmap_put(&x->c->queries, slice_str(id), &box->shared);
    touch(x, id);
}

struct listing {
    const struct query **items;
    size_t count;
};

static bool list_query(void *ctx, struct slice key, struct shared *value)
{
    struct listing *l = ctx;

    (void)key;
    l->items[l->count++] = ((struct query_box *)value)->pub.query;
    return true;
}

/* The table of what is there now. */
void change_list_queries(struct change *x)
{
    struct listing l = {
        .items = calloc(x->c->queries.count + 1, sizeof(const struct query *))};

    CHECK(l.items != NULL);
    pmap_each(&x->c->queries, (struct slice){0}, list_query, &l);
    query_table_unref(x->c->query_table);
    x->c->query_table = l.count == 0 ? NULL : query_table_new(l.items, l.count);
    free(l.items);
}

void change_restore_query(struct change *x, const char *id, uint64_t index)
{
    struct query_box *q =
        (struct query_box *)pmap_get(&x->c->queries, slice_str(id));

    if (q != NULL) {
        CHECK(shared_is_sole(&q->shared)); /* Nobody has seen it yet. */
        q->index = index;
    }
}

/* ---- Reading ------------------------------------------------------- */

const struct query_table *catalog_queries(const struct catalog *c)
{
    return c->query_table;
}

const struct catalog_query *catalog_query(const struct catalog *c,
                                          const char *id)
{
    const struct query_box *q =
        (struct query_box *)pmap_get(&c->queries, slice_str(id));

    return q == NULL ? NULL : &q->pub;
}

uint64_t catalog_query_index(const struct catalog *c, const char *id)
{
    const struct query_box *q =
        (struct query_box *)pmap_get(&c->queries, slice_str(id));

    return q == NULL ? c->queries_index : q->index;
}
