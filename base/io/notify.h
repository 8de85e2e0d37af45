/*
 * notify.h - what a service manager is told: sd_notify(3) and its watchdog,
 * without its library. A datagram of lines NAME=VALUE to $NOTIFY_SOCKET.
 *
 *     notify_open(&n, loop);
 *     notify_say(&n, "READY=1\nSTATUS=serving");
 *     notify_watch(&n, on_pulse, ctx);    WATCHDOG=1 while on_pulse() says so
 *     notify_close(&n);
 *
 * Nothing here fails or blocks: when nobody listens, that is their choice. The
 * variables are taken out of the environment, so that programs that we start
 * do not speak for us.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <uv.h>

struct loop;

/* Whether everything that has to turn does. Asked on the loop, twice in each
 * interval of the watchdog; who does not come to ask, is hung as well. */
typedef bool notify_pulse_fn(void *ctx);

struct notify {
    int fd; /* -1: nobody listens. */
    struct sockaddr_un address;
    socklen_t address_len;
    uint64_t pulse_ms; /* Half an interval; 0: no watchdog. */
    uv_timer_t timer;
    notify_pulse_fn *on_pulse;
    void *ctx;
};

/* Before the first thread. *n lives until the loop has been freed. */
void notify_open(struct notify *n, struct loop *loop);

/* Lines with '\n' between them. */
void notify_say(const struct notify *n, const char *lines);

/* "RELOADING=1" and its time; "READY=1" must follow. */
void notify_reloading(const struct notify *n);

/* From now on. Nothing happens when no watchdog is wanted. */
void notify_watch(struct notify *n, notify_pulse_fn *on_pulse, void *ctx);

void notify_close(struct notify *n);
