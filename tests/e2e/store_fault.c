/*
 * store_fault.c - a preloaded library under which the disk fails, or the
 * process dies at a chosen point.
 *
 * From the moment when the file named by $STORE_FAULT exists, fdatasync() and
 * fsync() of log files (*.wal) fail with EIO; everything else is as ever. The
 * backend is left alone, or chance would decide which of the two stops the
 * member. With STORE_FAULT=snapshot they fail from the moment when a snapshot
 * of another member begins to be written to a file.
 *
 * With $STORE_CRASH_LOG the calls that change what a restart finds are counted
 * and written to that file, one a line: "3 rename /data/member/backend". Before
 * the call with the number $STORE_CRASH_AT the process kills itself. Counting
 * begins at the start, or, with STORE_CRASH_FROM=snapshot, when a snapshot of
 * another member begins to be written to a file (of whose writes only the first
 * two count). With STORE_CRASH_OF=log only calls on log files count, with
 * STORE_CRASH_OF=rest only the others: they come from threads that race.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    PATH_BYTES = 4096
};

#define REAL(name, type) ((type)dlsym(RTLD_NEXT, name))

static void path_of(int fd, char path[PATH_BYTES])
{
    char link[64];
    ssize_t len;

    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    len = readlink(link, path, PATH_BYTES - 1);
    path[len < 0 ? 0 : len] = '\0';
}

static int is_log(const char *path)
{
    size_t len = strlen(path);

    return len > 4 && strcmp(path + len - 4, ".wal") == 0;
}

/* --- Dying --- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned long count;
static _Atomic int counting; /* 0: not decided yet, -1: not yet, 1: yes. */

static void decide(void)
{
    const char *from = getenv("STORE_CRASH_FROM");

    if (counting == 0) {
        counting = from != NULL && strcmp(from, "snapshot") == 0 ? -1 : 1;
    }
}

static void tell(const char *log, const char *what, const char *path)
{
    char line[PATH_BYTES + 64];
    int len = snprintf(line, sizeof(line), "%lu %s %s\n", count, what, path);
    int fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

    if (len < 0 || write(fd, line, (size_t)len) != len) {
        abort(); /* The test would draw wrong conclusions. */
    }
    (void)close(fd);
}

static int is_asked_for(const char *path)
{
    const char *of = getenv("STORE_CRASH_OF");

    return of == NULL || *of == '\0' ||
           (strcmp(of, "log") == 0) == is_log(path);
}

/* A call is about to be made. */
static void point(const char *what, const char *path)
{
    const char *log = getenv("STORE_CRASH_LOG");
    const char *at = getenv("STORE_CRASH_AT");

    if (log == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&lock);
    decide();
    if (counting > 0 && is_asked_for(path)) {
        count++;
        tell(log, what, path);
        if (at != NULL && count == strtoul(at, NULL, 10)) {
            (void)kill(getpid(), SIGKILL);
            for (;;) {
                (void)pause();
            }
        }
    }
    (void)pthread_mutex_unlock(&lock);
}

static int is_incoming(const char *path)
{
    return strstr(path, "/incoming/") != NULL;
}

static void snapshot_begins(void)
{
    (void)pthread_mutex_lock(&lock);
    counting = 1;
    (void)pthread_mutex_unlock(&lock);
}

/* --- The calls --- */

static int is_broken(void)
{
    const char *fault = getenv("STORE_FAULT");

    if (fault != NULL && strcmp(fault, "snapshot") == 0) {
        return counting > 0;
    }
    return fault != NULL && access(fault, F_OK) == 0;
}

static int sync_fd(const char *name, int fd)
{
    char path[PATH_BYTES];

    path_of(fd, path);
    point(name, path);
    if (is_log(path) && is_broken()) {
        errno = EIO;
        return -1;
    }
    return REAL(name, int (*)(int))(fd);
}

int fdatasync(int fd)
{
    return sync_fd("fdatasync", fd);
}

int fsync(int fd)
{
    return sync_fd("fsync", fd);
}

int open(const char *path, int flags, ...)
{
    va_list list;
    mode_t mode;

    va_start(list, flags);
    mode = (flags & O_CREAT) ? (mode_t)va_arg(list, int) : 0;
    va_end(list);
    if ((flags & O_CREAT) && is_incoming(path)) {
        snapshot_begins();
        point("open", path);
    }
    return REAL("open", int (*)(const char *, int, ...))(path, flags, mode);
}

ssize_t write(int fd, const void *bytes, size_t len)
{
    static _Atomic int writes;
    char path[PATH_BYTES];

    if (counting > 0) {
        path_of(fd, path);
        if (is_incoming(path) && writes++ < 2) {
            point("write", path);
        }
    }
    return REAL("write", ssize_t(*)(int, const void *, size_t))(fd, bytes, len);
}

ssize_t pwrite(int fd, const void *bytes, size_t len, off_t at)
{
    char path[PATH_BYTES];

    if (counting > 0) {
        path_of(fd, path);
        if (is_log(path)) {
            point("pwrite", path);
        }
    }
    return REAL("pwrite", ssize_t(*)(int, const void *, size_t, off_t))(
        fd, bytes, len, at);
}

int mkdir(const char *path, mode_t mode)
{
    if (access(path, F_OK) != 0) {
        point("mkdir", path);
    }
    return REAL("mkdir", int (*)(const char *, mode_t))(path, mode);
}

int rmdir(const char *path)
{
    point("rmdir", path);
    return REAL("rmdir", int (*)(const char *))(path);
}

int unlink(const char *path)
{
    point("unlink", path);
    return REAL("unlink", int (*)(const char *))(path);
}

int unlinkat(int folder, const char *name, int flags)
{
    char path[PATH_BYTES];
    size_t len;

    path_of(folder, path);
    len = strlen(path);
    (void)snprintf(path + len, sizeof(path) - len, "/%s", name);
    point("unlinkat", path);
    return REAL("unlinkat", int (*)(int, const char *, int))(folder, name,
                                                             flags);
}

int rename(const char *from, const char *to)
{
    point("rename", from);
    return REAL("rename", int (*)(const char *, const char *))(from, to);
}

int renameat(int from_folder, const char *from, int to_folder, const char *to)
{
    point("renameat", from);
    return REAL("renameat", int (*)(int, const char *, int, const char *))(
        from_folder, from, to_folder, to);
}

int renameat2(int from_folder, const char *from, int to_folder, const char *to,
              unsigned flags)
{
    point("renameat2", from);
    return REAL("renameat2",
                int (*)(int, const char *, int, const char *, unsigned))(
        from_folder, from, to_folder, to, flags);
}
