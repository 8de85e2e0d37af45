/*
 * table.h - a hash table whose older versions stay readable.
 *
 * Pages of slots, each slot a small array of entries. A change copies one slot
 * array and, once a round, its page and the directory of pages; everything else
 * is shared with the table as it was. What a change replaces is put on a list
 * of garbage, to be freed when no older version is read any more. Rounds are
 * counted by the caller: in one round a page is copied once at most.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/core/bytes.h"

/* Every shared piece of memory begins with this. `release` frees what the piece
 * owns beside itself; may be NULL. */
struct dns_garbage {
    struct dns_garbage *next;
    void (*release)(void *piece);
};

struct dns_garbage_list {
    struct dns_garbage *first;
};

void dns_garbage_add(struct dns_garbage_list *list, struct dns_garbage *piece);
void dns_garbage_free(struct dns_garbage_list *list);

struct dns_entry;
struct dns_page;

struct dns_bucket {
    struct dns_garbage garbage;
    size_t count;
    struct {
        uint64_t hash;
        const struct dns_entry *entry;
    } items[];
};

#define DNS_PAGE_SLOTS 256

struct dns_page {
    struct dns_garbage garbage;
    uint64_t round;
    struct dns_bucket *slots[DNS_PAGE_SLOTS];
};

struct dns_directory {
    struct dns_garbage garbage;
    uint64_t round;
    size_t pages_count; /* A power of two. */
    struct dns_page *pages[];
};

struct dns_table {
    struct dns_directory *directory; /* NULL when nothing was ever put in. */
    size_t count;
};

/* By hash and key; NULL when it is not there. */
const struct dns_entry *dns_table_find(const struct dns_table *t, uint64_t hash,
                                       struct slice key);

/* Put `entry` in the place of the one with its key (returned; the caller's to
 * drop) or add it (NULL is returned). */
const struct dns_entry *dns_table_put(struct dns_table *t, uint64_t round,
                                      const struct dns_entry *entry,
                                      struct dns_garbage_list *dropped);

/* Take out the entry of this key; returned, NULL when it was not there. */
const struct dns_entry *dns_table_remove(struct dns_table *t, uint64_t round,
                                         uint64_t hash, struct slice key,
                                         struct dns_garbage_list *dropped);

/* Visit every entry; the table must not change meanwhile. */
typedef void (*dns_table_fn)(void *ctx, const struct dns_entry *entry);
void dns_table_each(const struct dns_table *t, dns_table_fn visit, void *ctx);

/* All pages and slot arrays become garbage, not the entries. */
void dns_table_drop(struct dns_table *t, struct dns_garbage_list *dropped);
