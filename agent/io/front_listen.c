/* Where requests come from: TCP, TLS, a Unix socket; bound here or handed over
 * by a service manager. */

#include <stdlib.h>
#include <string.h>

#include "agent/io/activation.h"
#include "agent/io/front_impl.h"
#include "agent/io/listen.h"
#include "base/core/check.h"
#include "base/core/log.h"
#include "base/io/tls.h"

/* Replies of a listener that goes: the longest poll, with its jitter. */
#define GOING_MS ((uint64_t)11 * 60 * 1000)

uint16_t front_port(const struct front *f)
{
    return f->http ? server_port(f->http) : 0;
}

uint16_t front_https_port(const struct front *f)
{
    return f->https ? server_port(f->https) : 0;
}

const char *front_address(const struct front *f)
{
    return f->http ? server_address(f->http) : NULL;
}

const char *front_https_address(const struct front *f)
{
    return f->https ? server_address(f->https) : NULL;
}

const char *front_socket_path(const struct front *f)
{
    return f->unix_socket ? server_address(f->unix_socket) + strlen("unix:")
                          : NULL;
}

static const char *or_null(const char *text)
{
    return text[0] == '\0' ? NULL : text;
}

/* ---- What is wanted ------------------------------------------------------ */

void front_wanted_free(char *wanted[FRONT_WANTS])
{
    for (size_t i = 0; i < FRONT_WANTS; i++) {
        free(wanted[i]);
        wanted[i] = NULL;
    }
}

static char *address_text(const struct agent_listen *where)
{
    char text[LISTEN_TEXT] = "";
    char *copy =
        strdup(where->host ? listen_text(where, text, sizeof(text)) : "");

    CHECK(copy != NULL);
    return copy;
}

static void wanted_read(const struct front_config *config,
                        char *out[FRONT_WANTS])
{
    const struct agent_tls_config *tls = config->tls;
    struct arena arena = {0};

    out[WANT_HTTP] = address_text(config->http);
    out[WANT_HTTPS] = address_text(config->https);
    out[WANT_TLS] = strdup(
        arena_printf(&arena, "%s\n%s\n%s\n%s", tls->cert, tls->key, tls->ca,
                     tls->verify_incoming ? "verified" : "any"));
    CHECK(out[WANT_TLS] != NULL);
    arena_release(&arena);
}

/* ---- Opening ------------------------------------------------------------- */

/* The files are looked at again before each handshake (base/io/tls.h). */
static enum status tls_open(const struct front_config *config,
                            struct tls **out_tls, struct err *err)
{
    bool verify = config->tls->verify_incoming;
    struct tls_files files = {
        .cert = config->tls->cert,
        .key = config->tls->key,
        .ca = verify ? or_null(config->tls->ca) : NULL,
    };
    enum status st;

    if (config->tls->cert[0] == '\0') {
        return err_set(err, ST_INVALID,
                       "https: the socket that was handed over needs "
                       "tls.defaults.cert_file and key_file");
    }
    st = tls_server_new(&files, verify ? TLS_CLIENT_REQUIRED : TLS_CLIENT_ANY,
                        out_tls, err);
    return st ? err_prefix(err, st, "tls") : ST_OK;
}

static enum status https_open(struct front *f,
                              const struct front_config *config,
                              struct tls *tls, struct server **out,
                              struct err *err)
{
    struct listen_tcp where = {.where = config->https,
                               .handed = config->handed->https,
                               .conns_max = config->conns_max,
                               .instead = f->https,
                               .tls = tls};

    return listen_tcp(f->loop, &where, &f->handler, out, err);
}

static enum status http_open(struct front *f, const struct front_config *config,
                             struct server **out, struct err *err)
{
    struct listen_tcp where = {.where = config->http,
                               .handed = config->handed->http,
                               .conns_max = config->conns_max,
                               .instead = f->http};

    return listen_tcp(f->loop, &where, &f->handler, out, err);
}

static enum status unix_open(struct front *f, const struct front_config *config,
                             struct err *err)
{
    struct listen_unix where = {.path = config->socket_path,
                                .handed = config->handed->unix_socket,
                                .conns_max = config->conns_max,
                                .mode = config->socket_mode,
                                .user = config->socket_user,
                                .group = config->socket_group,
                                .flag = "socket"};

    return listen_unix(f->loop, &where, &f->handler, &f->unix_socket, err);
}

enum status front_listen(struct front *f, const struct front_config *config,
                         struct err *err)
{
    const struct activation *handed = config->handed;
    enum status st = ST_OK;

    wanted_read(config, f->wanted);
    if (config->http->host || handed->http >= 0) {
        st = http_open(f, config, &f->http, err);
    }
    if (!st && (config->https->host || handed->https >= 0)) {
        st = tls_open(config, &f->tls, err);
        if (!st) {
            st = https_open(f, config, f->tls, &f->https, err);
        }
    }
    if (!st && (config->socket_path || handed->unix_socket >= 0)) {
        st = unix_open(f, config, err);
    }
    return st;
}

/* ---- Other ones ---------------------------------------------------------- */

struct front_relisten {
    char *wanted[FRONT_WANTS];
    bool http_moves;
    bool https_moves;
    struct server *http; /* Ready; NULL: it is to be off. */
    struct server *https;
    struct tls *tls; /* NULL: the present one stays. */
};

void front_relisten_drop(struct front_relisten *r)
{
    if (!r) {
        return;
    }
    if (r->http) {
        server_stop(r->http, 0, NULL, NULL);
    }
    if (r->https) {
        server_stop(r->https, 0, NULL, NULL);
    }
    tls_free(r->tls);
    front_wanted_free(r->wanted);
    free(r);
}

static bool is_new(const struct front *f, const struct front_relisten *r,
                   enum front_want which)
{
    return strcmp(f->wanted[which], r->wanted[which]) != 0;
}

static enum status prepare(struct front *f, const struct front_config *config,
                           struct front_relisten *r, struct err *err)
{
    bool has_https = config->https->host || config->handed->https >= 0;
    enum status st = ST_OK;

    r->http_moves = is_new(f, r, WANT_HTTP) && config->handed->http < 0;
    r->https_moves = is_new(f, r, WANT_HTTPS) && config->handed->https < 0;
    if (has_https && (!f->tls || is_new(f, r, WANT_TLS))) {
        st = tls_open(config, &r->tls, err);
    }
    if (!st && r->http_moves && config->http->host) {
        st = http_open(f, config, &r->http, err);
    }
    if (!st && r->https_moves && config->https->host) {
        st = https_open(f, config, r->tls ? r->tls : f->tls, &r->https, err);
    }
    return st;
}

enum status front_relisten_prepare(struct front *f,
                                   const struct front_config *config,
                                   struct front_relisten **out,
                                   struct err *out_err)
{
    struct front_relisten *r = calloc(1, sizeof(*r));
    enum status st;

    CHECK(r != NULL);
    wanted_read(config, r->wanted);
    st = prepare(f, config, r, out_err);
    if (st) {
        front_relisten_drop(r);
        return st;
    }
    *out = r;
    return ST_OK;
}

static void say_moved(const char *what, const char *where)
{
    log_info("agent", "%s listens on %s", what,
             where[0] != '\0' ? where : "nothing");
}

void front_relisten_commit(struct front *f, struct front_relisten *r)
{
    struct tls *before = NULL;

    if (r->http_moves) {
        front_server_end(f, f->http, GOING_MS);
        f->http = r->http;
        say_moved("http", r->wanted[WANT_HTTP]);
    }
    if (r->https_moves) {
        front_server_end(f, f->https, GOING_MS);
        f->https = r->https;
        say_moved("https", r->wanted[WANT_HTTPS]);
    } else if (r->tls && f->https) {
        (void)server_set_tls(f->https, r->tls);
    }
    if (r->tls) {
        before = f->tls;
        f->tls = r->tls;
        r->tls = NULL;
    }
    tls_free(before); /* Connections that use it live on. */
    r->http = NULL;
    r->https = NULL;
    front_wanted_free(f->wanted);
    memcpy(f->wanted, r->wanted, sizeof(f->wanted));
    memset(r->wanted, 0, sizeof(r->wanted));
    front_relisten_drop(r);
}
