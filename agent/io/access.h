/*
 * access.h - who may do what on this agent: the access table, fed by the
 * configuration and by the store, and the names and networks of its HTTP API.
 *
 * The settings can be changed while the agent runs.
 */
#pragma once

#include "agent/core/acl_table.h"
#include "agent/core/api.h"
#include "agent/io/config.h"

struct access;

struct access *access_new(const struct agent_config *config);
void access_free(struct access *a); /* NULL is fine. */

/* Take the settings of `config` in place of those before; copied. */
void access_configure(struct access *a, const struct agent_config *config);

/* Whether, since the last call, something of what anybody may do has changed.
 */
bool access_news(struct access *a);

/* Whether a sidecar file may register what it does, by the tokens it names. A
 * token that is not known is waited for while the store was never heard.
 * ST_DENIED: err says what is missing. */
enum status access_file(struct access *a, const struct definitions *defs,
                        struct err *err);

/* The table has what the store holds. */
void access_heard(struct access *a);

struct acl *access_table(struct access *a);

/* Fill in what a request needs of it. */
void access_view(struct access *a, struct api_view *view);
