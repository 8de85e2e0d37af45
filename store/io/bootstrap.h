/*
 * bootstrap.h - joining a cluster that exists: who are we in it?
 *
 * --initial-cluster-state existing: one of the other members of
 * --initial-cluster is asked for the list of members (GET /members). Whoever
 * has our peer URLs there is us; its id and the cluster's are taken over.
 */
#pragma once

#include "base/core/err.h"
#include "store/io/config.h"

struct loop;
struct tls;

/* Turns the loop until a member has answered, for at most BOOTSTRAP_MS; says so
 * in the log while it waits. Sets plan->founding's ids and plan->joins.
 * ST_TIMEOUT: nobody answers. ST_INVALID: the lists do not fit.
 * ST_EXISTS: we have been a member before, and have lost our data. */
#define BOOTSTRAP_MS 60000
enum status bootstrap_join(struct loop *loop, struct tls *client_tls,
                           struct member_plan *plan, struct err *err);

/* --initial-cluster-state new, without data: each other founder is asked once.
 * One that does not answer at once, or is of another cluster, does not keep us.
 * ST_EXISTS: as above. */
enum status bootstrap_check_new(struct loop *loop, struct tls *client_tls,
                                struct member_plan *plan, struct err *err);
