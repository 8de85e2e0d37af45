/*
 * Prepared queries for DNS, and what of instances only they look at: that is
 * fed while some query asks for it.
 */
#include "agent/io/dnsfeed_impl.h"
#include "base/core/check.h"

static struct queries_want either(struct queries_want a, struct queries_want b)
{
    return (struct queries_want){a.meta || b.meta, a.checks || b.checks};
}

static bool same(struct queries_want a, struct queries_want b)
{
    return a.meta == b.meta && a.checks == b.checks;
}

/* A query of any datacenter may come to any other. */
static struct queries_want wanted_of_all(const struct dnsfeed *home)
{
    struct queries_want all = home->want;

    for (size_t i = 0; i < home->others_count; i++) {
        all = either(all, home->others[i]->want);
    }
    return all;
}

static void feed_again(struct dnsfeed *f, struct queries_want all)
{
    if (f->catalog && !same(f->fed_for, all)) {
        dnsfeed_catalog(f, f->catalog, NULL);
    }
}

bool dnsfeed_query_take(struct dnsfeed *f, const struct catalog *catalog)
{
    const struct query_table *queries = catalog_queries(catalog);
    struct dnsfeed *home = f->config.home ? f->config.home : f;
    struct queries_want all;
    bool differs;

    dns_model_set_queries(f->model, queries);
    f->want = (struct queries_want){query_table_wants_meta(queries),
                                    query_table_wants_checks(queries)};
    all = wanted_of_all(home);
    differs = !same(all, f->fed_for);
    f->fed_for = all;
    feed_again(home, all);
    for (size_t i = 0; i < home->others_count; i++) {
        feed_again(home->others[i], all);
    }
    return differs;
}

/* ---- Checks --------------------------------------------------------- */

struct checks {
    struct dns_check *items;
    size_t count;
};

static void add_check(struct checks *list, const struct check_record *r)
{
    static const enum dns_health healths[] = {
        [CHECK_PASSING] = DNS_PASSING,
        [CHECK_WARNING] = DNS_WARNING,
        [CHECK_CRITICAL] = DNS_CRITICAL,
    };

    list->items[list->count++] = (struct dns_check){r->id, healths[r->status]};
}

static bool count_check(void *ctx, const struct catalog_node_check *k)
{
    size_t *count = ctx;

    (void)k;
    (*count)++;
    return true;
}

static bool add_node_check(void *ctx, const struct catalog_node_check *k)
{
    add_check(ctx, &k->record.check);
    return true;
}

/* All that bear on it: serfHealth, its node's, its own. */
static void checks_of(struct arena *a, const struct catalog *catalog,
                      const struct catalog_node *node,
                      const struct catalog_instance *i,
                      struct dns_instance *out)
{
    const struct instance_record *r = &i->record;
    struct catalog_check serf;
    size_t count = 0;
    struct checks list = {0};

    catalog_each_node_check(catalog, r->node, count_check, &count);
    list.items =
        arena_zalloc(a, 1 + count + r->checks_count, sizeof(*list.items));
    if (node && catalog_node_serf(node, &serf)) {
        add_check(&list, &serf.record);
    }
    catalog_each_node_check(catalog, r->node, add_node_check, &list);
    for (size_t k = 0; k < r->checks_count; k++) {
        add_check(&list, &r->checks[k]);
    }
    out->checks = list.items;
    out->checks_count = list.count;
}

void dnsfeed_query_mark(struct dnsfeed *f, struct arena *a,
                        const struct catalog *catalog,
                        const struct catalog_node *node,
                        const struct catalog_instance *i,
                        struct dns_instance *out)
{
    if (f->fed_for.checks) {
        checks_of(a, catalog, node, i, out);
    }
    if (f->fed_for.meta) {
        out->meta_for_queries = true;
        out->node_meta = node ? dnsfeed_pairs(a, node->record.meta) : NULL;
        out->node_meta_count = node ? node->record.meta.count : 0;
    }
}
