#include "store/wal/wal.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/core/check.h"
#include "store/wal/core.h"

/* A buffer that grew beyond this for a large record is given back. */
#define RECORD_KEEP_BYTES ((size_t)4 * 1024 * 1024)

static struct wal *wal_new(struct disk *d, const struct wal_config *config)
{
    struct wal *w = calloc(1, sizeof(*w));

    CHECK(w != NULL);
    CHECK(config->first_bytes > WAL_HEADER_BYTES);
    CHECK(config->file_bytes > WAL_HEADER_BYTES);
    w->disk = d;
    w->config = *config;
    buf_init(&w->record, WAL_HEAD_BYTES + LIMIT_WAL_RECORD);
    buf_init(&w->mark_state, LIMIT_WAL_RECORD);
    return w;
}

/* ---- records ---- */

size_t wal_entry_bytes(const struct raft_entry *e)
{
    struct wal_item item = {.kind = WAL_ENTRY, .entry = *e};

    return wal_item_size(&item);
}

static size_t record_size(const struct wal *w, const struct wal_batch *b)
{
    struct wal_item hard = {.kind = WAL_HARD};
    struct wal_item mark = {.kind = WAL_MARK};
    size_t size = WAL_HEAD_BYTES + wal_item_size(&hard);

    mark.mark.state =
        b->mark != NULL ? b->mark->state : buf_slice(&w->mark_state);
    size += wal_item_size(&mark);
    for (size_t i = 0; i < b->entries_count; i++) {
        size += wal_entry_bytes(&b->entries[i]);
    }
    return size;
}

/* What the files hold counts no longer: they go when the mark is durable. */
static void forget_entries(struct wal *w)
{
    for (size_t i = 0; i < w->files.count; i++) {
        w->files.list[i].last_index = 0;
    }
    w->last_index = 0;
}

/* Remember what the record will make true, and what each file repeats. */
static void note_batch(struct wal *w, const struct wal_batch *b)
{
    if (b->hard != NULL) {
        w->hard = *b->hard;
    }
    if (b->mark != NULL) {
        CHECK(b->mark->pos.index >= w->mark.index);
        w->mark = b->mark->pos;
        buf_clear(&w->mark_state);
        CHECK(buf_add(&w->mark_state, b->mark->state) == ST_OK);
    }
    w->last_index = wal_newest(w)->last_index;
    if (b->mark != NULL && b->mark->restart) {
        forget_entries(w);
    }
    for (size_t i = 0; i < b->entries_count; i++) {
        if (b->entries[i].pos.index > w->last_index) {
            w->last_index = b->entries[i].pos.index;
        }
    }
}

/* The first record of a file says everything that still counts. */
static uint8_t *write_state(const struct wal *w, const struct wal_batch *b,
                            uint8_t *at)
{
    bool first = w->end == WAL_HEADER_BYTES;
    struct wal_item hard = {.kind = WAL_HARD, .hard = w->hard};
    bool restart = b->mark != NULL && b->mark->restart;
    struct wal_item mark = {.kind = restart ? WAL_RESTART : WAL_MARK};

    mark.mark.pos = w->mark;
    mark.mark.state = buf_slice(&w->mark_state);
    if (first || b->hard != NULL) {
        at = wal_item_write(at, &hard);
    }
    if ((first && w->mark.index > 0) || b->mark != NULL) {
        at = wal_item_write(at, &mark);
    }
    return at;
}

void wal_write_record(struct wal *w, const struct wal_batch *b)
{
    size_t size = record_size(w, b);
    uint8_t *at;

    note_batch(w, b);
    buf_clear(&w->record);
    CHECK(buf_reserve(&w->record, size, &at) == ST_OK);
    at = write_state(w, b, at + WAL_HEAD_BYTES);
    for (size_t i = 0; i < b->entries_count; i++) {
        struct wal_item item = {.kind = WAL_ENTRY, .entry = b->entries[i]};

        at = wal_item_write(at, &item);
    }
    w->record.len = (size_t)(at - w->record.data);
    CHECK(w->record.len <= size);
    w->place.offset = w->end;
    w->sum = wal_record_seal(w->record.data, w->record.len, w->place);
}

/* ---- opening ---- */

void wal_free(struct wal *w)
{
    if (w == NULL) {
        return;
    }
    CHECK(!w->committing);
    w->disk->close(w->disk, w->file);
    buf_release(&w->record);
    buf_release(&w->mark_state);
    free(w->files.list);
    free(w);
}

void wal_content_release(struct wal_content *c)
{
    raft_log_release(&c->log);
    buf_release(&c->mark_state);
    *c = (struct wal_content){0};
}

enum status wal_exists(struct disk *d, bool *out_exists)
{
    struct wal_listing listing;
    enum status st = wal_list(d, &listing);

    if (st) {
        return st;
    }
    *out_exists = listing.count > 0;
    wal_listing_release(&listing);
    return ST_OK;
}

enum status wal_create(struct disk *d, const struct wal_config *config,
                       struct wal_ids ids, const struct wal_batch *first,
                       struct err *err)
{
    struct wal *w = wal_new(d, config);
    enum status st;

    w->ids = ids;
    st = wal_next_file(w, record_size(w, first), first, err);
    wal_free(w);
    return st;
}

enum status wal_open(struct disk *d, const struct wal_config *config,
                     struct wal_content *out_content, struct wal **out_wal,
                     struct err *err)
{
    struct wal *w = wal_new(d, config);
    struct wal_content content = {0};
    struct wal_listing listing = {0};
    enum status st = wal_list(d, &listing);

    if (st) {
        (void)err_set(err, st, "cannot list the log's folder: %s",
                      status_text(st));
        goto out;
    }
    w->spare = listing.spare;
    st = wal_replay(w, &listing, &content, err);
    if (st) {
        goto out;
    }
    for (size_t i = 0; i < listing.leftovers_count; i++) {
        /* A file that was never finished; if it stays, it is replaced. */
        (void)d->remove(d, listing.leftovers[i]);
    }
    *out_content = content;
    content = (struct wal_content){0};
    *out_wal = w;
    w = NULL; /* The caller's now. */
out:
    wal_listing_release(&listing);
    wal_content_release(&content);
    wal_free(w);
    return st;
}

struct wal_ids wal_ids(const struct wal *w)
{
    return w->ids;
}

/* ---- appending ---- */

/* When the newest file fills up and no older one has become free to follow it,
 * a new one is made in the background. */
static void want_spare(struct wal *w)
{
    uint64_t size = wal_newest(w)->size;

    if (!w->spare && w->end > size / 4 * 3 && w->disk->prepare != NULL) {
        w->spare = true;
        w->disk->prepare(w->disk, WAL_SPARE, w->config.file_bytes);
    }
}

enum status wal_append(struct wal *w, const struct wal_batch *batch,
                       bool *out_later, struct err *err)
{
    size_t size = record_size(w, batch);
    enum status st;

    CHECK(!w->committing);
    if (w->failed) {
        return err_set(err, w->failed, "the log has failed before");
    }
    if (w->end + size > wal_newest(w)->size) {
        st = wal_next_file(w, size, NULL, err);
        if (st) {
            w->failed = st;
            return st;
        }
    }
    wal_write_record(w, batch);
    w->committing = true;
    *out_later = false;
    st = w->disk->commit(w->disk, w->file, w->end, buf_slice(&w->record),
                         out_later);
    if (st == ST_OK && *out_later) {
        return ST_OK;
    }
    return wal_committed(w, st, err);
}

enum status wal_committed(struct wal *w, enum status result, struct err *err)
{
    CHECK(w->committing);
    w->committing = false;
    if (result) {
        w->failed = result;
        return err_set(err, result,
                       "%016" PRIx64 ".wal: writing %zu bytes at offset "
                       "%" PRIu64 " failed: %s",
                       wal_newest(w)->sequence, w->record.len, w->end,
                       status_text(result));
    }
    w->end += w->record.len;
    w->place.sum = w->sum;
    wal_newest(w)->last_index = w->last_index;
    want_spare(w);
    if (w->record.cap > RECORD_KEEP_BYTES) {
        buf_release(&w->record);
        buf_init(&w->record, WAL_HEAD_BYTES + LIMIT_WAL_RECORD);
    }
    return ST_OK;
}

/* ---- releasing ---- */

/* Files leave from the oldest on, so that a crash in between leaves no gap. The
 * first that is large enough becomes the spare. */
static enum status retire(struct wal *w, const struct wal_file *file)
{
    char name[DISK_NAME_MAX];

    wal_name(name, file->sequence);
    if (!w->spare && file->size >= w->config.file_bytes) {
        w->spare = true;
        return w->disk->rename(w->disk, name, WAL_SPARE);
    }
    return w->disk->remove(w->disk, name);
}

enum status wal_release(struct wal *w, struct err *err)
{
    size_t gone = 0;
    enum status st = w->failed;

    CHECK(!w->committing);
    if (w->end == WAL_HEADER_BYTES) {
        return st; /* The newest file does not stand on its own yet. */
    }
    while (st == ST_OK && gone + 1 < w->files.count &&
           w->files.list[gone].last_index <= w->mark.index) {
        st = retire(w, &w->files.list[gone]);
        gone++;
        if (st == ST_OK) {
            st = w->disk->sync_folder(w->disk);
        }
    }
    if (st) {
        w->failed = st;
        return err_set(err, st, "cannot release an old log file: %s",
                       status_text(st));
    }
    w->files.count -= gone;
    memmove(w->files.list, w->files.list + gone,
            w->files.count * sizeof(w->files.list[0]));
    return ST_OK;
}
