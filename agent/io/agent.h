/*
 * agent.h - a running agent: files and API in, DNS and HTTP answers out.
 *
 * Assembles the parts of this room around agent/core on one loop: services
 * folder, check runners, state file, replica, store link, HTTP listeners, and
 * the DNS server's own threads. Knows the store only as a list of URLs.
 *
 * An agent answers from its replica as soon as agent_start() returns, before
 * it has reached the store.
 */
#pragma once

#include <stdint.h>

#include "agent/io/config.h"
#include "base/core/err.h"

struct agent;
struct loop;
struct notify;

/* Ports that were really bound; 0 where nothing listens. */
struct agent_ports {
    uint16_t dns[LIMIT_DNS_LISTENS]; /* In the order of the configuration. */
    uint16_t http;
    uint16_t https;
    uint16_t dot;
    /* NULL when off. They live as long as the agent listens. */
    const char *http_address; /* "127.0.0.1:8500" */
    const char *https_address;
    const char *socket_path;
    const char *line_socket;
};

enum agent_stop_mode {
    AGENT_STOP_KEEP,  /* Records stay, the lease gets restart_grace_s. */
    AGENT_STOP_LEAVE, /* Services are critical for leave_drain_ms, or until it
                         is asked for again; then records are removed and the
                         lease is revoked. */
};

/* The agent has ended by itself (`leave` through the API) or by agent_stop();
 * nothing of it is open any more and it may be freed. */
typedef void agent_ended_fn(struct agent *agent, void *arg);

/* Open everything. `config` must outlive the agent. On failure nothing is left
 * open and *out_err says what to do. On success on_ended comes exactly once,
 * on the loop's thread. */
enum status agent_start(struct loop *loop, const struct agent_config *config,
                        agent_ended_fn *on_ended, void *arg,
                        struct agent **out_agent, struct err *out_err);

/* Tell the service manager how it goes from now on, until on_ended. */
void agent_notify(struct agent *agent, struct notify *notify);

struct agent_ports agent_ports(const struct agent *agent);

/* Read the configuration files and the services folder again. What cannot
 * change while running is reported in the log and left. */
void agent_reload(struct agent *agent);

/* Begin to end; on_ended follows within a few seconds even when the store does
 * not answer. Further calls only may raise KEEP to LEAVE. */
void agent_stop(struct agent *agent, enum agent_stop_mode mode);

/* Only after on_ended; NULL is fine. */
void agent_free(struct agent *agent);
