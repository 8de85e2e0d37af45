#include "base/io/whole_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    PATH_BYTES = 4200
};

static enum status fail(struct err *err, const char *path)
{
    return err_set(err, ST_IO, "%s: %s", path, strerror(errno));
}

static enum status write_all(int fd, const char *path, struct slice bytes,
                             struct err *err)
{
    while (bytes.len > 0) {
        ssize_t len = write(fd, bytes.data, bytes.len);

        if (len < 0 && errno != EINTR) {
            return fail(err, path);
        }
        bytes = slice_skip(bytes, len < 0 ? 0 : (size_t)len);
    }
    return fsync(fd) == 0 ? ST_OK : fail(err, path);
}

/* A name is durable when its folder is. */
static enum status sync_folder(const char *path, struct err *err)
{
    const char *slash = strrchr(path, '/');
    char folder[PATH_BYTES] = ".";
    enum status st = ST_OK;
    int fd;

    if (slash != NULL) {
        (void)snprintf(folder, sizeof(folder), "%.*s", (int)(slash + 1 - path),
                       path);
    }
    fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return fail(err, folder);
    }
    if (fsync(fd) != 0) {
        st = fail(err, folder);
    }
    (void)close(fd); /* Opened for reading. */
    return st;
}

enum status whole_file_write(const char *path, mode_t mode, struct slice bytes,
                             struct err *err)
{
    char temporary[PATH_BYTES];
    enum status st;
    int fd;

    if (snprintf(temporary, sizeof(temporary), "%s.new", path) >=
        (int)sizeof(temporary)) {
        return err_set(err, ST_IO, "%s: %s", path, strerror(ENAMETOOLONG));
    }
    fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    if (fd < 0) {
        return fail(err, temporary);
    }
    st = write_all(fd, temporary, bytes, err);
    (void)close(fd); /* Synced, or of no use. */
    if (st == ST_OK && rename(temporary, path) != 0) {
        st = fail(err, path);
    }
    if (st) {
        (void)unlink(temporary);
        return st;
    }
    return sync_folder(path, err);
}
