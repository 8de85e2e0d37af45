#include "query/core/table.h"

#include <stdlib.h>
#include <strings.h>

#include "base/core/check.h"
#include "query/core/model.h"

struct query_table {
    atomic_uint refs;
    bool wants_meta;
    bool wants_checks;
    size_t count;
    size_t named_count;
    size_t templates_count;
    const struct query **ids;       /* All, by id. */
    const struct query **named;     /* Those with a name, by name and id. */
    const struct query **templates; /* By name and id. */
};

/* ---- Order --------------------------------------------------------- */

/* Names of `len` bytes at most are compared by them alone. */
static int compare_text(const char *a, size_t len, const char *b, size_t b_len)
{
    size_t least = len < b_len ? len : b_len;

    for (size_t i = 0; i < least; i++) {
        int x = query_lower((unsigned char)a[i]);
        int y = query_lower((unsigned char)b[i]);

        if (x != y) {
            return x < y ? -1 : 1;
        }
    }
    return len == b_len ? 0 : len < b_len ? -1 : 1;
}

static int by_id(const void *a, const void *b)
{
    const struct query *x = *(const struct query *const *)a;
    const struct query *y = *(const struct query *const *)b;

    return strcmp(x->def.id, y->def.id);
}

static int by_name(const void *a, const void *b)
{
    const struct query *x = *(const struct query *const *)a;
    const struct query *y = *(const struct query *const *)b;
    int order = compare_text(x->def.name, strlen(x->def.name), y->def.name,
                             strlen(y->def.name));

    return order != 0 ? order : by_id(a, b);
}

/* The first of this name. */
static const struct query *find(const struct query **items, size_t count,
                                const char *name, size_t len)
{
    size_t low = 0;
    size_t high = count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const char *other = items[middle]->def.name;

        if (compare_text(other, strlen(other), name, len) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low == count ||
        compare_text(items[low]->def.name, strlen(items[low]->def.name), name,
                     len) != 0) {
        return NULL;
    }
    return items[low];
}

/* ---- Life ---------------------------------------------------------- */

static const struct query **new_list(size_t count)
{
    const struct query **items = calloc(count + 1, sizeof(*items));

    CHECK(items != NULL);
    return items;
}

static void note(struct query_table *t, const struct query *q)
{
    const struct query_def *d = &q->def;

    t->wants_meta =
        t->wants_meta || d->node_meta.count > 0 || d->service_meta.count > 0;
    t->wants_checks = t->wants_checks || d->ignore_checks.count > 0;
    if (*d->name != '\0') {
        t->named[t->named_count++] = q;
    }
    if (query_is_template(q)) {
        t->templates[t->templates_count++] = q;
    }
}

struct query_table *query_table_new(const struct query *const *items,
                                    size_t count)
{
    struct query_table *t = calloc(1, sizeof(*t));

    CHECK(t != NULL);
    atomic_init(&t->refs, 1);
    t->count = count;
    t->ids = new_list(count);
    t->named = new_list(count);
    t->templates = new_list(count);
    for (size_t i = 0; i < count; i++) {
        t->ids[i] = query_ref(items[i]);
        note(t, items[i]);
    }
    qsort(t->ids, t->count, sizeof(*t->ids), by_id);
    qsort(t->named, t->named_count, sizeof(*t->named), by_name);
    qsort(t->templates, t->templates_count, sizeof(*t->templates), by_name);
    return t;
}

struct query_table *query_table_ref(const struct query_table *t)
{
    struct query_table *same = (struct query_table *)t;

    (void)atomic_fetch_add_explicit(&same->refs, 1, memory_order_relaxed);
    return same;
}

void query_table_unref(const struct query_table *t)
{
    struct query_table *same = (struct query_table *)t;

    if (same == NULL ||
        atomic_fetch_sub_explicit(&same->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    for (size_t i = 0; i < same->count; i++) {
        query_unref(same->ids[i]);
    }
    free(same->ids);
    free(same->named);
    free(same->templates);
    free(same);
}

/* ---- Looking up ---------------------------------------------------- */

const struct query *query_table_id(const struct query_table *t, const char *id)
{
    for (size_t low = 0, high = t == NULL ? 0 : t->count; low < high;) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(t->ids[middle]->def.id, id);

        if (order == 0) {
            return t->ids[middle];
        }
        low = order < 0 ? middle + 1 : low;
        high = order < 0 ? high : middle;
    }
    return NULL;
}

const struct query *query_table_name(const struct query_table *t,
                                     const char *name)
{
    return t == NULL || *name == '\0'
               ? NULL
               : find(t->named, t->named_count, name, strlen(name));
}

const struct query *query_table_find(const struct query_table *t,
                                     const char *name)
{
    const struct query *q = query_table_id(t, name);

    if (t == NULL || *name == '\0') {
        return NULL;
    }
    if (q == NULL) {
        q = query_table_name(t, name);
    }
    if (t->templates_count == 0) {
        return q;
    }
    for (size_t len = strlen(name) + 1; q == NULL && len > 0; len--) {
        q = find(t->templates, t->templates_count, name, len - 1);
    }
    return q;
}

bool query_table_below(const struct query_table *t, const char *end)
{
    size_t len = strlen(end);

    for (size_t i = 0; t != NULL && i < t->named_count; i++) {
        const char *name = t->named[i]->def.name;
        size_t name_len = strlen(name);

        if (name_len > len + 1 && name[name_len - len - 1] == '.' &&
            strcasecmp(name + name_len - len, end) == 0) {
            return true;
        }
    }
    return false;
}

size_t query_table_count(const struct query_table *t)
{
    return t == NULL ? 0 : t->count;
}

const struct query *query_table_at(const struct query_table *t, size_t index)
{
    CHECK(index < t->count);
    return t->ids[index];
}

bool query_table_wants_meta(const struct query_table *t)
{
    return t != NULL && t->wants_meta;
}

bool query_table_wants_checks(const struct query_table *t)
{
    return t != NULL && t->wants_checks;
}
