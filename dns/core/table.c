#include "dns/core/table.h"

#include <stdlib.h>

#include "base/core/check.h"
#include "dns/core/content.h"

/* More than this many entries a slot: twice the pages. */
enum {
    SLOT_LOAD = 2
};

void dns_garbage_add(struct dns_garbage_list *list, struct dns_garbage *piece)
{
    piece->next = list->first;
    list->first = piece;
}

void dns_garbage_free(struct dns_garbage_list *list)
{
    while (list->first != NULL) {
        struct dns_garbage *piece = list->first;

        list->first = piece->next;
        if (piece->release != NULL) {
            piece->release(piece);
        }
        free(piece);
    }
}

static void *piece_new(size_t size)
{
    void *piece = calloc(1, size);

    CHECK(piece != NULL);
    return piece;
}

static struct dns_bucket **slot_of(const struct dns_directory *d, uint64_t hash)
{
    size_t page = (hash / DNS_PAGE_SLOTS) & (d->pages_count - 1);

    return &d->pages[page]->slots[hash % DNS_PAGE_SLOTS];
}

const struct dns_entry *dns_table_find(const struct dns_table *t, uint64_t hash,
                                       struct slice key)
{
    const struct dns_bucket *bucket;

    if (t->directory == NULL) {
        return NULL;
    }
    bucket = *slot_of(t->directory, hash);
    for (size_t i = 0; bucket != NULL && i < bucket->count; i++) {
        const struct dns_entry *entry = bucket->items[i].entry;

        if (bucket->items[i].hash == hash && entry->key_len == key.len &&
            memcmp(entry->key, key.data, key.len) == 0) {
            return entry;
        }
    }
    return NULL;
}

static struct dns_directory *directory_new(size_t pages_count, uint64_t round)
{
    struct dns_directory *d =
        piece_new(sizeof(*d) + pages_count * sizeof(d->pages[0]));

    d->round = round;
    d->pages_count = pages_count;
    return d;
}

static struct dns_page *page_new(uint64_t round)
{
    struct dns_page *page = piece_new(sizeof(*page));

    page->round = round;
    return page;
}

/* The slot of `hash`, in a directory and page of this round. */
static struct dns_bucket **slot_to_change(struct dns_table *t, uint64_t round,
                                          uint64_t hash,
                                          struct dns_garbage_list *dropped)
{
    struct dns_directory *d = t->directory;
    struct dns_page **page;

    if (d->round != round) {
        d = directory_new(t->directory->pages_count, round);
        memcpy(d->pages, t->directory->pages,
               d->pages_count * sizeof(d->pages[0]));
        dns_garbage_add(dropped, &t->directory->garbage);
        t->directory = d;
    }
    page = &d->pages[(hash / DNS_PAGE_SLOTS) & (d->pages_count - 1)];
    if ((*page)->round != round) {
        struct dns_page *copy = page_new(round);

        memcpy(copy->slots, (*page)->slots, sizeof(copy->slots));
        dns_garbage_add(dropped, &(*page)->garbage);
        *page = copy;
    }
    return slot_of(d, hash);
}

static struct dns_bucket *bucket_new(size_t count)
{
    struct dns_bucket *bucket =
        piece_new(sizeof(*bucket) + count * sizeof(bucket->items[0]));

    bucket->count = count;
    return bucket;
}

/* A slot array with one more entry takes the place of the one in *slot. */
static void slot_add(struct dns_bucket **slot, const struct dns_entry *entry,
                     struct dns_garbage_list *dropped)
{
    struct dns_bucket *old = *slot;
    size_t count = old == NULL ? 0 : old->count;
    struct dns_bucket *bucket = bucket_new(count + 1);

    if (old != NULL) {
        memcpy(bucket->items, old->items, count * sizeof(old->items[0]));
        dns_garbage_add(dropped, &old->garbage);
    }
    bucket->items[count].hash = entry->hash;
    bucket->items[count].entry = entry;
    *slot = bucket;
}

struct regrow {
    struct dns_directory *directory;
    struct dns_garbage_list *dropped;
};

static void regrow_entry(void *ctx, const struct dns_entry *entry)
{
    struct regrow *r = ctx;

    slot_add(slot_of(r->directory, entry->hash), entry, r->dropped);
}

static void grow(struct dns_table *t, size_t pages_count, uint64_t round,
                 struct dns_garbage_list *dropped)
{
    struct dns_garbage_list scratch = {0};
    struct regrow r = {directory_new(pages_count, round), &scratch};

    for (size_t i = 0; i < pages_count; i++) {
        r.directory->pages[i] = page_new(round);
    }
    dns_table_each(t, regrow_entry, &r);
    dns_garbage_free(&scratch); /* Slot arrays that grew on the way. */
    dns_table_drop(t, dropped);
    t->directory = r.directory;
}

const struct dns_entry *dns_table_put(struct dns_table *t, uint64_t round,
                                      const struct dns_entry *entry,
                                      struct dns_garbage_list *dropped)
{
    struct dns_bucket **slot;

    if (t->directory == NULL) {
        grow(t, 1, round, dropped);
    } else if (t->count >
               SLOT_LOAD * DNS_PAGE_SLOTS * t->directory->pages_count) {
        grow(t, 2 * t->directory->pages_count, round, dropped);
    }
    slot = slot_to_change(t, round, entry->hash, dropped);
    for (size_t i = 0; *slot != NULL && i < (*slot)->count; i++) {
        const struct dns_entry *old = (*slot)->items[i].entry;
        struct dns_bucket *copy;

        if (old->hash != entry->hash ||
            !slice_eq(dns_entry_key(old), dns_entry_key(entry))) {
            continue;
        }
        copy = bucket_new((*slot)->count);
        memcpy(copy->items, (*slot)->items,
               copy->count * sizeof(copy->items[0]));
        copy->items[i].entry = entry;
        dns_garbage_add(dropped, &(*slot)->garbage);
        *slot = copy;
        return old;
    }
    slot_add(slot, entry, dropped);
    t->count++;
    return NULL;
}

const struct dns_entry *dns_table_remove(struct dns_table *t, uint64_t round,
                                         uint64_t hash, struct slice key,
                                         struct dns_garbage_list *dropped)
{
    const struct dns_entry *entry = dns_table_find(t, hash, key);
    struct dns_bucket *rest = NULL;
    struct dns_bucket **slot;
    size_t kept = 0;

    if (entry == NULL) {
        return NULL;
    }
    slot = slot_to_change(t, round, hash, dropped);
    if ((*slot)->count > 1) {
        rest = bucket_new((*slot)->count - 1);
        for (size_t i = 0; i < (*slot)->count; i++) {
            if ((*slot)->items[i].entry != entry) {
                rest->items[kept++] = (*slot)->items[i];
            }
        }
    }
    dns_garbage_add(dropped, &(*slot)->garbage);
    *slot = rest;
    t->count--;
    return entry;
}

void dns_table_each(const struct dns_table *t, dns_table_fn visit, void *ctx)
{
    size_t pages = t->directory == NULL ? 0 : t->directory->pages_count;

    for (size_t p = 0; p < pages; p++) {
        for (size_t s = 0; s < DNS_PAGE_SLOTS; s++) {
            const struct dns_bucket *b = t->directory->pages[p]->slots[s];

            for (size_t i = 0; b != NULL && i < b->count; i++) {
                visit(ctx, b->items[i].entry);
            }
        }
    }
}

void dns_table_drop(struct dns_table *t, struct dns_garbage_list *dropped)
{
    if (t->directory == NULL) {
        return;
    }
    for (size_t p = 0; p < t->directory->pages_count; p++) {
        struct dns_page *page = t->directory->pages[p];

        for (size_t s = 0; s < DNS_PAGE_SLOTS; s++) {
            if (page->slots[s] != NULL) {
                dns_garbage_add(dropped, &page->slots[s]->garbage);
            }
        }
        dns_garbage_add(dropped, &page->garbage);
    }
    dns_garbage_add(dropped, &t->directory->garbage);
    t->directory = NULL;
}
