#include "agent/io/probe.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/io/probe_impl.h"
#include "base/core/check.h"
#include "base/core/limits.h"

static const struct probe_kind *kind_of(enum probe_type type)
{
    switch (type) {
    case PROBE_TCP:
        return &probe_tcp_kind;
    case PROBE_TLS:
        return &probe_tls_kind;
    case PROBE_HTTP:
        return &probe_http_kind;
    case PROBE_EXEC:
        return &probe_exec_kind;
    case PROBE_UDP:
        return &probe_udp_kind;
    case PROBE_GRPC:
        return &probe_grpc_kind;
    case PROBE_H2PING:
        return &probe_h2ping_kind;
    case PROBE_UNIT:
        return &probe_unit_kind;
    }
    UNREACHABLE();
}

static void host_maybe_stopped(struct probe_host *host)
{
    if (host->stopping && host->open_handles == 0 &&
        LIST_EMPTY(&host->probes) && host->on_stopped) {
        probe_host_stopped_fn *on_stopped = host->on_stopped;

        host->on_stopped = NULL;
        on_stopped(host->arg);
    }
}

void probe_host_closed_one(struct probe_host *host)
{
    CHECK(host->open_handles > 0);
    host->open_handles--;
    host_maybe_stopped(host);
}

/* Everything of the probe is closed: report and free. */
static void probe_end(struct probe *p)
{
    struct probe_host *host = p->host;

    LIST_REMOVE(p, link);
    if (p->on_done) {
        p->on_done(p->arg, p->result, buf_slice(&p->output));
    }
    p->kind->release(p);
    buf_release(&p->output);
    free(p);
    host_maybe_stopped(host);
}

void probe_closed_one(struct probe *p)
{
    CHECK(p->open_handles > 0);
    if (--p->open_handles == 0) {
        probe_end(p);
    }
}

void probe_on_closed(uv_handle_t *handle)
{
    probe_closed_one(handle->data);
}

void probe_add_cut(struct buf *b, struct slice bytes)
{
    size_t room = b->limit - b->len;

    if (bytes.len > room) {
        bytes.len = room;
    }
    CHECK(buf_add(b, bytes) == ST_OK);
}

void probe_finish(struct probe *p, enum probe_result result, const char *format,
                  ...)
{
    char text[LIMIT_CHECK_OUTPUT + 1];
    va_list args;

    if (p->finished) {
        return;
    }
    p->finished = true;
    p->result = result;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    probe_add_cut(&p->output, slice_str(text));
    p->kind->close(p);
    uv_close((uv_handle_t *)&p->deadline, probe_on_closed);
}

static void on_deadline(uv_timer_t *timer)
{
    struct probe *p = timer->data;

    if (p->kind->on_deadline != NULL) {
        p->kind->on_deadline(p);
        return;
    }
    probe_finish(p, PROBE_CRITICAL, "timeout after %llu ms",
                 (unsigned long long)p->timeout_ms);
}

struct probe *probe_start(struct probe_host *host,
                          const struct probe_spec *spec, probe_done_fn *on_done,
                          void *arg)
{
    struct probe *p = calloc(1, sizeof(*p));
    size_t output_max = spec->output_max;

    CHECK(p != NULL);
    CHECK(spec->timeout_ms > 0);
    CHECK(!host->stopping);
    if (output_max == 0 || output_max > LIMIT_CHECK_OUTPUT) {
        output_max = LIMIT_CHECK_OUTPUT;
    }
    p->host = host;
    p->kind = kind_of(spec->type);
    p->on_done = on_done;
    p->arg = arg;
    p->timeout_ms = spec->timeout_ms;
    buf_init(&p->output, output_max);
    CHECK(uv_timer_init(host->uv, &p->deadline) == 0);
    p->deadline.data = p;
    p->open_handles = 1;
    uv_update_time(host->uv);
    CHECK(uv_timer_start(&p->deadline, on_deadline, spec->timeout_ms, 0) == 0);
    LIST_INSERT_HEAD(&host->probes, p, link);
    p->kind->start(p, spec);
    return p;
}

void probe_cancel(struct probe *p)
{
    p->on_done = NULL;
    probe_finish(p, PROBE_CRITICAL, "canceled");
}

struct probe_host *probe_host_new(struct loop *loop)
{
    struct probe_host *host = calloc(1, sizeof(*host));

    CHECK(host != NULL);
    host->loop = loop;
    host->uv = loop_uv(loop);
    LIST_INIT(&host->probes);
    probe_names_init(host);
    return host;
}

static void on_stopper(struct loop_task *task)
{
    probe_host_closed_one(
        (struct probe_host *)((char *)task -
                              offsetof(struct probe_host, stopper)));
}

void probe_host_stop(struct probe_host *host, probe_host_stopped_fn *on_stopped,
                     void *arg)
{
    struct probe *p;

    CHECK(!host->stopping);
    host->stopping = true;
    host->on_stopped = on_stopped;
    host->arg = arg;
    /* Canceling ends in a close callback, so the list stays whole here. */
    LIST_FOREACH(p, &host->probes, link)
    {
        probe_cancel(p);
    }
    probe_names_close(host);
    host->open_handles++;
    host->stopper.run = on_stopper;
    loop_post(host->loop, &host->stopper);
}

void probe_host_free(struct probe_host *host)
{
    if (!host) {
        return;
    }
    CHECK(host->open_handles == 0);
    CHECK(LIST_EMPTY(&host->probes));
    probe_names_free(host);
    probe_tls_free(host);
    free(host);
}
