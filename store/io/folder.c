#include "store/io/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static enum status failed(struct err *err, const char *what, const char *path)
{
    int code = errno;

    return err_set(err, code == ENOSPC ? ST_NO_SPACE : ST_IO,
                   "cannot %s %s: %s", what, path, strerror(code));
}

enum status folder_sync(const char *path, struct err *err)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    enum status st = ST_OK;

    if (fd < 0) {
        return failed(err, "open the folder", path);
    }
    if (fsync(fd) != 0) {
        st = failed(err, "sync the folder", path);
    }
    (void)close(fd); /* Opened for reading: nothing to lose. */
    return st;
}

static enum status make_one(const char *path, const char *parent,
                            struct err *err)
{
    struct stat info;

    if (mkdir(path, 0700) == 0) {
        return folder_sync(parent, err);
    }
    if (errno != EEXIST) {
        return failed(err, "make the folder", path);
    }
    if (stat(path, &info) != 0) {
        return failed(err, "look at", path);
    }
    if (!S_ISDIR(info.st_mode)) {
        return err_set(err, ST_INVALID, "%s is not a folder", path);
    }
    return ST_OK;
}

enum status folder_make(const char *path, struct err *err)
{
    char partial[PATH_MAX];
    char parent[PATH_MAX];
    size_t len = strlen(path);
    enum status st = ST_OK;

    if (len == 0 || len >= sizeof(partial)) {
        return err_set(err, ST_INVALID, "the folder's name is %s",
                       len == 0 ? "empty" : "too long");
    }
    (void)strcpy(parent, path[0] == '/' ? "/" : ".");
    for (size_t i = 1; i <= len && !st; i++) {
        if (path[i] != '/' && path[i] != '\0') {
            continue;
        }
        memcpy(partial, path, i);
        partial[i] = '\0';
        st = make_one(partial, parent, err);
        (void)strcpy(parent, partial);
    }
    return st;
}

enum status folder_remove(const char *path, struct err *err)
{
    DIR *folder = opendir(path);
    struct dirent *entry;
    enum status st = ST_OK;

    if (folder == NULL) {
        return errno == ENOENT ? ST_OK : failed(err, "open the folder", path);
    }
    while (st == ST_OK && (entry = readdir(folder)) != NULL) {
        if (strcmp(entry->d_name, ".") != 0 &&
            strcmp(entry->d_name, "..") != 0 &&
            unlinkat(dirfd(folder), entry->d_name, 0) != 0) {
            st = failed(err, "remove a file of", path);
        }
    }
    (void)closedir(folder); /* Only read. */
    if (st == ST_OK && rmdir(path) != 0) {
        st = failed(err, "remove the folder", path);
    }
    return st;
}

enum status folder_remove_empty(const char *path, struct err *err)
{
    return rmdir(path) == 0 || errno == ENOENT
               ? ST_OK
               : failed(err, "remove the folder", path);
}

void folder_parent(const char *path, char *out_parent, size_t size)
{
    const char *slash = strrchr(path, '/');

    if (slash == NULL) {
        (void)snprintf(out_parent, size, ".");
    } else if (slash == path) {
        (void)snprintf(out_parent, size, "/");
    } else {
        (void)snprintf(out_parent, size, "%.*s", (int)(slash - path), path);
    }
}

/* Some file systems cannot; there an empty folder is replaced, no other. */
static int rename_to_nothing(const char *path, const char *place)
{
    int code = renameat2(AT_FDCWD, path, AT_FDCWD, place, RENAME_NOREPLACE);

    return code != 0 && errno == EINVAL ? rename(path, place) : code;
}

enum status folder_publish(const char *path, const char *place, struct err *err)
{
    char parent[PATH_MAX];

    if (rename_to_nothing(path, place) != 0) {
        return errno == EEXIST
                   ? err_set(err, ST_EXISTS, "%s exists already", place)
                   : failed(err, "rename", path);
    }
    folder_parent(place, parent, sizeof(parent));
    return folder_sync(parent, err);
}

enum status folder_lock(const char *path, int *out_fd, struct err *err)
{
    char file[PATH_MAX];
    int fd;

    if ((size_t)snprintf(file, sizeof(file), "%s/lock", path) >= sizeof(file)) {
        return err_set(err, ST_INVALID, "the folder's name is too long");
    }
    fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        return failed(err, "open", file);
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        enum status st = errno == EWOULDBLOCK
                             ? err_set(err, ST_BUSY,
                                       "%s is in use by another process: stop "
                                       "it or choose another --data-dir",
                                       path)
                             : failed(err, "lock", file);

        (void)close(fd);
        return st;
    }
    *out_fd = fd;
    return ST_OK;
}
