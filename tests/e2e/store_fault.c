/*
 * store_fault.c - a preloaded library under which the disk fails.
 *
 * From the moment when the file named by $STORE_FAULT exists, fdatasync() and
 * fsync() fail with EIO; everything before is as ever.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static int fails(void)
{
    const char *path = getenv("STORE_FAULT");

    return path != NULL && access(path, F_OK) == 0;
}

static int call(const char *name, int fd)
{
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);

    if (fails()) {
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
