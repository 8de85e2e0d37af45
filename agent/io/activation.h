/*
 * activation.h - DNS sockets that a service manager has bound for us, so that
 * port 53 needs no privilege here: systemd's LISTEN_PID, LISTEN_FDS and
 * LISTEN_FDNAMES (sd_listen_fds(3)).
 *
 * Descriptors named "dns" are UDP and TCP, those named "dot" are for DNS over
 * TLS; others are left alone.
 */
#pragma once

#include <stddef.h>

#include "base/core/err.h"
#include "dns/io/server.h"

/* *out_count: 0 when nothing was handed to this process. `out` has room for
 * DNS_SOCKETS_MAX. ST_INVALID: more than that, or numbers and names that do not
 * agree. */
enum status activation_dns(struct dns_socket *out, size_t *out_count,
                           struct err *err);
