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

struct acl *access_table(struct access *a);

/* Fill in what a request needs of it. */
void access_view(struct access *a, struct api_view *view);
