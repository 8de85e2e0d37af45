#include "store/io/file_disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/core/check.h"
#include "store/io/folder.h"
#include "store/io/worker.h"

enum {
    ZEROS_BYTES = 1024 * 1024
};

/* The moving average follows the last few dozen syncs, and none counts for more
 * than SAMPLE_US_MAX: one slow sync does not move the work to the thread, a
 * slow disk does. */
enum {
    AVERAGE_WEIGHT = 16,
    SAMPLE_US_MAX = 2000
};

struct disk_file {
    int fd;
    char name[DISK_NAME_MAX];
};

struct file_disk {
    struct disk port;
    struct file_disk_config config;
    char *path;
    int folder; /* All names are looked up in it. */

    struct worker *syncer;
    struct worker_job sync_job;
    bool sync_busy;
    struct disk_file *sync_file; /* What sync_job works on ... */
    uint64_t sync_offset;
    struct slice sync_bytes;
    enum status sync_result; /* ... and what came of it. */
    struct err sync_error;
    double sync_seconds;
    double average_us; /* Of the recent syncs. */

    struct worker *preparer;
    struct worker_job prepare_job;
    bool prepare_busy;
    char prepare_name[DISK_NAME_MAX];
    uint64_t prepare_size;

    struct err error;
    struct metric_buckets sync_buckets;
    struct metric sync_metric;
    struct metric bytes_metric;
};

static struct file_disk *disk_of(struct disk *port)
{
    return (struct file_disk *)((char *)port -
                                offsetof(struct file_disk, port));
}

/* Turns errno into a status and words. Safe on any thread. */
static enum status explain(const struct file_disk *d, const char *what,
                           const char *name, struct err *err)
{
    int code = errno;
    enum status st = code == ENOENT   ? ST_NOT_FOUND
                     : code == ENOSPC ? ST_NO_SPACE
                     : code == EDQUOT ? ST_NO_SPACE
                     : code == EFBIG  ? ST_NO_SPACE
                                      : ST_IO;

    return err_set(err, st, "cannot %s %s/%s: %s", what, d->path, name,
                   strerror(code));
}

static double now_s(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* --- Files --- */

static enum status disk_list(struct disk *port, disk_name_fn on_name, void *ctx)
{
    struct file_disk *d = disk_of(port);
    DIR *dir = opendir(d->path);
    struct dirent *entry;

    if (dir == NULL) {
        return explain(d, "list", "", &d->error);
    }
    errno = 0;
    while ((entry = readdir(dir)) != NULL) {
        struct stat info;

        if (strlen(entry->d_name) < DISK_NAME_MAX &&
            fstatat(d->folder, entry->d_name, &info, AT_SYMLINK_NOFOLLOW) ==
                0 &&
            S_ISREG(info.st_mode)) {
            on_name(ctx, entry->d_name);
        }
        errno = 0;
    }
    if (errno != 0) {
        enum status st = explain(d, "list", "", &d->error);

        (void)closedir(dir);
        return st;
    }
    (void)closedir(dir); /* Opened for reading. */
    return ST_OK;
}

static struct disk_file *file_new(int fd, const char *name)
{
    struct disk_file *f = calloc(1, sizeof(*f));

    CHECK(f != NULL);
    CHECK(strlen(name) < sizeof(f->name));
    f->fd = fd;
    (void)strcpy(f->name, name);
    return f;
}

static enum status disk_open(struct disk *port, const char *name,
                             struct disk_file **out_file, uint64_t *out_size)
{
    struct file_disk *d = disk_of(port);
    int fd = openat(d->folder, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    struct stat info;

    if (fd < 0) {
        return explain(d, "open", name, &d->error);
    }
    if (fstat(fd, &info) != 0) {
        enum status st = explain(d, "look at", name, &d->error);

        (void)close(fd);
        return st;
    }
    *out_size = (uint64_t)info.st_size;
    *out_file = file_new(fd, name);
    return ST_OK;
}

static bool write_all(int fd, struct slice bytes, uint64_t offset)
{
    while (bytes.len > 0) {
        ssize_t done = pwrite(fd, bytes.data, bytes.len, (off_t)offset);

        if (done < 0 && errno == EINTR) {
            continue;
        }
        if (done <= 0) {
            errno = done == 0 ? EIO : errno;
            return false;
        }
        bytes = slice_skip(bytes, (size_t)done);
        offset += (uint64_t)done;
    }
    return true;
}

/* Zeros are written, not only reserved: a later write into reserved blocks
 * would change the file's metadata, and its sync would cost more for ever. They
 * are synced piece by piece, so that a sync of the log that comes meanwhile
 * does not wait behind all of them. */
static bool write_zeros(const struct file_disk *d, int fd, uint64_t size)
{
    uint8_t *zeros = calloc(1, ZEROS_BYTES);
    bool good = true;

    CHECK(zeros != NULL);
    for (uint64_t at = 0; at < size && good; at += ZEROS_BYTES) {
        uint64_t left = size - at;

        good = write_all(
            fd, slice_of(zeros, left < ZEROS_BYTES ? left : ZEROS_BYTES), at);
        good = good && (d->config.no_sync || fdatasync(fd) == 0);
    }
    free(zeros);
    return good;
}

/* A durable file of zeros under `name`. Safe on any thread. */
static enum status make_zeroed(const struct file_disk *d, const char *name,
                               uint64_t size, int *out_fd, struct err *err)
{
    int fd = openat(d->folder, name,
                    O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    enum status st;

    if (fd < 0) {
        return explain(d, "make", name, err);
    }
    if (write_zeros(d, fd, size) && (d->config.no_sync || fsync(fd) == 0)) {
        *out_fd = fd;
        return ST_OK;
    }
    st = explain(d, "fill", name, err);

    (void)close(fd); /* What it holds is of no use. */
    (void)unlinkat(d->folder, name, 0);
    return st;
}

/* Wait when the background makes the very file that is asked for. */
static void settle(struct file_disk *d, const char *name)
{
    if (d->prepare_busy && strcmp(d->prepare_name, name) == 0) {
        worker_wait(d->preparer);
    }
}

static enum status disk_create(struct disk *port, const char *name,
                               uint64_t size, struct disk_file **out_file)
{
    struct file_disk *d = disk_of(port);
    enum status st;
    int fd;

    settle(d, name);
    st = make_zeroed(d, name, size, &fd, &d->error);
    if (!st) {
        *out_file = file_new(fd, name);
    }
    return st;
}

static enum status disk_read(struct disk *port, struct disk_file *f,
                             uint64_t offset, uint8_t *out_bytes, size_t len)
{
    struct file_disk *d = disk_of(port);

    while (len > 0) {
        ssize_t done = pread(f->fd, out_bytes, len, (off_t)offset);

        if (done < 0 && errno == EINTR) {
            continue;
        }
        if (done < 0) {
            return explain(d, "read", f->name, &d->error);
        }
        if (done == 0) {
            return err_set(&d->error, ST_TRUNCATED,
                           "%s/%s ends early, at byte %llu", d->path, f->name,
                           (unsigned long long)offset);
        }
        out_bytes += done;
        offset += (uint64_t)done;
        len -= (size_t)done;
    }
    return ST_OK;
}

static enum status disk_write(struct disk *port, struct disk_file *f,
                              uint64_t offset, struct slice bytes)
{
    struct file_disk *d = disk_of(port);

    if (!write_all(f->fd, bytes, offset)) {
        return explain(d, "write", f->name, &d->error);
    }
    return ST_OK;
}

static enum status disk_sync(struct disk *port, struct disk_file *f)
{
    struct file_disk *d = disk_of(port);

    if (!d->config.no_sync && fdatasync(f->fd) != 0) {
        return explain(d, "sync", f->name, &d->error);
    }
    return ST_OK;
}

static void disk_close(struct disk *port, struct disk_file *f)
{
    (void)port;
    if (f != NULL) {
        (void)close(f->fd); /* Everything that counts was synced before. */
        free(f);
    }
}

/* --- Commits --- */

static void count_sync(struct file_disk *d)
{
    double us = d->sync_seconds * 1e6;

    us = us > SAMPLE_US_MAX ? SAMPLE_US_MAX : us;
    d->average_us += (us - d->average_us) / AVERAGE_WEIGHT;
    metric_observe(&d->sync_metric, d->sync_seconds);
    d->bytes_metric.value += (double)d->sync_bytes.len;
}

/* Touches only sync_*, config, path and folder: runs on either thread. */
static void write_and_sync(struct file_disk *d)
{
    double begin;

    d->sync_result = ST_OK;
    if (!write_all(d->sync_file->fd, d->sync_bytes, d->sync_offset)) {
        d->sync_result =
            explain(d, "write", d->sync_file->name, &d->sync_error);
        return;
    }
    begin = now_s();
    if (!d->config.no_sync && fdatasync(d->sync_file->fd) != 0) {
        d->sync_result = explain(d, "sync", d->sync_file->name, &d->sync_error);
    }
    d->sync_seconds = now_s() - begin;
}

static enum status sync_finish(struct file_disk *d)
{
    count_sync(d);
    if (d->sync_result) {
        d->error = d->sync_error;
    }
    return d->sync_result;
}

static void on_sync_run(struct worker_job *job)
{
    write_and_sync((struct file_disk *)((char *)job -
                                        offsetof(struct file_disk, sync_job)));
}

static void on_sync_done(struct worker_job *job)
{
    struct file_disk *d =
        (struct file_disk *)((char *)job -
                             offsetof(struct file_disk, sync_job));

    d->sync_busy = false;
    d->config.on_committed(d->config.ctx, sync_finish(d));
}

static enum status disk_commit(struct disk *port, struct disk_file *f,
                               uint64_t offset, struct slice bytes,
                               bool *out_later)
{
    struct file_disk *d = disk_of(port);

    CHECK(!d->sync_busy);
    d->sync_file = f;
    d->sync_offset = offset;
    d->sync_bytes = bytes;
    *out_later = d->average_us > FILE_DISK_QUICK_US;
    if (!*out_later) {
        write_and_sync(d);
        return sync_finish(d);
    }
    if (d->syncer == NULL) {
        d->syncer = worker_new(d->config.loop, "muster-log");
    }
    d->sync_busy = true;
    d->sync_job.run = on_sync_run;
    d->sync_job.done = on_sync_done;
    worker_submit(d->syncer, &d->sync_job);
    return ST_OK;
}

/* --- Files made ahead --- */

static void on_prepare_run(struct worker_job *job)
{
    struct file_disk *d =
        (struct file_disk *)((char *)job -
                             offsetof(struct file_disk, prepare_job));
    char temporary[DISK_NAME_MAX + 4];
    struct err err;
    int fd;

    (void)snprintf(temporary, sizeof(temporary), "%s.tmp", d->prepare_name);
    if (make_zeroed(d, temporary, d->prepare_size, &fd, &err)) {
        return; /* Only a hint: whoever needs the file will meet the fault. */
    }
    (void)close(fd);
    (void)renameat(d->folder, temporary, d->folder, d->prepare_name);
}

static void on_prepare_done(struct worker_job *job)
{
    struct file_disk *d =
        (struct file_disk *)((char *)job -
                             offsetof(struct file_disk, prepare_job));

    d->prepare_busy = false;
    d->config.on_idle(d->config.ctx);
}

static void disk_prepare(struct disk *port, const char *name, uint64_t size)
{
    struct file_disk *d = disk_of(port);

    if (d->prepare_busy) {
        return;
    }
    if (d->preparer == NULL) {
        d->preparer = worker_new(d->config.loop, "muster-files");
    }
    CHECK(strlen(name) < sizeof(d->prepare_name));
    (void)strcpy(d->prepare_name, name);
    d->prepare_size = size;
    d->prepare_busy = true;
    d->prepare_job.run = on_prepare_run;
    d->prepare_job.done = on_prepare_done;
    worker_submit(d->preparer, &d->prepare_job);
}

/* --- Names --- */

static enum status disk_rename(struct disk *port, const char *from,
                               const char *to)
{
    struct file_disk *d = disk_of(port);

    settle(d, from);
    settle(d, to);
    if (renameat(d->folder, from, d->folder, to) != 0) {
        return explain(d, "rename", from, &d->error);
    }
    return ST_OK;
}

static enum status disk_remove(struct disk *port, const char *name)
{
    struct file_disk *d = disk_of(port);

    settle(d, name);
    if (unlinkat(d->folder, name, 0) != 0) {
        return explain(d, "remove", name, &d->error);
    }
    return ST_OK;
}

static enum status disk_sync_folder(struct disk *port)
{
    struct file_disk *d = disk_of(port);

    if (!d->config.no_sync && fsync(d->folder) != 0) {
        return explain(d, "sync the folder", "", &d->error);
    }
    return ST_OK;
}

static uint64_t disk_random(struct disk *port)
{
    uint64_t value;

    (void)port;
    CHECK(RAND_bytes((unsigned char *)&value, sizeof(value)) == 1);
    return value;
}

/* --- The disk --- */

static const struct disk port_functions = {
    .list = disk_list,
    .open = disk_open,
    .create = disk_create,
    .prepare = disk_prepare,
    .read = disk_read,
    .write = disk_write,
    .sync = disk_sync,
    .commit = disk_commit,
    .close = disk_close,
    .rename = disk_rename,
    .remove = disk_remove,
    .sync_folder = disk_sync_folder,
    .random = disk_random,
};

static void metrics_init(struct file_disk *d)
{
    d->sync_buckets = (struct metric_buckets){.first = 0.001, .count = 14};
    d->sync_metric = (struct metric){
        .name = "etcd_disk_wal_fsync_duration_seconds",
        .help = "The latency distributions of fsync called by WAL.",
        .type = METRIC_HISTOGRAM,
        .buckets = &d->sync_buckets};
    d->bytes_metric =
        (struct metric){.name = "etcd_disk_wal_write_bytes_total",
                        .help = "Total number of bytes written in WAL.",
                        .type = METRIC_GAUGE};
}

enum status file_disk_new(const struct file_disk_config *config,
                          struct file_disk **out_disk, struct err *err)
{
    struct file_disk *d;
    enum status st = folder_make(config->path, err);
    int folder;

    if (st) {
        return st;
    }
    folder = open(config->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) {
        return err_set(err, ST_IO, "cannot open %s: %s", config->path,
                       strerror(errno));
    }
    d = calloc(1, sizeof(*d));
    CHECK(d != NULL);
    d->port = port_functions;
    d->config = *config;
    d->folder = folder;
    d->path = strdup(config->path);
    CHECK(d->path != NULL);
    metrics_init(d);
    *out_disk = d;
    return ST_OK;
}

void file_disk_free(struct file_disk *d)
{
    if (d == NULL) {
        return;
    }
    CHECK(!file_disk_is_busy(d));
    worker_free(d->syncer);
    worker_free(d->preparer);
    (void)close(d->folder);
    free(d->path);
    free(d);
}

bool file_disk_is_busy(const struct file_disk *d)
{
    return d->sync_busy || d->prepare_busy;
}

struct disk *file_disk_port(struct file_disk *d)
{
    return &d->port;
}

const struct err *file_disk_error(const struct file_disk *d)
{
    return &d->error;
}

void file_disk_metrics(struct file_disk *d, struct metrics *list)
{
    metrics_add(list, &d->sync_metric);
    metrics_add(list, &d->bytes_metric);
}
