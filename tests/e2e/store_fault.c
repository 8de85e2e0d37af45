/*
 * store_fault.c - a preloaded library under which the disk fails.
 *
 * From the moment when the file named by $STORE_FAULT exists, fdatasync() and
 * fsync() of log files (*.wal) fail with EIO; everything else is as ever. The
 * backend is left alone, or chance would decide which of the two stops the
 * member.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int is_log(int fd)
{
    char link[64];
    char path[4096];
    ssize_t len;

    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    len = readlink(link, path, sizeof(path));
    return len > 4 && memcmp(path + len - 4, ".wal", 4) == 0;
}

static int fails(int fd)
{
    const char *path = getenv("STORE_FAULT");

    return path != NULL && access(path, F_OK) == 0 && is_log(fd);
}

static int call(const char *name, int fd)
{
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);

    if (fails(fd)) {
        errno = EIO;
        return -1;
    }
    return real(fd);
}

int fdatasync(int fd)
{
    return call("fdatasync", fd);
}

int fsync(int fd)
{
    return call("fsync", fd);
}
