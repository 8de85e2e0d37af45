/* Endpoints: what their URLs say, getting a connection to one, losing it. Which
 * one is next and when is decided by agent/core/endpoints.c. */

#include <stdarg.h>
#include <stdio.h>

#include "agent/io/link_impl.h"
#include "base/core/check.h"
#include "base/core/log.h"
#include "base/io/address.h"

/* The pulse asks every 2 s and is answered within 2.5 s; these are for what it
 * does not see, and no quicker than it. */
#define KEEPALIVE_MS         2500
#define KEEPALIVE_TIMEOUT_MS 2000

/* All endpoints wait for name servers: look again after this. */
#define BUSY_MS 100

/* ---- Losing an endpoint ------------------------------------------------ */

static void failure_log(struct link *l, const char *why)
{
    enum endpoints_news news =
        endpoints_tell(&l->endpoints, loop_now_ms(l->loop));

    if (news == ENDPOINTS_STILL) {
        log_warn("agent",
                 "%s: no contact for %llu s, answering from the replica; last "
                 "tried %s: %s",
                 l->title, (unsigned long long)link_stale_ms(l) / 1000,
                 link_endpoint(l), why);
        return;
    }
    log_line(news == ENDPOINTS_FIRST ? LOG_WARN : LOG_DEBUG, "agent",
             "%s: %s: %s; trying %s", l->title, link_endpoint(l), why,
             l->endpoints.count > 1 ? "the next endpoint" : "again");
}

static void on_retry(uv_timer_t *timer)
{
    struct link *l = timer->data;

    if (endpoints_next(&l->endpoints)) {
        link_connect(l);
    } else {
        CHECK(uv_timer_start(timer, on_retry, BUSY_MS, 0) == 0);
    }
}

/* There is no channel now. */
static void channel_gone(struct link *l)
{
    uint64_t pause_ms;

    if (l->stopping) {
        l->state = LINK_STOPPED;
        link_farewell_done(l); /* If the store went first. */
        link_maybe_stopped(l);
        return;
    }
    l->state = LINK_WAITING;
    pause_ms = endpoints_pause_ms(&l->endpoints);
    if (pause_ms == 0 && endpoints_next(&l->endpoints)) {
        link_connect(l);
        return;
    }
    CHECK(uv_timer_start(&l->retry, on_retry, pause_ms > 0 ? pause_ms : BUSY_MS,
                         0) == 0);
}

static void on_channel_closed(void *ctx)
{
    struct link *l = ctx;

    l->channel = NULL;
    channel_gone(l);
}

static void on_closed_aside(void *ctx)
{
    struct link_address *a = ctx;
    struct link *l = a->link;

    l->endpoints.items[a - l->addresses].busy = false;
    l->open_handles--;
    link_maybe_stopped(l);
}

static void close_ready(struct link *l)
{
    link_watch_end(l);
    link_lease_end(l);
    link_writer_end(l);
    link_pulse_end(l);
    l->state = LINK_CLOSING;
    grpc_channel_close(l->channel, on_channel_closed, l);
}

static void close_aside(struct link *l)
{
    struct grpc_channel *channel = l->channel;

    l->endpoints.items[l->endpoints.current].busy = true;
    l->open_handles++;
    l->channel = NULL;
    grpc_channel_close(channel, on_closed_aside,
                       &l->addresses[l->endpoints.current]);
    channel_gone(l);
}

void link_disconnect(struct link *l)
{
    switch (l->state) {
    case LINK_READY:
        close_ready(l);
        return;
    case LINK_CONNECTING:
        close_aside(l);
        return;
    case LINK_CLOSING:
        return;
    case LINK_WAITING:
    case LINK_STOPPED:
        l->state = LINK_STOPPED;
        return;
    }
    UNREACHABLE();
}

void link_drop(struct link *l, const char *format, ...)
{
    struct err why;
    va_list args;

    if (l->state != LINK_READY && l->state != LINK_CONNECTING) {
        return;
    }
    va_start(args, format);
    (void)vsnprintf(why.text, sizeof(why.text), format, args);
    va_end(args);
    l->stats.failures++;
    endpoints_failed(&l->endpoints);
    if (!l->stopping) {
        failure_log(l, why.text);
    }
    link_disconnect(l);
}

void link_call_failed(struct link *l, const char *what, enum grpc_code code,
                      const char *text)
{
    if (code == GRPC_UNAVAILABLE || code == GRPC_DEADLINE_EXCEEDED ||
        code == GRPC_INTERNAL || code == GRPC_UNKNOWN) {
        link_drop(l, "%s: %s (%s)", what, text, grpc_code_name(code));
    } else if (code != GRPC_CANCELLED) {
        log_warn("agent", "%s: %s: %s (%s)", l->title, what, text,
                 grpc_code_name(code));
    }
}

/* ---- Getting one ------------------------------------------------------- */

static void on_ready(void *ctx)
{
    struct link *l = ctx;

    if (l->state != LINK_CONNECTING) {
        return;
    }
    l->state = LINK_READY;
    link_watch_begin(l);
    if (!l->config.follows_only) {
        link_lease_begin(l);
    }
    link_writer_begin(l);
    link_asks_begin(l);
    link_follows_begin(l);
    link_members_begin(l);
    link_pulse_begin(l);
}

static void on_failed(void *ctx, const struct err *why)
{
    link_drop(ctx, "%s", why->text);
}

void link_connect(struct link *l)
{
    const struct link_address *a = &l->addresses[l->endpoints.current];
    struct grpc_channel_config config = {
        .target = a->target,
        .tls = a->tls ? l->tls : NULL,
        .user_agent = "muster-agent",
        .connect_timeout_ms = endpoints_connect_ms(&l->endpoints),
        .keepalive_ms = KEEPALIVE_MS,
        .keepalive_timeout_ms = KEEPALIVE_TIMEOUT_MS,
        /* Behind a name there may be several members. */
        .address_offset = l->endpoints.items[l->endpoints.current].failures,
    };
    struct grpc_channel_hooks hooks = {
        .ctx = l, .on_ready = on_ready, .on_failed = on_failed};

    CHECK(!l->channel);
    l->state = LINK_CONNECTING;
    l->stats.connects++;
    l->channel = grpc_channel_open(l->loop, &config, hooks);
}

/* ---- URLs -------------------------------------------------------------- */

static enum status target_check(const char *url, const char *target,
                                struct err *err)
{
    const char *port = strrchr(target, ':');
    struct address address;

    if (strncmp(target, "unix:", 5) != 0 &&
        (!port || strchr(port, ']') != NULL)) {
        return err_set(err, ST_INVALID, "store: %s: no port (etcd's is 2379)",
                       url);
    }
    if (strchr(target, '/') != NULL && strncmp(target, "unix:", 5) != 0) {
        return err_set(err, ST_INVALID,
                       "store: %s: a URL of the store has no path", url);
    }
    if (address_parse(target, &address, err)) {
        return err_prefix(err, ST_INVALID, "store: %s", url);
    }
    if (!address.is_unix && address.port_number == 0) {
        return err_set(err, ST_INVALID,
                       "store: %s: the port must be 1 to 65535", url);
    }
    if (!address.is_unix && address.host[0] == '\0') {
        return err_set(err, ST_INVALID, "store: %s: no host", url);
    }
    return ST_OK;
}

static enum status address_add(struct link *l, size_t index, const char *url,
                               struct err *err)
{
    struct link_address *a = &l->addresses[index];
    const char *target = url;

    if (strncmp(url, "https://", 8) == 0) {
        a->tls = true;
        target = url + 8;
    } else if (strncmp(url, "http://", 7) == 0) {
        target = url + 7;
    } else if (strstr(url, "://") != NULL) {
        return err_set(err, ST_INVALID,
                       "store: %s: a URL must begin with http:// or https://",
                       url);
    }
    a->link = l;
    a->target = arena_strdup(&l->names, slice_str(target));
    if (target[0] != '\0' && target[strlen(target) - 1] == '/') {
        a->target[strlen(target) - 1] = '\0';
    }
    return target_check(url, a->target, err);
}

static enum status tls_init(struct link *l, struct err *err)
{
    struct tls_files files = {
        .cert = l->config.cert, .key = l->config.key, .ca = l->config.cacert};
    bool wanted = false;
    enum status st;

    for (size_t i = 0; i < l->config.urls_count; i++) {
        wanted |= l->addresses[i].tls;
    }
    if (!wanted) {
        return ST_OK;
    }
    st = tls_client_new(&files, &l->tls, err);
    if (st) {
        st = err_prefix(err, st,
                        "store (--store-cacert, --store-cert, --store-key)");
    }
    return st;
}

enum status link_endpoints_init(struct link *l, struct err *err)
{
    enum status st = ST_OK;

    if (l->config.urls_count == 0) {
        return err_set(err, ST_INVALID, "store: no URL is given");
    }
    if (l->config.urls_count > LIMIT_STORE_ENDPOINTS) {
        return err_set(err, ST_TOO_BIG, "store: more than %d URLs",
                       LIMIT_STORE_ENDPOINTS);
    }
    for (size_t i = 0; i < l->config.urls_count && !st; i++) {
        st = address_add(l, i, l->config.urls[i], err);
    }
    if (!st) {
        st = tls_init(l, err);
    }
    if (!st) {
        endpoints_init(&l->endpoints, l->config.urls_count, l->config.seed);
    }
    return st;
}
