#include "store/kv/index.h"

#include <stdlib.h>

#include "base/core/check.h"

enum {
    LEAF_MAX = 63, /* Pointers. Both kinds of node are of one size. */
    INNER_MAX = 32,
    DEPTH_MAX = 16,
};

/* A copy of a key that divides two children. Not an entry's own key, so that
 * entries may go at any time. */
struct separator {
    size_t len;
    uint8_t bytes[];
};

struct index_node {
    uint16_t count; /* Of `keys` or of `children`. */
    bool is_leaf;
    union {
        struct {
            struct index_node *next;
            struct index_key *keys[LEAF_MAX];
        } leaf;
        struct {
            /* separators[i] is at or below everything in children[i] and above
             * everything in children[i - 1]; separators[0] is not used. */
            struct separator *separators[INNER_MAX];
            struct index_node *children[INNER_MAX];
        } inner;
    };
};

/* The way from the root to a leaf, for changes that spread upwards. */
struct path {
    struct index_node *nodes[DEPTH_MAX];
    unsigned places[DEPTH_MAX]; /* Which child was taken. */
    unsigned depth;
};

static struct index_node *node_new(bool is_leaf)
{
    struct index_node *n = malloc(sizeof(*n));

    CHECK(n != NULL);
    n->count = 0;
    n->is_leaf = is_leaf;
    if (is_leaf) {
        n->leaf.next = NULL;
    }
    return n;
}

static struct separator *separator_new(struct slice key)
{
    struct separator *s = malloc(sizeof(*s) + key.len);

    CHECK(s != NULL);
    s->len = key.len;
    memcpy(s->bytes, key.data, key.len);
    return s;
}

static void key_free(struct index_key *k)
{
    free(k->older);
    free(k);
}

/* Depth is bounded by the tree's, see DEPTH_MAX. */
static void node_free(struct index_node *n)
{
    for (unsigned i = 0; i < n->count; i++) {
        if (n->is_leaf) {
            key_free(n->leaf.keys[i]);
        } else {
            node_free(n->inner.children[i]);
            if (i > 0) {
                free(n->inner.separators[i]);
            }
        }
    }
    free(n);
}

void index_init(struct index *x)
{
    *x = (struct index){.root = node_new(true)};
}

void index_release(struct index *x)
{
    if (x->root != NULL) {
        node_free(x->root);
    }
    *x = (struct index){0};
}

/* The first place in the leaf with a key >= `key`. */
static unsigned leaf_place(const struct index_node *leaf, struct slice key)
{
    unsigned low = 0;
    unsigned high = leaf->count;

    while (low < high) {
        unsigned mid = (low + high) / 2;

        if (slice_cmp(index_key_slice(leaf->leaf.keys[mid]), key) < 0) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

/* The child that `key` belongs to. */
static unsigned inner_place(const struct index_node *n, struct slice key)
{
    unsigned low = 1;
    unsigned high = n->count;

    while (low < high) {
        unsigned mid = (low + high) / 2;
        const struct separator *s = n->inner.separators[mid];

        if (slice_cmp(slice_of(s->bytes, s->len), key) <= 0) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low - 1;
}

static struct index_node *descend(const struct index *x, struct slice key)
{
    struct index_node *n = x->root;

    while (!n->is_leaf) {
        n = n->inner.children[inner_place(n, key)];
    }
    return n;
}

static struct index_node *descend_noting(const struct index *x,
                                         struct slice key, struct path *p)
{
    struct index_node *n = x->root;

    p->depth = 0;
    while (!n->is_leaf) {
        CHECK(p->depth < DEPTH_MAX);
        p->nodes[p->depth] = n;
        p->places[p->depth] = inner_place(n, key);
        n = n->inner.children[p->places[p->depth++]];
    }
    return n;
}

struct index_key *index_find(const struct index *x, struct slice key)
{
    struct index_node *leaf = descend(x, key);
    unsigned at = leaf_place(leaf, key);

    if (at < leaf->count &&
        slice_eq(index_key_slice(leaf->leaf.keys[at]), key)) {
        return leaf->leaf.keys[at];
    }
    return NULL;
}

/* How much stays on the left of a split. Keys that come in ascending order
 * would leave every node half empty, so a split at the end keeps all. */
static unsigned split_point(unsigned count, unsigned at)
{
    return at == count ? count : count / 2;
}

static void inner_insert(struct index_node *n, unsigned at, struct separator *s,
                         struct index_node *child)
{
    size_t behind = n->count - at;

    memmove(&n->inner.separators[at + 1], &n->inner.separators[at],
            behind * sizeof(s));
    memmove(&n->inner.children[at + 1], &n->inner.children[at],
            behind * sizeof(child));
    n->inner.separators[at] = s;
    n->inner.children[at] = child;
    n->count++;
}

/* Hang `right` behind the node that the path's last step took; split upwards
 * as far as needed. */
static void path_insert(struct index *x, struct path *p, struct separator *s,
                        struct index_node *right)
{
    while (p->depth > 0) {
        struct index_node *n = p->nodes[--p->depth];
        unsigned at = p->places[p->depth] + 1;
        struct index_node *other;
        unsigned keep;

        if (n->count < INNER_MAX) {
            inner_insert(n, at, s, right);
            return;
        }
        keep = split_point(n->count, at);
        other = node_new(false);
        other->count = (uint16_t)(n->count - keep);
        memcpy(other->inner.separators, &n->inner.separators[keep],
               other->count * sizeof(s));
        memcpy(other->inner.children, &n->inner.children[keep],
               other->count * sizeof(right));
        n->count = (uint16_t)keep;
        if (other->count == 0) {
            /* The new child is the only one on the right. */
            other->inner.children[0] = right;
            other->inner.separators[0] = NULL;
            other->count = 1;
        } else {
            struct separator *between = other->inner.separators[0];

            if (at > keep) {
                inner_insert(other, at - keep, s, right);
            } else {
                inner_insert(n, at, s, right);
            }
            s = between;
        }
        right = other;
    }

    struct index_node *root = node_new(false);

    root->inner.separators[0] = NULL;
    root->inner.children[0] = x->root;
    root->count = 1;
    inner_insert(root, 1, s, right);
    x->root = root;
}

static void leaf_insert(struct index_node *leaf, unsigned at,
                        struct index_key *k)
{
    memmove(&leaf->leaf.keys[at + 1], &leaf->leaf.keys[at],
            (leaf->count - at) * sizeof(k));
    leaf->leaf.keys[at] = k;
    leaf->count++;
}

static void leaf_split_insert(struct index *x, struct path *p,
                              struct index_node *leaf, unsigned at,
                              struct index_key *k)
{
    unsigned keep = split_point(leaf->count, at);
    struct index_node *right = node_new(true);

    right->count = (uint16_t)(leaf->count - keep);
    memcpy(right->leaf.keys, &leaf->leaf.keys[keep],
           right->count * sizeof(struct index_key *));
    leaf->count = (uint16_t)keep;
    right->leaf.next = leaf->leaf.next;
    leaf->leaf.next = right;
    if (at > keep || right->count == 0) {
        leaf_insert(right, at - keep, k);
    } else {
        leaf_insert(leaf, at, k);
    }
    path_insert(x, p, separator_new(index_key_slice(right->leaf.keys[0])),
                right);
}

struct index_key *index_find_or_add(struct index *x, struct slice key)
{
    struct index_node *leaf = descend(x, key);
    unsigned at = leaf_place(leaf, key);
    struct index_key *k;

    if (at < leaf->count &&
        slice_eq(index_key_slice(leaf->leaf.keys[at]), key)) {
        return leaf->leaf.keys[at];
    }
    CHECK(key.len <= UINT32_MAX);
    k = malloc(sizeof(*k) + key.len);
    CHECK(k != NULL);
    *k = (struct index_key){.len = (uint32_t)key.len};
    memcpy(k->key, key.data, key.len);
    if (leaf->count < LEAF_MAX) {
        leaf_insert(leaf, at, k);
    } else {
        struct path p;

        CHECK(descend_noting(x, key, &p) == leaf);
        leaf_split_insert(x, &p, leaf, at, k);
    }
    x->entries++;
    return k;
}

static size_t older_count(const struct index_key *k)
{
    return k->older == NULL ? 0 : k->older->count;
}

static void push_older(struct index_key *k, struct index_rev rev)
{
    uint32_t count = (uint32_t)older_count(k);

    if (k->older == NULL || count == k->older->cap) {
        uint32_t cap = count == 0 ? 2 : count * 2;

        CHECK(cap > count);
        k->older = realloc(k->older, sizeof(*k->older) + cap * sizeof(rev));
        CHECK(k->older != NULL);
        k->older->cap = cap;
    }
    k->older->revs[count] = rev;
    k->older->count = count + 1;
}

void index_push(struct index *x, struct index_key *k, struct index_rev rev,
                int64_t create, int64_t version)
{
    CHECK(rev.tombstone == (version == 0));
    if (k->newest.main > 0) {
        push_older(k, k->newest);
    }
    x->alive += (version > 0) - (k->version > 0);
    k->newest = rev;
    k->create = create;
    k->version = version;
}

size_t index_revs_count(const struct index_key *k)
{
    return older_count(k) + 1;
}

struct index_rev index_rev_at(const struct index_key *k, size_t i)
{
    return i == older_count(k) ? k->newest : k->older->revs[i];
}

/* How many revisions are at or below `main`. */
static size_t revs_until(const struct index_key *k, int64_t main)
{
    size_t low = 0;
    size_t high = older_count(k);

    if (k->newest.main <= main) {
        return index_revs_count(k);
    }
    while (low < high) {
        size_t mid = (low + high) / 2;

        if (k->older->revs[mid].main <= main) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

bool index_at(const struct index_key *k, int64_t main,
              struct index_rev *out_rev)
{
    size_t count = revs_until(k, main);
    struct index_rev rev;

    if (count == 0) {
        return false;
    }
    rev = index_rev_at(k, count - 1);
    if (rev.tombstone) {
        return false;
    }
    *out_rev = rev;
    return true;
}

/* Take an empty leaf or inner node out of its parent, upwards as needed. The
 * first separator of a node is not used, so the one to free is that of the
 * child that comes to stand first. */
static void path_remove(struct index *x, struct path *p)
{
    while (p->depth > 0) {
        struct index_node *n = p->nodes[--p->depth];
        unsigned at = p->places[p->depth];
        unsigned sep = at == 0 ? 1 : at;

        if (sep < n->count) {
            free(n->inner.separators[sep]);
            memmove(&n->inner.separators[sep], &n->inner.separators[sep + 1],
                    (n->count - sep - 1) * sizeof(struct separator *));
        }
        memmove(&n->inner.children[at], &n->inner.children[at + 1],
                (n->count - at - 1) * sizeof(struct index_node *));
        if (--n->count > 0) {
            break;
        }
        CHECK(n != x->root);
        free(n);
    }
    while (!x->root->is_leaf && x->root->count == 1) {
        struct index_node *only = x->root->inner.children[0];

        free(x->root);
        x->root = only;
    }
}

static struct index_node *rightmost(struct index_node *n)
{
    while (!n->is_leaf) {
        n = n->inner.children[n->count - 1];
    }
    return n;
}

/* The leaf to the left of the path's, or NULL. */
static struct index_node *path_left(const struct path *p)
{
    for (unsigned d = p->depth; d > 0; d--) {
        unsigned at = p->places[d - 1];

        if (at > 0) {
            return rightmost(p->nodes[d - 1]->inner.children[at - 1]);
        }
    }
    return NULL;
}

static void index_remove(struct index *x, struct index_key *k)
{
    struct path p;
    struct index_node *leaf = descend_noting(x, index_key_slice(k), &p);
    unsigned at = leaf_place(leaf, index_key_slice(k));

    CHECK(at < leaf->count);
    CHECK(leaf->leaf.keys[at] == k);
    leaf->count--;
    memmove(&leaf->leaf.keys[at], &leaf->leaf.keys[at + 1],
            (leaf->count - at) * sizeof(k));
    x->entries--;
    key_free(k);
    if (leaf->count == 0 && leaf != x->root) {
        struct index_node *left = path_left(&p);

        if (left != NULL) {
            left->leaf.next = leaf->leaf.next;
        }
        free(leaf);
        path_remove(x, &p);
    }
}

bool index_compact(struct index *x, struct index_key *k, int64_t main,
                   void *ctx, index_drop_fn *on_drop)
{
    size_t until = revs_until(k, main);
    size_t drop;

    if (until == 0) {
        return false;
    }
    drop = until - 1;
    if (index_rev_at(k, drop).tombstone && index_rev_at(k, drop).main < main) {
        drop++;
    }
    for (size_t i = 0; i < drop; i++) {
        on_drop(ctx, index_rev_at(k, i));
    }
    if (drop == index_revs_count(k)) {
        CHECK(!index_key_alive(k));
        CHECK(k->lease == NULL);
        CHECK(k->row == NULL);
        index_remove(x, k);
        return true;
    }
    if (drop == older_count(k)) {
        free(k->older);
        k->older = NULL;
    } else if (drop > 0) {
        k->older->count -= (uint32_t)drop;
        memmove(k->older->revs, k->older->revs + drop,
                k->older->count * sizeof(k->older->revs[0]));
    }
    return false;
}

struct index_cursor index_seek(const struct index *x, struct slice from)
{
    struct index_node *leaf = descend(x, from);
    struct index_cursor c = {.leaf = leaf, .at = leaf_place(leaf, from)};

    while (c.leaf != NULL && c.at == c.leaf->count) {
        c.leaf = c.leaf->leaf.next;
        c.at = 0;
    }
    return c;
}

struct index_key *index_here(const struct index_cursor *c)
{
    return c->leaf == NULL ? NULL : c->leaf->leaf.keys[c->at];
}

void index_next(struct index_cursor *c)
{
    if (++c->at == c->leaf->count) {
        c->leaf = c->leaf->leaf.next;
        c->at = 0;
    }
}

static void key_verify(const struct index_key *k)
{
    CHECK(k->newest.main > 0);
    CHECK(k->newest.tombstone == (k->version == 0));
    CHECK_IF(k->newest.tombstone, k->lease == NULL);
    CHECK_IF(k->older != NULL, k->older->count > 0);
    CHECK_IF(k->older != NULL, k->older->count <= k->older->cap);
    for (size_t i = 1; i <= older_count(k); i++) {
        struct index_rev a = index_rev_at(k, i - 1);
        struct index_rev b = index_rev_at(k, i);

        CHECK(kv_rev_cmp((struct kv_rev){a.main, a.sub},
                         (struct kv_rev){b.main, b.sub}) < 0);
    }
}

/* Separators divide, nothing is empty but a lone root. Returns the depth. */
static unsigned node_verify(const struct index *x, const struct index_node *n,
                            unsigned level)
{
    unsigned depth = 0;

    CHECK(level < DEPTH_MAX);
    CHECK_IF(n != x->root, n->count > 0);
    if (n->is_leaf) {
        return 1;
    }
    for (unsigned i = 0; i < n->count; i++) {
        unsigned below = node_verify(x, n->inner.children[i], level + 1);

        CHECK_IF(i > 0, below == depth);
        depth = below;
        if (i > 0) {
            struct slice s = slice_of(n->inner.separators[i]->bytes,
                                      n->inner.separators[i]->len);
            struct index_cursor c = index_seek(x, s);
            const struct index_node *left = rightmost(n->inner.children[i - 1]);

            CHECK(slice_cmp(index_key_slice(left->leaf.keys[left->count - 1]),
                            s) < 0);
            CHECK(c.leaf != NULL);
        }
    }
    return depth + 1;
}

void index_verify(const struct index *x)
{
    struct index_cursor c = index_seek(x, slice_of("", 0));
    const struct index_key *before = NULL;
    const struct index_key *k;
    size_t entries = 0;
    size_t alive = 0;

    (void)node_verify(x, x->root, 0);
    while ((k = index_here(&c)) != NULL) {
        key_verify(k);
        CHECK_IF(before != NULL,
                 slice_cmp(index_key_slice(before), index_key_slice(k)) < 0);
        entries++;
        alive += index_key_alive(k);
        before = k;
        index_next(&c);
    }
    CHECK(entries == x->entries);
    CHECK(alive == x->alive);
}
