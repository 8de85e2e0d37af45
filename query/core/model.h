/*
 * model.h - what a query is made of (private to this room).
 */
#pragma once

#include <stdatomic.h>

#include "base/core/regex.h"
#include "query/core/query.h"

struct query {
    atomic_uint refs;
    struct arena arena;
    struct query_def def;
    const struct regex *regex; /* NULL: none. */
};

/* Letters of ASCII only: names are compared as DNS does. */
static inline int query_lower(int c)
{
    return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c;
}

/* What a template's texts are filled in with. */
struct query_words {
    struct slice full;
    struct slice prefix;
    struct slice suffix;
    struct slice groups[REGEX_GROUPS_MAX];
};

/* `text` with its words filled in; *out_text is `text` itself when it has none.
 * ST_INVALID: err says what is not understood. ST_TOO_BIG: too long. */
enum status query_expand(const struct query_words *w, const char *text,
                         struct arena *a, const char **out_text,
                         struct err *err);
