/*
 * json_where.h - on which line of a JSON text a value stands.
 *
 * jansson forgets positions once it has parsed. When a value turns out to be
 * wrong, its path is known; this walks the text along the path again.
 */
#pragma once

#include <stddef.h>

#include "base/core/bytes.h"

/* A path, from the value up to the root. Lives on the reader's stack. */
struct json_at {
    const struct json_at *up; /* NULL: the root itself. */
    const char *key;          /* Member of an object; NULL: of a list. */
    size_t index;             /* Member of a list. */
    const char *subject;      /* What errors call it, or NULL (fields.h). */
};

/* The line, from 1, on which the value (for a member of an object: its key)
 * begins. `text` must have been accepted by jansson. If the path leads
 * nowhere: the line where it was lost. */
unsigned json_where(struct slice text, const struct json_at *at);
