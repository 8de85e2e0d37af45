#include "store/io/data_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/io/folder.h"

#define FORMAT      "muster store 1\n"
#define FORMAT_NAME "muster store "

static enum status failed(struct err *err, const char *what, const char *path)
{
    return err_set(err, errno == ENOSPC ? ST_NO_SPACE : ST_IO,
                   "cannot %s %s: %s", what, path, strerror(errno));
}

static bool exists(const char *path)
{
    struct stat info;

    return lstat(path, &info) == 0;
}

static enum status check_format(const char *path, struct err *err)
{
    char text[sizeof(FORMAT) + 32] = "";
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t len;

    if (fd < 0) {
        return failed(err, "open", path);
    }
    len = read(fd, text, sizeof(text) - 1);
    (void)close(fd);
    if (len < 0) {
        return failed(err, "read", path);
    }
    if (strcmp(text, FORMAT) == 0) {
        return ST_OK;
    }
    if (strncmp(text, FORMAT_NAME, strlen(FORMAT_NAME)) == 0) {
        return err_set(err, ST_INVALID,
                       "%s: this data was written by a later version of "
                       "muster: use that one",
                       path);
    }
    return err_set(err, ST_INVALID,
                   "%s: not a muster store's data: choose another --data-dir",
                   path);
}

/* The file is there whole or not at all. */
static enum status write_format(struct arena *arena, const char *folder,
                                const char *path, struct err *err)
{
    const char *temporary = arena_printf(arena, "%s.tmp", path);
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    enum status st = ST_OK;

    if (fd < 0) {
        return failed(err, "make", temporary);
    }
    if (write(fd, FORMAT, strlen(FORMAT)) != (ssize_t)strlen(FORMAT) ||
        fsync(fd) != 0) {
        st = failed(err, "write", temporary);
    }
    (void)close(fd);
    if (!st && rename(temporary, path) != 0) {
        st = failed(err, "rename", temporary);
    }
    return st ? st : folder_sync(folder, err);
}

enum status data_dir_open(struct arena *arena, const char *path,
                          struct data_dir *out_dir, struct err *err)
{
    struct data_dir dir = {.lock = -1};
    const char *member = arena_printf(arena, "%s/member", path);
    const char *format = arena_printf(arena, "%s/format", member);
    enum status st = folder_make(path, err);

    if (!st) {
        st = folder_lock(path, &dir.lock, err);
    }
    if (!st && exists(arena_printf(arena, "%s/snap", member))) {
        st = err_set(err, ST_INVALID,
                     "%s holds the data of etcd itself: save a snapshot of it "
                     "and choose another --data-dir",
                     path);
    }
    if (!st) {
        st = folder_make(member, err);
    }
    if (!st) {
        st = exists(format) ? check_format(format, err)
                            : write_format(arena, member, format, err);
    }
    if (st) {
        data_dir_close(&dir);
        return st;
    }
    dir.wal = arena_printf(arena, "%s/wal", member);
    dir.backend = arena_printf(arena, "%s/backend", member);
    dir.member = member;
    dir.backend_new = arena_printf(arena, "%s/backend.new", member);
    dir.backend_old = arena_printf(arena, "%s/backend.old", member);
    dir.incoming = arena_printf(arena, "%s/incoming", member);
    st = folder_remove(dir.incoming, err); /* They will be sent again. */
    if (!st) {
        st = folder_make(dir.incoming, err);
    }
    if (st) {
        data_dir_close(&dir);
        return st;
    }
    *out_dir = dir;
    return ST_OK;
}

static enum status remove_file(const char *path, struct err *err)
{
    return unlink(path) == 0 || errno == ENOENT ? ST_OK
                                                : failed(err, "remove", path);
}

enum status data_dir_remove(const char *path, struct err *err)
{
    static const char *const folders[] = {"wal", "backend", "backend.new",
                                          "backend.old", "incoming"};
    char name[PATH_MAX];
    enum status st = ST_OK;

    for (size_t i = 0; st == ST_OK && i < sizeof(folders) / sizeof(folders[0]);
         i++) {
        (void)snprintf(name, sizeof(name), "%s/member/%s", path, folders[i]);
        st = folder_remove(name, err);
    }
    if (st == ST_OK) {
        (void)snprintf(name, sizeof(name), "%s/member", path);
        st = folder_remove(name, err); /* With its format. */
    }
    if (st == ST_OK) {
        (void)snprintf(name, sizeof(name), "%s/lock", path);
        st = remove_file(name, err);
    }
    return st == ST_OK ? folder_remove_empty(path, err) : st;
}

bool data_dir_has_log(const char *path)
{
    char wal[PATH_MAX];
    struct dirent *entry;
    bool found = false;
    DIR *folder;
    int len = snprintf(wal, sizeof(wal), "%s/member/wal", path);

    folder = len > 0 && (size_t)len < sizeof(wal) ? opendir(wal) : NULL;
    while (folder != NULL && !found && (entry = readdir(folder)) != NULL) {
        found = strstr(entry->d_name, ".wal") != NULL;
    }
    if (folder != NULL) {
        (void)closedir(folder); /* Only read. */
    }
    return found;
}

void data_dir_close(struct data_dir *dir)
{
    if (dir->lock >= 0) {
        (void)close(dir->lock); /* Nothing was written through it. */
    }
    dir->lock = -1;
}
