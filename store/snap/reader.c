#include "store/snap/reader.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/core/check.h"
#include "base/core/wire.h"
#include "store/snap/page.h"

enum {
    DEPTH_MAX = 32,
    PAGE_BYTES_MIN = 512,
    PAGE_BYTES_MAX = 65536
};

struct meta {
    uint32_t page_bytes;
    uint64_t root;
    uint64_t pages;
    uint64_t txid;
};

struct walk {
    struct slice file;
    struct meta meta;
    const struct snap_hooks *hooks;
    struct err *err;
    uint8_t *seen; /* A bit a page. */
    bool in_bucket;
    bool told; /* The bucket's rows are wanted. */
    bool has_last;
    struct slice last; /* The key before, within the file. */
};

/* A page, or what is inline in a bucket's value. */
struct page {
    struct slice bytes; /* With its head. */
    unsigned flags;
    size_t count;
    uint64_t id;
};

static uint16_t get_u16(const uint8_t *at)
{
    return (uint16_t)(at[0] | at[1] << 8);
}

static uint32_t get_u32(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 |
           (uint32_t)at[3] << 24;
}

static uint64_t get_u64(const uint8_t *at)
{
    return (uint64_t)get_u32(at) | (uint64_t)get_u32(at + 4) << 32;
}

static enum status bad(struct walk *w, uint64_t page, const char *what)
{
    return err_set(w->err, ST_CORRUPT,
                   "page %" PRIu64 ": %s; the file is damaged or cut short",
                   page, what);
}

/* ---- meta ---- */

static bool meta_at(struct slice file, size_t at, struct meta *out)
{
    const uint8_t *m;

    if (at > file.len || file.len - at < SNAP_HEAD_BYTES + SNAP_META_BYTES) {
        return false;
    }
    m = file.data + at + SNAP_HEAD_BYTES;
    *out = (struct meta){.page_bytes = get_u32(m + 8),
                         .root = get_u64(m + 16),
                         .pages = get_u64(m + 40),
                         .txid = get_u64(m + 48)};
    return get_u32(m) == SNAP_MAGIC && get_u32(m + 4) == SNAP_VERSION &&
           get_u64(m + SNAP_META_SUMMED) == snap_sum(m, SNAP_META_SUMMED) &&
           out->page_bytes >= PAGE_BYTES_MIN &&
           out->page_bytes <= PAGE_BYTES_MAX &&
           (out->page_bytes & (out->page_bytes - 1)) == 0;
}

/* The second one lies a page behind, whose size only the first one tells; if
 * that is damaged, the usual sizes are tried. */
static bool meta_choose(struct slice file, struct meta *out)
{
    struct meta second;
    bool found = meta_at(file, 0, out);

    for (size_t size = PAGE_BYTES_MIN; size <= PAGE_BYTES_MAX; size *= 2) {
        if (meta_at(file, size, &second) && second.page_bytes == size &&
            (!found || (second.page_bytes == out->page_bytes &&
                        second.txid > out->txid))) {
            *out = second;
            found = true;
        }
    }
    return found;
}

uint64_t snap_file_bytes(struct slice file)
{
    struct meta m;

    if (!meta_choose(file, &m) || m.pages > file.len / m.page_bytes) {
        return 0;
    }
    return m.pages * m.page_bytes;
}

/* ---- pages ---- */

static bool see(struct walk *w, uint64_t id)
{
    uint8_t bit = (uint8_t)(1u << (id & 7));

    if (w->seen[id / 8] & bit) {
        return false;
    }
    w->seen[id / 8] |= bit;
    return true;
}

static void page_read_head(struct page *p)
{
    p->flags = get_u16(p->bytes.data + 8);
    p->count = get_u16(p->bytes.data + 10);
}

static enum status page_get(struct walk *w, uint64_t id, struct page *out)
{
    uint64_t overflow;
    size_t at;

    if (id < SNAP_META_PAGES || id >= w->meta.pages) {
        return bad(w, id, "there is no such page");
    }
    if (!see(w, id)) {
        return bad(w, id, "it is named twice");
    }
    at = (size_t)(id * w->meta.page_bytes);
    overflow = get_u32(w->file.data + at + 12);
    if (get_u64(w->file.data + at) != id || overflow >= w->meta.pages - id) {
        return bad(w, id, "its head is wrong");
    }
    out->id = id;
    out->bytes = slice_of(w->file.data + at,
                          (size_t)((overflow + 1) * w->meta.page_bytes));
    page_read_head(out);
    return ST_OK;
}

/* `len` bytes at `pos` behind an element at `at`. */
static bool part(const struct page *p, size_t at, uint32_t pos, size_t skip,
                 uint32_t len, struct slice *out)
{
    size_t left = p->bytes.len - at;

    if (pos > left || skip > left - pos || len > left - pos - skip) {
        return false;
    }
    *out = slice_of(p->bytes.data + at + pos + skip, len);
    return true;
}

static size_t element_at(size_t i)
{
    return SNAP_HEAD_BYTES + i * 16; /* Both kinds have 16 bytes. */
}

static bool elements_fit(const struct page *p)
{
    return element_at(p->count) <= p->bytes.len;
}

/* ---- the walk ---- */

static enum status walk_page(struct walk *w, const struct page *p,
                             unsigned depth);

static enum status walk_id(struct walk *w, uint64_t id, unsigned depth)
{
    struct page p;
    enum status st;

    if (depth > DEPTH_MAX) {
        return bad(w, id, "the tree is too deep");
    }
    st = page_get(w, id, &p);
    return st ? st : walk_page(w, &p, depth);
}

static enum status walk_bucket(struct walk *w, const struct page *in,
                               struct slice name, struct slice value)
{
    uint64_t root;
    enum status st;

    if (w->in_bucket) {
        return bad(w, in->id, "a bucket in a bucket");
    }
    if (value.len < SNAP_BUCKET_BYTES) {
        return bad(w, in->id, "a bucket's head is cut short");
    }
    root = get_u64(value.data);
    w->in_bucket = true;
    w->told = w->hooks->on_bucket(w->hooks->ctx, name);
    w->has_last = false;
    if (root != 0) {
        st = walk_id(w, root, 1);
    } else {
        struct page p = {.bytes = slice_skip(value, SNAP_BUCKET_BYTES),
                         .id = in->id};

        if (p.bytes.len < SNAP_HEAD_BYTES) {
            return bad(w, in->id, "a small bucket is cut short");
        }
        page_read_head(&p);
        st = walk_page(w, &p, 1);
    }
    w->in_bucket = false;
    w->has_last = true;
    w->last = name;
    return st;
}

static enum status walk_row(struct walk *w, const struct page *p, size_t i)
{
    size_t at = element_at(i);
    const uint8_t *e = p->bytes.data + at;
    uint32_t key_len = get_u32(e + 8);
    struct slice key;
    struct slice value;

    if (!part(p, at, get_u32(e + 4), 0, key_len, &key) ||
        !part(p, at, get_u32(e + 4), key_len, get_u32(e + 12), &value)) {
        return bad(w, p->id, "a row lies outside of it");
    }
    if (w->has_last && slice_cmp(w->last, key) >= 0) {
        return bad(w, p->id, "its keys are out of order");
    }
    w->has_last = true;
    w->last = key;
    if (get_u32(e) & SNAP_ELEMENT_BUCKET) {
        return walk_bucket(w, p, key, value);
    }
    if (!w->in_bucket) {
        return bad(w, p->id, "a row outside of all buckets");
    }
    return w->told ? w->hooks->on_row(w->hooks->ctx, key, value) : ST_OK;
}

static enum status walk_page(struct walk *w, const struct page *p,
                             unsigned depth)
{
    enum status st = ST_OK;

    if ((p->flags != SNAP_FLAG_LEAF && p->flags != SNAP_FLAG_BRANCH) ||
        !elements_fit(p)) {
        return bad(w, p->id, "it is no page of a tree");
    }
    for (size_t i = 0; st == ST_OK && i < p->count; i++) {
        st = p->flags == SNAP_FLAG_LEAF
                 ? walk_row(w, p, i)
                 : walk_id(w, get_u64(p->bytes.data + element_at(i) + 8),
                           depth + 1);
    }
    return st;
}

enum status snap_read(struct slice file, const struct snap_hooks *hooks,
                      struct err *err)
{
    struct walk w = {.file = file, .hooks = hooks, .err = err};
    enum status st;

    if (!meta_choose(file, &w.meta)) {
        return err_set(err, ST_CORRUPT,
                       "not a snapshot: it does not begin as a bbolt "
                       "database of version 2");
    }
    if (w.meta.pages > file.len / w.meta.page_bytes) {
        return err_set(err, ST_CORRUPT,
                       "cut short: %" PRIu64 " pages of %" PRIu32
                       " bytes are missing some: there are %zu bytes",
                       w.meta.pages, w.meta.page_bytes, file.len);
    }
    w.seen = calloc(1, (size_t)(w.meta.pages / 8 + 1));
    CHECK(w.seen != NULL);
    st = walk_id(&w, w.meta.root, 0);
    free(w.seen);
    return st;
}
