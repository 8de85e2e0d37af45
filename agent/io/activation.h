/*
 * activation.h - sockets that a service manager has bound for us, so that port
 * 53 needs no privilege here and nothing is refused while we start: systemd's
 * LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES (sd_listen_fds(3)).
 *
 * What a socket is for is its name, FileDescriptorName= in its unit:
 *
 *     dns     UDP and TCP, any number
 *     dot     TCP, DNS over TLS, any number
 *     http    TCP: the API; a Unix socket: the API on it
 *     https   TCP: the API with TLS
 *
 * They take the place of what the configuration says of the same listener.
 * Others are left alone.
 */
#pragma once

#include <stddef.h>

#include "base/core/err.h"
#include "dns/io/server.h"

struct activation {
    struct dns_socket dns[DNS_SOCKETS_MAX];
    size_t dns_count;
    int http; /* -1: none; the same below. */
    int https;
    int unix_socket;
};

/* Nothing handed to this process: nothing in it. The sockets are not passed on
 * to programs that we start.
 * ST_INVALID: too many, or numbers and names that do not agree. */
enum status activation_take(struct activation *out, struct err *err);
