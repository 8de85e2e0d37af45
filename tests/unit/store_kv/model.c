#include "unit/store_kv/model.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/core/check.h"
#include "base/core/crc32c.h"
#include "base/core/pb.h"

void model_init(struct model *m)
{
    *m = (struct model){.revision = 1, .compacted = -1};
}

void model_release(struct model *m)
{
    free(m->list);
    *m = (struct model){0};
}

/* The newest change of a key up to a revision, tombstones too. */
static const struct model_change *newest(const struct model *m, const char *key,
                                         int64_t main)
{
    for (size_t i = m->count; i > 0; i--) {
        const struct model_change *c = &m->list[i - 1];

        if (c->rev.main <= main && strcmp(c->key, key) == 0) {
            return c;
        }
    }
    return NULL;
}

const struct model_change *model_at(const struct model *m, const char *key,
                                    int64_t main)
{
    const struct model_change *c = newest(m, key, main);

    return c == NULL || c->tombstone ? NULL : c;
}

static struct model_change *model_add(struct model *m, const char *key)
{
    struct model_change *c;

    if (m->count == m->cap) {
        m->cap = m->cap == 0 ? 256 : m->cap * 2;
        m->list = realloc(m->list, m->cap * sizeof(*m->list));
        CHECK(m->list != NULL);
    }
    c = &m->list[m->count++];
    *c = (struct model_change){
        .rev = {.main = m->revision + 1, .sub = m->changes++}};
    (void)snprintf(c->key, sizeof(c->key), "%s", key);
    return c;
}

void model_put(struct model *m, const char *key, const char *value,
               int64_t lease)
{
    const struct model_change *before = model_at(m, key, INT64_MAX);
    int64_t create = before == NULL ? m->revision + 1 : before->create;
    int64_t version = before == NULL ? 1 : before->version + 1;
    struct model_change *c = model_add(m, key);

    c->create = create;
    c->version = version;
    c->lease = lease;
    (void)snprintf(c->value, sizeof(c->value), "%s", value);
}

bool model_delete(struct model *m, const char *key)
{
    if (model_at(m, key, INT64_MAX) == NULL) {
        return false;
    }
    model_add(m, key)->tombstone = true;
    return true;
}

void model_end(struct model *m)
{
    m->revision += m->changes > 0;
    m->changes = 0;
}

void model_row(const struct model_change *c, struct buf *out)
{
    pb_bytes(out, 1, slice_str(c->key));
    if (!c->tombstone) {
        pb_int(out, 2, c->create);
        pb_int(out, 3, c->rev.main);
        pb_int(out, 4, c->version);
        pb_bytes(out, 5, slice_str(c->value));
        pb_int(out, 6, c->lease);
    }
}

bool model_is_left(const struct model *m, const struct model_change *c)
{
    if (c->rev.main > m->compacted) {
        return true;
    }
    return newest(m, c->key, m->compacted) == c &&
           (!c->tombstone || c->rev.main == m->compacted);
}

static bool any_alive(const struct model *m, int64_t revision)
{
    for (size_t i = 0; i < m->count; i++) {
        if (model_at(m, m->list[i].key, revision) != NULL) {
            return true;
        }
    }
    return false;
}

uint32_t model_hash(const struct model *m, int64_t revision)
{
    uint32_t sum = crc32c(0, slice_str("key"));
    bool keep_some = any_alive(m, revision);
    struct buf row;

    buf_init(&row, SIZE_MAX);
    for (size_t i = 0; i < m->count; i++) {
        const struct model_change *c = &m->list[i];
        struct rev_key key = rev_key_pack(c->rev, c->tombstone);

        if (c->rev.main > revision || !model_is_left(m, c)) {
            continue;
        }
        if (c->rev.main <= m->compacted &&
            ((keep_some && model_at(m, c->key, revision) != c) ||
             (c->tombstone && c->rev.main == m->compacted))) {
            continue;
        }
        buf_clear(&row);
        model_row(c, &row);
        sum = crc32c(crc32c(sum, rev_key_slice(&key)), buf_slice(&row));
    }
    buf_release(&row);
    return sum;
}
