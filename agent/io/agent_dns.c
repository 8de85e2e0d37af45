/* Where the agent answers DNS, and for whom: at the start and after a reload.
 */

#include <stdlib.h>

#include "agent/io/agent_impl.h"
#include "agent/io/listen.h"
#include "agent/io/protect.h"
#include "base/core/check.h"
#include "base/core/log.h"
#include "base/io/tls.h"

/* ---- Addresses ----------------------------------------------------------- */

static const char *text_of(const struct agent_listen *where,
                           struct arena *arena)
{
    return listen_text(where, arena_alloc(arena, LISTEN_TEXT), LISTEN_TEXT);
}

/* It lies in the arena, and borrows of the configuration. */
static void addresses_of(const struct agent_config *c, struct arena *arena,
                         struct dns_listen_config *out)
{
    const char **plain = arena_zalloc(arena, LIMIT_DNS_LISTENS, sizeof(*plain));
    const char **tls = arena_zalloc(arena, 1, sizeof(*tls));
    struct tls_files *files = arena_zalloc(arena, 1, sizeof(*files));

    for (size_t i = 0; i < c->dns.count; i++) {
        plain[i] = text_of(&c->dns.items[i], arena);
    }
    if (c->dot.host) {
        tls[0] = text_of(&c->dot, arena);
    }
    *files = (struct tls_files){.cert = c->tls.cert,
                                .key = c->tls.key,
                                .ca = *c->tls.ca != '\0' ? c->tls.ca : NULL};
    *out = (struct dns_listen_config){
        .plain = plain,
        .plain_count = c->dns.count,
        .tls = tls,
        .tls_count = c->dot.host ? 1 : 0,
        .files = *c->tls.cert != '\0' ? files : NULL,
        .clients_verified = c->tls.verify_incoming,
    };
}

/* "127.0.0.1:53 10.0.0.1:53, with TLS 10.0.0.1:853"; to be freed. */
static char *listens_text(const struct dns_listen_config *listen)
{
    struct arena arena = {0};
    const char *text = "";
    char *out;

    for (size_t i = 0; i < listen->plain_count; i++) {
        text = arena_printf(&arena, "%s%s%s", text, i > 0 ? " " : "",
                            listen->plain[i]);
    }
    for (size_t i = 0; i < listen->tls_count; i++) {
        text = arena_printf(&arena, "%s%s%s", text,
                            i > 0                     ? " "
                            : listen->plain_count > 0 ? ", with TLS "
                                                      : "with TLS ",
                            listen->tls[i]);
    }
    out = strdup(*text != '\0' ? text : "nothing");
    CHECK(out != NULL);
    arena_release(&arena);
    return out;
}

/* What an operator is told when it has changed. */
static void say_listens(struct agent *a, const struct dns_listen_config *listen)
{
    char *text = listens_text(listen);

    if (a->dns_listens && strcmp(a->dns_listens, text) != 0) {
        if (a->handed.dns_count > 0) {
            log_warn("agent",
                     "reload: dns: \"%s\" is for when the service manager "
                     "hands no sockets over; change its .socket unit",
                     text);
        } else {
            log_info("agent", "dns listens on %s", text);
        }
    }
    free(a->dns_listens);
    a->dns_listens = text;
}

/* ---- Start --------------------------------------------------------------- */

static enum status start(struct agent *a, const struct agent_config *c,
                         struct arena *arena,
                         const struct dns_listen_config *listen,
                         struct err *err)
{
    struct dns_protection protection;
    struct dns_server_config config = {
        .woke = agent_worker_woke,
        .woke_arg = a,
        .listen = *listen,
        .sockets = a->handed.dns,
        .sockets_count = a->handed.dns_count,
        .protection = &protection,
        .threads = a->config->dns_threads,
        .waits = true, /* For the replica. */
    };
    enum status st = protect_key(a->config->data_dir, a->cookie_key, err);

    if (st) {
        return err_prefix(err, st, "dns");
    }
    protect_settings(&c->dns_config, a->cookie_key, &protection);
    agent_dns_recursion(c, arena, &config.recursion);
    st = dns_server_start(&config, &a->dns, err);
    if (st) {
        return err_prefix(err, st, "dns (choose with --dns, --dot)");
    }
    st = agent_transfer_set(a->dns, c, err);
    if (st) {
        dns_server_stop(a->dns);
        a->dns = NULL;
    }
    return st;
}

enum status agent_dns_open(struct agent *a, const struct agent_config *c,
                           struct err *err)
{
    struct arena arena = {0};
    struct dns_listen_config listen;
    enum status st = ST_OK;

    addresses_of(c, &arena, &listen);
    if (listen.plain_count > 0 || listen.tls_count > 0 ||
        a->handed.dns_count > 0) {
        st = start(a, c, &arena, &listen, err);
    }
    if (!st) {
        say_listens(a, &listen);
    }
    arena_release(&arena);
    return st;
}

/* ---- Reload -------------------------------------------------------------- */

static enum status configure(struct agent *a, const struct agent_config *wanted,
                             struct err *err)
{
    struct dns_recursion_config recursion;
    struct dns_transfer_config transfer;
    struct dns_listen_config listen;
    struct arena arena = {0};
    enum status st;

    agent_dns_recursion(wanted, &arena, &recursion);
    addresses_of(wanted, &arena, &listen);
    st = agent_transfer_read(wanted, &arena, &transfer, err);
    if (!st) {
        st = dns_server_configure(a->dns, &recursion, &transfer, &listen, err);
    }
    if (!st) {
        say_listens(a, &listen);
    }
    arena_release(&arena);
    return st;
}

enum status agent_dns_reload(struct agent *a, const struct agent_config *wanted,
                             struct err *err)
{
    enum status st;

    if (a->dns) {
        return configure(a, wanted, err);
    }
    st = agent_dns_open(a, wanted, err);
    if (a->dns) {
        dnsfeed_serve(a->feed, a->dns);
    }
    return st;
}
