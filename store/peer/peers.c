#include "store/peer/peers.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/core/check.h"
#include "base/core/log.h"
#include "base/core/row.h"
#include "store/peer/core.h"

/* ---- the list ---- */

struct peer *peers_find(const struct peers *p, uint64_t id)
{
    struct peer *peer;

    TAILQ_FOREACH(peer, &p->list, link)
    {
        if (peer->id == id) {
            return peer;
        }
    }
    return NULL;
}

bool peers_was_removed(const struct peers *p, uint64_t id)
{
    for (size_t i = 0; i < p->removed_count; i++) {
        if (p->removed[i] == id) {
            return true;
        }
    }
    return false;
}

static void remember_removed(struct peers *p, uint64_t id)
{
    if (!peers_was_removed(p, id)) {
        p->removed = row_room(p->removed, &p->removed_cap, p->removed_count,
                              sizeof(p->removed[0]));
        p->removed[p->removed_count++] = id;
    }
}

static void urls_release(struct peer *peer)
{
    for (size_t i = 0; i < peer->urls_count; i++) {
        free(peer->urls[i].host);
    }
    peer->urls_count = 0;
    peer->url_at = 0;
}

/* false: it cannot be understood. Member URLs have been checked when they were
 * given, so this is the bare taking apart. */
static bool url_take(struct peer_url *out, const char *text)
{
    const char *host;
    const char *port;
    size_t len;

    *out = (struct peer_url){.tls = strncmp(text, "https://", 8) == 0};
    if (strncmp(text, "unix://", 7) == 0) {
        out->host = strdup(text + 7);
        return out->host != NULL;
    }
    host = strstr(text, "://");
    port = strrchr(text, ':');
    if (host == NULL || port == NULL || port <= host + 3) {
        return false;
    }
    host += 3;
    len = (size_t)(port - host);
    if (host[0] == '[' && len > 2) {
        host++;
        len -= 2;
    }
    out->host = strndup(host, len);
    out->port = (uint16_t)strtoul(port + 1, NULL, 10);
    return out->host != NULL && out->port != 0;
}

static void urls_set(struct peer *peer, char *const *urls, size_t count)
{
    urls_release(peer);
    for (size_t i = 0; i < count && i < PEER_URLS_MAX; i++) {
        struct peer_url *url = &peer->urls[peer->urls_count];

        if (url_take(url, urls[i])) {
            peer->urls_count++;
        } else {
            free(url->host);
            log_warn("peer", "%s: not a peer's URL; it is not used", urls[i]);
        }
    }
}

static void peer_count(struct peer *peer, struct metric *m, const char *name,
                       const char *help)
{
    *m = (struct metric){.name = name,
                         .help = help,
                         .type = METRIC_COUNTER,
                         .labels = peer->label};
    metrics_add(peer->all->config.metrics, m);
}

static void peer_numbers(struct peer *peer)
{
    (void)snprintf(peer->label, sizeof(peer->label), "To=\"%" PRIx64 "\"",
                   peer->id);
    if (peer->all->config.metrics == NULL) {
        return;
    }
    peer_count(peer, &peer->sent_bytes, "etcd_network_peer_sent_bytes_total",
               "The total number of bytes sent to peers.");
    peer_count(peer, &peer->received_bytes,
               "etcd_network_peer_received_bytes_total",
               "The total number of bytes received from peers.");
    peer_count(peer, &peer->dropped, "etcd_network_peer_sent_failures_total",
               "The total number of send failures to peers.");
}

void peers_set(struct peers *p, uint64_t id, char *const *urls, size_t count)
{
    struct peer *peer = peers_find(p, id);

    if (id == p->config.self || p->closing) {
        return;
    }
    if (peer == NULL) {
        peer = calloc(1, sizeof(*peer));
        CHECK(peer != NULL);
        peer->all = p;
        peer->id = id;
        peer_links_init(peer);
        peer_numbers(peer);
        TAILQ_INSERT_TAIL(&p->list, peer, link);
    }
    urls_set(peer, urls, count);
}

uint64_t peers_active_since(const struct peers *p, uint64_t id)
{
    const struct peer *peer = peers_find(p, id);

    return peer == NULL ? 0 : peer->active_since_ms;
}

void peers_send(struct peers *p, const struct raft_msg *messages, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct peer *peer = peers_find(p, messages[i].to);

        if (peer != NULL) {
            peer_send(peer, &messages[i]);
        }
    }
}

/* ---- calls ---- */

void peer_next_url(struct peer *peer, size_t used)
{
    if (peer->urls_count > 0 && peer->url_at == used) {
        peer->url_at = (peer->url_at + 1) % peer->urls_count;
    }
}

enum {
    HEADERS_MAX = 8
};

struct http_call *peer_call(struct peer *peer, struct http_call_config config,
                            struct http_call_hooks hooks)
{
    const struct peers *p = peer->all;
    const struct peer_url *url = &peer->urls[peer->url_at];
    struct http_header headers[HEADERS_MAX] = {
        {slice_str("X-Etcd-Cluster-ID"), slice_str(p->cluster_text)},
        {slice_str("X-Server-From"), slice_str(p->self_text)},
        {slice_str("X-Server-Version"), slice_str(p->config.version)},
        {slice_str("X-Min-Cluster-Version"), slice_str("3.0.0")},
        {slice_str("X-PeerURLs"), slice_str(p->config.urls)},
    };
    size_t count = 5;

    CHECK(peer->urls_count > 0);
    CHECK(config.headers_count + count <= HEADERS_MAX);
    for (size_t i = 0; i < config.headers_count; i++) {
        headers[count++] = config.headers[i];
    }
    config.host = url->host;
    config.port = url->port;
    config.tls = url->tls ? p->config.client_tls : NULL;
    config.headers = headers;
    config.headers_count = count;
    peer->all->calls_open++;
    return http_call_start(p->config.loop, &config, hooks);
}

void errand_start(struct peer_errand *e, struct peer *peer,
                  struct http_call_config config, struct http_call_hooks hooks)
{
    e->peer = peer;
    e->call = peer_call(peer, config, hooks);
    LIST_INSERT_HEAD(&peer->all->errands, e, link);
}

void errand_over(struct peer_errand *e)
{
    if (e->call != NULL) {
        LIST_REMOVE(e, link);
        e->call = NULL;
    }
}

/* Their ends come later. */
static void errands_cancel(const struct peer *peer)
{
    struct peer_errand *e;

    LIST_FOREACH(e, &peer->all->errands, link)
    {
        if (e->peer == peer) {
            http_call_cancel(e->call);
        }
    }
}

/* ---- life ---- */

static void peer_leave(struct peer *peer)
{
    struct peers *p = peer->all;

    peer->removed = true;
    peer_links_close(peer);
    errands_cancel(peer);
    TAILQ_REMOVE(&p->list, peer, link);
    TAILQ_INSERT_TAIL(&p->leaving, peer, link);
}

void peers_remove(struct peers *p, uint64_t id)
{
    struct peer *peer = peers_find(p, id);

    remember_removed(p, id);
    if (peer != NULL) {
        peer_leave(peer);
    }
}

static void peer_free(struct peer *peer)
{
    urls_release(peer);
    for (size_t i = 0; i < 2; i++) {
        frames_reader_release(&peer->dials[i].reader);
    }
    free(peer);
}

/* Whoever left is freed when its last call has ended. Its numbers stay on the
 * list of metrics, so they must outlive it: it stays allocated to the end. */
void peers_maybe_closed(struct peers *p)
{
    void (*on_closed)(void *) = p->on_closed;
    void *ctx = p->closed_ctx;
    struct peer *peer;

    if (!p->closing || p->calls_open > 0 || p->servers_open > 0 ||
        p->timer_open || p->arriving) {
        return;
    }
    while ((peer = TAILQ_FIRST(&p->leaving)) != NULL) {
        TAILQ_REMOVE(&p->leaving, peer, link);
        peer_free(peer);
    }
    free(p->removed);
    free(p);
    on_closed(ctx);
}

void peers_call_ended(struct peers *p)
{
    CHECK(p->calls_open > 0);
    p->calls_open--;
    peers_maybe_closed(p);
}

static void on_tick(uv_timer_t *timer)
{
    struct peers *p = timer->data;
    uint64_t now_ms = loop_now_ms(p->config.loop);
    struct peer *peer;

    TAILQ_FOREACH(peer, &p->list, link)
    {
        peer_links_tick(peer, now_ms);
    }
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct peers *p = handle->data;

    p->timer_open = false;
    peers_maybe_closed(p);
}

static void on_server_stopped(void *ctx)
{
    struct peers *p = ctx;

    p->servers_open--;
    peers_maybe_closed(p);
}

struct peers *peers_new(const struct peers_config *config)
{
    struct peers *p = calloc(1, sizeof(*p));

    CHECK(p != NULL);
    p->config = *config;
    TAILQ_INIT(&p->list);
    TAILQ_INIT(&p->leaving);
    LIST_INIT(&p->errands);
    p->handler = (struct http_handler){.ctx = p,
                                       .on_request = serve_request,
                                       .on_gone = serve_gone,
                                       .idle_ms = PEER_IDLE_MS,
                                       .streamed_path = "/raft/snapshot",
                                       .on_body = arrival_body};
    (void)snprintf(p->cluster_text, sizeof(p->cluster_text), "%" PRIx64,
                   config->cluster);
    (void)snprintf(p->self_text, sizeof(p->self_text), "%" PRIx64,
                   config->self);
    CHECK(uv_timer_init(loop_uv(config->loop), &p->timer) == 0);
    p->timer_open = true;
    p->timer.data = p;
    CHECK(uv_timer_start(&p->timer, on_tick, PEER_TICK_MS, PEER_TICK_MS) == 0);
    return p;
}

enum status peers_listen(struct peers *p, const char *address, bool tls,
                         struct err *err)
{
    struct server_config config;
    enum status st;

    CHECK(p->servers_count < PEER_LISTENERS_MAX);
    server_config_init(&config);
    config.address = address;
    config.tls = tls ? p->config.server_tls : NULL;
    config.http = &p->handler;
    config.conns_max = PEER_CONNS_MAX;
    st = server_start(p->config.loop, &config, &p->servers[p->servers_count],
                      err);
    if (st == ST_OK) {
        p->servers_count++;
        p->servers_open++;
    }
    return st;
}

const char *peers_address(const struct peers *p, unsigned index)
{
    return index < p->servers_count ? server_address(p->servers[index]) : NULL;
}

void peers_close(struct peers *p, void (*on_closed)(void *ctx), void *ctx)
{
    struct peer *peer;

    CHECK(!p->closing);
    p->closing = true;
    p->on_closed = on_closed;
    p->closed_ctx = ctx;
    while ((peer = TAILQ_FIRST(&p->list)) != NULL) {
        peer_leave(peer);
    }
    for (size_t i = 0; i < p->servers_count; i++) {
        server_stop(p->servers[i], 0, on_server_stopped, p);
    }
    uv_close((uv_handle_t *)&p->timer, on_timer_closed);
}
