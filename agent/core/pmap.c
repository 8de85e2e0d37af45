#include "agent/core/pmap.h"

#include <stdint.h>
#include <stdlib.h>

#include "base/core/check.h"
#include "base/core/hash.h"

/* All recursion here is as deep as the tree: about 3 log2(n), so 60 levels for
 * a million keys. */

struct pmap_node {
    struct shared shared;
    struct pmap_node *left;
    struct pmap_node *right;
    struct shared *value;
    uint64_t priority;
    size_t key_len;
    uint8_t key[];
};

static struct slice node_key(const struct pmap_node *n)
{
    return slice_of(n->key, n->key_len);
}

static void node_unref(struct pmap_node *n)
{
    if (n != NULL) {
        shared_unref(&n->shared);
    }
}

static struct pmap_node *node_ref(struct pmap_node *n)
{
    if (n != NULL) {
        (void)shared_ref(&n->shared);
    }
    return n;
}

static void node_free(struct shared *s)
{
    struct pmap_node *n = (struct pmap_node *)s;

    node_unref(n->left);
    node_unref(n->right);
    shared_unref(n->value);
    free(n);
}

static struct pmap_node *node_new(struct slice key, struct shared *value)
{
    static const struct hash_key seed = {0x7472656170000001,
                                         0x7072696f72000002};
    struct pmap_node *n = malloc(sizeof(*n) + key.len);

    CHECK(n != NULL);
    shared_init(&n->shared, node_free);
    n->left = NULL;
    n->right = NULL;
    n->value = value;
    n->priority = hash_bytes(seed, key);
    n->key_len = key.len;
    if (key.len > 0) {
        memcpy(n->key, key.data, key.len);
    }
    return n;
}

/* The node itself if only the caller holds it, else a copy; the caller's
 * reference goes over. */
static struct pmap_node *node_own(struct pmap_node *n)
{
    struct pmap_node *copy;

    if (shared_is_sole(&n->shared)) {
        return n;
    }
    copy = node_new(node_key(n), shared_ref(n->value));
    copy->left = node_ref(n->left);
    copy->right = node_ref(n->right);
    node_unref(n);
    return copy;
}

/* Take a tree apart into what is before and what is after an absent key. */
static void split(struct pmap_node *n, struct slice key,
                  struct pmap_node **out_before, struct pmap_node **out_after)
{
    if (n == NULL) {
        *out_before = NULL;
        *out_after = NULL;
        return;
    }
    n = node_own(n);
    if (slice_cmp(node_key(n), key) < 0) {
        split(n->right, key, &n->right, out_after);
        *out_before = n;
    } else {
        split(n->left, key, out_before, &n->left);
        *out_after = n;
    }
}

/* Put two trees together, of which all keys of `a` are before those of `b`. */
static struct pmap_node *join(struct pmap_node *a, struct pmap_node *b)
{
    if (a == NULL || b == NULL) {
        return a == NULL ? b : a;
    }
    if (a->priority >= b->priority) {
        a = node_own(a);
        a->right = join(a->right, b);
        return a;
    }
    b = node_own(b);
    b->left = join(a, b->left);
    return b;
}

/* Adopts n and fresh. A key's priority is its hash, so the key of `fresh`
 * cannot lie below a node of lower priority: split() never meets it. */
static struct pmap_node *insert(struct pmap_node *n, struct pmap_node *fresh,
                                bool *out_replaced)
{
    int order;

    if (n == NULL) {
        return fresh;
    }
    if (fresh->priority > n->priority) {
        split(n, node_key(fresh), &fresh->left, &fresh->right);
        return fresh;
    }
    n = node_own(n);
    order = slice_cmp(node_key(fresh), node_key(n));
    if (order == 0) {
        struct shared *old = n->value;

        n->value = fresh->value;
        fresh->value = old;
        node_unref(fresh);
        *out_replaced = true;
    } else if (order < 0) {
        n->left = insert(n->left, fresh, out_replaced);
    } else {
        n->right = insert(n->right, fresh, out_replaced);
    }
    return n;
}

/* The key is known to be there. */
static struct pmap_node *remove_key(struct pmap_node *n, struct slice key)
{
    struct pmap_node *rest;
    int order;

    CHECK(n != NULL);
    n = node_own(n);
    order = slice_cmp(key, node_key(n));
    if (order < 0) {
        n->left = remove_key(n->left, key);
        return n;
    }
    if (order > 0) {
        n->right = remove_key(n->right, key);
        return n;
    }
    rest = join(n->left, n->right);
    n->left = NULL;
    n->right = NULL;
    node_unref(n);
    return rest;
}

void pmap_release(struct pmap *m)
{
    node_unref(m->root);
    *m = (struct pmap){0};
}

struct pmap pmap_share(const struct pmap *m)
{
    return (struct pmap){.root = node_ref(m->root), .count = m->count};
}

struct shared *pmap_get(const struct pmap *m, struct slice key)
{
    const struct pmap_node *n = m->root;

    while (n != NULL) {
        int order = slice_cmp(key, node_key(n));

        if (order == 0) {
            return n->value;
        }
        n = order < 0 ? n->left : n->right;
    }
    return NULL;
}

struct shared **pmap_slot(struct pmap *m, struct slice key)
{
    struct pmap_node **n = &m->root;

    if (pmap_get(m, key) == NULL) {
        return NULL;
    }
    for (;;) {
        int order;

        *n = node_own(*n);
        order = slice_cmp(key, node_key(*n));
        if (order == 0) {
            return &(*n)->value;
        }
        n = order < 0 ? &(*n)->left : &(*n)->right;
        CHECK(*n != NULL);
    }
}

void pmap_put(struct pmap *m, struct slice key, struct shared *value)
{
    bool replaced = false;

    m->root = insert(m->root, node_new(key, value), &replaced);
    m->count += !replaced;
}

bool pmap_remove(struct pmap *m, struct slice key)
{
    if (pmap_get(m, key) == NULL) {
        return false;
    }
    m->root = remove_key(m->root, key);
    m->count--;
    return true;
}

static bool each(struct pmap_node *n, struct slice from, pmap_fn fn, void *ctx)
{
    if (n == NULL) {
        return true;
    }
    if (slice_cmp(node_key(n), from) >= 0) {
        if (!each(n->left, from, fn, ctx) || !fn(ctx, node_key(n), n->value)) {
            return false;
        }
    }
    return each(n->right, from, fn, ctx);
}

void pmap_each(const struct pmap *m, struct slice from, pmap_fn fn, void *ctx)
{
    (void)each(m->root, from, fn, ctx);
}

static size_t verify(const struct pmap_node *n)
{
    size_t count = 1;

    if (n->left != NULL) {
        CHECK(slice_cmp(node_key(n->left), node_key(n)) < 0);
        CHECK(n->left->priority <= n->priority);
        count += verify(n->left);
    }
    if (n->right != NULL) {
        CHECK(slice_cmp(node_key(n->right), node_key(n)) > 0);
        CHECK(n->right->priority <= n->priority);
        count += verify(n->right);
    }
    return count;
}

void pmap_verify(const struct pmap *m)
{
    CHECK(m->count == (m->root == NULL ? 0 : verify(m->root)));
}
