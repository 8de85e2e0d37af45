/*
 * filter_model.h - a compiled filter (private to filter*.c).
 */
#pragma once

#include "agent/core/filter.h"
#include "base/core/limits.h"
#include "base/core/regex.h"

enum filter_op {
    FILTER_EQ,
    FILTER_IN,
    FILTER_EMPTY,
    FILTER_MATCHES,
};

/* One comparison. */
struct filter_match {
    enum filter_op op;
    bool negated;
    const struct filter_field *field;
    const char *key; /* Below a map, or for "*"; else NULL. */
    struct slice value;
    int64_t number;
    bool yes;
    struct regex *regex;
};

enum filter_code_op {
    FILTER_CODE_MATCH,
    FILTER_CODE_NOT,
    FILTER_CODE_AND,
    FILTER_CODE_OR
};

/* The expression in postfix order. */
struct filter_code {
    enum filter_code_op op;
    size_t match;
};

#define FILTER_CODE_MAX (2 * LIMIT_FILTER_MATCHES + LIMIT_FILTER_BYTES / 4)

struct filter {
    struct filter_match matches[LIMIT_FILTER_MATCHES];
    size_t matches_count;
    struct filter_code code[FILTER_CODE_MAX];
    size_t code_count;
    uint64_t work; /* Left. */
};

/* filter_select.c: find the field, and check that `op` can be asked of it.
 * ST_INVALID: err says what is wrong. */
enum status filter_select(struct arena *a, const struct filter_schema *schema,
                          struct slice selector, struct filter_match *match,
                          struct err *err);
