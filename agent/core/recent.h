/*
 * recent.h - which instances were healthy a moment ago.
 *
 * For the rule "last_healthy": when nobody is healthy, those are served that
 * were within RECENT_MS. Costs by what fails, not by what there is.
 *
 * Pure.
 */
#pragma once

#include "agent/core/catalog.h"

#define RECENT_MS 60000

struct recents;

struct recents *recents_new(void);
void recents_free(struct recents *r); /* NULL is fine. */

/* A service has changed; instances that were healthy and are critical now are
 * noted, and those that are healthy again or in maintenance forgotten. `before`
 * NULL: nothing is known of it. */
void recents_look(struct recents *r, const struct catalog *before,
                  const struct catalog *after, const char *service,
                  uint64_t now_ms);

bool recents_has(const struct recents *r, const struct catalog_instance *i,
                 uint64_t now_ms);

/* When the next one is no longer recent; UINT64_MAX: there is none. */
uint64_t recents_due_ms(const struct recents *r);
/* Forget those that are no longer; their services, each once. */
struct texts recents_expire(struct recents *r, uint64_t now_ms,
                            struct arena *a);
