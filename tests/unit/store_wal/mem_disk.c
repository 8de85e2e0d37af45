#include "mem_disk.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/core/check.h"
#include "base/core/rng.h"

#define FILES_MAX 4096
#define NAMES_MAX 64

struct disk_file {
    uint8_t *now;
    uint8_t *synced;
    uint64_t size;
};

struct name {
    char text[DISK_NAME_MAX];
    struct disk_file *file;
};

/* What is called what: a folder, as it is or as it would survive. */
struct folder {
    struct name names[NAMES_MAX];
    size_t count;
};

struct mem_disk {
    struct disk port;
    struct disk_file *files[FILES_MAX]; /* All that ever were. */
    size_t files_count;
    struct folder now;
    struct folder steps[NAMES_MAX]; /* The folder after each change. */
    size_t steps_count;             /* steps[0] is what is synced. */
    struct rng rng;
    size_t calls;
    size_t fail_at;
    enum status failure;
    size_t syncs;
    size_t prepared;
    bool put_off;
    bool busy;
    struct disk_file *put_off_file;
    uint64_t put_off_offset;
    struct slice put_off_bytes;
    struct disk_file *last_file; /* Of the commit that was synced last. */
    uint64_t last_offset;
};

static bool fails(struct mem_disk *m)
{
    m->calls++;
    return m->fail_at != 0 && m->calls == m->fail_at;
}

static struct name *find(struct folder *f, const char *text)
{
    for (size_t i = 0; i < f->count; i++) {
        if (strcmp(f->names[i].text, text) == 0) {
            return &f->names[i];
        }
    }
    return NULL;
}

static void drop_name(struct folder *f, const char *text)
{
    struct name *n = find(f, text);

    if (n != NULL) {
        *n = f->names[--f->count];
    }
}

static void add_name(struct folder *f, const char *text, struct disk_file *file)
{
    drop_name(f, text);
    CHECK(f->count < NAMES_MAX);
    (void)snprintf(f->names[f->count].text, DISK_NAME_MAX, "%s", text);
    f->names[f->count++].file = file;
}

static void folder_changed(struct mem_disk *m)
{
    CHECK(m->steps_count < NAMES_MAX);
    m->steps[m->steps_count++] = m->now;
}

static enum status mem_list(struct disk *d, disk_name_fn on_name, void *ctx)
{
    struct mem_disk *m = (struct mem_disk *)d;

    if (fails(m)) {
        return m->failure;
    }
    for (size_t i = 0; i < m->now.count; i++) {
        on_name(ctx, m->now.names[i].text);
    }
    return ST_OK;
}

static enum status mem_open(struct disk *d, const char *name,
                            struct disk_file **out_file, uint64_t *out_size)
{
    struct mem_disk *m = (struct mem_disk *)d;
    struct name *n = find(&m->now, name);

    if (fails(m)) {
        return m->failure;
    }
    if (n == NULL) {
        return ST_NOT_FOUND;
    }
    *out_file = n->file;
    *out_size = n->file->size;
    return ST_OK;
}

static struct disk_file *new_file(struct mem_disk *m, const char *name,
                                  uint64_t size)
{
    struct disk_file *f = calloc(1, sizeof(*f));

    CHECK(f != NULL);
    CHECK(m->files_count < FILES_MAX);
    f->now = calloc(1, size);
    f->synced = calloc(1, size);
    f->size = size;
    m->files[m->files_count++] = f;
    add_name(&m->now, name, f);
    folder_changed(m);
    return f;
}

static enum status mem_create(struct disk *d, const char *name, uint64_t size,
                              struct disk_file **out_file)
{
    struct mem_disk *m = (struct mem_disk *)d;

    if (fails(m)) {
        return m->failure;
    }
    *out_file = new_file(m, name, size);
    return ST_OK;
}

/* Elsewhere and only a hint: it is not counted as a call that may fail. */
static void mem_prepare(struct disk *d, const char *name, uint64_t size)
{
    struct mem_disk *m = (struct mem_disk *)d;

    m->prepared++;
    (void)new_file(m, name, size);
}

static enum status mem_read(struct disk *d, struct disk_file *f,
                            uint64_t offset, uint8_t *out_bytes, size_t len)
{
    if (fails((struct mem_disk *)d)) {
        return ((struct mem_disk *)d)->failure;
    }
    if (offset > f->size || len > f->size - offset) {
        return ST_TRUNCATED;
    }
    memcpy(out_bytes, f->now + offset, len);
    return ST_OK;
}

static enum status mem_write(struct disk *d, struct disk_file *f,
                             uint64_t offset, struct slice bytes)
{
    struct mem_disk *m = (struct mem_disk *)d;
    bool failing = fails(m);
    size_t len = failing ? bytes.len / 2 : bytes.len;

    CHECK(offset + bytes.len <= f->size);
    memcpy(f->now + offset, bytes.data, len);
    return failing ? m->failure : ST_OK;
}

static enum status mem_sync(struct disk *d, struct disk_file *f)
{
    struct mem_disk *m = (struct mem_disk *)d;

    if (fails(m)) {
        return m->failure;
    }
    m->syncs++;
    memcpy(f->synced, f->now, f->size);
    return ST_OK;
}

static enum status write_through(struct mem_disk *m, struct disk_file *f,
                                 uint64_t offset, struct slice bytes)
{
    enum status st = mem_write(&m->port, f, offset, bytes);

    if (st == ST_OK) {
        st = mem_sync(&m->port, f);
    }
    if (st == ST_OK) {
        m->last_file = f;
        m->last_offset = offset;
    }
    return st;
}

static enum status mem_commit(struct disk *d, struct disk_file *f,
                              uint64_t offset, struct slice bytes,
                              bool *out_later)
{
    struct mem_disk *m = (struct mem_disk *)d;

    CHECK(!m->busy);
    if (m->put_off) {
        m->busy = true;
        m->put_off_file = f;
        m->put_off_offset = offset;
        m->put_off_bytes = bytes;
        *out_later = true;
        return ST_OK;
    }
    *out_later = false;
    return write_through(m, f, offset, bytes);
}

static void mem_close(struct disk *d, struct disk_file *f)
{
    (void)d;
    (void)f;
}

static enum status mem_rename(struct disk *d, const char *from, const char *to)
{
    struct mem_disk *m = (struct mem_disk *)d;
    struct name *n = find(&m->now, from);
    struct disk_file *file;

    if (fails(m)) {
        return m->failure;
    }
    if (n == NULL) {
        return ST_NOT_FOUND;
    }
    file = n->file;
    drop_name(&m->now, from);
    add_name(&m->now, to, file);
    folder_changed(m);
    return ST_OK;
}

static enum status mem_remove(struct disk *d, const char *name)
{
    struct mem_disk *m = (struct mem_disk *)d;

    if (fails(m)) {
        return m->failure;
    }
    if (find(&m->now, name) == NULL) {
        return ST_NOT_FOUND;
    }
    drop_name(&m->now, name);
    folder_changed(m);
    return ST_OK;
}

static enum status mem_sync_folder(struct disk *d)
{
    struct mem_disk *m = (struct mem_disk *)d;

    if (fails(m)) {
        return m->failure;
    }
    m->steps[0] = m->now;
    m->steps_count = 1;
    return ST_OK;
}

static uint64_t mem_random(struct disk *d)
{
    return rng_next(&((struct mem_disk *)d)->rng);
}

struct mem_disk *mem_disk_new(void)
{
    struct mem_disk *m = calloc(1, sizeof(*m));

    CHECK(m != NULL);
    m->port = (struct disk){.list = mem_list,
                            .open = mem_open,
                            .create = mem_create,
                            .prepare = mem_prepare,
                            .read = mem_read,
                            .write = mem_write,
                            .sync = mem_sync,
                            .commit = mem_commit,
                            .close = mem_close,
                            .rename = mem_rename,
                            .remove = mem_remove,
                            .sync_folder = mem_sync_folder,
                            .random = mem_random};
    m->steps_count = 1;
    rng_init(&m->rng, 42);
    return m;
}

void mem_disk_free(struct mem_disk *m)
{
    for (size_t i = 0; i < m->files_count; i++) {
        free(m->files[i]->now);
        free(m->files[i]->synced);
        free(m->files[i]);
    }
    free(m);
}

struct disk *mem_disk_port(struct mem_disk *m)
{
    return &m->port;
}

/* ---- cutting the power ---- */

static size_t sector_len(const struct disk_file *f, size_t at)
{
    return f->size - at < SECTOR_BYTES ? f->size - at : SECTOR_BYTES;
}

static bool sector_dirty(const struct disk_file *f, size_t at)
{
    return memcmp(f->now + at, f->synced + at, sector_len(f, at)) != 0;
}

size_t mem_disk_dirty_sectors(const struct mem_disk *m)
{
    size_t count = 0;

    for (size_t i = 0; i < m->files_count; i++) {
        for (size_t at = 0; at < m->files[i]->size; at += SECTOR_BYTES) {
            count += sector_dirty(m->files[i], at);
        }
    }
    return count;
}

size_t mem_disk_dirty_names(const struct mem_disk *m)
{
    return m->steps_count - 1;
}

void mem_disk_crash(struct mem_disk *m, uint64_t keep, size_t names)
{
    size_t number = 0;

    for (size_t i = 0; i < m->files_count; i++) {
        struct disk_file *f = m->files[i];

        for (size_t at = 0; at < f->size; at += SECTOR_BYTES) {
            if (sector_dirty(f, at) && (keep >> (number++ % 64) & 1) != 0) {
                memcpy(f->synced + at, f->now + at, sector_len(f, at));
            }
        }
        memcpy(f->now, f->synced, f->size);
    }
    CHECK(names < m->steps_count);
    m->now = m->steps[names];
    m->steps[0] = m->now;
    m->steps_count = 1;
    m->fail_at = 0;
    m->busy = false;
    m->put_off = false;
}

void mem_disk_fail_at(struct mem_disk *m, size_t n, enum status st)
{
    m->calls = 0;
    m->fail_at = n;
    m->failure = st;
}

size_t mem_disk_calls(const struct mem_disk *m)
{
    return m->calls;
}

void mem_disk_put_off(struct mem_disk *m)
{
    m->put_off = true;
}

bool mem_disk_busy(const struct mem_disk *m)
{
    return m->busy;
}

enum status mem_disk_finish(struct mem_disk *m)
{
    CHECK(m->busy);
    m->busy = false;
    return write_through(m, m->put_off_file, m->put_off_offset,
                         m->put_off_bytes);
}

uint8_t *mem_disk_bytes(struct mem_disk *m, const char *name, size_t *out_size)
{
    struct name *n = find(&m->now, name);

    if (n == NULL) {
        return NULL;
    }
    *out_size = n->file->size;
    return n->file->now;
}

void mem_disk_flip(struct mem_disk *m, const char *name, size_t offset,
                   uint8_t mask)
{
    struct name *n = find(&m->now, name);

    CHECK(n != NULL);
    n->file->now[offset] ^= mask;
    n->file->synced[offset] ^= mask;
}

static bool is_log(const char *name)
{
    size_t len = strlen(name);

    return len > 4 && strcmp(name + len - 4, ".wal") == 0;
}

bool mem_disk_rot(struct mem_disk *m, struct rng *rng)
{
    struct name *n;
    uint64_t end;
    uint64_t at;

    if (m->now.count == 0) {
        return false;
    }
    n = &m->now.names[rng_below(rng, m->now.count)];
    end = n->file == m->last_file ? m->last_offset : n->file->size;
    if (!is_log(n->text) || m->last_file == NULL || end == 0) {
        return false;
    }
    at = rng_below(rng, end);
    mem_disk_flip(m, n->text, at, (uint8_t)(1u << rng_below(rng, 8)));
    return true;
}

size_t mem_disk_files(const struct mem_disk *m)
{
    return m->now.count;
}

void mem_disk_remove(struct mem_disk *m, const char *name)
{
    drop_name(&m->now, name);
    folder_changed(m);
}

size_t mem_disk_syncs(const struct mem_disk *m)
{
    return m->syncs;
}

size_t mem_disk_prepared(const struct mem_disk *m)
{
    return m->prepared;
}
