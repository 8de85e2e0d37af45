/*
 * sentry.h - the guard at its post: shows what guard.h decides, and knocks at
 * the doors of those whom nobody knows to live (knock.h).
 *
 * In on_update: sentry_look() before anybody else is told, so that it is known
 * whether the replica on disk may follow; sentry_act() last, which changes what
 * the catalogue shows, if need be, within the same turn. So no reader and no
 * name server ever sees what a guard would have kept from them.
 */
#pragma once

#include "agent/core/guard.h"
#include "agent/core/knock.h"

struct link;
struct link_update;
struct loop;
struct sentry;

struct sentry_hooks {
    void *ctx;
    const char *title; /* "guard"; for messages. */
    /* The guard has ended, and the store had been emptied: the replica on disk
     * has to be written anew. */
    void (*on_refill_over)(void *ctx);
    /* Some sentry_verdict() is another one. */
    void (*on_verdict)(void *ctx);
};

struct sentry *sentry_start(struct loop *loop, struct link *link,
                            const struct guard_limits *limits,
                            enum guard_mode mode, struct sentry_hooks hooks);

void sentry_look(struct sentry *s, const struct link_update *update);
void sentry_act(struct sentry *s);

/* The operator's word, and a reload. */
void sentry_set_mode(struct sentry *s, enum guard_mode mode);
void sentry_set_limits(struct sentry *s, const struct guard_limits *limits);

struct guard_status sentry_status(const struct sentry *s);

/* Somebody asks for this service, which has held instances. */
void sentry_asked(struct sentry *s, const char *service);
/* What is known of an instance that is held. */
enum knock_verdict sentry_verdict(const struct sentry *s, const char *address,
                                  uint16_t port);
uint64_t sentry_knocks(const struct sentry *s); /* So far. */

/* on_stopped comes later, once; the sentry is freed by then. */
typedef void sentry_stopped_fn(void *arg);
void sentry_stop(struct sentry *s, sentry_stopped_fn *on_stopped, void *arg);
