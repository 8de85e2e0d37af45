#include "base/io/suspend.h"

#include <time.h>

#include "base/core/check.h"

enum {
    SLEPT_MS_MIN = 1000,
};

static int64_t clock_ms(clockid_t id)
{
    struct timespec now;

    CHECK(clock_gettime(id, &now) == 0);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* The coarse clock is some milliseconds behind, which does not matter. */
static int64_t offset_ms(void)
{
    return clock_ms(CLOCK_BOOTTIME) - clock_ms(CLOCK_MONOTONIC_COARSE);
}

void suspend_init(struct suspend *s)
{
    s->offset_ms = offset_ms();
}

uint64_t suspend_look(struct suspend *s)
{
    int64_t offset = offset_ms();
    int64_t slept = offset - s->offset_ms;

    if (slept < SLEPT_MS_MIN) {
        return 0;
    }
    s->offset_ms = offset;
    return (uint64_t)slept;
}
