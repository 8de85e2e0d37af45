#include "agent/io/scan.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/core/check.h"
#include "base/core/limits.h"

static int64_t nanoseconds(struct timespec t)
{
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static struct scan_mark mark_of(const struct stat *st)
{
    return (struct scan_mark){.inode = st->st_ino,
                              .size = st->st_size,
                              .mtime_ns = nanoseconds(st->st_mtim),
                              .ctime_ns = nanoseconds(st->st_ctim)};
}

static bool mark_equal(struct scan_mark a, struct scan_mark b)
{
    return a.inode == b.inode && a.size == b.size && a.mtime_ns == b.mtime_ns &&
           a.ctime_ns == b.ctime_ns;
}

static struct scan_item *item_add(struct scan_result *r,
                                  enum scan_change change, const char *path)
{
    struct scan_item *grown =
        realloc(r->items, (r->count + 1) * sizeof(*r->items));
    struct scan_item *item;

    CHECK(grown != NULL);
    r->items = grown;
    item = &grown[r->count++];
    *item = (struct scan_item){.change = change, .path = strdup(path)};
    CHECK(item->path != NULL);
    return item;
}

/* The whole file, or a status with words. */
static enum status file_read(int fd, const char *path, struct buf *out,
                             struct err *err)
{
    for (;;) {
        uint8_t *space;
        ssize_t count;

        if (buf_reserve(out, 16384, &space)) {
            return err_set(err, ST_TOO_BIG, "%s: larger than %lu bytes", path,
                           LIMIT_DEFINITION_BYTES);
        }
        count = read(fd, space, 16384);
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count < 0) {
            return err_set(err, ST_IO, "%s: %s", path, strerror(errno));
        }
        if (count == 0) {
            return ST_OK;
        }
        out->len += (size_t)count;
    }
}

static enum status file_parse(int fd, struct scan_item *item)
{
    struct buf text;
    enum status st;

    buf_init(&text, LIMIT_DEFINITION_BYTES + 16384);
    st = file_read(fd, item->path, &text, &item->err);
    if (!st) {
        st = definitions_parse(DEFINITION_FILE, item->path, buf_slice(&text),
                               &item->definitions, &item->err);
    }
    buf_release(&text);
    return st;
}

static int known_compare(const void *path, const void *known)
{
    return strcmp(path, ((const struct scan_known *)known)->path);
}

/* One file of the folder: nothing to say when it is as known. */
static void file_look(struct scan_result *r, const char *path,
                      const struct scan_known *known)
{
    struct stat st = {0};
    struct scan_item *item;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    int error = errno;

    if (fd < 0 && error == ENOENT && lstat(path, &st) != 0) {
        return; /* Gone between the listing and now; the next scan sees it. */
    }
    if (fd >= 0 && fstat(fd, &st) == 0 && known &&
        mark_equal(known->mark, mark_of(&st))) {
        (void)close(fd);
        return;
    }
    item = item_add(r, SCAN_BAD, path);
    if (fd < 0) {
        (void)err_set(&item->err, ST_IO, "%s: %s", path, strerror(error));
        return; /* Without a mark: another look may find it readable. */
    }
    item->mark = mark_of(&st);
    if (!S_ISREG(st.st_mode)) {
        (void)err_set(&item->err, ST_INVALID, "%s: not a regular file", path);
    } else if (file_parse(fd, item) == ST_OK) {
        item->change = SCAN_LOADED;
    }
    (void)close(fd);
}

static int is_definition(const struct dirent *entry)
{
    return fnmatch("*.json", entry->d_name, FNM_PERIOD) == 0;
}

static int entry_order(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int entry_compare(const void *name, const void *entry)
{
    return strcmp(name, (*(struct dirent *const *)entry)->d_name);
}

/* Those of `known` that are not in the folder any more. */
static void find_gone(struct scan_result *r, struct dirent **entries,
                      size_t entries_count, const struct scan_known *known,
                      size_t known_count)
{
    for (size_t i = 0; i < known_count; i++) {
        const char *slash = strrchr(known[i].path, '/');
        const char *name = slash ? slash + 1 : known[i].path;

        if (entries_count == 0 || !bsearch(name, entries, entries_count,
                                           sizeof(*entries), entry_compare)) {
            (void)item_add(r, SCAN_GONE, known[i].path);
        }
    }
}

static void look_at(struct scan_result *r, const char *dir, const char *name,
                    const struct scan_known *known, size_t known_count)
{
    char path[4096];
    int len = snprintf(path, sizeof(path), "%s/%s", dir, name);

    if (len < 0 || (size_t)len >= sizeof(path)) {
        r->st = err_set(&r->err, ST_TOO_BIG, "%s: path is too long", dir);
        return;
    }
    file_look(r, path,
              known_count == 0 ? NULL
                               : bsearch(path, known, known_count,
                                         sizeof(*known), known_compare));
}

void scan_dir(const char *dir, const struct scan_known *known,
              size_t known_count, struct scan_result *out_result)
{
    struct dirent **entries = NULL;
    int count = scandir(dir, &entries, is_definition, entry_order);

    *out_result = (struct scan_result){0};
    if (count < 0 && errno != ENOENT) {
        out_result->st =
            err_set(&out_result->err, ST_IO, "%s: %s", dir, strerror(errno));
        return; /* What was registered stays. */
    }
    out_result->absent = count < 0;
    find_gone(out_result, entries, count < 0 ? 0 : (size_t)count, known,
              known_count);
    for (int i = 0; i < count; i++) {
        if (i < LIMIT_DEFINITION_FILES) {
            look_at(out_result, dir, entries[i]->d_name, known, known_count);
        }
        free(entries[i]);
    }
    free(entries);
    if (count > LIMIT_DEFINITION_FILES) {
        out_result->st = err_set(&out_result->err, ST_TOO_BIG,
                                 "%s: %d files, only the first %d are read",
                                 dir, count, LIMIT_DEFINITION_FILES);
    }
}

void scan_result_release(struct scan_result *r)
{
    for (size_t i = 0; i < r->count; i++) {
        free(r->items[i].path);
        definitions_unref(r->items[i].definitions);
    }
    free(r->items);
    *r = (struct scan_result){0};
}
