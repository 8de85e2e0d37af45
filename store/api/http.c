/*
 * http.c - what the client port answers to HTTP/1: /health, /version, /metrics.
 */
#include <stdio.h>

#include "base/core/check.h"
#include "base/core/limits.h"
#include "store/api/core.h"

enum {
    METRICS_BYTES_MAX = 4 * 1024 * 1024
};

/* --- /health --- */

/* In the exchange's arena while it waits. */
struct health {
    struct http_exchange *exchange;
    struct wait *wait;
};

static void reply_health(struct http_exchange *x, const char *reason)
{
    char body[160];
    int len = snprintf(
        body, sizeof(body), "{\"health\":\"%s\",\"reason\":\"%s\"}",
        reason == NULL ? "true" : "false", reason == NULL ? "" : reason);

    http_reply_type(x, reason == NULL ? 200 : 503, "text/plain; charset=utf-8",
                    slice_of(body, (size_t)len));
}

/* "exclude=NOSPACE" is among the query's pairs. */
static bool query_has(struct slice query, const char *pair)
{
    while (query.len > 0) {
        const uint8_t *end = memchr(query.data, '&', query.len);
        size_t len = end == NULL ? query.len : (size_t)(end - query.data);

        if (slice_eq(slice_of(query.data, len), slice_str(pair))) {
            return true;
        }
        query = slice_skip(query, end == NULL ? len : len + 1);
    }
    return false;
}

/* NULL when no alarm counts. */
static const char *alarm_reason(const struct api *api, struct slice query)
{
    if (kv_alarm_on(api->config.kv, KV_ALARM_NO_SPACE) &&
        !query_has(query, "exclude=NOSPACE")) {
        return "ALARM NOSPACE";
    }
    if (kv_alarm_on(api->config.kv, KV_ALARM_CORRUPT) &&
        !query_has(query, "exclude=CORRUPT")) {
        return "ALARM CORRUPT";
    }
    return NULL;
}

static void on_health(struct wait *w, enum status st,
                      const struct kv_reply *reply)
{
    struct health *h = w->owner;
    const char *text;

    (void)reply;
    http_set_data(h->exchange, NULL);
    if (st == ST_OK) {
        reply_health(h->exchange, NULL);
        return;
    }
    (void)api_failure(st, &text);

    char reason[96];

    (void)snprintf(reason, sizeof(reason), "RANGE ERROR:%s", text);
    reply_health(h->exchange, reason);
}

/* Healthy is who can answer a linearizable read. */
static void check_health(struct api *api, struct http_exchange *x)
{
    struct slice query = http_query(x);
    const char *reason = alarm_reason(api, query);
    struct health *h;
    enum status st;
    bool ready;

    if (reason != NULL || query_has(query, "serializable=true")) {
        reply_health(x, reason);
        return;
    }
    h = arena_zalloc(http_arena(x), 1, sizeof(*h));
    h->exchange = x;
    h->wait = wait_read(api, on_health, h, &ready, &st);
    if (ready) {
        reply_health(x, NULL);
    } else if (h->wait == NULL) {
        reply_health(x, "RAFT NO LEADER");
    } else {
        http_set_data(x, h);
    }
}

void api_http_gone(struct http_exchange *x)
{
    struct health *h = http_data(x);

    if (h != NULL) {
        wait_forget(h->wait);
    }
}

/* --- /version, /metrics --- */

void api_reply_version(const struct api *api, struct http_exchange *x)
{
    const char *cluster = kv_cluster_version(api->config.kv);
    char body[96];
    int len = snprintf(body, sizeof(body),
                       "{\"etcdserver\":\"%s\",\"etcdcluster\":\"%s\"}",
                       API_VERSION, *cluster ? cluster : "not_decided");

    http_reply_type(x, 200, "application/json", slice_of(body, (size_t)len));
}

static void reply_metrics(struct api *api, struct http_exchange *x)
{
    struct buf text;

    buf_init(&text, METRICS_BYTES_MAX);
    numbers_collect(api);
    if (metrics_write(api->config.metrics, &text)) {
        http_reply_text(x, 500, "the metrics do not fit\n");
    } else {
        http_reply_type(x, 200, "text/plain; version=0.0.4; charset=utf-8",
                        buf_slice(&text));
    }
    buf_release(&text);
}

/* --- The pages --- */

static void reply_wrong_method(struct http_exchange *x)
{
    const struct http_header headers[] = {
        {slice_str("Allow"), slice_str("GET")},
        {slice_str("Content-Type"), slice_str("text/plain; charset=utf-8")}};

    http_reply(x, 405, headers, 2, slice_str("Method Not Allowed\n"));
}

void api_http_request(struct http_exchange *x)
{
    struct api *api = http_ctx(x);
    struct slice path = http_path(x);
    bool get = slice_eq(http_method(x), slice_str("GET")) ||
               slice_eq(http_method(x), slice_str("HEAD"));
    bool health = slice_eq(path, slice_str("/health"));
    bool version = slice_eq(path, slice_str("/version"));
    bool metrics = slice_eq(path, slice_str("/metrics"));

    if (!health && !version && !metrics) {
        http_reply_text(x, 404, "404 page not found\n");
    } else if (!get) {
        reply_wrong_method(x);
    } else if (health) {
        check_health(api, x);
    } else if (version) {
        api_reply_version(api, x);
    } else {
        reply_metrics(api, x);
    }
}
