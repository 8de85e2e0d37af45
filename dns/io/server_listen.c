/* Where a server listens, and how that changes while it runs. */

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#include "base/core/check.h"
#include "dns/io/server_impl.h"

/* ---- TLS ----------------------------------------------------------------- */

void server_tls_release(struct server_tls *t)
{
    free(t->cert);
    free(t->key);
    free(t->ca);
    OPENSSL_cleanse(t->ticket_key, sizeof(t->ticket_key));
    *t = (struct server_tls){0};
}

static char *copy_of(const char *text)
{
    char *copy = text == NULL ? NULL : strdup(text);

    CHECK(text == NULL || copy != NULL);
    return copy;
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool tls_is_new(const struct server_tls *t,
                       const struct dns_listen_config *listen)
{
    const struct tls_files *files = listen->files;

    return !t->used || !same_text(t->cert, files->cert) ||
           !same_text(t->key, files->key) || !same_text(t->ca, files->ca) ||
           t->clients_verified != listen->clients_verified;
}

static enum status tls_read(struct dns_server *s,
                            const struct dns_listen_config *listen,
                            struct listen_change *c, struct err *err)
{
    struct tls_files files;
    enum status st = ST_OK;

    if (!socket_set_has_tls(&c->next)) {
        return ST_OK;
    }
    if (listen->files == NULL) {
        return err_set(err, ST_INVALID,
                       "dns over TLS needs a certificate and its key");
    }
    if (!tls_is_new(&s->tls, listen)) {
        return ST_OK;
    }
    c->tls = (struct server_tls){.used = true,
                                 .cert = copy_of(listen->files->cert),
                                 .key = copy_of(listen->files->key),
                                 .ca = copy_of(listen->files->ca),
                                 .clients_verified = listen->clients_verified};
    CHECK(RAND_bytes(c->tls.ticket_key, sizeof(c->tls.ticket_key)) == 1);
    files = *listen->files;
    files.alpn = "dot";
    files.ticket_key = c->tls.ticket_key;
    for (unsigned i = 0; i < s->threads && st == ST_OK; i++) {
        st = tls_server_new(&files,
                            listen->clients_verified ? TLS_CLIENT_REQUIRED
                                                     : TLS_CLIENT_ANY,
                            &c->workers[i]->tls, err);
    }
    return st;
}

/* ---- A change ------------------------------------------------------------ */

void listen_change_drop(struct listen_change *c)
{
    for (size_t i = 0; i < THREADS_MAX; i++) {
        worker_change_free(c->workers[i]);
    }
    socket_set_release(&c->next);
    server_tls_release(&c->tls);
    *c = (struct listen_change){0};
}

/* The sockets are open. */
static enum status deal(struct dns_server *s,
                        const struct dns_listen_config *listen,
                        struct listen_change *c, struct err *err)
{
    enum status st = ST_OK;

    for (unsigned i = 0; i < s->threads && st == ST_OK; i++) {
        st = socket_set_deal(&c->next, i, s->threads, &c->workers[i], err);
    }
    return st ? st : tls_read(s, listen, c, err);
}

enum status listen_change_prepare(struct dns_server *s,
                                  const struct dns_listen_config *listen,
                                  struct listen_change *out_change,
                                  struct err *err)
{
    struct listen_change *c = out_change;
    enum status st =
        socket_set_next(&s->sockets, listen, s->threads, &c->next, err);

    if (st == ST_OK) {
        st = deal(s, listen, c, err);
    }
    if (st) {
        listen_change_drop(c);
    }
    return st;
}

enum status listen_change_adopt(struct dns_server *s,
                                const struct dns_server_config *config,
                                struct listen_change *out_change,
                                struct err *err)
{
    struct listen_change *c = out_change;
    enum status st =
        socket_set_adopt(&c->next, config->sockets, config->sockets_count, err);

    if (st == ST_OK) {
        st = deal(s, &config->listen, c, err);
    }
    if (st) {
        listen_change_drop(c);
    }
    return st;
}

void listen_change_commit(struct dns_server *s, struct listen_change *c)
{
    unsigned drop[WORKER_LISTENERS_MAX];
    size_t drop_count = socket_set_left(&s->sockets, &c->next, drop);

    for (size_t i = 0; i < s->workers_count; i++) {
        struct worker_change *w = c->workers[i];

        memcpy(w->drop, drop, drop_count * sizeof(drop[0]));
        w->drop_count = drop_count;
        c->workers[i] = NULL;
        dns_worker_change(s->workers[i], w);
    }
    s->sockets = c->next;
    c->next.count = 0; /* Its sockets are the workers'. */
    if (c->tls.used) {
        server_tls_release(&s->tls);
        s->tls = c->tls;
        c->tls = (struct server_tls){0};
    }
    listen_change_drop(c);
}
