#include "dns/core/spot.h"

#include <stdlib.h>

#include "base/core/check.h"
#include "base/core/hash.h"
#include "dns/core/name.h"

#define CLASS_FIRST_US 250.0F
#define CLASS_STEP     1.35F

enum {
    SLOTS_FIRST = 64 /* A power of two, as all that follow. */
};

struct dns_spot_name {
    char *text; /* In lower case; NULL: empty. */
    uint64_t hash;
    uint16_t number;
};

/* ---- Numbers ----------------------------------------------------------- */

/* false: the name is no node's in DNS. */
static bool lower_name(const char *node, char out[DNS_NAME_MAX + 1])
{
    size_t len = node == NULL ? 0 : strnlen(node, DNS_NAME_MAX + 1);

    if (len == 0 || len > DNS_NAME_MAX) {
        return false;
    }
    for (size_t i = 0; i <= len; i++) {
        out[i] = (char)dns_lower((uint8_t)node[i]);
    }
    return true;
}

static struct dns_spot_name *slot_of(const struct dns_spot_names *names,
                                     const char *node, uint64_t hash)
{
    size_t at = hash & (names->cap - 1);

    while (names->slots[at].text != NULL &&
           (names->slots[at].hash != hash ||
            strcmp(names->slots[at].text, node) != 0)) {
        at = (at + 1) & (names->cap - 1);
    }
    return &names->slots[at];
}

static void grow(struct dns_spot_names *names)
{
    struct dns_spot_names next = *names;

    next.cap = names->cap == 0 ? SLOTS_FIRST : 2 * names->cap;
    next.slots = calloc(next.cap, sizeof(next.slots[0]));
    CHECK(next.slots != NULL);
    for (size_t i = 0; i < names->cap; i++) {
        const struct dns_spot_name *old = &names->slots[i];

        if (old->text != NULL) {
            *slot_of(&next, old->text, old->hash) = *old;
        }
    }
    free(names->slots);
    *names = next;
}

uint16_t dns_spot_number(struct dns_spot_names *names, const char *node)
{
    struct dns_spot_name *slot;
    char lower[DNS_NAME_MAX + 1];
    uint64_t hash;

    if (!lower_name(node, lower)) {
        return 0;
    }
    if (2 * (names->count + 1) > names->cap) {
        grow(names);
    }
    hash = hash_bytes(names->key, slice_str(lower));
    slot = slot_of(names, lower, hash);
    if (slot->text == NULL) {
        if (names->count == DNS_SPOTS_MAX) {
            return 0;
        }
        names->count++;
        *slot = (struct dns_spot_name){.text = strdup(lower),
                                       .hash = hash,
                                       .number = (uint16_t)names->count};
        CHECK(slot->text != NULL);
    }
    return slot->number;
}

void dns_spot_names_release(struct dns_spot_names *names)
{
    for (size_t i = 0; i < names->cap; i++) {
        free(names->slots[i].text);
    }
    free(names->slots);
    *names = (struct dns_spot_names){0};
}

/* ---- Places ------------------------------------------------------------ */

struct dns_spots *dns_spots_new(struct dns_spot_names *names,
                                const struct dns_position *positions,
                                size_t count)
{
    struct dns_spots *s;

    for (size_t i = 0; i < count; i++) {
        (void)dns_spot_number(names, positions[i].node);
    }
    s = calloc(1, sizeof(*s) + names->count * sizeof(s->items[0]));
    CHECK(s != NULL);
    s->count = names->count;
    for (size_t i = 0; i < count; i++) {
        uint16_t spot = dns_spot_number(names, positions[i].node);
        struct dns_spot_at *at;

        if (spot == 0) {
            continue;
        }
        at = &s->items[spot - 1];
        at->known = true;
        at->height = positions[i].height_us;
        memcpy(at->v, positions[i].at_us, sizeof(at->v));
    }
    return s;
}

bool dns_spot_known(const struct dns_spots *spots, uint16_t spot)
{
    return spots != NULL && spot != 0 && spot <= spots->count &&
           spots->items[spot - 1].known;
}

unsigned dns_spot_class(const struct dns_spots *spots, uint16_t from,
                        uint16_t to)
{
    const struct dns_spot_at *a;
    const struct dns_spot_at *b;
    float limit = CLASS_FIRST_US;
    float square = 0;
    unsigned class = 0;

    if (from == to) {
        return 0;
    }
    if (!dns_spot_known(spots, from) || !dns_spot_known(spots, to)) {
        return DNS_SPOT_FAR;
    }
    a = &spots->items[from - 1];
    b = &spots->items[to - 1];
    for (int i = 0; i < DNS_POSITION_DIMS; i++) {
        square += (a->v[i] - b->v[i]) * (a->v[i] - b->v[i]);
    }
    /* Farther than the limit: root(square) + both heights >= limit. */
    while (class < DNS_SPOT_FAR) {
        float rest = limit - a->height - b->height;

        if (rest > 0 && square < rest * rest) {
            break;
        }
        limit *= CLASS_STEP;
        class ++;
    }
    return class;
}
