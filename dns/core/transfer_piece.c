#include <stdlib.h>

#include "base/core/check.h"
#include "dns/core/transfer_render.h"

enum {
    LENGTH_BYTES = 2
};

void dns_piece_unref(struct dns_piece *p)
{
    if (p != NULL && --p->refs == 0) {
        free(p);
    }
}

static int by_bytes(const void *a, const void *b)
{
    return slice_cmp(*(const struct slice *)a, *(const struct slice *)b);
}

static size_t without_doubles(struct slice *records, size_t count)
{
    size_t kept = 0;

    for (size_t i = 0; i < count; i++) {
        if (kept == 0 || !slice_eq(records[kept - 1], records[i])) {
            records[kept++] = records[i];
        }
    }
    return kept;
}

struct dns_piece *dns_piece_new(struct slice *records, size_t count)
{
    struct dns_piece *p;
    size_t size = 0;
    uint8_t *at;

    if (count > 0) {
        qsort(records, count, sizeof(records[0]), by_bytes);
        count = without_doubles(records, count);
    }
    for (size_t i = 0; i < count; i++) {
        size += LENGTH_BYTES + records[i].len;
    }
    p = malloc(sizeof(*p) + size);
    CHECK(p != NULL);
    *p = (struct dns_piece){.refs = 1, .size = size, .count = count};
    at = p->bytes;
    for (size_t i = 0; i < count; i++) {
        at[0] = (uint8_t)(records[i].len >> 8);
        at[1] = (uint8_t)records[i].len;
        memcpy(at + LENGTH_BYTES, records[i].data, records[i].len);
        at += LENGTH_BYTES + records[i].len;
    }
    return p;
}

struct slice dns_piece_next(const struct dns_piece *p, size_t *at)
{
    const uint8_t *bytes = p->bytes + *at;
    struct slice record;

    if (*at == p->size) {
        return slice_of(NULL, 0);
    }
    record = slice_of(bytes + LENGTH_BYTES, (size_t)(bytes[0] << 8 | bytes[1]));
    *at += LENGTH_BYTES + record.len;
    return record;
}

/* One side of a comparison. */
struct side {
    const struct dns_piece *piece; /* NULL: no records. */
    size_t at;
    struct slice record; /* Empty: no more. */
    struct slice *only;
    size_t count;
};

static void advance(struct side *s)
{
    s->record =
        s->piece == NULL ? slice_of(NULL, 0) : dns_piece_next(s->piece, &s->at);
}

static void side_begin(struct side *s, const struct dns_piece *piece,
                       struct arena *arena)
{
    size_t count = piece == NULL ? 0 : piece->count;

    *s = (struct side){.piece = piece};
    s->only = arena_alloc(arena, (count + 1) * sizeof(s->only[0]));
    advance(s);
}

static struct dns_piece *side_end(struct side *s)
{
    return s->count == 0 ? NULL : dns_piece_new(s->only, s->count);
}

void dns_piece_compare(const struct dns_piece *before,
                       const struct dns_piece *after, struct arena *arena,
                       struct dns_piece **out_gone, struct dns_piece **out_come)
{
    struct side old;
    struct side new;

    side_begin(&old, before, arena);
    side_begin(&new, after, arena);
    while (old.record.len > 0 || new.record.len > 0) {
        int order = old.record.len == 0   ? 1
                    : new.record.len == 0 ? -1
                                          : slice_cmp(old.record, new.record);

        if (order < 0) {
            old.only[old.count++] = old.record;
        } else if (order > 0) {
            new.only[new.count++] = new.record;
        }
        if (order <= 0) {
            advance(&old);
        }
        if (order >= 0) {
            advance(&new);
        }
    }
    *out_gone = side_end(&old);
    *out_come = side_end(&new);
}
