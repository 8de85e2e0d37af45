/*
 * err.h - a failure that a person must act on, in words.
 *
 * The text says what is wrong, where (file, line, field) and what to do about
 * it. Used for configuration, start-up and API input.
 */
#pragma once

#include "base/core/status.h"

struct err {
    char text[512]; /* One line, no full stop, NUL-terminated. */
};

/* Set the text (printf form; cut at the end if too long) and return `st`, so
 * that a failing function can end with `return err_set(err, ST_INVALID, ...)`.
 * `err` may be NULL: then only the status is returned. */
enum status err_set(struct err *err, enum status st, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Put "prefix: " in front of the text that is there; used on the way out, to
 * say where. Returns `st`. `err` may be NULL. */
enum status err_prefix(struct err *err, enum status st, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
