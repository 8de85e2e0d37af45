/*
 * pmap.h - an ordered map whose copies share what is equal.
 *
 * Keys are byte strings, values are shared objects (shared.h). pmap_share()
 * makes a second map in no time; a later change of either copies only the nodes
 * on the way to the changed place, and nodes that nobody else holds are changed
 * where they are. A treap whose priorities are hashes of the keys: its shape
 * depends on its content alone, and it is balanced whatever the order of
 * arrival.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "agent/core/shared.h"
#include "base/core/bytes.h"

struct pmap_node;

/* A zeroed pmap is an empty map. */
struct pmap {
    struct pmap_node *root;
    size_t count;
};

void pmap_release(struct pmap *m);
struct pmap pmap_share(const struct pmap *m);

/* NULL: absent. Borrowed from the map. */
struct shared *pmap_get(const struct pmap *m, struct slice key);

/* Where the value of `key` stands, in a part of the tree that no other map
 * shares; NULL: absent. The caller may replace the value there (and drop the
 * old one); a value that is sole may be changed in place, because no other map
 * can see it. Good until the next change. */
struct shared **pmap_slot(struct pmap *m, struct slice key);

/* Adopts `value` (one reference); replaces what was there. The key is copied.
 */
void pmap_put(struct pmap *m, struct slice key, struct shared *value);

/* False: there was nothing. */
bool pmap_remove(struct pmap *m, struct slice key);

/* In order of keys, from `from` on; `fn` returns false to stop. The map must
 * not be changed meanwhile (a share of it may). */
typedef bool (*pmap_fn)(void *ctx, struct slice key, struct shared *value);
void pmap_each(const struct pmap *m, struct slice from, pmap_fn fn, void *ctx);

/* CHECKs order, priorities and count. For tests. */
void pmap_verify(const struct pmap *m);
