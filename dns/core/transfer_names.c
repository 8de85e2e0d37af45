#include "dns/core/transfer_names.h"

#include <stdlib.h>

#include "base/core/check.h"

void dns_names_add(struct dns_names *all, const struct dns_name *name)
{
    if (all->count == all->cap) {
        all->cap = all->cap == 0 ? 16 : 2 * all->cap;
        all->items = realloc(all->items, all->cap * sizeof(all->items[0]));
        CHECK(all->items != NULL);
    }
    all->items[all->count] = *name;
    dns_name_lower(&all->items[all->count++]);
}

static int by_name(const void *a, const void *b)
{
    return slice_cmp(dns_name_slice(a), dns_name_slice(b));
}

void dns_names_sort(struct dns_names *all)
{
    size_t kept = 0;

    if (all->count > 0) {
        qsort(all->items, all->count, sizeof(all->items[0]), by_name);
    }
    for (size_t i = 0; i < all->count; i++) {
        if (kept == 0 || by_name(&all->items[kept - 1], &all->items[i]) != 0) {
            all->items[kept++] = all->items[i];
        }
    }
    all->count = kept;
}

/* "_<text>" as one label. */
static bool add_underscored(struct dns_name *n, struct slice text)
{
    uint8_t label[DNS_LABEL_MAX] = {'_'};

    if (text.len >= sizeof(label) || text.len == 0) {
        return false;
    }
    memcpy(label + 1, text.data, text.len);
    return dns_name_add_label(n, slice_of(label, text.len + 1));
}

/* "_<service>._<second>.service" */
void dns_names_add_underscored(struct dns_names *all,
                               const struct dns_service *s, struct slice second)
{
    struct dns_name n = {0};

    if (memchr(second.data, '.', second.len) == NULL &&
        add_underscored(&n, s->name) && add_underscored(&n, second) &&
        dns_name_add_label(&n, slice_str("service"))) {
        dns_names_add(all, &n);
    }
}

/* "<text>[.port].<service>.service" */
static void names_add_below(struct dns_names *all, const struct dns_entry *e,
                            struct slice text, bool port)
{
    struct dns_name n = {0};

    if (dns_name_add_text(&n, text) &&
        (!port || dns_name_add_label(&n, slice_str("port"))) &&
        dns_name_add_wire(&n, dns_entry_key(e))) {
        dns_names_add(all, &n);
    }
}

void dns_names_of_member(struct dns_names *plain, struct dns_names *underscored,
                         const struct dns_entry *e, const struct dns_member *m)
{
    for (size_t i = 0; i < m->tags_count; i++) {
        if (m->tags[i].len > 0) {
            names_add_below(plain, e, m->tags[i], false);
            dns_names_add_underscored(underscored, e->service, m->tags[i]);
        }
    }
    for (size_t i = 0; i < m->ports_count; i++) {
        if (m->ports[i].name.len > 0) {
            names_add_below(plain, e, m->ports[i].name, true);
            dns_names_add_underscored(underscored, e->service,
                                      m->ports[i].name);
        }
    }
}
