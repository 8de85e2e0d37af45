/* Binding and listening, with errors that say what is in the way. */

#include "base/io/listener.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/core/check.h"
#include "base/io/server.h"

#define BACKLOG 1024

static enum status uv_status(int error)
{
    switch (error) {
    case UV_EADDRINUSE:
        return ST_EXISTS;
    case UV_EACCES:
    case UV_EPERM:
        return ST_DENIED;
    default:
        return ST_IO;
    }
}

static enum status listen_failed(const char *address, int error,
                                 struct err *err)
{
    return err_set(err, uv_status(error), "cannot listen at %s: %s", address,
                   uv_strerror(error));
}

static void read_port(struct listener *l)
{
    struct sockaddr_storage bound;
    int len = sizeof(bound);

    CHECK(uv_tcp_getsockname(&l->tcp, (struct sockaddr *)&bound, &len) == 0);
    address_print((struct sockaddr *)&bound, l->address, sizeof(l->address));
    l->port = bound.ss_family == AF_INET6
                  ? ntohs(((struct sockaddr_in6 *)&bound)->sin6_port)
                  : ntohs(((struct sockaddr_in *)&bound)->sin_port);
}

static enum status resolve(const struct address *a, struct addrinfo **out_list,
                           struct err *err)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    const char *host = a->host[0] == '\0' ? NULL : a->host;
    int error;

    if (host == NULL) {
        hints.ai_family = AF_INET6; /* Takes IPv4 as well. */
        if (getaddrinfo(NULL, a->port, &hints, out_list) == 0) {
            return ST_OK;
        }
        hints.ai_family = AF_INET;
    }
    error = getaddrinfo(host, a->port, &hints, out_list);
    if (error) {
        return err_set(err, ST_INVALID, "cannot listen at %s:%s: %s", a->host,
                       a->port, gai_strerror(error));
    }
    return ST_OK;
}

void listener_share_port(struct listener *l, bool shared)
{
    int on = shared;
    uv_os_fd_t fd;

    if (l->handle.type == UV_TCP && uv_fileno(&l->handle, &fd) == 0) {
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
    }
}

/* 0, or libuv's error. */
static int bind_beside(struct listener *l, const struct addrinfo *at)
{
    int on = 1;
    int fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int error;

    if (fd < 0) {
        return uv_translate_sys_error(errno);
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
    error = bind(fd, at->ai_addr, at->ai_addrlen) == 0
                ? uv_tcp_open(&l->tcp, fd)
                : uv_translate_sys_error(errno);
    if (error) {
        (void)close(fd);
    }
    return error;
}

static enum status listen_tcp(struct listener *l, const struct address *a,
                              bool beside, uv_connection_cb on_connection,
                              struct err *err)
{
    struct addrinfo *list;
    enum status st = resolve(a, &list, err);
    int error;

    if (st) {
        return st;
    }
    address_print(list->ai_addr, l->address, sizeof(l->address));
    error =
        beside ? bind_beside(l, list) : uv_tcp_bind(&l->tcp, list->ai_addr, 0);
    freeaddrinfo(list);
    if (error == 0) {
        error = uv_listen(&l->stream, BACKLOG, on_connection);
    }
    if (error) {
        return listen_failed(l->address, error, err);
    }
    if (beside) {
        listener_share_port(l, false);
    }
    read_port(l);
    return ST_OK;
}

/* Whether a program answers at the Unix socket. */
static bool unix_answers(const char *path)
{
    struct sockaddr_un sun = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    bool answers;

    CHECK(strlen(path) < sizeof(sun.sun_path));
    memcpy(sun.sun_path, path, strlen(path) + 1);
    answers = fd < 0 ||
              connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == 0 ||
              errno != ECONNREFUSED;
    if (fd >= 0) {
        (void)close(fd); /* Nothing was written. */
    }
    return answers;
}

/* A program that was killed leaves its socket file, and bind(2) fails on it. */
static enum status unix_clear_way(const char *path, struct err *err)
{
    struct stat st;

    if (lstat(path, &st)) {
        return ST_OK; /* Not there, or bind(2) tells what is wrong. */
    }
    if (!S_ISSOCK(st.st_mode)) {
        return err_set(err, ST_EXISTS,
                       "cannot listen at %s: the file is not a socket", path);
    }
    if (unix_answers(path)) {
        return err_set(err, ST_EXISTS,
                       "cannot listen at %s: another program does", path);
    }
    if (unlink(path)) {
        return err_set(err, ST_DENIED, "cannot replace the stale socket %s: %s",
                       path, uv_strerror(uv_translate_sys_error(errno)));
    }
    return ST_OK;
}

/* Nobody can connect before listen(2), so there is no moment with other
 * permissions than those asked for. */
static enum status unix_set_access(const struct server_config *config,
                                   const char *path, struct err *err)
{
    mode_t mode = config->socket_mode != 0 ? config->socket_mode : 0660;

    if (chmod(path, mode)) {
        return err_set(err, ST_DENIED, "cannot set the mode of %s: %s", path,
                       uv_strerror(uv_translate_sys_error(errno)));
    }
    if ((config->socket_uid != (uid_t)-1 || config->socket_gid != (gid_t)-1) &&
        chown(path, config->socket_uid, config->socket_gid)) {
        return err_set(err, ST_DENIED, "cannot set the owner of %s: %s", path,
                       uv_strerror(uv_translate_sys_error(errno)));
    }
    return ST_OK;
}

static enum status listen_unix(struct listener *l,
                               const struct server_config *config,
                               const char *path, uv_connection_cb on_connection,
                               struct err *err)
{
    enum status st = unix_clear_way(path, err);
    int error;

    if (st) {
        return st;
    }
    error = uv_pipe_bind(&l->pipe, path);
    if (error) {
        return listen_failed(path, error, err);
    }
    st = unix_set_access(config, path, err);
    if (st) {
        return st;
    }
    error = uv_listen(&l->stream, BACKLOG, on_connection);
    if (error) {
        return listen_failed(path, error, err);
    }
    (void)snprintf(l->address, sizeof(l->address), "unix:%s", path);
    return ST_OK;
}

void listener_init(struct listener *l, uv_loop_t *loop, bool is_unix)
{
    if (is_unix) {
        CHECK(uv_pipe_init(loop, &l->pipe, 0) == 0);
    } else {
        CHECK(uv_tcp_init(loop, &l->tcp) == 0);
    }
}

/* ---- sockets that were handed over ---- */

enum status listener_kind(int fd, bool *out_is_unix, struct err *err)
{
    struct sockaddr_storage bound;
    socklen_t len = sizeof(bound);
    int type = 0;
    socklen_t type_len = sizeof(type);

    if (getsockname(fd, (struct sockaddr *)&bound, &len) != 0 ||
        getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_len) != 0 ||
        type != SOCK_STREAM ||
        (bound.ss_family != AF_UNIX && bound.ss_family != AF_INET &&
         bound.ss_family != AF_INET6)) {
        return err_set(err, ST_INVALID,
                       "descriptor %d, which was handed over, is no bound TCP "
                       "or Unix socket",
                       fd);
    }
    *out_is_unix = bound.ss_family == AF_UNIX;
    return ST_OK;
}

static void read_path(struct listener *l)
{
    char path[108];
    size_t len = sizeof(path) - 1;

    if (uv_pipe_getsockname(&l->pipe, path, &len)) {
        len = 0;
    }
    path[len] = '\0';
    (void)snprintf(l->address, sizeof(l->address), "unix:%s", path);
}

static enum status adopt(struct listener *l, int fd,
                         uv_connection_cb on_connection, struct err *err)
{
    bool is_unix = l->handle.type == UV_NAMED_PIPE;
    int error = is_unix ? uv_pipe_open(&l->pipe, fd) : uv_tcp_open(&l->tcp, fd);

    if (error == 0) {
        error = uv_listen(&l->stream, BACKLOG, on_connection);
    }
    if (error) {
        return listen_failed("a socket that was handed over", error, err);
    }
    if (is_unix) {
        read_path(l);
    } else {
        read_port(l);
    }
    return ST_OK;
}

enum status listener_open(struct listener *l,
                          const struct server_config *config,
                          const struct address *address,
                          uv_connection_cb on_connection, struct err *err)
{
    if (config->fd >= 0) {
        return adopt(l, config->fd, on_connection, err);
    }
    return address->is_unix
               ? listen_unix(l, config, address->path, on_connection, err)
               : listen_tcp(l, address, config->beside, on_connection, err);
}
