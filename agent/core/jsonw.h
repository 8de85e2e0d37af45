/*
 * jsonw.h - writes JSON straight into a buffer, in the order it is told.
 *
 * Answers are lists of thousands of small objects; building a tree first would
 * cost more than the answer. Reading JSON is jansson's job.
 *
 * Commas and quotes are put by the writer. The first failure (the buffer's
 * limit) sticks; ask jsonw_finish() once at the end.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/core/bytes.h"

enum jsonw_style {
    JSONW_COMPACT,
    JSONW_PRETTY
};

struct jsonw {
    struct buf *out;
    enum status st;
    enum jsonw_style style;
    unsigned depth;
    bool first;     /* Nothing yet in the innermost list or object. */
    bool after_key; /* A value must follow on the same line. */
};

void jsonw_init(struct jsonw *w, struct buf *out, enum jsonw_style style);

/* ST_TOO_BIG: the buffer's limit was passed. CHECKs that all is closed. */
enum status jsonw_finish(const struct jsonw *w);

void jsonw_object(struct jsonw *w);
void jsonw_object_end(struct jsonw *w);
void jsonw_list(struct jsonw *w);
void jsonw_list_end(struct jsonw *w);
void jsonw_key(struct jsonw *w, const char *key);

/* Bytes that are not UTF-8 become U+FFFD. NULL is the empty string. */
void jsonw_text(struct jsonw *w, const char *text);
void jsonw_slice(struct jsonw *w, struct slice text);
void jsonw_int(struct jsonw *w, int64_t value);
void jsonw_uint(struct jsonw *w, uint64_t value);
void jsonw_bool(struct jsonw *w, bool value);
void jsonw_null(struct jsonw *w);
/* A number that is written as it stands. */
void jsonw_raw(struct jsonw *w, const char *json);

/* Key and value in one call. */
void jsonw_key_text(struct jsonw *w, const char *key, const char *text);
void jsonw_key_int(struct jsonw *w, const char *key, int64_t value);
void jsonw_key_uint(struct jsonw *w, const char *key, uint64_t value);
void jsonw_key_bool(struct jsonw *w, const char *key, bool value);
