/*
 * loop.h - one event loop: libuv's, with an order within a turn.
 *
 * A turn of the loop reads whatever the sockets, timers and other threads
 * bring, and then carries out what was deferred, in two phases:
 *
 *     reads, timers, posted tasks
 *       -> LOOP_WORK    what this turn's requests caused together: the log is
 *                       written and synced once for all of them, replies are
 *                       queued
 *       -> LOOP_FLUSH   connections write what is queued, once each
 *
 * So a hundred requests that arrive together cost one sync and one write a
 * connection. The loop does not block while something is deferred.
 *
 * Everything happens on the thread that calls loop_run(), except loop_post()
 * and loop_stop(), which any thread may call. SIGPIPE is ignored from the
 * first loop_new() on: a closed socket is a status, not a signal.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct loop;
struct loop_task;

typedef void loop_task_fn(struct loop_task *task);

/* Embedded in whatever is to be run; zeroed but for `run`. It belongs to the
 * loop from loop_post() or loop_defer() until its run() is called, and may be
 * given to the loop again from there. */
struct loop_task {
    loop_task_fn *run;
    struct loop_task *next; /* The loop's. */
    bool queued;            /* The loop's. */
};

enum loop_phase {
    LOOP_WORK,
    LOOP_FLUSH
};

/* Aborts when the system has no more descriptors or memory. */
struct loop *loop_new(void);

/* Every handle opened on the loop must be closed or closing; what is closing is
 * waited for. Tasks that are still queued are dropped. NULL is fine. */
void loop_free(struct loop *loop);

/* Turn until loop_stop() is called, even if there is nothing to wait for. May
 * be called again afterwards. */
void loop_run(struct loop *loop);

/* Let loop_run() return at the end of the present turn, deferred work done.
 * Any thread. */
void loop_stop(struct loop *loop);

uv_loop_t *loop_uv(struct loop *loop);

/* Monotonic; the same for a whole turn. */
uint64_t loop_now_ms(struct loop *loop);

/* The calendar's time, for people and files. Jumps when somebody sets it. */
uint64_t loop_wall_ms(void);

/* Run `task` on the loop's thread, soon, in the order of posting. Any thread.
 * A task that is already waiting stays where it is. */
void loop_post(struct loop *loop, struct loop_task *task);

/* Run `task` at the end of this turn, in the phase's FIFO order. What is
 * deferred by LOOP_WORK tasks for LOOP_FLUSH runs in the same turn; what
 * LOOP_FLUSH tasks defer runs in the next. A task that is already waiting
 * stays where it is. Only on the loop's thread. */
void loop_defer(struct loop *loop, enum loop_phase phase,
                struct loop_task *task);

/* Take a task back that was deferred and has not run. Fine for one that was
 * not deferred. Walks the list: for tear-down. */
void loop_undefer(struct loop *loop, enum loop_phase phase,
                  struct loop_task *task);
