/*
 * table.h - all prepared queries of a datacenter, and which one a name means.
 *
 * A table does not change once it was made: the catalogue makes a new one when
 * a query was put or deleted. It may be read on any thread.
 */
#pragma once

#include "query/core/query.h"

struct query_table;

/* Takes references of its own. Of several queries with one name (two agents
 * have made them at once) the one with the least id counts. */
struct query_table *query_table_new(const struct query *const *items,
                                    size_t count);
struct query_table *query_table_ref(const struct query_table *t);
void query_table_unref(const struct query_table *t); /* NULL is fine. */

/* NULL (or a NULL table): there is none. Names are compared without case. */
const struct query *query_table_id(const struct query_table *t, const char *id);
const struct query *query_table_name(const struct query_table *t,
                                     const char *name);

/* What `name` means: the query of this id, or of this name, or the template
 * whose name is the longest that it begins with. NULL: nothing. */
const struct query *query_table_find(const struct query_table *t,
                                     const char *name);

/* Whether the name of some query, a template or not, is longer than `end` and
 * ends with "." and `end`: over DNS, something lies below that name. */
bool query_table_below(const struct query_table *t, const char *end);

size_t query_table_count(const struct query_table *t);
/* In order of id. */
const struct query *query_table_at(const struct query_table *t, size_t index);

/* What some of them look at beside tags and health, so that others need not
 * have it at hand. */
bool query_table_wants_meta(const struct query_table *t);
bool query_table_wants_checks(const struct query_table *t);
