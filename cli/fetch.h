/*
 * fetch.h - one HTTP request of a command, waited for.
 *
 * On a loop of its own, which turns until the answer is there. Each request is
 * a connection of its own.
 */
#pragma once

#include <stdbool.h>

#include "base/core/bytes.h"
#include "base/core/err.h"
#include "base/io/http_client.h"

struct loop;

struct fetched {
    int status;               /* 0: none came. */
    unsigned long long index; /* X-Consul-Index, or 0. */
    bool cut;                 /* The body passed the buffer's limit. */
};

/* The body goes to `body`, which is cleared before. Statuses as of
 * http_call_hooks.on_end; ST_TOO_BIG: cut. */
enum status fetch(struct loop *loop, const struct http_call_config *config,
                  struct buf *body, struct fetched *out_fetched,
                  struct err *err);

/* The same to a URL, which is read into host, port, TLS and path. ST_INVALID:
 * it is none, or a file of `files` is not what it should be. */
struct tls_files;
enum status fetch_url(struct loop *loop, const char *url,
                      const struct tls_files *files,
                      const struct http_call_config *config, struct buf *body,
                      struct fetched *out_fetched, struct err *err);
