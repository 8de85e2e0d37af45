#include "base/io/notify.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/core/check.h"
#include "base/io/loop.h"

static bool address_read(struct notify *n)
{
    const char *path = getenv("NOTIFY_SOCKET");
    size_t len = path == NULL ? 0 : strlen(path);

    if (len == 0 || len >= sizeof(n->address.sun_path) ||
        (path[0] != '/' && path[0] != '@')) {
        return false;
    }
    n->address.sun_family = AF_UNIX;
    memcpy(n->address.sun_path, path, len + 1);
    if (path[0] == '@') {
        n->address.sun_path[0] = '\0'; /* Linux' abstract names. */
    }
    n->address_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    return true;
}

static uint64_t number_of(const char *name)
{
    const char *text = getenv(name);

    return text == NULL || text[0] < '0' || text[0] > '9'
               ? 0
               : strtoull(text, NULL, 10);
}

/* The variables of a parent are not meant for us. */
static uint64_t watchdog_us(void)
{
    uint64_t pid = number_of("WATCHDOG_PID");

    return pid != 0 && pid != (uint64_t)getpid() ? 0
                                                 : number_of("WATCHDOG_USEC");
}

void notify_open(struct notify *n, struct loop *loop)
{
    uint64_t interval_us = watchdog_us();

    *n = (struct notify){.fd = -1};
    if (address_read(n)) {
        n->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    }
    if (n->fd >= 0 && interval_us > 0) {
        n->pulse_ms = interval_us < 4000 ? 1 : interval_us / 2000;
    }
    (void)unsetenv("NOTIFY_SOCKET");
    (void)unsetenv("WATCHDOG_USEC");
    (void)unsetenv("WATCHDOG_PID");
    CHECK(uv_timer_init(loop_uv(loop), &n->timer) == 0);
    n->timer.data = n;
}

void notify_say(const struct notify *n, const char *lines)
{
    if (n->fd >= 0) {
        (void)sendto(n->fd, lines, strlen(lines), MSG_NOSIGNAL | MSG_DONTWAIT,
                     (const struct sockaddr *)&n->address, n->address_len);
    }
}

void notify_reloading(const struct notify *n)
{
    struct timespec now;
    char lines[64];

    CHECK(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    (void)snprintf(lines, sizeof(lines), "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
                   (uint64_t)now.tv_sec * 1000000 +
                       (uint64_t)now.tv_nsec / 1000);
    notify_say(n, lines);
}

static void on_timer(uv_timer_t *timer)
{
    struct notify *n = timer->data;

    if (n->on_pulse(n->ctx)) {
        notify_say(n, "WATCHDOG=1");
    }
}

void notify_watch(struct notify *n, notify_pulse_fn *on_pulse, void *ctx)
{
    n->on_pulse = on_pulse;
    n->ctx = ctx;
    if (n->pulse_ms > 0) {
        CHECK(uv_timer_start(&n->timer, on_timer, 0, n->pulse_ms) == 0);
    }
}

void notify_close(struct notify *n)
{
    uv_close((uv_handle_t *)&n->timer, NULL);
    if (n->fd >= 0) {
        (void)close(n->fd);
        n->fd = -1;
    }
}
