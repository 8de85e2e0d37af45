/*
 * filter.h - expressions that choose elements of a list: ?filter=.
 *
 *     Service.Port == 80 and not ("canary" in Service.Tags)
 *
 *   expr   = or ; or = and {"or" and} ; and = not {"and" not}
 *   not    = ["not"] prim ; prim = "(" expr ")" | match
 *   match  = sel ("==" | "!=") val | val ["not"] "in" sel
 *          | sel ["not"] "contains" val | sel "is" ["not"] "empty"
 *          | sel ["not"] "matches" val
 *   sel    = ident {"." ident | "[" string "]"}
 *   val    = "double quoted with escapes" | `raw` | bare word
 *
 * `in` and `contains`: member of a list, key of a map, part of a text.
 * `matches`: regex.h. A selector may stand for many values (Checks.Status): a
 * match is true if it is for any of them, and what is negated (`!=`, `not`) is
 * true if the match itself is false. So a map's missing key is equal to
 * nothing, and unequal to everything.
 *
 * What can be selected is told by the owner of the elements: a schema of
 * fields, and for each a function that tells the values of one element.
 */
#pragma once

#include "base/core/arena.h"
#include "base/core/err.h"

struct filter;
struct filter_sink; /* Takes a field's values. */

enum filter_kind {
    FILTER_TEXT,
    FILTER_NUMBER,
    FILTER_BOOL,
    FILTER_LIST,    /* Of texts. */
    FILTER_MAP,     /* Of texts; "Meta.key" selects one of them. */
    FILTER_OBJECTS, /* A list whose elements are only counted: is empty. */
};

struct filter_field {
    /* "Address", or "TaggedAddresses.*.Port" for what lies below any key. */
    const char *name;
    enum filter_kind kind;
    /* Tell all values of the element `subject`. */
    void (*tell)(const void *subject, struct filter_sink *sink);
};

struct filter_part {
    const char *prefix; /* Before each name: "Service.", or "". */
    const struct filter_field *fields;
    size_t count;
};

struct filter_schema {
    const struct filter_part *parts;
    size_t count;
};

/* The arena holds the filter, the schema outlives it, `text` is copied.
 * ST_INVALID: err names the place, or the unknown selector.
 * ST_TOO_BIG: longer, deeper or wider than limits.h allows. */
enum status filter_compile(struct arena *a, const struct filter_schema *schema,
                           struct slice text, struct filter **out_filter,
                           struct err *err);

/* Whether the element is chosen. */
bool filter_eval(struct filter *f, const void *subject);

/* Its comparisons have cost more than LIMIT_FILTER_WORK, and
 * LIMIT_FILTER_WORK_EACH for each element: what was chosen is not to be
 * trusted. */
bool filter_exhausted(const struct filter *f);

/* ---- For the schema's functions ----------------------------------- */

void filter_tell(struct filter_sink *sink, const char *text);
void filter_tell_number(struct filter_sink *sink, int64_t number);
void filter_tell_bool(struct filter_sink *sink, bool yes);
/* An entry of a FILTER_MAP. */
void filter_tell_pair(struct filter_sink *sink, const char *key,
                      const char *value);
/* Of a field with "*": whether what lies below this key is asked for. */
bool filter_wants(const struct filter_sink *sink, const char *key);
