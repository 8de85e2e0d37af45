/*
 * clock_shift.c - a preloaded library under which clocks can be moved while the
 * program runs.
 *
 * $CLOCK_SHIFT names a file of 16 bytes, two native 64-bit integers: by how
 * many milliseconds the calendar's time (CLOCK_REALTIME) is off, and for how
 * many milliseconds the machine has been suspended (CLOCK_BOOTTIME is ahead by
 * that, CLOCK_MONOTONIC is as it was). It is mapped, so writing to it takes
 * effect at once, for all of the program's threads.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

struct shift {
    _Atomic int64_t wall_ms;
    _Atomic int64_t slept_ms;
};

typedef int clock_gettime_fn(clockid_t id, struct timespec *out);

static struct shift nowhere;
static struct shift *shift = &nowhere;
static clock_gettime_fn *real;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void begin(void)
{
    const char *path = getenv("CLOCK_SHIFT");
    int fd = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    void *map = MAP_FAILED;

    real = (clock_gettime_fn *)dlsym(RTLD_NEXT, "clock_gettime");
    if (fd >= 0) {
        map = mmap(NULL, sizeof(*shift), PROT_READ, MAP_SHARED, fd, 0);
        (void)close(fd);
    }
    if (real == NULL || (path != NULL && map == MAP_FAILED)) {
        abort();
    }
    if (map != MAP_FAILED) {
        shift = map;
    }
}

static void add_ms(struct timespec *t, int64_t ms)
{
    t->tv_sec += ms / 1000;
    t->tv_nsec += ms % 1000 * 1000000;
    if (t->tv_nsec >= 1000000000) {
        t->tv_sec++;
        t->tv_nsec -= 1000000000;
    } else if (t->tv_nsec < 0) {
        t->tv_sec--;
        t->tv_nsec += 1000000000;
    }
}

int clock_gettime(clockid_t id, struct timespec *out)
{
    int result;

    (void)pthread_once(&once, begin);
    result = real(id, out);
    if (result == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) {
        add_ms(out, shift->wall_ms);
    } else if (result == 0 && id == CLOCK_BOOTTIME) {
        add_ms(out, shift->slept_ms);
    }
    return result;
}

int gettimeofday(struct timeval *out, void *zone)
{
    struct timespec now;

    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &now) != 0) {
        return -1;
    }
    *out =
        (struct timeval){.tv_sec = now.tv_sec, .tv_usec = now.tv_nsec / 1000};
    return 0;
}

time_t time(time_t *out)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    if (out != NULL) {
        *out = now.tv_sec;
    }
    return now.tv_sec;
}
