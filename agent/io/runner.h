/*
 * runner.h - runs this host's checks when agent/core says they are due.
 *
 * One timer for all: at local_wake_ms() whatever is due is started as a probe
 * and TTLs are let expire. Results go back into the local state.
 *
 * LIMIT_PROBES run at the same time, less if there are few descriptors, and of
 * these LIMIT_PROBE_PROGRAMS are programs: the next ones wait until one ends.
 */
#pragma once

#include <stdint.h>

#include "agent/core/local.h"

struct loop;
struct runner;

/* After a change of the local state. */
typedef void runner_changed_fn(void *arg);

struct runner_stats {
    uint64_t runs;
    uint64_t running; /* Now. */
    uint64_t waiting; /* Programs that wait for others to end. */
    uint64_t late_ms; /* All that runs have begun after they were due. */
    uint64_t late_ms_max;
};

struct runner *runner_start(struct loop *loop, struct local *local,
                            runner_changed_fn *on_changed, void *arg);

/* The local state was changed from elsewhere: look at the schedule again. */
void runner_poke(struct runner *r);

struct runner_stats runner_stats(const struct runner *r);

/* Cancels what runs. on_stopped comes later, once; `r` is freed by then. */
typedef void runner_stopped_fn(void *arg);
void runner_stop(struct runner *r, runner_stopped_fn *on_stopped, void *arg);
