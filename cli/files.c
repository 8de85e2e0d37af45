#include "cli/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/core/bytes.h"
#include "base/core/limits.h"

#define READ_STEP 65536

static enum status read_all(int fd, struct buf *out)
{
    for (;;) {
        uint8_t *space;
        ssize_t got;
        enum status st = buf_reserve(out, READ_STEP, &space);

        if (st) {
            return st;
        }
        got = read(fd, space, READ_STEP);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return ST_IO;
        }
        if (got == 0) {
            return ST_OK;
        }
        out->len += (size_t)got;
    }
}

static enum status load_fd(int fd, const char *name,
                           struct definitions **out_definitions,
                           struct err *err)
{
    struct buf text;
    enum status st;

    /* One step more than allowed, so that the parser is the one to say that
     * the file is too big. */
    buf_init(&text, LIMIT_DEFINITION_BYTES + 2 * READ_STEP);
    st = read_all(fd, &text);
    if (st == ST_IO) {
        (void)err_set(err, st, "%s: cannot be read: %m", name);
    } else if (st == ST_TOO_BIG) {
        (void)err_set(err, st, "%s: is over the limit of %lu bytes", name,
                      LIMIT_DEFINITION_BYTES);
    } else {
        st = definitions_parse(DEFINITION_FILE, name, buf_slice(&text),
                               out_definitions, err);
    }
    buf_release(&text);
    return st;
}

enum status files_load(const char *path, struct definitions **out_definitions,
                       struct err *err)
{
    enum status st;
    int fd;

    if (strcmp(path, "-") == 0) {
        return load_fd(STDIN_FILENO, "standard input", out_definitions, err);
    }
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return err_set(err, errno == ENOENT ? ST_NOT_FOUND : ST_IO,
                       "%s: cannot be opened: %m", path);
    }
    st = load_fd(fd, path, out_definitions, err);
    (void)close(fd); /* Only read from. */
    return st;
}

static int is_json(const struct dirent *entry)
{
    size_t len = strlen(entry->d_name);

    return len > 5 && entry->d_name[0] != '.' &&
           strcmp(entry->d_name + len - 5, ".json") == 0;
}

static enum status visit_entry(const char *folder, const char *name,
                               files_visit_fn *visit, void *arg,
                               struct err *err)
{
    enum status st;
    char *path = NULL;

    if (asprintf(&path, "%s/%s", folder, name) < 0) {
        abort();
    }
    st = visit(path, arg, err);
    free(path);
    return st;
}

static enum status each_of_folder(const char *folder, files_visit_fn *visit,
                                  void *arg, struct err *err)
{
    struct dirent **entries;
    enum status st = ST_OK;
    int count = scandir(folder, &entries, is_json, alphasort);

    if (count < 0) {
        return err_set(err, ST_IO, "%s: cannot be listed: %m", folder);
    }
    for (int i = 0; i < count; i++) {
        if (st == ST_OK) {
            st = visit_entry(folder, entries[i]->d_name, visit, arg, err);
        }
        free(entries[i]);
    }
    free(entries);
    return st;
}

enum status files_each(const char *path, files_visit_fn *visit, void *arg,
                       struct err *err)
{
    struct stat about;

    if (stat(path, &about) == 0 && S_ISDIR(about.st_mode)) {
        return each_of_folder(path, visit, arg, err);
    }
    return visit(path, arg, err);
}
