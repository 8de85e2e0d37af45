#include "unit/store_kv/memory_table.h"

#include <stdlib.h>

#include "base/core/check.h"

static struct memory_rows *rows_of(struct table *port, enum table_id id)
{
    struct memory_table *t = (struct memory_table *)(void *)port;

    return &t->tables[id];
}

static bool fails_now(struct table *port)
{
    struct memory_table *t = (struct memory_table *)(void *)port;

    return ++t->calls == t->fail_at;
}

/* Where the key is or belongs. Most writes are at the end. */
static size_t row_place(const struct memory_rows *rows, struct slice key)
{
    size_t low = 0;
    size_t high = rows->count;

    if (high > 0 && slice_cmp(rows->list[high - 1].key, key) < 0) {
        return high;
    }
    while (low < high) {
        size_t mid = (low + high) / 2;

        if (slice_cmp(rows->list[mid].key, key) < 0) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

static bool row_is_at(const struct memory_rows *rows, size_t at,
                      struct slice key)
{
    return at < rows->count && slice_eq(rows->list[at].key, key);
}

static enum status memory_get(struct table *port, enum table_id id,
                              struct slice key, struct slice *out_value)
{
    const struct memory_rows *rows = rows_of(port, id);
    size_t at = row_place(rows, key);

    if (fails_now(port)) {
        return ST_IO;
    }
    if (!row_is_at(rows, at, key)) {
        return ST_NOT_FOUND;
    }
    *out_value = rows->list[at].value;
    return ST_OK;
}

static enum status memory_scan(struct table *port, enum table_id id,
                               struct slice from, void *ctx,
                               table_row_fn *on_row)
{
    const struct memory_rows *rows = rows_of(port, id);

    if (fails_now(port)) {
        return ST_IO;
    }
    for (size_t i = row_place(rows, from); i < rows->count; i++) {
        if (!on_row(ctx, rows->list[i].key, rows->list[i].value)) {
            break;
        }
    }
    return ST_OK;
}

static uint64_t memory_size(struct table *port)
{
    return ((struct memory_table *)(void *)port)->size;
}

void memory_table_init(struct memory_table *t)
{
    *t = (struct memory_table){.port = {.get = memory_get,
                                        .scan = memory_scan,
                                        .size = memory_size,
                                        .size_in_use = memory_size}};
}

void memory_table_release(struct memory_table *t)
{
    for (size_t id = 0; id < TABLES_COUNT; id++) {
        for (size_t i = 0; i < t->tables[id].count; i++) {
            free((void *)t->tables[id].list[i].key.data);
        }
        free(t->tables[id].list);
    }
    *t = (struct memory_table){0};
}

static struct memory_row row_new(struct slice key, struct slice value)
{
    uint8_t *bytes = malloc(key.len + value.len + 1);

    CHECK(bytes != NULL);
    memcpy(bytes, key.data, key.len);
    if (value.len > 0) {
        memcpy(bytes + key.len, value.data, value.len);
    }
    return (struct memory_row){slice_of(bytes, key.len),
                               slice_of(bytes + key.len, value.len)};
}

static void row_insert(struct memory_rows *rows, size_t at,
                       struct memory_row row)
{
    if (rows->count == rows->cap) {
        rows->cap = rows->cap == 0 ? 64 : rows->cap * 2;
        rows->list = realloc(rows->list, rows->cap * sizeof(row));
        CHECK(rows->list != NULL);
    }
    memmove(&rows->list[at + 1], &rows->list[at],
            (rows->count - at) * sizeof(row));
    rows->list[at] = row;
    rows->count++;
}

void memory_table_write(struct memory_table *t, const struct table_write *write)
{
    struct memory_rows *rows = &t->tables[write->table];
    size_t at = row_place(rows, write->key);

    if (row_is_at(rows, at, write->key)) {
        free((void *)rows->list[at].key.data);
        rows->count--;
        memmove(&rows->list[at], &rows->list[at + 1],
                (rows->count - at) * sizeof(rows->list[0]));
    }
    if (!write->remove) {
        row_insert(rows, at, row_new(write->key, write->value));
    }
}

void memory_table_commit(struct memory_table *t, struct kv *kv)
{
    const struct kv_batch *batch = kv_take(kv);

    if (batch == NULL) {
        return;
    }
    for (size_t i = 0; i < batch->writes_count; i++) {
        memory_table_write(t, &batch->writes[i]);
    }
    kv_done(kv);
}
