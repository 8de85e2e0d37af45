/*
 * upstream.h - the thread that asks recursors.
 *
 * One for all workers, so that equal questions are one question, whoever had
 * them, and one judgement stands of each recursor. Workers hand in errands and
 * get them back by errand_done(). What is heard goes into the shared cache.
 */
#pragma once

#include "dns/io/errand.h"
#include "dns/io/recursion.h"
#include "dns/io/shared_cache.h"

struct upstream;

/* The thread starts with the first recursors it is given. */
struct upstream *upstream_new(void);

/* From now on ask as `r` says; taken a reference of. ST_IO: no thread. */
enum status upstream_set(struct upstream *u, struct recursion *r,
                         struct err *err);

/* End the thread; all errands are done, those under way as refused. */
void upstream_stop(struct upstream *u);
void upstream_free(struct upstream *u); /* Stopped; NULL is fine. */

/* Whether the thread, if there is one, has turned since the last call. */
bool upstream_pulse(struct upstream *u);

struct shared_cache *upstream_cache(struct upstream *u);

/* Eight random bytes that stand for this process on the path of a query. */
#define UPSTREAM_ID_BYTES 8
#define UPSTREAM_PATH_MAX 64 /* Eight agents in a row are a loop. */
struct slice upstream_id(const struct upstream *u);

/* false: too many are waiting; the errand stays the caller's. Any thread. */
bool upstream_ask(struct upstream *u, struct errand *e);

void upstream_stats(struct upstream *u, struct dns_upstream_stats *out_stats);
