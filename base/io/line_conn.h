/*
 * line_conn.h - one connection of a line server: what server.c hands its bytes
 * to.
 *
 * For base/io only. As http_conn.h: the stream is the server's, and the
 * connection is freed by the server when the stream has closed.
 */
#pragma once

#include "base/io/line_server.h"

struct stream;

/* `stream` is open and outlives the connection; `handler` is borrowed. */
struct line_conn *line_conn_new(struct stream *stream,
                                const struct line_handler *handler);
void line_conn_free(struct line_conn *c); /* NULL is fine. */

/* One connection too many: told so, and closed. */
void line_conn_refuse(struct line_conn *c);

void line_conn_read(struct line_conn *c, struct slice bytes);
void line_conn_eof(struct line_conn *c);
void line_conn_deadline(struct line_conn *c);
void line_conn_drained(struct line_conn *c);
void line_conn_stop(struct line_conn *c); /* Finish now. */
