/* Where requests come from: TCP, TLS, a Unix socket; bound here or handed over
 * by a service manager. */

#include <string.h>

#include "agent/io/activation.h"
#include "agent/io/front_impl.h"
#include "agent/io/listen.h"
#include "base/io/tls.h"

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

/* The files are looked at again before each handshake (base/io/tls.h). */
static enum status https_open(struct front *f,
                              const struct front_config *config,
                              struct err *err)
{
    bool verify = config->tls->verify_incoming;
    struct tls_files files = {
        .cert = config->tls->cert,
        .key = config->tls->key,
        .ca = verify ? or_null(config->tls->ca) : NULL,
    };
    struct listen_tcp where = {.where = config->https,
                               .handed = config->handed->https,
                               .conns_max = config->conns_max};
    enum status st;

    if (config->tls->cert[0] == '\0') {
        return err_set(err, ST_INVALID,
                       "https: the socket that was handed over needs "
                       "tls.defaults.cert_file and key_file");
    }
    st = tls_server_new(&files, verify ? TLS_CLIENT_REQUIRED : TLS_CLIENT_ANY,
                        &f->tls, err);
    if (st) {
        return err_prefix(err, st, "tls");
    }
    where.tls = f->tls;
    return listen_tcp(f->loop, &where, &f->handler, &f->https, err);
}

static enum status http_open(struct front *f, const struct front_config *config,
                             struct err *err)
{
    struct listen_tcp where = {.where = config->http,
                               .handed = config->handed->http,
                               .conns_max = config->conns_max};

    return listen_tcp(f->loop, &where, &f->handler, &f->http, err);
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

    if (config->http->host || handed->http >= 0) {
        st = http_open(f, config, err);
    }
    if (!st && (config->https->host || handed->https >= 0)) {
        st = https_open(f, config, err);
    }
    if (!st && (config->socket_path || handed->unix_socket >= 0)) {
        st = unix_open(f, config, err);
    }
    return st;
}
