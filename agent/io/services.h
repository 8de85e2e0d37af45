/*
 * services.h - the folder of sidecar files: read at start, watched afterwards.
 *
 * Every *.json file in it is one definition or many. A file that changes is
 * read again, one that goes is deregistered. One that cannot be read or parsed
 * keeps what it had registered before; the fault is logged once and stays in
 * the local state (local_each_fault) until the file is good again.
 *
 * Changes are noticed by inotify and, for file systems without it or a folder
 * that appears later, by looking every few seconds. Looking, reading and
 * parsing are done by the thread pool.
 */
#pragma once

#include <stdint.h>

#include "agent/core/local.h"

struct loop;
struct services;

/* After a change of the local state. */
typedef void services_changed_fn(void *arg);

/* Whether a file may register what it says. Else ST_DENIED, and err. */
struct services_gate {
    enum status (*may)(void *arg, const struct definitions *defs,
                       struct err *err); /* NULL: all may. */
    void *arg;
};

struct services_stats {
    uint64_t scans;
    uint64_t files;  /* Now registered or faulty. */
    uint64_t faulty; /* Now. */
};

/* Read the folder, here and now, into `local`, then keep watching. A folder
 * that does not exist is an empty one. */
struct services *services_start(struct loop *loop, const char *dir,
                                struct local *local, struct services_gate gate,
                                services_changed_fn *on_changed, void *arg);

/* Read everything again, also what seems unchanged. */
void services_reload(struct services *s);

struct services_stats services_stats(const struct services *s);

/* on_stopped comes from the loop, once nothing is left open; `s` is freed. */
typedef void services_stopped_fn(void *arg);
void services_stop(struct services *s, services_stopped_fn *on_stopped,
                   void *arg);
