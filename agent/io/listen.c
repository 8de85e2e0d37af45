#include "agent/io/listen.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/io/http_server.h"

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

enum status listen_tcp(struct loop *loop, const struct agent_listen *where,
                       struct tls *tls, unsigned conns_max,
                       const struct http_handler *handler,
                       struct server **out_server, struct err *out_err)
{
    struct server_config config;
    char address[300];
    enum status st;

    server_config_init(&config);
    config.address = listen_text(where, address, sizeof(address));
    config.http = handler;
    config.tls = tls;
    limit_conns(&config, conns_max);
    st = server_start(loop, &config, out_server, out_err);
    return st ? err_prefix(out_err, st, tls ? "https" : "http") : ST_OK;
}

static enum status user_find(const char *name, uid_t *out_uid, struct err *err)
{
    struct passwd room;
    struct passwd *found = NULL;
    char buffer[16384];
    char *end;
    unsigned long number = strtoul(name, &end, 10);

    if (*end == '\0' && name[0] != '\0') {
        *out_uid = (uid_t)number;
        return ST_OK;
    }
    if (getpwnam_r(name, &room, buffer, sizeof(buffer), &found) || !found) {
        return err_set(err, ST_INVALID, "socket: there is no user \"%s\"",
                       name);
    }
    *out_uid = found->pw_uid;
    return ST_OK;
}

static enum status group_find(const char *name, gid_t *out_gid, struct err *err)
{
    struct group room;
    struct group *found = NULL;
    char buffer[16384];
    char *end;
    unsigned long number = strtoul(name, &end, 10);

    if (*end == '\0' && name[0] != '\0') {
        *out_gid = (gid_t)number;
        return ST_OK;
    }
    if (getgrnam_r(name, &room, buffer, sizeof(buffer), &found) || !found) {
        return err_set(err, ST_INVALID, "socket: there is no group \"%s\"",
                       name);
    }
    *out_gid = found->gr_gid;
    return ST_OK;
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

enum status listen_unix(struct loop *loop, const struct listen_unix *where,
                        const struct http_handler *handler,
                        struct server **out_server, struct err *out_err)
{
    struct server_config config;
    char address[4200];
    enum status st = folder_of(where->path, out_err);

    server_config_init(&config);
    (void)snprintf(address, sizeof(address), "unix:%s", where->path);
    config.address = address;
    config.http = handler;
    limit_conns(&config, where->conns_max);
    config.socket_mode = where->mode;
    if (!st && where->user[0] != '\0') {
        st = user_find(where->user, &config.socket_uid, out_err);
    }
    if (!st && where->group[0] != '\0') {
        st = group_find(where->group, &config.socket_gid, out_err);
    }
    if (!st) {
        st = server_start(loop, &config, out_server, out_err);
    }
    if (st) {
        return err_prefix(out_err, st, "socket %s (choose with --socket)",
                          where->path);
    }
    return ST_OK;
}
