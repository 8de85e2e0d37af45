#include "store/kv/lease.h"

#include <stdlib.h>

#include <uthash.h>

#include "base/core/check.h"
#include "base/core/pb.h"
#include "base/core/row.h"
#include "base/core/wire.h"

/* How long to wait for a proposed revoke before proposing it again. As etcd. */
#define REVOKE_RETRY_MS 3000

#define NEVER           UINT64_MAX

struct lease {
    int64_t id;
    int64_t ttl_s;
    int64_t remaining_s; /* From a checkpoint; 0: none. */
    uint64_t expiry_ms;  /* NEVER while it does not run. */
    uint64_t wake_ms;    /* When to look at it next: its place in the heap. */
    size_t heap_at;
    struct lease_items items;
    size_t items_count;
    UT_hash_handle hh;
};

/* ----------------------------------------------------------------- heap -- */

static void heap_set(struct lessor *l, size_t at, struct lease *lease)
{
    l->heap[at] = lease;
    lease->heap_at = at;
}

static void heap_up(struct lessor *l, size_t at)
{
    struct lease *lease = l->heap[at];

    while (at > 0 && l->heap[(at - 1) / 2]->wake_ms > lease->wake_ms) {
        heap_set(l, at, l->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    heap_set(l, at, lease);
}

static void heap_down(struct lessor *l, size_t at)
{
    struct lease *lease = l->heap[at];

    for (;;) {
        size_t child = 2 * at + 1;

        if (child + 1 < l->heap_count &&
            l->heap[child + 1]->wake_ms < l->heap[child]->wake_ms) {
            child++;
        }
        if (child >= l->heap_count ||
            l->heap[child]->wake_ms >= lease->wake_ms) {
            break;
        }
        heap_set(l, at, l->heap[child]);
        at = child;
    }
    heap_set(l, at, lease);
}

static void heap_wake_at(struct lessor *l, struct lease *lease,
                         uint64_t wake_ms)
{
    bool later = wake_ms > lease->wake_ms;

    lease->wake_ms = wake_ms;
    if (later) {
        heap_down(l, lease->heap_at);
    } else {
        heap_up(l, lease->heap_at);
    }
}

static void heap_add(struct lessor *l, struct lease *lease)
{
    l->heap =
        row_room(l->heap, &l->heap_cap, l->heap_count, sizeof(struct lease *));
    l->heap[l->heap_count++] = lease;
    heap_up(l, l->heap_count - 1);
}

static void heap_remove(struct lessor *l, const struct lease *lease)
{
    size_t at = lease->heap_at;
    struct lease *last = l->heap[--l->heap_count];

    if (at == l->heap_count) {
        return;
    }
    heap_set(l, at, last);
    heap_down(l, at);
    heap_up(l, last->heap_at);
}

/* --------------------------------------------------------------- leases -- */

/* uthash's macros test pointers that are never NULL here. */
struct lease *lease_find(const struct lessor *l, int64_t id)
{
    struct lease *found;

    HASH_FIND(hh, l->by_id, &id, sizeof(id), found);
    return found;
}

/* Let it run from now on. */
static void lease_start(struct lessor *l, struct lease *lease, uint64_t now_ms)
{
    int64_t left_s = lease->remaining_s > 0 ? lease->remaining_s : lease->ttl_s;

    lease->expiry_ms = now_ms + (uint64_t)left_s * 1000;
    lease->wake_ms = lease->expiry_ms;
    heap_add(l, lease);
}

struct lease *lease_add(struct lessor *l, int64_t id, int64_t ttl_s,
                        int64_t remaining_s, uint64_t now_ms)
{
    struct lease *lease = calloc(1, sizeof(*lease));

    CHECK(lease != NULL);
    CHECK(id != 0);
    CHECK(ttl_s > 0);
    lease->id = id;
    lease->ttl_s = ttl_s;
    lease->remaining_s = remaining_s;
    lease->expiry_ms = NEVER;
    LIST_INIT(&lease->items);
    HASH_ADD(hh, l->by_id, id, sizeof(id), lease);
    l->count++;
    if (l->leading) {
        lease_start(l, lease, now_ms);
    }
    return lease;
}

void lease_remove(struct lessor *l, struct lease *lease)
{
    CHECK(lease->items_count == 0);
    if (l->leading) {
        heap_remove(l, lease);
    }
    HASH_DELETE(hh, l->by_id, lease);
    l->count--;
    free(lease);
}

static void lease_detach_all(struct lease *lease)
{
    while (!LIST_EMPTY(&lease->items)) {
        lease_attach(LIST_FIRST(&lease->items)->key, NULL);
    }
}

void lessor_release(struct lessor *l)
{
    struct lease *lease;
    struct lease *next;

    lessor_follow(l);
    HASH_ITER(hh, l->by_id, lease, next)
    {
        lease_detach_all(lease);
        lease_remove(l, lease);
    }
    free(l->heap);
    *l = (struct lessor){0};
}

size_t lessor_count(const struct lessor *l)
{
    return l->count;
}

int64_t lease_id(const struct lease *lease)
{
    return lease->id;
}

int64_t lease_ttl_s(const struct lease *lease)
{
    return lease->ttl_s;
}

void lease_checkpoint(struct lease *lease, int64_t remaining_s)
{
    lease->remaining_s =
        remaining_s > 0 && remaining_s < lease->ttl_s ? remaining_s : 0;
}

void lease_row_key(int64_t id, uint8_t out[8])
{
    wire_put_u64be(out, (uint64_t)id);
}

void lease_row(const struct lease *lease, struct buf *out)
{
    pb_int(out, 1, lease->id);
    pb_int(out, 2, lease->ttl_s);
    pb_int(out, 3, lease->remaining_s);
}

void lease_attach(struct index_key *key, struct lease *lease)
{
    struct lease_item *item = key->lease;

    if (item != NULL) {
        if (item->lease == lease) {
            return;
        }
        LIST_REMOVE(item, entry);
        item->lease->items_count--;
    }
    if (lease == NULL) {
        free(item);
        key->lease = NULL;
        return;
    }
    if (item == NULL) {
        item = malloc(sizeof(*item));
        CHECK(item != NULL);
        item->key = key;
        key->lease = item;
    }
    item->lease = lease;
    LIST_INSERT_HEAD(&lease->items, item, entry);
    lease->items_count++;
}

int64_t lease_of(const struct index_key *key)
{
    return key->lease == NULL ? 0 : key->lease->lease->id;
}

static int key_cmp(const void *left, const void *right)
{
    const struct index_key *a = *(struct index_key *const *)left;
    const struct index_key *b = *(struct index_key *const *)right;

    return slice_cmp(index_key_slice(a), index_key_slice(b));
}

struct index_key **lease_keys(const struct lease *lease, size_t *out_count)
{
    struct index_key **keys =
        malloc((lease->items_count + 1) * sizeof(struct index_key *));
    const struct lease_item *item;
    size_t count = 0;

    CHECK(keys != NULL);
    LIST_FOREACH(item, &lease->items, entry)
    {
        keys[count++] = item->key;
    }
    CHECK(count == lease->items_count);
    qsort(keys, count, sizeof(struct index_key *), key_cmp);
    *out_count = count;
    return keys;
}

/* ----------------------------------------------------------------- time -- */

void lessor_lead(struct lessor *l, uint64_t now_ms)
{
    struct lease *lease;
    struct lease *next;

    lessor_follow(l);
    l->leading = true;
    HASH_ITER(hh, l->by_id, lease, next)
    {
        lease_start(l, lease, now_ms);
    }
}

void lessor_follow(struct lessor *l)
{
    for (size_t i = 0; i < l->heap_count; i++) {
        l->heap[i]->expiry_ms = NEVER;
    }
    l->heap_count = 0;
    l->leading = false;
}

size_t lessor_expired(struct lessor *l, uint64_t now_ms, int64_t *out_ids,
                      size_t max)
{
    size_t count = 0;

    while (count < max && l->heap_count > 0 && l->heap[0]->wake_ms <= now_ms) {
        out_ids[count++] = l->heap[0]->id;
        heap_wake_at(l, l->heap[0], now_ms + REVOKE_RETRY_MS);
    }
    return count;
}

int64_t lease_renew(struct lessor *l, struct lease *lease, uint64_t now_ms)
{
    if (!l->leading || lease->expiry_ms <= now_ms) {
        return 0;
    }
    lease->remaining_s = 0;
    lease->expiry_ms = now_ms + (uint64_t)lease->ttl_s * 1000;
    heap_wake_at(l, lease, lease->expiry_ms);
    return lease->ttl_s;
}

int64_t lease_remaining_s(const struct lease *lease, uint64_t now_ms)
{
    if (lease->expiry_ms == NEVER) {
        return lease->ttl_s;
    }
    return lease->expiry_ms <= now_ms
               ? 0
               : (int64_t)((lease->expiry_ms - now_ms) / 1000);
}

static int expiry_cmp(const void *left, const void *right)
{
    const struct lease *a = *(struct lease *const *)left;
    const struct lease *b = *(struct lease *const *)right;

    if (a->expiry_ms != b->expiry_ms) {
        return a->expiry_ms < b->expiry_ms ? -1 : 1;
    }
    return a->id < b->id ? -1 : a->id > b->id;
}

struct lease **lessor_list(const struct lessor *l)
{
    struct lease **list = malloc((l->count + 1) * sizeof(struct lease *));
    struct lease *lease;
    struct lease *next;
    size_t count = 0;

    CHECK(list != NULL);
    HASH_ITER(hh, l->by_id, lease, next)
    {
        list[count++] = lease;
    }
    qsort(list, count, sizeof(struct lease *), expiry_cmp);
    return list;
}

void lessor_verify(const struct lessor *l)
{
    struct lease *lease;
    struct lease *next;
    size_t count = 0;

    CHECK(l->heap_count == (l->leading ? l->count : 0));
    HASH_ITER(hh, l->by_id, lease, next)
    {
        const struct lease_item *item;
        size_t items = 0;

        LIST_FOREACH(item, &lease->items, entry)
        {
            CHECK(item->lease == lease);
            CHECK(item->key->lease == item);
            items++;
        }
        CHECK(items == lease->items_count);
        CHECK_IF(l->leading, l->heap[lease->heap_at] == lease);
        CHECK_IF(!l->leading, lease->expiry_ms == NEVER);
        count++;
    }
    for (size_t i = 1; i < l->heap_count; i++) {
        CHECK(l->heap[(i - 1) / 2]->wake_ms <= l->heap[i]->wake_ms);
    }
    CHECK(count == l->count);
}
