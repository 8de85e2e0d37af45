#include "agent/io/listen.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "agent/io/account.h"
#include "base/io/http_server.h"
#include "base/io/line_server.h"

const char *listen_text(const struct agent_listen *where, char *out,
                        size_t out_len)
{
    if (strchr(where->host, ':')) {
        (void)snprintf(out, out_len, "[%s]:%u", where->host, where->port);
    } else {
        (void)snprintf(out, out_len, "%s:%u", where->host, where->port);
    }
    return out;
}

enum status listen_folder_make(const char *path, unsigned mode,
                               struct err *out_err)
{
    char part[4096];
    size_t len = strlen(path);

    if (len == 0 || len >= sizeof(part)) {
        return err_set(out_err, ST_INVALID, "%s: not a usable path", path);
    }
    for (size_t i = 1; i <= len; i++) {
        if (path[i] != '/' && path[i] != '\0') {
            continue;
        }
        memcpy(part, path, i);
        part[i] = '\0';
        if (mkdir(part, mode) && errno != EEXIST) {
            return err_set(out_err, errno == EACCES ? ST_DENIED : ST_IO,
                           "folder %s cannot be made: %s", part,
                           strerror(errno));
        }
    }
    return ST_OK;
}

void listen_raise_files(void)
{
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) == 0 &&
        files.rlim_cur < files.rlim_max) {
        /* 64k is enough for all listeners' connections. */
        files.rlim_cur = files.rlim_max < 65536 ? files.rlim_max : 65536;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
}

/* Those who are one too many are told so: 429 rather than silence. */
#define REFUSED_MAX 64

/* Never more than we may open files. */
static void limit_conns(struct server_config *config, unsigned conns_max)
{
    config->conns_max =
        conns_max < server_conns_default() ? conns_max : server_conns_default();
    config->refused_max = REFUSED_MAX;
}

enum status listen_tcp(struct loop *loop, const struct listen_tcp *where,
                       const struct http_handler *handler,
                       struct server **out_server, struct err *out_err)
{
    struct server_config config;
    char address[300];
    enum status st;

    server_config_init(&config);
    config.fd = where->handed;
    if (config.fd < 0) {
        config.address = listen_text(where->where, address, sizeof(address));
    }
    config.http = handler;
    config.tls = where->tls;
    config.beside = where->instead != NULL;
    limit_conns(&config, where->conns_max);
    if (where->instead) {
        server_share_port(where->instead, true);
    }
    st = server_start(loop, &config, out_server, out_err);
    if (where->instead) {
        server_share_port(where->instead, false);
    }
    return st ? err_prefix(out_err, st, where->tls ? "https" : "http") : ST_OK;
}

static enum status folder_of(const char *path, struct err *err)
{
    char folder[4096];
    const char *slash = strrchr(path, '/');

    if (!slash || slash == path) {
        return ST_OK;
    }
    (void)snprintf(folder, sizeof(folder), "%.*s", (int)(slash - path), path);
    return listen_folder_make(folder, 0755, err);
}

/* Makes its folder and finds its owner. */
static enum status unix_prepare(const struct listen_unix *where,
                                struct server_config *config, struct err *err)
{
    enum status st = folder_of(where->path, err);

    config->socket_mode = where->mode;
    if (!st && where->user[0] != '\0') {
        st = account_user(where->user, &config->socket_uid, err);
    }
    if (!st && where->group[0] != '\0') {
        st = account_group(where->group, &config->socket_gid, err);
    }
    return st;
}

/* What is spoken there is in `config` already. */
static enum status listen_path(struct loop *loop,
                               const struct listen_unix *where,
                               struct server_config *config,
                               struct server **out_server, struct err *out_err)
{
    char address[4200];
    enum status st = ST_OK;

    config->fd = where->handed;
    limit_conns(config, where->conns_max);
    if (where->handed < 0) {
        (void)snprintf(address, sizeof(address), "unix:%s", where->path);
        config->address = address;
        st = unix_prepare(where, config, out_err);
    }
    if (!st) {
        st = server_start(loop, config, out_server, out_err);
    }
    if (st) {
        return err_prefix(out_err, st, "socket %s (choose with --%s)",
                          where->handed < 0 ? where->path : "handed over",
                          where->flag);
    }
    return ST_OK;
}

enum status listen_unix(struct loop *loop, const struct listen_unix *where,
                        const struct http_handler *handler,
                        struct server **out_server, struct err *out_err)
{
    struct server_config config;

    server_config_init(&config);
    config.http = handler;
    return listen_path(loop, where, &config, out_server, out_err);
}

enum status listen_lines(struct loop *loop, const struct listen_unix *where,
                         const struct line_handler *handler,
                         struct server **out_server, struct err *out_err)
{
    struct server_config config;

    server_config_init(&config);
    config.lines = handler;
    return listen_path(loop, where, &config, out_server, out_err);
}
