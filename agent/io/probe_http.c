/* HTTP checks: one request on a connection of its own, so that the check also
 * tells whether new clients get in. 2xx (or what the check names) passes, 429
 * warns, all else is critical; so is a redirect, because the check is of this
 * service and not of where it points. A check of TCP with TLS is such a
 * connection on which nothing is asked.
 *
 * The target's addresses are tried one after the other until one accepts. */

#include <stdlib.h>
#include <strings.h>

#include "agent/io/probe_impl.h"
#include "base/core/base64.h"
#include "base/core/check.h"
#include "base/core/limits.h"
#include "base/io/http_server.h"
#include "base/io/http_url.h"
#include "base/io/tls.h"

static void try_next(struct probe *p, int error);

/* ---- The answer -------------------------------------------------------- */

static bool status_passes(const struct probe_http *h, int status)
{
    for (size_t i = 0; i < h->codes_count; i++) {
        if (status >= h->codes[i].from && status <= h->codes[i].to) {
            return true;
        }
    }
    return h->codes_count == 0 && status >= 200 && status <= 299;
}

static void on_open(void *ctx)
{
    struct probe *p = ctx;

    p->http.connected = true;
    if (p->http.handshake_only) {
        probe_finish(p, PROBE_PASSING, "%s: Success", p->http.what);
    }
}

static void on_head(void *ctx, int status)
{
    struct probe *p = ctx;

    p->http.status = status;
    p->http.reason =
        arena_strdup(&p->http.arena, slice_str(http_call_reason(p->http.call)));
}

/* What is past the limit is read and dropped, so that the server's answer is
 * judged by its status, not by its length. The deadline bounds it. */
static void on_body(void *ctx, struct slice bytes)
{
    struct probe *p = ctx;

    probe_add_cut(&p->http.body, bytes);
}

static void answered(struct probe *p)
{
    const struct probe_http *h = &p->http;
    struct slice body = buf_slice(&h->body);
    enum probe_result result = PROBE_CRITICAL;

    if (status_passes(h, h->status)) {
        result = PROBE_PASSING;
    } else if (h->status == 429) {
        result = PROBE_WARNING;
    }
    probe_finish(p, result, "%s: %d%s%s Output: %.*s", h->what, h->status,
                 *h->reason == '\0' ? "" : " ", h->reason, (int)body.len,
                 body.len > 0 ? (const char *)body.data : "");
}

static void on_end(void *ctx, enum status st, const char *why)
{
    struct probe *p = ctx;
    struct probe_http *h = &p->http;

    h->call = NULL;
    if (p->finished) {
        probe_closed_one(p);
        return;
    }
    if (st == ST_OK) {
        answered(p);
    } else if (!h->connected && h->wait.tried < h->wait.count) {
        try_next(p, 0);
    } else {
        probe_finish(p, PROBE_CRITICAL, "%s: %s", h->what, why);
    }
    probe_closed_one(p);
}

/* ---- The request ------------------------------------------------------- */

static void try_next(struct probe *p, int error)
{
    struct probe_http *h = &p->http;
    struct http_call_config config = {
        .host = h->target.host,
        .port = h->target.port,
        .tls = h->tls,
        .server_name = h->server_name,
        .method = h->method,
        .path = h->path,
        .headers = h->headers,
        .headers_count = h->headers_count,
        .body = h->request_body,
        /* Its time is the probe's. */
        .connect_ms = 2 * p->timeout_ms,
        .silence_ms = 2 * p->timeout_ms,
    };
    struct http_call_hooks hooks = {.ctx = p,
                                    .on_open = on_open,
                                    .on_head = on_head,
                                    .on_body = on_body,
                                    .on_end = on_end};

    if (error) {
        probe_finish(p, PROBE_CRITICAL, "%s: %s: %s", h->what, h->target.host,
                     uv_strerror(error));
        return;
    }
    config.address = probe_next_address(&h->wait);
    CHECK(config.address != NULL);
    p->open_handles++;
    h->call = http_call_start(p->host->loop, &config, hooks);
}

static void header_add(struct probe_http *h, const char *name,
                       const char *value)
{
    struct http_header *header = &h->headers[h->headers_count++];

    header->name = arena_copy(&h->arena, slice_str(name));
    header->value = arena_copy(&h->arena, slice_str(value));
}

static bool said(const struct probe_spec *spec, const char *name)
{
    for (size_t i = 0; i < spec->headers_count; i++) {
        if (strcasecmp(spec->headers[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* RFC 7617 */
static void add_user(struct probe_http *h, struct slice user)
{
    struct slice secret = base64_encode(&h->arena, user);

    header_add(h, "Authorization",
               arena_printf(&h->arena, "Basic %.*s", (int)secret.len,
                            (const char *)secret.data));
}

static void headers_set(struct probe_http *h, const struct probe_spec *spec,
                        struct slice user)
{
    static const struct probe_header ours[] = {
        {"Accept", "text/plain, text/*, */*"},
        {"User-Agent", "muster Health Check"},
        {"Connection", "close"}};
    size_t ours_count = sizeof(ours) / sizeof(ours[0]);

    h->headers = arena_zalloc(&h->arena, spec->headers_count + ours_count + 1,
                              sizeof(*h->headers));
    for (size_t i = 0; i < spec->headers_count; i++) {
        header_add(h, spec->headers[i].name, spec->headers[i].value);
    }
    for (size_t i = 0; i < ours_count; i++) {
        if (!said(spec, ours[i].name)) {
            header_add(h, ours[i].name, ours[i].value);
        }
    }
    if (user.len > 0 && !said(spec, "Authorization")) {
        add_user(h, user);
    }
}

static void request_set(struct probe_http *h, const struct probe_spec *spec,
                        const struct http_url *url)
{
    const char *method = spec->method == NULL ? "GET" : spec->method;
    bool has_path = url->target.len > 0 && url->target.data[0] == '/';

    h->method = arena_strdup(&h->arena, slice_str(method));
    h->path =
        arena_printf(&h->arena, "%s%.*s", has_path ? "" : "/",
                     (int)url->target.len, (const char *)url->target.data);
    h->request_body =
        arena_copy(&h->arena, slice_str(spec->body == NULL ? "" : spec->body));
    headers_set(h, spec, url->user);
    if (spec->codes_count > 0) {
        h->codes =
            arena_zalloc(&h->arena, spec->codes_count, sizeof(*h->codes));
        memcpy(h->codes, spec->codes, spec->codes_count * sizeof(*h->codes));
        h->codes_count = spec->codes_count;
    }
}

/* ---- The probe --------------------------------------------------------- */

/* False: it says no place, or the probe is over. */
static bool place_set(struct probe *p, const struct probe_spec *spec,
                      const struct http_url *url)
{
    struct probe_http *h = &p->http;
    const char *name = spec->tls_server_name;
    struct err err;

    (void)snprintf(h->target.host, sizeof(h->target.host), "%s", url->host);
    h->target.port = url->port;
    if (name != NULL && *name != '\0') {
        h->server_name = arena_strdup(&h->arena, slice_str(name));
    }
    if (!url->tls) {
        return true;
    }
    h->tls = probe_tls_get(p->host, spec, true, &err);
    if (h->tls == NULL) {
        probe_finish(p, PROBE_CRITICAL, "%s: %s", h->what, err.text);
    }
    return h->tls != NULL;
}

static void start(struct probe *p, const struct probe_spec *spec,
                  const char *text)
{
    struct probe_http *h = &p->http;
    struct http_url url;

    buf_init(&h->body, p->output.limit);
    if (!http_url_read(text, &url)) {
        probe_finish(p, PROBE_CRITICAL, "%s: not an http:// or https:// URL",
                     h->what);
    } else if (place_set(p, spec, &url)) {
        request_set(h, spec, &url);
        probe_resolve(p, &h->wait, &h->target, try_next);
    }
}

/* Whoever reads the catalogue reads what a check says: no name and password. */
static const char *without_user(struct arena *a, const char *target)
{
    struct http_url url;
    const char *user;

    if (!http_url_read(target, &url) || url.user.len == 0) {
        return target;
    }
    user = (const char *)url.user.data;
    return arena_printf(a, "%.*s%s", (int)(user - target), target,
                        user + url.user.len + 1);
}

static void http_start(struct probe *p, const struct probe_spec *spec)
{
    struct probe_http *h = &p->http;

    h->what = arena_printf(&h->arena, "HTTP %s %s",
                           spec->method == NULL ? "GET" : spec->method,
                           without_user(&h->arena, spec->target));
    start(p, spec, spec->target);
}

static void tls_start(struct probe *p, const struct probe_spec *spec)
{
    struct probe_http *h = &p->http;

    h->what = arena_printf(&h->arena, "TCP+TLS connect %s", spec->target);
    h->handshake_only = true;
    start(p, spec, arena_printf(&h->arena, "https://%s/", spec->target));
}

static void http_close(struct probe *p)
{
    probe_resolve_cancel(&p->http.wait);
    if (p->http.call != NULL) {
        http_call_cancel(p->http.call);
    }
}

static void http_release(struct probe *p)
{
    tls_free(p->http.tls);
    buf_release(&p->http.body);
    arena_release(&p->http.arena);
}

const struct probe_kind probe_http_kind = {
    .start = http_start,
    .close = http_close,
    .release = http_release,
};

const struct probe_kind probe_tls_kind = {
    .start = tls_start,
    .close = http_close,
    .release = http_release,
};
