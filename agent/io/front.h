/*
 * front.h - the HTTP API on its listeners: loopback and Unix socket.
 *
 * agent/core decides what each request gets (api.h); this module carries the
 * decisions out: sends replies, parks long polls by what they wait for and asks
 * them again only when that has changed, makes registrations durable before
 * they are answered, and goes to the store where a request demands it.
 */
#pragma once

#include <sys/types.h>

#include "agent/core/api.h"
#include "agent/io/config.h"

struct activation;
struct front;
struct link;
struct loop;
struct state;

enum front_detail {
    FRONT_PLAIN,
    FRONT_STATS, /* view.stats too, for /v1/agent/self. */
};

struct front_hooks {
    void *ctx;
    /* A request has come and is not looked at yet. */
    void (*arrives)(void *ctx);
    /* What a request may see now. */
    void (*view)(void *ctx, enum front_detail detail,
                 struct api_view *out_view);
    /* The way to a datacenter's store; NULL: to ours. One that the view has
     * shown has one, for as long as the front lives. */
    struct link *(*link)(void *ctx, const char *datacenter);
    /* A request has changed the local state. True: something was saved that
     * the reply must wait for (state_sync). */
    bool (*changed)(void *ctx);
    void (*metrics)(void *ctx, enum api_metrics form, struct buf *out);
    /* What DNS says to a question, and why; in the arena. */
    void (*explain)(void *ctx, const struct api_question *question,
                    struct arena *arena, struct api_dns_answer *out_answer);
    /* ST_OK, or what to tell the caller. */
    enum status (*reload)(void *ctx, struct err *out_err);
    void (*leave)(void *ctx);
    void (*guard)(void *ctx, enum guard_mode mode);
};

struct front_config {
    const char *server; /* What replies name as Server; it must stay. */
    const struct activation *handed; /* Instead of what is bound here. */
    const struct agent_listen *http;
    const struct agent_listen *https;
    const struct agent_tls_config *tls; /* Of https. */
    unsigned conns_max;                 /* Of each listener; then 429. */
    const char *socket_path;            /* NULL: none. */
    unsigned socket_mode;
    const char *socket_user; /* Name or number; "": unchanged. */
    const char *socket_group;
};

/* Bind and serve. On failure nothing is left open. */
enum status front_start(struct loop *loop, const struct front_config *config,
                        struct state *state, struct front_hooks hooks,
                        struct front **out_front, struct err *out_err);

/* Other addresses and certificates for HTTP and HTTPS: what can fail. Nothing
 * is in force before front_relisten_commit(), in the same turn of the loop.
 * What was handed over stays as it is. ST_EXISTS, ST_DENIED, ST_INVALID, ST_IO:
 * nothing is left, and everything stays as it was. */
struct front_relisten;
enum status front_relisten_prepare(struct front *f,
                                   const struct front_config *config,
                                   struct front_relisten **out,
                                   struct err *out_err);

/* A listener that stays keeps its socket and its connections. What one that
 * goes was asked is answered, long polls and streams too, for as long as a poll
 * may wait; then its connections are closed. */
void front_relisten_commit(struct front *f, struct front_relisten *r);
void front_relisten_drop(struct front_relisten *r); /* NULL is fine. */

uint16_t front_port(const struct front *f);       /* 0: no TCP listener. */
uint16_t front_https_port(const struct front *f); /* The same. */

/* "127.0.0.1:8500"; NULL: there is none. */
const char *front_address(const struct front *f);
const char *front_https_address(const struct front *f);
const char *front_socket_path(const struct front *f);

/* The catalogue, or the local state, has changed. */
void front_catalog_changed(struct front *f);
/* The link became current or lost contact. */
void front_contact_changed(struct front *f);
void front_local_changed(struct front *f);
/* Of some token: streams of those who may no longer read them end. */
void front_rights_changed(struct front *f);

struct front_stats {
    uint64_t requests;
    uint64_t waiting; /* Long polls now. */
    uint64_t wakeups; /* Waiting requests that were asked again. */
};

struct front_stats front_stats(const struct front *f);

/* Stop listening, answer what waits. on_stopped comes later, once; after that
 * nothing of it is left but what waits for the link, which ends with it:
 * front_free() is for after link_stop(). */
typedef void front_stopped_fn(void *arg);
void front_stop(struct front *f, front_stopped_fn *on_stopped, void *arg);
void front_free(struct front *f);
