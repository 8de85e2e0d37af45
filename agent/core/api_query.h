/*
 * api_query.h - what the handlers of /v1/query share (private to api_query*.c).
 */
#pragma once

#include "agent/core/api_model.h"

/* "<id or name>/execute" and "<id or name>/explain". */
void api_query_execute(struct api_call *call, const char *name);
void api_query_explain(struct api_call *call, const char *name);

/* As one JSON object; `q` NULL: without revisions. */
void api_write_query(struct api_call *call, const struct query_def *def,
                     const struct catalog_query *q);

/* Rules for queries go by name; one without a name, and no template, is for
 * whoever knows its id. False: the reply is made. */
bool api_demand_query(struct api_call *call, const struct query_def *def,
                      enum acl_access wanted);

/* 404, or 500 if nothing was ever read. */
void api_query_missing(struct api_call *call);
