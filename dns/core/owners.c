#include <stdlib.h>

#include "base/core/check.h"
#include "dns/core/content.h"

int dns_owner_order(const struct dns_owner *a, const struct dns_owner *b)
{
    if (a->is_node != b->is_node) {
        return a->is_node ? -1 : 1;
    }
    return slice_cmp(a->name, b->name);
}

static struct dns_owners *owners_new(size_t most, const struct dns_owner *add,
                                     const struct dns_owners *from)
{
    size_t names = add->name.len;
    struct dns_owners *o;

    for (size_t i = 0; from != NULL && i < from->count; i++) {
        names += from->items[i].name.len;
    }
    o = calloc(1, sizeof(*o) + most * sizeof(o->items[0]) + names);
    CHECK(o != NULL);
    return o;
}

static uint8_t *owners_append(struct dns_owners *o,
                              const struct dns_owner *owner, uint8_t *names)
{
    memcpy(names, owner->name.data, owner->name.len);
    o->items[o->count++] =
        (struct dns_owner){owner->is_node, slice_of(names, owner->name.len)};
    return names + owner->name.len;
}

/* The copy carries its own names, since services come and go. */
struct dns_owners *dns_owners_change(const struct dns_owners *from,
                                     const struct dns_owner *change, bool add)
{
    size_t count = from == NULL ? 0 : from->count;
    struct dns_owners *o = owners_new(count + 1, change, from);
    uint8_t *names = (uint8_t *)&o->items[count + 1];

    for (size_t i = 0; i < count; i++) {
        int order = dns_owner_order(&from->items[i], change);

        if (add && order > 0) {
            names = owners_append(o, change, names);
            add = false;
        }
        if (order != 0) {
            names = owners_append(o, &from->items[i], names);
        }
    }
    if (add) {
        (void)owners_append(o, change, names);
    }
    if (o->count == 0) {
        free(o);
        return NULL;
    }
    return o;
}
