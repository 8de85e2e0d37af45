/*
 * lines.h - the line socket: agent/core/lines.h over a Unix socket.
 *
 * After a change of the catalogue, at most every 50 ms, each watcher whose
 * block has changed gets the new one. One that does not read gets nothing more
 * until it has, and then the newest: what lay between is left out. A WATCH is
 * the last request of its connection.
 */
#pragma once

#include "agent/io/front.h"

struct lines;

struct lines_config {
    const char *path;
    unsigned mode;
    unsigned conns_max; /* One more is told so. */
    const char *user;   /* Name or number; "": unchanged. */
    const char *group;
};

/* `view` and `ctx` as in struct front_hooks. On failure nothing is left. */
enum status lines_start(struct loop *loop, const struct lines_config *config,
                        const struct front_hooks *hooks,
                        struct lines **out_lines, struct err *out_err);

/* The catalogue, rights or the contact to the store have changed. */
void lines_changed(struct lines *l); /* NULL is fine. */

/* on_stopped comes later, once; it has been freed by then. */
void lines_stop(struct lines *l, void (*on_stopped)(void *arg), void *arg);
