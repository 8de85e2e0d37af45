/*
 * probe_world.h - a loop, a host of probes, and the one report expected.
 */
#pragma once

#include "agent/io/probe.h"
#include "base/core/limits.h"
#include "base/io/loop.h"

struct world {
    struct loop *loop;
    struct probe_host *host;
    int reports;
    enum probe_result result;
    char output[LIMIT_CHECK_OUTPUT + 1];
    size_t output_len;
    uv_tcp_t listener;  /* Closed with the report, if it was opened. */
    const char *answer; /* What an HTTP client gets; NULL: silence. */
    char asked[4096];   /* What came in. */
    size_t asked_len;
};

void world_init(struct world *w);

/* A probe_done_fn, whose arg is the world: keeps the report and stops the host.
 */
void world_on_done(void *arg, enum probe_result result, struct slice output);
void world_on_stopped(void *arg); /* Stops the loop. */

/* Run one probe until it has reported and the host is stopped. */
void world_start(struct world *w, const struct probe_spec *spec);

/* That this returns proves that nothing is left open. */
void world_end(struct world *w);

/* Both. */
void world_run(struct world *w, const struct probe_spec *spec);
