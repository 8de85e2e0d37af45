#include <inttypes.h>
#include <stdio.h>

#include "base/core/check.h"
#include "base/core/limits.h"
#include "store/io/member_impl.h"

/* --- What comes from them --- */

static void on_message(void *ctx, const struct raft_msg *message)
{
    struct member *m = ctx;

    if (!m->running || m->failed) {
        return;
    }
    if (node_receive(m->node, message, loop_now_ms(m->loop)) == ST_INVALID) {
        log_debug("store", "a message of member %" PRIx64 " was refused",
                  message->from);
    }
    member_wake(m);
}

static void on_lost(void *ctx, uint64_t peer)
{
    struct member *m = ctx;

    if (m->running && !m->failed) {
        (void)node_peer_lost(m->node, peer, loop_now_ms(m->loop));
        member_wake(m);
    }
}

static void on_removed(void *ctx)
{
    member_removed(ctx);
}

static void on_page(void *ctx, struct http_exchange *x)
{
    struct member *m = ctx;

    api_peer_request(m->api, x);
}

static void on_page_gone(void *ctx, struct http_exchange *x)
{
    struct member *m = ctx;

    api_peer_gone(m->api, x);
}

/* --- What goes to them --- */

void member_send(struct member *m, const struct raft_msg *messages,
                 size_t count)
{
    if (m->peers != NULL) {
        peers_send(m->peers, messages, count);
    }
}

/* --- Who they are --- */

void member_follow_members(struct member *m)
{
    size_t count;
    const struct kv_member *list = kv_members(m->kv, &count);
    size_t removed_count;
    const uint64_t *removed = kv_members_removed(m->kv, &removed_count);

    if (m->peers == NULL) {
        return;
    }
    for (size_t i = 0; i < removed_count; i++) {
        peers_remove(m->peers, removed[i]);
    }
    for (size_t i = 0; i < count; i++) {
        peers_set(m->peers, list[i].id, list[i].peer_urls,
                  list[i].peer_urls_count);
    }
}

/* Whoever joins knows only these until it has the log. */
static void follow_founders(struct member *m)
{
    const struct founding *f = &m->plan.founding;
    size_t count;

    (void)kv_members(m->kv, &count);
    for (size_t i = 0; count == 0 && i < f->founders_count; i++) {
        peers_set(m->peers, f->founders[i].id,
                  (char *const *)f->founders[i].peer_urls,
                  f->founders[i].peer_urls_count);
    }
}

/* --- Opening and closing --- */

enum status member_open_peer_tls(struct member *m, struct err *err)
{
    const struct member_config *c = &m->plan.config;
    struct tls_files files = {.cert = c->peer_cert_file,
                              .key = c->peer_key_file,
                              .ca = c->peer_trusted_ca_file,
                              .allowed_cn = c->peer_cert_allowed_cn,
                              .http1 = true};
    enum status st = ST_OK;

    if (c->peer_cert_file != NULL) {
        st = tls_server_new(&files,
                            c->peer_client_cert_auth ? TLS_CLIENT_REQUIRED
                                                     : TLS_CLIENT_ANY,
                            &m->peer_server_tls, err);
    }
    if (st) {
        return st;
    }
    /* Without a certificate, too: who is at https:// is not asked in the clear.
     */
    return tls_client_new(&files, &m->peer_client_tls, err);
}

static enum status listen_one(struct member *m, const struct url *url,
                              struct err *err)
{
    const char *address = url_address(&m->plan.arena, url);
    enum status st = peers_listen(m->peers, address, url->tls, err);

    return st ? err_prefix(err, st, "--listen-peer-urls: %s", url->text) : st;
}

static const char *advertised_text(struct member *m)
{
    const struct founding *f = &m->plan.founding;

    return f->founders_count == 0
               ? m->plan.config.initial_advertise_peer_urls
               : url_texts(&m->plan.arena, f->founders[f->self].peer_urls,
                           f->founders[f->self].peer_urls_count);
}

enum status member_open_peers(struct member *m, struct err *err)
{
    const struct url_list *urls = &m->plan.peer_urls;
    struct peers_config config = {
        .loop = m->loop,
        .self = node_ids(m->node).member,
        .cluster = node_ids(m->node).cluster,
        .version = api_version(),
        .urls = advertised_text(m),
        .folder = m->dir.incoming,
        .metrics = &m->metrics,
        .hooks = {.ctx = m,
                  .on_message = on_message,
                  .on_snapshot = member_on_snapshot,
                  .on_snapshot_sent = member_snapshot_sent,
                  .on_lost = on_lost,
                  .on_removed = on_removed,
                  .on_page = on_page,
                  .on_page_gone = on_page_gone},
    };
    enum status st = ST_OK;

    config.server_tls = m->peer_server_tls;
    config.client_tls = m->peer_client_tls;
    m->peers = peers_new(&config);
    for (size_t i = 0; i < urls->count && !st; i++) {
        st = listen_one(m, &urls->urls[i], err);
    }
    if (!st) {
        follow_founders(m);
        member_follow_members(m);
    }
    return st;
}

static void on_peers_closed(void *ctx)
{
    struct member *m = ctx;

    m->peers = NULL;
    member_stop_step(m);
}

void member_close_peers(struct member *m)
{
    if (m->peers != NULL) {
        peers_close(m->peers, on_peers_closed, m);
    }
}
