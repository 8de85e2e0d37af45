/* Checks over HTTP/2, with or without TLS: the standard health service of gRPC,
 * and a bare PING. Each run is a connection of its own, so that it also tells
 * whether new clients get in. */

#include <stdio.h>
#include <stdlib.h>

#include "agent/io/probe_impl.h"
#include "base/core/check.h"
#include "base/core/limits.h"
#include "base/core/pb.h"
#include "base/io/grpc_client.h"
#include "base/io/tls.h"

#define ANSWER_BYTES_MAX 4096

/* ---- The connection ---------------------------------------------------- */

static void on_failed(void *ctx, const struct err *why)
{
    struct probe *p = ctx;

    probe_finish(p, PROBE_CRITICAL, "%s: %s", p->h2.what, why->text);
}

static void on_channel_closed(void *ctx)
{
    struct probe *p = ctx;

    p->h2.channel = NULL;
    probe_closed_one(p);
}

/* False: the probe is over. */
static bool channel_open(struct probe *p, const struct probe_spec *spec,
                         void (*on_ready)(void *ctx))
{
    const char *name = spec->tls_server_name;
    struct grpc_channel_config config = {
        .target = spec->target,
        .server_name = name == NULL || *name == '\0' ? NULL : name,
        .user_agent = "muster Health Check",
        /* Its time is the probe's. */
        .connect_timeout_ms = 2 * spec->timeout_ms,
        .keepalive_ms = 2 * spec->timeout_ms,
        .keepalive_timeout_ms = 2 * spec->timeout_ms,
        .message_bytes_max = ANSWER_BYTES_MAX,
    };
    struct grpc_channel_hooks hooks = {
        .ctx = p, .on_ready = on_ready, .on_failed = on_failed};
    struct err err;

    if (spec->tls) {
        p->h2.tls = probe_tls_get(p->host, spec, false, &err);
        config.tls = p->h2.tls;
        if (config.tls == NULL) {
            probe_finish(p, PROBE_CRITICAL, "%s: %s", p->h2.what, err.text);
            return false;
        }
    }
    p->h2.channel = grpc_channel_open(p->host->loop, &config, hooks);
    p->open_handles++;
    return true;
}

static void set_what(struct probe *p, const char *kind, const char *target,
                     const char *service)
{
    char what[LIMIT_CHECK_OUTPUT];

    (void)snprintf(what, sizeof(what), "%s %s%s%s", kind, target,
                   *service == '\0' ? "" : "/", service);
    p->h2.what = strdup(what);
    CHECK(p->h2.what != NULL);
}

static void h2_close(struct probe *p)
{
    if (p->h2.channel != NULL) {
        grpc_channel_close(p->h2.channel, on_channel_closed, p);
    }
}

static void h2_release(struct probe *p)
{
    tls_free(p->h2.tls);
    free(p->h2.what);
}

static void h2_on_deadline(struct probe *p)
{
    probe_finish(p, PROBE_CRITICAL, "%s: timeout after %llu ms", p->h2.what,
                 (unsigned long long)p->timeout_ms);
}

/* ---- gRPC -------------------------------------------------------------- */

/* HealthCheckResponse.ServingStatus */
static const char *const serving[] = {"UNKNOWN", "SERVING", "NOT_SERVING",
                                      "SERVICE_UNKNOWN"};

static uint64_t read_status(struct slice reply)
{
    struct pb_field field;
    uint64_t status = 0;

    while (pb_next(&reply, &field)) {
        if (field.number == 1 && field.type == PB_VARINT) {
            status = field.value;
        }
    }
    return status;
}

static void on_checked(void *ctx, enum grpc_code code, const char *text,
                       struct slice reply)
{
    struct probe *p = ctx;
    uint64_t status = read_status(reply);

    if (code != GRPC_OK) {
        probe_finish(p, PROBE_CRITICAL, "%s: %s (code %d)", p->h2.what, text,
                     (int)code);
        return;
    }
    probe_finish(p, status == 1 ? PROBE_PASSING : PROBE_CRITICAL, "%s: %s",
                 p->h2.what,
                 status < sizeof(serving) / sizeof(serving[0])
                     ? serving[status]
                     : "a status of no known name");
}

static void grpc_start(struct probe *p, const struct probe_spec *spec)
{
    const char *service = spec->service == NULL ? "" : spec->service;
    struct buf request;

    set_what(p, "gRPC", spec->target, service);
    if (!channel_open(p, spec, NULL)) {
        return;
    }
    buf_init(&request, strlen(service) + 16);
    pb_bytes(&request, 1, slice_str(service));
    /* Our own deadline comes first; the server is told its time. */
    (void)grpc_unary(p->h2.channel, "/grpc.health.v1.Health/Check",
                     buf_slice(&request), p->timeout_ms + 100, on_checked, p);
    buf_release(&request);
}

const struct probe_kind probe_grpc_kind = {
    .start = grpc_start,
    .close = h2_close,
    .release = h2_release,
    .on_deadline = h2_on_deadline,
};

/* ---- PING -------------------------------------------------------------- */

static void on_pong(void *ctx)
{
    struct probe *p = ctx;

    probe_finish(p, PROBE_PASSING, "%s: Success", p->h2.what);
}

static void on_ready(void *ctx)
{
    struct probe *p = ctx;

    grpc_channel_ping(p->h2.channel, on_pong);
}

static void h2ping_start(struct probe *p, const struct probe_spec *spec)
{
    set_what(p, "HTTP/2 ping", spec->target, "");
    (void)channel_open(p, spec, on_ready);
}

const struct probe_kind probe_h2ping_kind = {
    .start = h2ping_start,
    .close = h2_close,
    .release = h2_release,
    .on_deadline = h2_on_deadline,
};
