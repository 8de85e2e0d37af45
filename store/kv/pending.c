#include "store/kv/pending.h"

#include <stdlib.h>

#include "base/core/check.h"
#include "base/core/row.h"
#include "base/core/wire.h"

static void notes_free(struct pending_note *notes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(notes[i].bytes);
    }
    free(notes);
}

void pending_release(struct pending *p)
{
    for (size_t i = 0; i < p->records_count; i++) {
        record_unref(p->records[i]);
    }
    free(p->records);
    free(p->starts);
    free(p->writes);
    notes_free(p->notes, p->notes_count);
    notes_free(p->out_notes, p->out_notes_count);
    *p = (struct pending){0};
}

void pending_add(struct pending *p, struct record *r)
{
    bool same = p->starts_count > 0 &&
                p->first_main + (int64_t)p->starts_count - 1 == r->rev.main;

    p->records = row_room(p->records, &p->records_cap, p->records_count,
                          sizeof(*p->records));
    if (!same) {
        CHECK(r->rev.sub == 0);
        p->starts = row_room(p->starts, &p->starts_cap, p->starts_count,
                             sizeof(*p->starts));
        if (p->starts_count == 0) {
            p->first_main = r->rev.main;
        }
        CHECK(p->first_main + (int64_t)p->starts_count == r->rev.main);
        p->starts[p->starts_count++] = p->records_count;
    }
    p->records[p->records_count++] = r;
}

struct record *pending_find(const struct pending *p, struct kv_rev rev)
{
    struct record *r;
    size_t at;

    if (p->starts_count == 0 || rev.main < p->first_main) {
        return NULL;
    }
    CHECK(rev.main - p->first_main < (int64_t)p->starts_count);
    at = p->starts[rev.main - p->first_main] + (size_t)rev.sub;
    CHECK(at < p->records_count);
    r = p->records[at];
    CHECK(kv_rev_cmp(r->rev, rev) == 0);
    return r;
}

struct record *const *pending_from(const struct pending *p, int64_t main,
                                   size_t *out_count)
{
    size_t at = 0;

    if (p->starts_count > 0 && main > p->first_main) {
        int64_t skip = main - p->first_main;

        at = skip < (int64_t)p->starts_count ? p->starts[skip]
                                             : p->records_count;
    }
    *out_count = p->records_count - at;
    return *out_count == 0 ? NULL : p->records + at;
}

static void note_add(struct pending *p, struct pending_note note,
                     struct slice key, struct slice value)
{
    p->notes =
        row_room(p->notes, &p->notes_cap, p->notes_count, sizeof(*p->notes));
    note.key_len = (uint32_t)key.len;
    note.value_len = (uint32_t)value.len;
    note.order = p->notes_order++;
    note.bytes = malloc(key.len + value.len + 1);
    CHECK(note.bytes != NULL);
    memcpy(note.bytes, key.data, key.len);
    if (value.len > 0) {
        memcpy(note.bytes + key.len, value.data, value.len);
    }
    p->notes[p->notes_count++] = note;
}

void pending_note(struct pending *p, enum table_id table, struct slice key,
                  struct slice value)
{
    note_add(p, (struct pending_note){.table = table}, key, value);
}

void pending_note_remove(struct pending *p, enum table_id table,
                         struct slice key)
{
    note_add(p, (struct pending_note){.table = table, .remove = true}, key,
             slice_of(NULL, 0));
}

void pending_drop(struct pending *p, struct kv_rev rev, bool tombstone)
{
    size_t at = p->records_count;
    struct rev_key row_key;

    if (p->starts_count > 0 && rev.main >= p->first_main) {
        at = p->starts[rev.main - p->first_main] + (size_t)rev.sub;
    }
    if (at < p->records_count && at >= p->records_taken) {
        p->records[at]->obsolete = true;
        return;
    }
    row_key = rev_key_pack(rev, tombstone);
    pending_note_remove(p, TABLE_KEY, rev_key_slice(&row_key));
}

static struct slice note_key(const struct pending_note *n)
{
    return slice_of(n->bytes, n->key_len);
}

static struct slice note_value(const struct pending_note *n)
{
    return slice_of(n->bytes + n->key_len, n->value_len);
}

/* By table and key; of the same row, the oldest first. */
static int note_cmp(const void *left, const void *right)
{
    const struct pending_note *a = left;
    const struct pending_note *b = right;
    int order = (a->table > b->table) - (a->table < b->table);

    if (order == 0) {
        order = slice_cmp(note_key(a), note_key(b));
    }
    return order != 0 ? order : (a->order > b->order) - (a->order < b->order);
}

static bool note_same_row(const struct pending_note *a,
                          const struct pending_note *b)
{
    return a->table == b->table && slice_eq(note_key(a), note_key(b));
}

static void write_add(struct pending *p, struct table_write write)
{
    p->writes = row_room(p->writes, &p->writes_cap, p->batch.writes_count,
                         sizeof(*p->writes));
    p->writes[p->batch.writes_count++] = write;
}

static void writes_from_notes(struct pending *p)
{
    const struct pending_note *notes = p->out_notes;
    size_t count = p->out_notes_count;

    if (count > 1) {
        qsort(p->out_notes, count, sizeof(*notes), note_cmp);
    }
    for (size_t i = 0; i < count; i++) {
        if (i + 1 < count && note_same_row(&notes[i], &notes[i + 1])) {
            continue;
        }
        write_add(p, (struct table_write){.table = notes[i].table,
                                          .remove = notes[i].remove,
                                          .key = note_key(&notes[i]),
                                          .value = note_value(&notes[i])});
    }
}

static void writes_from_records(struct pending *p)
{
    for (size_t i = 0; i < p->records_count; i++) {
        const struct record *r = p->records[i];

        if (!r->obsolete) {
            write_add(p, (struct table_write){.table = TABLE_KEY,
                                              .key = rev_key_slice(&r->row_key),
                                              .value = record_row(r)});
        }
    }
    p->records_taken = p->records_count;
}

static void note_u64(struct pending *p, const char *name, uint64_t value)
{
    uint8_t bytes[8];

    wire_put_u64be(bytes, value);
    pending_note(p, TABLE_META, slice_str(name),
                 slice_of(bytes, sizeof(bytes)));
}

const struct kv_batch *pending_take(struct pending *p, uint64_t index,
                                    uint64_t term)
{
    CHECK(!p->out);
    CHECK(p->records_taken == 0);
    note_u64(p, "consistent_index", index);
    note_u64(p, "term", term);
    p->out_notes = p->notes;
    p->out_notes_count = p->notes_count;
    p->notes = NULL;
    p->notes_count = 0;
    p->notes_cap = 0;

    p->batch = (struct kv_batch){.index = index, .term = term};
    writes_from_records(p);
    writes_from_notes(p);
    p->batch.writes = p->writes;
    p->out = true;
    return &p->batch;
}

/* Forget the first `count` records, which are whole revisions. */
static void records_shift(struct pending *p, size_t count)
{
    size_t mains = 0;

    while (mains < p->starts_count && p->starts[mains] < count) {
        mains++;
    }
    for (size_t i = 0; i < count; i++) {
        record_unref(p->records[i]);
    }
    p->records_count -= count;
    memmove(p->records, p->records + count,
            p->records_count * sizeof(struct record *));
    p->starts_count -= mains;
    p->first_main += (int64_t)mains;
    for (size_t i = 0; i < p->starts_count; i++) {
        p->starts[i] = p->starts[i + mains] - count;
    }
}

void pending_done(struct pending *p)
{
    CHECK(p->out);
    if (p->records_taken > 0) {
        records_shift(p, p->records_taken);
    }
    p->records_taken = 0;
    notes_free(p->out_notes, p->out_notes_count);
    p->out_notes = NULL;
    p->out_notes_count = 0;
    p->batch = (struct kv_batch){0};
    p->out = false;
}

void pending_verify(const struct pending *p)
{
    int64_t main = p->first_main - 1;
    int64_t sub = 0;
    size_t mains = 0;

    CHECK(p->records_taken <= p->records_count);
    CHECK_IF(!p->out, p->records_taken == 0);
    for (size_t i = 0; i < p->records_count; i++) {
        const struct record *r = p->records[i];

        if (mains < p->starts_count && p->starts[mains] == i) {
            mains++;
            main++;
            sub = 0;
        }
        CHECK(r->refs > 0);
        CHECK(r->rev.main == main);
        CHECK(r->rev.sub == sub++);
    }
    CHECK(mains == p->starts_count);
}
