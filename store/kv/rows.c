#include "store/kv/rows.h"

#include "base/core/check.h"
#include "base/core/limits.h"

void rows_init(struct rows *rows)
{
    *rows = (struct rows){0};
    TAILQ_INIT(&rows->line);
}

static size_t row_bytes(const struct record *r)
{
    return sizeof(*r) + r->event_end;
}

void rows_drop(struct rows *rows, struct index_key *k)
{
    struct record *r = k->row;

    if (r == NULL) {
        return;
    }
    CHECK(r->kept_for == k);
    TAILQ_REMOVE(&rows->line, r, line);
    rows->bytes -= row_bytes(r);
    r->kept_for = NULL;
    k->row = NULL;
    record_unref(r);
}

void rows_release(struct rows *rows)
{
    struct record *r;

    while ((r = TAILQ_FIRST(&rows->line)) != NULL) {
        rows_drop(rows, r->kept_for);
    }
}

/* Ends: a row is passed over once only. */
static void rows_make_room(struct rows *rows)
{
    while (rows->bytes > LIMIT_ROWS_BYTES) {
        struct record *r = TAILQ_FIRST(&rows->line);

        CHECK(r != NULL);
        if (r->read_lately) {
            r->read_lately = false;
            TAILQ_REMOVE(&rows->line, r, line);
            TAILQ_INSERT_TAIL(&rows->line, r, line);
        } else {
            rows_drop(rows, r->kept_for);
        }
    }
}

void rows_keep(struct rows *rows, struct index_key *k, struct record *r)
{
    CHECK(r->kept_for == NULL);
    CHECK(!r->tombstone);
    rows_drop(rows, k);
    if (r->event_end > ROWS_ROW_MAX) {
        return;
    }
    r->read_lately = true; /* Passed over below. */
    k->row = record_ref(r);
    r->kept_for = k;
    TAILQ_INSERT_TAIL(&rows->line, r, line);
    rows->bytes += row_bytes(r);
    rows_make_room(rows);
}

void rows_verify(const struct rows *rows)
{
    const struct record *r;
    size_t bytes = 0;

    TAILQ_FOREACH(r, &rows->line, line)
    {
        CHECK(r->kept_for->row == r);
        CHECK(r->rev.main == r->kept_for->newest.main);
        CHECK(r->rev.sub == r->kept_for->newest.sub);
        CHECK(slice_eq(record_key(r), index_key_slice(r->kept_for)));
        bytes += row_bytes(r);
    }
    CHECK(bytes == rows->bytes);
    CHECK(bytes <= LIMIT_ROWS_BYTES);
}
