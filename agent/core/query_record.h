/*
 * query_record.h - prepared queries as JSON: in the API's bodies and in the
 * store, where they lie below record_folder("lookup"), each by its id.
 *
 * A query that is bound to a session has a second key, which tells who ends the
 * session what goes with it.
 */
#pragma once

#include "base/core/err.h"
#include "query/core/query.h"

/* The id is not part of it. ST_INVALID, ST_TOO_BIG: err says why. Strings from
 * the arena. */
enum status query_def_read(struct arena *a, struct slice text,
                           struct query_def *out_def, struct err *err);

/* The value of a record, from the arena. */
struct slice query_def_write(struct arena *a, const struct query_def *def);

/* The folder itself with an empty id. */
struct slice query_key(struct arena *a, const char *dc, const char *id);

/* What says that a session takes the query with it. It lies outside of what
 * agents keep a copy of. */
struct slice query_bound_key(struct arena *a, const char *dc,
                             const char *session, const char *id);
