/*
 * http_conn.h - one HTTP/1 connection: what server.c hands its bytes to.
 *
 * For base/io only. The stream is the server's; its hooks are passed on here.
 * The connection asks the stream to finish or close when it is over, and is
 * freed by the server when the stream has closed.
 */
#pragma once

#include <stdbool.h>

#include "base/core/bytes.h"

struct http_conn;
struct http_handler;
struct stream;

/* `stream` is open and outlives the connection; `handler` is borrowed. */
struct http_conn *http_conn_new(struct stream *stream,
                                const struct http_handler *handler);

/* One connection too many: 429, and no more. */
void http_conn_refuse(struct http_conn *c);

/* An exchange that is still open gets its on_gone. NULL is fine. */
void http_conn_free(struct http_conn *c);

void http_conn_read(struct http_conn *c, struct slice bytes);
void http_conn_eof(struct http_conn *c);
void http_conn_deadline(struct http_conn *c);

/* All that was written has left. */
void http_conn_drained(struct http_conn *c);

/* No more requests: finish now if idle, else after the present exchange. */
void http_conn_stop(struct http_conn *c);
