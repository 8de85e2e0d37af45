/*
 * listener.h - the listening socket of a server. Private to server.c.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/core/err.h"
#include "base/io/address.h"

struct server_config;

struct listener {
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    };
    char address[ADDRESS_TEXT_MAX]; /* As server_address() says it. */
    uint16_t port;                  /* 0: a Unix socket. */
};

/* The handle is open from then on, and closed by uv_close(). */
void listener_init(struct listener *l, uv_loop_t *loop, bool is_unix);

/* Whether a bound socket is a Unix one. ST_INVALID: it is neither that nor TCP.
 */
enum status listener_kind(int fd, bool *out_is_unix, struct err *err);

/* SO_REUSEPORT, of an open TCP socket. */
void listener_share_port(struct listener *l, bool shared);

/* Bind and listen, or only listen at config->fd, for which `address` is not
 * looked at; statuses as of server_start(). */
enum status listener_open(struct listener *l,
                          const struct server_config *config,
                          const struct address *address,
                          uv_connection_cb on_connection, struct err *err);
