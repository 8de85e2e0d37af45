/*
 * streams.h - clients that follow services, GET /v1/stream. Private to front.c.
 *
 * After a change of the catalogue each is told its part, at most every 50 ms. A
 * client that does not read is told nothing more until it has: what waits for
 * it is bounded, and what it missed comes as one difference with a "sync".
 */
#pragma once

#include <sys/queue.h>
#include <uv.h>

#include "agent/io/front.h"
#include "base/io/http_server.h"
#include "base/io/loop.h"

struct streamer;

LIST_HEAD(streamer_list, streamer);

struct streams {
    struct loop *loop;
    const struct front_hooks *hooks; /* For the view. */
    struct streamer_list open;
    size_t count;
    struct loop_task pass;
    uv_timer_t pause;   /* Until the next pass may be. */
    uint64_t passed_ms; /* Of the last pass. */
    bool closing;
    void (*on_closed)(void *arg);
    void *arg;
};

void streams_init(struct streams *s, struct loop *loop,
                  const struct front_hooks *hooks);

/* Answer x, with the outcome's headers, for as long as its client stays.
 * on_ended comes later, once, when it ends for another reason. */
typedef void streams_ended_fn(void *arg);
struct streamer *streams_open(struct streams *s, struct http_exchange *x,
                              const struct api_outcome *outcome,
                              streams_ended_fn *on_ended, void *arg);
void streams_drained(struct streamer *r);
void streams_end(struct streamer *r);  /* Its last chunk; on_ended comes. */
void streams_gone(struct streamer *r); /* Its client has left. */

/* The catalogue, or the contact to the store, has changed. */
void streams_changed(struct streams *s);

/* End all of them. on_closed comes once, later. */
void streams_close(struct streams *s, void (*on_closed)(void *arg), void *arg);
