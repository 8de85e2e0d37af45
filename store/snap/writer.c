#include "store/snap/writer.h"

#include <stdlib.h>

#include "base/core/check.h"
#include "base/core/row.h"
#include "base/core/wire.h"
#include "store/snap/page.h"

/* A leaf or branch is closed before it passes this, unless one row does. */
#define NODE_BYTES ((size_t)64 * 1024)

enum {
    ELEMENTS_MAX = 0xfff0, /* The count has 16 bits. */
    FREE_LIST_PAGE = 2
};

/* ---- bytes ---- */

static uint8_t *room(struct buf *out, size_t len)
{
    uint8_t *at;

    CHECK(buf_reserve(out, len, &at) == ST_OK);
    memset(at, 0, len);
    out->len += len;
    return at;
}

static void put(struct buf *out, struct slice bytes)
{
    CHECK(buf_add(out, bytes) == ST_OK);
}

static void put_u16(uint8_t *at, unsigned value)
{
    at[0] = (uint8_t)value;
    at[1] = (uint8_t)(value >> 8);
}

static void put_head(struct buf *out, uint64_t page, unsigned flags,
                     size_t count, uint64_t pages)
{
    uint8_t *at = room(out, SNAP_HEAD_BYTES);

    wire_put_u64(at, page);
    put_u16(at + 8, flags);
    put_u16(at + 10, (unsigned)count);
    wire_put_u32(at + 12, (uint32_t)(pages - 1));
}

static uint64_t pages_of(size_t bytes)
{
    return (bytes + SNAP_PAGE_BYTES - 1) / SNAP_PAGE_BYTES;
}

/* One page of elements and their data, padded. Returns its number. */
static uint64_t put_page(struct snap_writer *w, unsigned flags, size_t count,
                         struct slice elements, struct slice data)
{
    size_t bytes = SNAP_HEAD_BYTES + elements.len + data.len;
    uint64_t pages = pages_of(bytes);
    uint64_t page = w->next;

    w->next += pages;
    if (w->mode == SNAP_WRITE) {
        put_head(w->out, page, flags, count, pages);
        put(w->out, elements);
        put(w->out, data);
        (void)room(w->out, (size_t)(pages * SNAP_PAGE_BYTES) - bytes);
    }
    return page;
}

/* ---- the pages of a level ---- */

static void level_release(struct snap_level *l)
{
    free(l->list);
    buf_release(&l->keys);
    *l = (struct snap_level){0};
}

static void level_add(struct snap_level *l, uint64_t page, struct slice key)
{
    if (l->keys.limit == 0) {
        buf_init(&l->keys, SIZE_MAX);
    }
    l->list = row_room(l->list, &l->cap, l->count, sizeof(l->list[0]));
    l->list[l->count++] = (struct snap_child){
        .page = page, .key = l->keys.len, .key_len = key.len};
    put(&l->keys, key);
}

static struct slice level_key(const struct snap_level *l, size_t i)
{
    return slice_of(l->keys.data + l->list[i].key, l->list[i].key_len);
}

/* ---- leaves ---- */

static void leaf_begin(struct snap_writer *w)
{
    buf_clear(&w->elements);
    buf_clear(&w->data);
    w->rows = 0;
}

/* `pos` counts from the element itself; it is known when the leaf is closed. */
static void leaf_add(struct snap_writer *w, unsigned flags, struct slice key,
                     struct slice value)
{
    uint8_t *at = room(&w->elements, SNAP_LEAF_BYTES);

    wire_put_u32(at, flags);
    wire_put_u32(at + 4, (uint32_t)w->data.len);
    wire_put_u32(at + 8, (uint32_t)key.len);
    wire_put_u32(at + 12, (uint32_t)value.len);
    put(&w->data, key);
    put(&w->data, value);
    w->rows++;
}

static uint32_t get_u32(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 |
           (uint32_t)at[3] << 24;
}

static void leaf_close(struct snap_writer *w, struct snap_level *into)
{
    struct slice first = {0};
    uint64_t page;

    for (size_t i = 0; i < w->rows; i++) {
        uint8_t *at = w->elements.data + i * SNAP_LEAF_BYTES;
        size_t distance = w->elements.len - i * SNAP_LEAF_BYTES;

        if (i == 0) {
            first = slice_of(w->data.data, get_u32(at + 8));
        }
        wire_put_u32(at + 4, (uint32_t)(distance + get_u32(at + 4)));
    }
    page = put_page(w, SNAP_FLAG_LEAF, w->rows, buf_slice(&w->elements),
                    buf_slice(&w->data));
    level_add(into, page, first);
    leaf_begin(w);
}

/* ---- branches ---- */

/* How many children from `from` on fit into one branch. */
static size_t branch_portion(const struct snap_level *l, size_t from)
{
    size_t bytes = SNAP_HEAD_BYTES;
    size_t count = 0;

    while (from + count < l->count && count < ELEMENTS_MAX) {
        bytes += SNAP_BRANCH_BYTES + l->list[from + count].key_len;
        if (count > 1 && bytes > NODE_BYTES) {
            break;
        }
        count++;
    }
    return count;
}

static void branch_put(struct snap_writer *w, const struct snap_level *l,
                       size_t from, size_t count, struct snap_level *into)
{
    uint64_t page;

    buf_clear(&w->elements);
    buf_clear(&w->data);
    for (size_t i = 0; i < count; i++) {
        struct slice key = level_key(l, from + i);
        uint8_t *at = room(&w->elements, SNAP_BRANCH_BYTES);
        size_t distance = (count - i) * SNAP_BRANCH_BYTES;

        wire_put_u32(at, (uint32_t)(distance + w->data.len));
        wire_put_u32(at + 4, (uint32_t)key.len);
        wire_put_u64(at + 8, l->list[from + i].page);
        put(&w->data, key);
    }
    page = put_page(w, SNAP_FLAG_BRANCH, count, buf_slice(&w->elements),
                    buf_slice(&w->data));
    level_add(into, page, level_key(l, from));
}

/* Level by level, until one page is left: the root. */
static uint64_t tree_close(struct snap_writer *w)
{
    uint64_t root;

    while (w->level.count > 1) {
        struct snap_level above = {0};

        for (size_t from = 0; from < w->level.count;) {
            size_t count = branch_portion(&w->level, from);

            branch_put(w, &w->level, from, count, &above);
            from += count;
        }
        level_release(&w->level);
        w->level = above;
    }
    root = w->level.list[0].page;
    level_release(&w->level);
    leaf_begin(w);
    return root;
}

static void bucket_close(struct snap_writer *w)
{
    if (!w->in_bucket) {
        return;
    }
    if (w->rows > 0 || w->level.count == 0) {
        leaf_close(w, &w->level);
    }
    w->buckets.list[w->buckets.count - 1].page = tree_close(w);
    w->in_bucket = false;
}

/* ---- the whole ---- */

static void put_meta(struct snap_writer *w, uint64_t page)
{
    size_t begin = w->out->len;
    uint8_t *at;

    put_head(w->out, page, SNAP_FLAG_META, 0, 1);
    at = room(w->out, SNAP_PAGE_BYTES - SNAP_HEAD_BYTES);
    wire_put_u32(at, SNAP_MAGIC);
    wire_put_u32(at + 4, SNAP_VERSION);
    wire_put_u32(at + 8, SNAP_PAGE_BYTES);
    wire_put_u64(at + 16, w->pages - 1); /* The leaf of buckets is one page. */
    wire_put_u64(at + 32, FREE_LIST_PAGE);
    wire_put_u64(at + 40, w->pages);
    wire_put_u64(at + 48, page);
    wire_put_u64(at + SNAP_META_SUMMED, snap_sum(at, SNAP_META_SUMMED));
    CHECK(w->out->len - begin == SNAP_PAGE_BYTES);
}

void snap_writer_init(struct snap_writer *w, enum snap_mode mode,
                      uint64_t pages, struct buf *out)
{
    *w = (struct snap_writer){.mode = mode, .pages = pages, .out = out};
    buf_init(&w->elements, SIZE_MAX);
    buf_init(&w->data, SIZE_MAX);
    if (mode == SNAP_WRITE) {
        for (uint64_t page = 0; page < SNAP_META_PAGES; page++) {
            put_meta(w, page);
        }
        put_head(out, FREE_LIST_PAGE, SNAP_FLAG_FREE, 0, 1);
        (void)room(out, SNAP_PAGE_BYTES - SNAP_HEAD_BYTES);
    }
    w->next = FREE_LIST_PAGE + 1;
}

void snap_writer_release(struct snap_writer *w)
{
    buf_release(&w->elements);
    buf_release(&w->data);
    level_release(&w->level);
    level_release(&w->buckets);
}

void snap_bucket(struct snap_writer *w, struct slice name)
{
    bucket_close(w);
    level_add(&w->buckets, 0, name);
    leaf_begin(w);
    w->in_bucket = true;
}

void snap_row(struct snap_writer *w, struct slice key, struct slice value)
{
    size_t bytes = SNAP_HEAD_BYTES + w->elements.len + w->data.len +
                   SNAP_LEAF_BYTES + key.len + value.len;

    CHECK(w->in_bucket);
    if (w->rows > 0 && (bytes > NODE_BYTES || w->rows == ELEMENTS_MAX)) {
        leaf_close(w, &w->level);
    }
    leaf_add(w, 0, key, value);
}

void snap_end(struct snap_writer *w)
{
    struct snap_level root = {0};

    bucket_close(w);
    leaf_begin(w);
    for (size_t i = 0; i < w->buckets.count; i++) {
        uint8_t value[SNAP_BUCKET_BYTES] = {0};

        wire_put_u64(value, w->buckets.list[i].page);
        leaf_add(w, SNAP_ELEMENT_BUCKET, level_key(&w->buckets, i),
                 slice_of(value, sizeof(value)));
    }
    CHECK(SNAP_HEAD_BYTES + w->elements.len + w->data.len <= SNAP_PAGE_BYTES);
    leaf_close(w, &root);
    level_release(&root);
    CHECK_IF(w->mode == SNAP_WRITE, w->next == w->pages);
}

uint64_t snap_writer_pages(const struct snap_writer *w)
{
    return w->next;
}
