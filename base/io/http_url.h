/*
 * http_url.h - where an http:// or https:// URL points (RFC 3986).
 *
 * The grammar is http_parser's.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/core/bytes.h"

struct http_url {
    bool tls;
    char host[256];      /* A name or an address, without brackets. */
    uint16_t port;       /* 80 or 443 if the URL says none. */
    struct slice user;   /* "name:password" as written; empty: none. */
    struct slice target; /* Path and query. Without a path it is empty or
                            begins with "?": to be sent with "/" before. */
};

/* False: it is no such URL. The slices point into `text`. */
bool http_url_read(const char *text, struct http_url *out_url);
