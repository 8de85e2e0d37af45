#include <stdio.h>
#include <string.h>

#include "store/io/member_impl.h"

static enum status listen_one(struct member *m, const struct url *url,
                              struct err *err)
{
    struct listener *l = &m->listeners[m->listeners_count];
    struct server_config config;
    enum status st;

    server_config_init(&config);
    config.address = url_address(&m->plan.arena, url);
    config.tls = url->tls ? m->tls : NULL;
    config.grpc = api_grpc(m->api);
    config.http = api_http(m->api);
    st = server_start(m->loop, &config, &l->server, err);
    if (st) {
        return err_prefix(err, st, "--listen-client-urls: %s", url->text);
    }
    l->member = m;
    l->url =
        arena_printf(&m->plan.arena, "%s%s", url->tls ? "https://" : "http://",
                     server_address(l->server));
    if (url->unix_socket || url->port != 0) {
        l->url = arena_strdup(&m->plan.arena, slice_str(url->text));
    }
    m->listeners_count++;
    m->listeners_open++;
    return ST_OK;
}

static enum status make_tls(struct member *m, struct err *err)
{
    const struct member_config *c = &m->plan.config;
    struct tls_files files = {
        .cert = c->cert_file, .key = c->key_file, .ca = c->trusted_ca_file};

    if (c->cert_file == NULL) {
        return ST_OK;
    }
    return tls_server_new(
        &files, c->client_cert_auth ? TLS_CLIENT_REQUIRED : TLS_CLIENT_ANY,
        &m->tls, err);
}

/* What clients are told: as configured, or where we really listen. */
static void choose_advertised(struct member *m)
{
    const struct url_list *given = &m->plan.advertised;
    size_t count = given->count > 0 ? given->count : m->listeners_count;

    m->advertised =
        arena_zalloc(&m->plan.arena, count + 1, sizeof(*m->advertised));
    for (size_t i = 0; i < count; i++) {
        m->advertised[i] =
            given->count > 0 ? given->urls[i].text : m->listeners[i].url;
    }
}

enum status member_listen(struct member *m, struct err *err)
{
    const struct url_list *urls = &m->plan.client_urls;
    enum status st = make_tls(m, err);

    m->listeners =
        arena_zalloc(&m->plan.arena, urls->count, sizeof(*m->listeners));
    for (size_t i = 0; i < urls->count && !st; i++) {
        st = listen_one(m, &urls->urls[i], err);
    }
    if (!st) {
        choose_advertised(m);
    }
    return st;
}
