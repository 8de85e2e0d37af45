#include "store/io/snapshot_file.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/sha.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/core/check.h"
#include "base/core/crc32c.h"
#include "base/core/wire.h"
#include "store/kv/table.h"
#include "store/snap/reader.h"

enum {
    BLOCK_BYTES = 512, /* Every page is a multiple of it. */
    SUM_BYTES = SHA256_DIGEST_LENGTH,
    REVISION_BYTES = 8
};

static enum status map_failed(const char *path, struct err *err)
{
    return err_set(err, errno == ENOENT ? ST_NOT_FOUND : ST_IO,
                   "cannot read %s: %s", path, strerrordesc_np(errno));
}

static enum status map_it(int fd, const char *path, struct slice *out_bytes,
                          struct err *err)
{
    struct stat facts;
    void *map;

    if (fstat(fd, &facts) != 0) {
        return map_failed(path, err);
    }
    if (!S_ISREG(facts.st_mode)) {
        return err_set(err, ST_INVALID, "%s is no file", path);
    }
    if (facts.st_size == 0) {
        return err_set(err, ST_CORRUPT, "%s is empty", path);
    }
    map = mmap(NULL, (size_t)facts.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (map == MAP_FAILED) {
        return map_failed(path, err);
    }
    *out_bytes = slice_of(map, (size_t)facts.st_size);
    return ST_OK;
}

enum status snapshot_file_open(const char *path, struct snapshot_file *out_file,
                               struct err *err)
{
    struct snapshot_file f = {.path = path};
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC); /* If a FIFO. */
    enum status st;

    if (fd < 0) {
        return map_failed(path, err);
    }
    st = map_it(fd, path, &f.bytes, err);
    (void)close(fd); /* The map stays. */
    if (st) {
        return st;
    }
    f.has_sum = f.bytes.len % BLOCK_BYTES == SUM_BYTES;
    *out_file = f;
    return ST_OK;
}

void snapshot_file_close(struct snapshot_file *f)
{
    if (f->bytes.data != NULL) {
        (void)munmap((void *)(uintptr_t)f->bytes.data, f->bytes.len);
    }
    *f = (struct snapshot_file){0};
}

enum status snapshot_file_check_sum(const struct snapshot_file *f,
                                    struct err *err)
{
    size_t len = f->bytes.len - SUM_BYTES;
    uint8_t sum[SUM_BYTES];

    if (!f->has_sum) {
        return ST_OK;
    }
    CHECK(SHA256(f->bytes.data, len, sum) != NULL);
    if (memcmp(sum, f->bytes.data + len, SUM_BYTES) != 0) {
        return err_set(err, ST_CORRUPT,
                       "%s is damaged: its SHA-256 is not the one that was "
                       "saved with it; take another copy or snapshot",
                       f->path);
    }
    return ST_OK;
}

/* --- Summing up --- */

struct summing {
    struct snapshot_summary summary;
    bool in_key;
};

static bool on_bucket(void *ctx, struct slice name)
{
    struct summing *s = ctx;

    s->summary.hash = crc32c(s->summary.hash, name);
    s->in_key = slice_eq(name, slice_str(table_name(TABLE_KEY)));
    return true;
}

static enum status on_row(void *ctx, struct slice key, struct slice value)
{
    struct summing *s = ctx;

    s->summary.hash = crc32c(crc32c(s->summary.hash, key), value);
    s->summary.rows++;
    if (s->in_key && key.len >= REVISION_BYTES) {
        s->summary.revision = (int64_t)wire_get_u64be(key.data);
    }
    return ST_OK;
}

enum status snapshot_file_sum_up(const struct snapshot_file *f,
                                 struct snapshot_summary *out_summary,
                                 struct err *err)
{
    struct summing s = {0};
    struct snap_hooks hooks = {
        .ctx = &s, .on_bucket = on_bucket, .on_row = on_row};
    enum status st = snap_read(f->bytes, &hooks, err);

    if (st) {
        return err_prefix(err, st, "%s", f->path);
    }
    s.summary.bytes = snap_file_bytes(f->bytes);
    *out_summary = s.summary;
    return ST_OK;
}
