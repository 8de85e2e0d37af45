/*
 * line_server.h - requests that are lines of text, and whatever is answered.
 *
 * A listener (server.h) is given one handler. It gets whole lines; answers are
 * appended by line_send() and leave at the end of the loop's turn. While much
 * of that waits for a client that does not read, its further lines wait, too;
 * and those of a client that sends many wait for the others' turns.
 *
 * When a client ends its side (as `printf ... | socat` does), what it had asked
 * is answered and the connection is closed, unless it is kept (line_keep): then
 * it lives until both sides are closed.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/core/bytes.h"
#include "base/io/owner.h"

struct line_conn;

struct line_handler {
    void *ctx;
    size_t line_max;      /* Bytes of a line without its end. */
    const char *too_long; /* Said to a longer one, and closed. */
    const char *too_many; /* Said to a connection that is one too many. */
    uint64_t idle_ms;     /* One without requests is closed after this. */
    /* Without its end, "\n" or "\r\n". */
    void (*on_line)(struct line_conn *c, struct slice line);
    /* All that was sent has left. NULL: of no interest. */
    void (*on_drained)(struct line_conn *c);
    void (*on_gone)(struct line_conn *c); /* The last call. NULL: the same. */
};

void *line_ctx(const struct line_conn *c);
void *line_data(const struct line_conn *c); /* The owner's; NULL first. */
void line_set_data(struct line_conn *c, void *data);

/* False: nothing is known. */
bool line_owner(const struct line_conn *c, struct owner *out_owner);

void line_send(struct line_conn *c, struct slice bytes);
size_t line_unsent(const struct line_conn *c); /* Bytes. */

/* It has subscribed to something: it is not idle, and stays when the client
 * sends no more. */
void line_keep(struct line_conn *c);

/* Send what there is, and close. on_gone comes later. */
void line_finish(struct line_conn *c);
