#include <stdlib.h>

#include "base/core/check.h"
#include "dns/core/content.h"

struct collecting {
    struct dns_service_names *to; /* NULL: only count. */
    size_t count;
    size_t bytes;
    uint8_t *texts;
};

static void collect(void *ctx, const struct dns_entry *entry)
{
    struct collecting *c = ctx;
    struct slice name;

    if (entry->service == NULL) {
        return;
    }
    name = entry->service->name;
    if (c->to != NULL) {
        memcpy(c->texts, name.data, name.len);
        c->to->items[c->count] = slice_of(c->texts, name.len);
        c->texts += name.len;
    }
    c->count++;
    c->bytes += name.len;
}

static int by_name(const void *a, const void *b)
{
    return slice_cmp(*(const struct slice *)a, *(const struct slice *)b);
}

/* Services are replaced whenever one of their instances changes; so the names
 * are copies. */
struct dns_service_names *dns_service_names_new(const struct dns_table *names)
{
    struct collecting c = {0};

    dns_table_each(names, collect, &c);
    c.to =
        calloc(1, sizeof(*c.to) + c.count * sizeof(c.to->items[0]) + c.bytes);
    CHECK(c.to != NULL);
    c.to->count = c.count;
    c.texts = (uint8_t *)&c.to->items[c.count];
    c.count = 0;
    dns_table_each(names, collect, &c);
    qsort(c.to->items, c.to->count, sizeof(c.to->items[0]), by_name);
    return c.to;
}
