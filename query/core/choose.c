#include "query/core/choose.h"

#include "query/core/model.h"

static bool same_text(struct slice a, struct slice b)
{
    if (a.len != b.len) {
        return false;
    }
    for (size_t i = 0; i < a.len; i++) {
        if (query_lower(a.data[i]) != query_lower(b.data[i])) {
            return false;
        }
    }
    return true;
}

static bool has_tag(const struct query_candidate *c, struct slice tag)
{
    for (size_t i = 0; i < c->tags_count; i++) {
        if (same_text(c->tags[i], tag)) {
            return true;
        }
    }
    return false;
}

static bool tags_fit(const struct query_def *d, const struct query_candidate *c)
{
    for (size_t i = 0; i < d->tags.count; i++) {
        struct slice tag = slice_str(d->tags.items[i]);
        bool unwanted = tag.len > 0 && tag.data[0] == '!';

        tag = unwanted ? slice_skip(tag, 1) : tag;
        if (has_tag(c, tag) == unwanted) {
            return false;
        }
    }
    return true;
}

static bool has_pair(const struct query_pair *items, size_t count,
                     const struct pair *wanted)
{
    for (size_t i = 0; i < count; i++) {
        if (slice_eq(items[i].key, slice_str(wanted->key)) &&
            slice_eq(items[i].value, slice_str(wanted->value))) {
            return true;
        }
    }
    return false;
}

static bool meta_fits(struct pairs wanted, const struct query_pair *items,
                      size_t count)
{
    for (size_t i = 0; i < wanted.count; i++) {
        if (!has_pair(items, count, &wanted.items[i])) {
            return false;
        }
    }
    return true;
}

static bool is_ignored(const struct query_def *d, struct slice id)
{
    for (size_t i = 0; i < d->ignore_checks.count; i++) {
        if (slice_eq(slice_str(d->ignore_checks.items[i]), id)) {
            return true;
        }
    }
    return false;
}

static enum query_health health_of(const struct query_def *d,
                                   const struct query_candidate *c)
{
    enum query_health worst = QUERY_PASSING;

    if (d->ignore_checks.count == 0) {
        return c->health;
    }
    for (size_t i = 0; i < c->checks_count; i++) {
        if (c->checks[i].health > worst && !is_ignored(d, c->checks[i].id)) {
            worst = c->checks[i].health;
        }
    }
    return worst;
}

bool query_chooses(const struct query_def *def,
                   const struct query_candidate *candidate)
{
    enum query_health health = health_of(def, candidate);

    return health != QUERY_CRITICAL &&
           (health == QUERY_PASSING || !def->only_passing) &&
           tags_fit(def, candidate) &&
           meta_fits(def->node_meta, candidate->node_meta,
                     candidate->node_meta_count) &&
           meta_fits(def->service_meta, candidate->service_meta,
                     candidate->service_meta_count);
}

/* ---- Failing over -------------------------------------------------- */

static bool is_in(const char *const *items, size_t count, const char *text)
{
    for (size_t i = 0; i < count; i++) {
        if (same_text(slice_str(items[i]), slice_str(text))) {
            return true;
        }
    }
    return false;
}

struct texts query_failover(const struct query_def *def, struct texts known,
                            struct arena *a)
{
    size_t nearest = (uint64_t)def->nearest_n < known.count
                         ? (size_t)def->nearest_n
                         : known.count;
    const char **items =
        arena_zalloc(a, nearest + def->datacenters.count, sizeof(*items));
    size_t count = 0;

    for (; count < nearest; count++) {
        items[count] = known.items[count];
    }
    for (size_t i = 0; i < def->datacenters.count; i++) {
        const char *dc = def->datacenters.items[i];

        if (is_in(known.items, known.count, dc) && !is_in(items, count, dc)) {
            items[count++] = dc;
        }
    }
    return (struct texts){.items = items, .count = count};
}
