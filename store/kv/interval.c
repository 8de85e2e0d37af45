#include "store/kv/interval.h"

#include "base/core/check.h"

/* An open end is behind every other. */
static int end_cmp(const struct key_range *a, const struct key_range *b)
{
    if (a->open || b->open) {
        return (int)a->open - (int)b->open;
    }
    return slice_cmp(a->to, b->to);
}

static int range_cmp(const struct key_range *a, const struct key_range *b)
{
    int order = slice_cmp(a->from, b->from);

    return order != 0 ? order : end_cmp(a, b);
}

static const struct interval *farther(const struct interval *a,
                                      const struct interval *b)
{
    return b != NULL && end_cmp(&b->range, &a->range) > 0 ? b : a;
}

static void node_update(struct interval *n)
{
    const struct interval *best = n;

    if (n->left != NULL) {
        best = farther(best, n->left->farthest);
    }
    if (n->right != NULL) {
        best = farther(best, n->right->farthest);
    }
    n->farthest = best;
}

/* Everything in `a` is before everything in `b`. Depth is that of the treap,
 * logarithmic but for bad luck with a seed nobody outside knows. */
static struct interval *join(struct interval *a, struct interval *b)
{
    if (a == NULL || b == NULL) {
        return a == NULL ? b : a;
    }
    if (a->priority > b->priority) {
        a->right = join(a->right, b);
        node_update(a);
        return a;
    }
    b->left = join(a, b->left);
    node_update(b);
    return b;
}

/* Divide into what is before `range` and what is behind. */
static void split(struct interval *n, const struct key_range *range,
                  struct interval **out_before, struct interval **out_behind)
{
    if (n == NULL) {
        *out_before = NULL;
        *out_behind = NULL;
        return;
    }
    if (range_cmp(&n->range, range) < 0) {
        split(n->right, range, &n->right, out_behind);
        *out_before = n;
    } else {
        split(n->left, range, out_before, &n->left);
        *out_behind = n;
    }
    node_update(n);
}

/* xorshift32 */
static uint32_t next_priority(struct intervals *t)
{
    t->seed ^= t->seed << 13;
    t->seed ^= t->seed >> 17;
    t->seed ^= t->seed << 5;
    return t->seed;
}

struct interval *intervals_find(const struct intervals *t,
                                const struct key_range *range)
{
    struct interval *n = t->root;

    while (n != NULL) {
        int order = range_cmp(range, &n->range);

        if (order == 0) {
            return n;
        }
        n = order < 0 ? n->left : n->right;
    }
    return NULL;
}

struct interval *intervals_add(struct intervals *t, struct interval *node)
{
    struct interval *present = intervals_find(t, &node->range);
    struct interval *before;
    struct interval *behind;

    if (present != NULL) {
        return present;
    }
    CHECK(t->seed != 0);
    node->left = NULL;
    node->right = NULL;
    node->priority = next_priority(t);
    node_update(node);
    split(t->root, &node->range, &before, &behind);
    t->root = join(join(before, node), behind);
    return NULL;
}

static struct interval *removed(struct interval *n, struct interval *node)
{
    CHECK(n != NULL);
    if (n == node) {
        return join(n->left, n->right);
    }
    if (range_cmp(&node->range, &n->range) < 0) {
        n->left = removed(n->left, node);
    } else {
        n->right = removed(n->right, node);
    }
    node_update(n);
    return n;
}

void intervals_remove(struct intervals *t, struct interval *node)
{
    t->root = removed(t->root, node);
}

static bool ends_behind(const struct key_range *r, struct slice key)
{
    return r->open || slice_cmp(key, r->to) < 0;
}

static void stab(struct interval *n, struct slice key, void *ctx,
                 interval_fn *on_found)
{
    while (n != NULL && ends_behind(&n->farthest->range, key)) {
        stab(n->left, key, ctx, on_found);
        if (slice_cmp(n->range.from, key) > 0) {
            return; /* So do all on the right. */
        }
        if (ends_behind(&n->range, key)) {
            on_found(ctx, n);
        }
        n = n->right;
    }
}

void intervals_stab(const struct intervals *t, struct slice key, void *ctx,
                    interval_fn *on_found)
{
    stab(t->root, key, ctx, on_found);
}

static void each(struct interval *n, void *ctx, interval_fn *on_each)
{
    if (n != NULL) {
        each(n->left, ctx, on_each);
        on_each(ctx, n);
        each(n->right, ctx, on_each);
    }
}

void intervals_each(const struct intervals *t, void *ctx, interval_fn *on_each)
{
    each(t->root, ctx, on_each);
}

static void node_verify(const struct interval *n)
{
    if (n == NULL) {
        return;
    }
    CHECK(end_cmp(&n->farthest->range, &n->range) >= 0);
    if (n->left != NULL) {
        CHECK(range_cmp(&n->left->range, &n->range) < 0);
        CHECK(n->left->priority <= n->priority);
        CHECK(end_cmp(&n->farthest->range, &n->left->farthest->range) >= 0);
    }
    if (n->right != NULL) {
        CHECK(range_cmp(&n->right->range, &n->range) > 0);
        CHECK(n->right->priority <= n->priority);
        CHECK(end_cmp(&n->farthest->range, &n->right->farthest->range) >= 0);
    }
    node_verify(n->left);
    node_verify(n->right);
}

void intervals_verify(const struct intervals *t)
{
    node_verify(t->root);
}
