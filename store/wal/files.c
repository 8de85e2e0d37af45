#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/core/check.h"
#include "base/core/row.h"
#include "store/wal/core.h"

void wal_name(char out_name[DISK_NAME_MAX], uint64_t sequence)
{
    (void)snprintf(out_name, DISK_NAME_MAX, "%016" PRIx64 ".wal", sequence);
}

struct wal_file *wal_newest(struct wal *w)
{
    CHECK(w->files.count > 0);
    return &w->files.list[w->files.count - 1];
}

void wal_files_add(struct wal_files *files, struct wal_file file)
{
    files->list = row_room(files->list, &files->cap, files->count,
                           sizeof(files->list[0]));
    files->list[files->count++] = file;
}

/* ---- listing ---- */

/* 0 when the name is not that of a log file. */
static uint64_t sequence_of(const char *name)
{
    char again[DISK_NAME_MAX];
    uint64_t sequence = strtoull(name, NULL, 16);

    wal_name(again, sequence);
    return strcmp(name, again) == 0 ? sequence : 0;
}

static bool ends_in_tmp(const char *name)
{
    size_t len = strlen(name);

    return len >= 4 && len < DISK_NAME_MAX &&
           strcmp(name + len - 4, ".tmp") == 0;
}

static void list_name(void *ctx, const char *name)
{
    struct wal_listing *l = ctx;
    uint64_t sequence = sequence_of(name);

    if (sequence != 0) {
        l->sequences =
            row_room(l->sequences, &l->cap, l->count, sizeof(l->sequences[0]));
        l->sequences[l->count++] = sequence;
    } else if (strcmp(name, WAL_SPARE) == 0) {
        l->spare = true;
    } else if (ends_in_tmp(name)) {
        l->leftovers = row_room(l->leftovers, &l->leftovers_cap,
                                l->leftovers_count, sizeof(l->leftovers[0]));
        memcpy(l->leftovers[l->leftovers_count++], name, strlen(name) + 1);
    }
}

static int compare_sequences(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a;
    uint64_t right = *(const uint64_t *)b;

    return left < right ? -1 : left > right;
}

enum status wal_list(struct disk *d, struct wal_listing *out_listing)
{
    struct wal_listing l = {0};
    enum status st = d->list(d, list_name, &l);

    if (st) {
        wal_listing_release(&l);
        return st;
    }
    if (l.count > 0) {
        qsort(l.sequences, l.count, sizeof(l.sequences[0]), compare_sequences);
    }
    *out_listing = l;
    return ST_OK;
}

void wal_listing_release(struct wal_listing *l)
{
    free(l->sequences);
    free(l->leftovers);
    *l = (struct wal_listing){0};
}

/* ---- the next file ---- */

/* Claim the spare by renaming it, so that nobody can put another one in its
 * place while it is used. ST_NOT_FOUND: none, or too small. */
static enum status claim_spare(struct disk *d, uint64_t size,
                               struct disk_file **out_file, uint64_t *out_size)
{
    struct disk_file *file = NULL;
    uint64_t found = 0;
    enum status st = d->rename(d, WAL_SPARE, WAL_TMP);

    if (st) {
        return st;
    }
    st = d->open(d, WAL_TMP, &file, &found);
    if (st) {
        return st;
    }
    if (found < size) {
        d->close(d, file);
        return ST_NOT_FOUND;
    }
    *out_file = file;
    *out_size = found;
    return ST_OK;
}

static enum status obtain_file(struct disk *d, uint64_t size,
                               struct disk_file **out_file, uint64_t *out_size)
{
    enum status st = claim_spare(d, size, out_file, out_size);

    if (st != ST_NOT_FOUND) {
        return st;
    }
    st = d->create(d, WAL_TMP, size, out_file);
    if (st == ST_OK) {
        *out_size = size;
    }
    return st;
}

static uint64_t wanted_size(const struct wal *w, uint64_t need)
{
    uint64_t size =
        w->files.count == 0 ? w->config.first_bytes : w->config.file_bytes;

    return WAL_HEADER_BYTES + need > size ? WAL_HEADER_BYTES + need : size;
}

static enum status give_name(struct disk *d, uint64_t sequence)
{
    char name[DISK_NAME_MAX];
    enum status st;

    wal_name(name, sequence);
    st = d->rename(d, WAL_TMP, name);
    return st ? st : d->sync_folder(d);
}

/* Header and first record are durable before the file gets its name, and the
 * name is durable before anything else is written. */
static enum status begin_file(struct wal *w, struct wal_header header,
                              const struct wal_batch *first, struct err *err)
{
    uint8_t bytes[WAL_HEADER_BYTES];
    uint32_t sum = wal_header_write(bytes, &header);
    struct disk *d = w->disk;
    enum status st;

    w->end = WAL_HEADER_BYTES;
    w->place = (struct wal_place){.seed = header.seed, .sum = sum};
    st = d->write(d, w->file, 0, slice_of(bytes, sizeof(bytes)));
    if (st == ST_OK && first != NULL) {
        wal_write_record(w, first);
        st = d->write(d, w->file, w->end, buf_slice(&w->record));
    }
    if (st == ST_OK) {
        st = d->sync(d, w->file);
    }
    if (st == ST_OK) {
        st = give_name(d, header.sequence);
    }
    if (st) {
        return err_set(err, st, "cannot make log file %016" PRIx64 ".wal: %s",
                       header.sequence, status_text(st));
    }
    return ST_OK;
}

enum status wal_next_file(struct wal *w, uint64_t need,
                          const struct wal_batch *first, struct err *err)
{
    struct disk *d = w->disk;
    struct disk_file *file = NULL;
    struct wal_header header = {
        .seed = d->random(d), .sequence = 1, .ids = w->ids};
    uint64_t size = 0;
    enum status st = obtain_file(d, wanted_size(w, need), &file, &size);

    if (st) {
        return err_set(err, st,
                       "cannot make a log file of %" PRIu64 " bytes: %s",
                       wanted_size(w, need), status_text(st));
    }
    if (w->files.count > 0) {
        header.sequence = wal_newest(w)->sequence + 1;
        header.before_end = w->end;
        header.before_sum = w->place.sum;
    }
    d->close(d, w->file);
    w->file = file;
    wal_files_add(&w->files,
                  (struct wal_file){.sequence = header.sequence, .size = size});
    w->spare = false;
    return begin_file(w, header, first, err);
}
