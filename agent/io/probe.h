/*
 * probe.h - one run of one check: connect, ask, or execute, and tell.
 *
 * A probe is started, does its work on the loop, and reports once. It knows
 * no thresholds and no schedule; those are agent/core's. All probes of an
 * agent share one host, which holds what they have in common (addresses of
 * names, certificates) and can be stopped as a whole.
 *
 * Every probe ends by its timeout at the latest. Its memory is its own: the
 * owner keeps the pointer only to cancel, and drops it in on_done.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/core/definition.h"
#include "base/core/bytes.h"
#include "base/core/err.h"

struct loop;
struct probe;
struct probe_host;

enum probe_result {
    PROBE_PASSING,
    PROBE_WARNING,
    PROBE_CRITICAL,
};

/* `output` is for people, at most LIMIT_CHECK_OUTPUT bytes, and dies with the
 * call. */
typedef void probe_done_fn(void *arg, enum probe_result result,
                           struct slice output);

enum probe_type {
    PROBE_TCP,
    PROBE_TLS, /* TCP and a TLS handshake. */
    PROBE_HTTP,
    PROBE_EXEC,
    PROBE_UDP,    /* An answer, or silence for timeout_ms. */
    PROBE_GRPC,   /* grpc.health.v1.Health/Check */
    PROBE_H2PING, /* A PING of HTTP/2. */
    PROBE_UNIT,   /* systemctl says that a unit is active. */
};

struct probe_header {
    const char *name;
    const char *value;
};

/* What to do; read only inside probe_start(). Unused fields stay zero. */
struct probe_spec {
    enum probe_type type;
    uint64_t timeout_ms; /* Not 0. */
    size_t output_max;   /* 0: LIMIT_CHECK_OUTPUT, which is also the most. */

    /* PROBE_HTTP a URL, PROBE_UNIT a unit's name, else "host:port",
     * "[v6]:port". */
    const char *target;

    const char *method; /* PROBE_HTTP; NULL: GET. */
    const struct probe_header *headers;
    size_t headers_count;
    const char *body;
    const struct code_range *codes; /* Statuses that pass... */
    size_t codes_count;             /* ...0: 2xx. */

    const char *service; /* PROBE_GRPC; NULL or "": the server as a whole. */

    bool tls;                    /* PROBE_GRPC, PROBE_H2PING. */
    const char *tls_server_name; /* NULL or "": the target's host. */
    bool tls_skip_verify;
    const char *tls_ca_file; /* NULL or "": the system's. */

    const char *const *args; /* PROBE_EXEC: NULL-terminated, args[0] a path
                              * or a name found in PATH. No shell. */
};

typedef void probe_host_stopped_fn(void *arg);

struct probe_host *probe_host_new(struct loop *loop);

/* Cancel what runs; on_stopped when nothing is left open. Then free. */
void probe_host_stop(struct probe_host *host, probe_host_stopped_fn *on_stopped,
                     void *arg);
void probe_host_free(struct probe_host *host);

/* Start one run. on_done comes exactly once, never from inside this call,
 * except after probe_cancel() or probe_host_stop(): then not at all. Never
 * fails: what cannot be started reports PROBE_CRITICAL and why. */
struct probe *probe_start(struct probe_host *host,
                          const struct probe_spec *spec, probe_done_fn *on_done,
                          void *arg);

/* Give up: on_done will not come. The pointer is dead after this. An executed
 * program is killed with everything it has started. */
void probe_cancel(struct probe *probe);
