/*
 * worker.h - a thread that does one blocking thing after the other.
 *
 * The log and the backend have one each, for writes that would hold the loop. A
 * job is embedded in its owner and stays untouched by it until `done`.
 */
#pragma once

#include "base/io/loop.h"

struct worker;

struct worker_job {
    void (*run)(struct worker_job *job);  /* On the worker's thread. */
    void (*done)(struct worker_job *job); /* On the loop's, after run. */
    struct worker_job *next;
    struct loop_task posted;
};

/* The thread is called `name` (15 bytes) in the system's tools. Without a
 * thread to be had the process ends. */
struct worker *worker_new(struct loop *loop, const char *name);

/* Ends the thread. Every job must be done. NULL is fine. */
void worker_free(struct worker *w);

/* `done` always comes, later, in the order of submission. */
void worker_submit(struct worker *w, struct worker_job *job);

/* Block until nothing is left to run; `done`s still come later. */
void worker_wait(struct worker *w);
