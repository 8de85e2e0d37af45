/*
 * http_head.h - the head of a reply: its first line and its fields. Private to
 * http_server.c.
 */
#pragma once

#include "base/core/bytes.h"
#include "base/io/http_server.h"

struct http_head {
    int status;
    bool counted; /* With a Content-Length: */
    size_t body_len;
    const char *connection; /* "close", "keep-alive"; NULL: nothing is said. */
    const char *server;     /* "muster/0.1.0"; NULL: the same. */
};

/* The first line and what every reply has. More fields may follow, then an
 * empty line. ST_TOO_BIG: over out's limit. */
enum status http_head_begin(struct buf *out, const struct http_head *h);

/* CR, LF and NUL become spaces: a line break would begin another field. */
enum status http_head_field(struct buf *out, const struct http_header *h);
