/*
 * query.h - one prepared query: what it was defined as, checked and compiled.
 *
 * A query asks for the instances of a service: those with some tags and without
 * others, of nodes and instances with some meta data, passing or not failing;
 * and says where else to look when there are none. A template is a query for
 * every name that begins with its own: ${name.full}, ${name.prefix},
 * ${name.suffix}, ${match(N)} (group N of its regular expression in the name)
 * and ${agent.segment} (always empty) in its texts are filled in. "$${" is a
 * "${" that stays.
 *
 * Fields, rules and words are those of Consul's prepared queries.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/core/arena.h"
#include "base/core/err.h"
#include "base/core/texts.h"

/* As it was written. No text is NULL. */
struct query_def {
    const char *id;
    const char *name;
    const char *session; /* It goes when this one does; "": it stays. */
    const char *token;   /* Whose rights count when it is executed; "": the
                            asker's. */
    const char *template_type; /* "": no template. */
    const char *template_regexp;
    bool remove_empty_tags;
    const char *service;
    int64_t nearest_n;          /* So many of the nearest datacenters, */
    struct texts datacenters;   /* then these, in order. */
    struct texts ignore_checks; /* Their ids. */
    bool only_passing;
    const char *near;  /* A node, "_agent", "_ip" or "". */
    struct texts tags; /* "!x": not x. */
    struct pairs node_meta;
    struct pairs service_meta;
    bool connect;
    const char *ttl; /* Over DNS: "10s", or "": that of the service. */
    uint64_t ttl_ms; /* The same, if there is one. */
};

#define QUERY_TEMPLATE "name_prefix_match"

struct query;

/* Copies `def`. One reference, the caller's. ST_INVALID, ST_TOO_BIG: err says
 * what is wrong with it, in Consul's words. */
enum status query_new(const struct query_def *def, struct query **out_query,
                      struct err *err);
struct query *query_ref(const struct query *q);
void query_unref(const struct query *q); /* NULL is fine. */

const struct query_def *query_def(const struct query *q);
bool query_is_template(const struct query *q);

/* What it asks for when it was found by `name`: for a template with its texts
 * filled in, else as defined. From the arena. ST_TOO_BIG: that makes a text too
 * long, and err says so. */
enum status query_render(const struct query *q, const char *name,
                         struct arena *a, struct query_def *out_def,
                         struct err *err);
