#include "agent/io/activation.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    FIRST_FD = 3 /* SD_LISTEN_FDS_START */
};

/* A number in the environment; 0: none that makes sense. */
static unsigned long number_of(const char *name)
{
    const char *text = getenv(name);
    char *end;
    unsigned long value;

    if (text == NULL || text[0] < '0' || text[0] > '9') {
        return 0;
    }
    value = strtoul(text, &end, 10);
    return *end == '\0' ? value : 0;
}

static bool is_unix(int fd)
{
    struct sockaddr_storage bound;
    socklen_t len = sizeof(bound);

    return getsockname(fd, (struct sockaddr *)&bound, &len) == 0 &&
           bound.ss_family == AF_UNIX;
}

/* One listener of a kind. */
static enum status take_one(int *place, int fd, struct slice name,
                            struct err *err)
{
    if (*place >= 0) {
        return err_set(err, ST_INVALID,
                       "LISTEN_FDNAMES: two sockets are called \"%.*s\", and "
                       "one can be served",
                       (int)name.len, (const char *)name.data);
    }
    *place = fd;
    return ST_OK;
}

static enum status take(struct activation *out, int fd, struct slice name,
                        struct err *err)
{
    bool tls = slice_eq(name, slice_str("dot"));
    enum status st = ST_OK;

    if (tls || slice_eq(name, slice_str("dns"))) {
        out->dns[out->dns_count++] = (struct dns_socket){.fd = fd, .tls = tls};
    } else if (slice_eq(name, slice_str("https"))) {
        st = take_one(&out->https, fd, name, err);
    } else if (slice_eq(name, slice_str("http"))) {
        st = take_one(is_unix(fd) ? &out->unix_socket : &out->http, fd, name,
                      err);
    }
    (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    return st;
}

static enum status take_all(struct activation *out, unsigned long fds,
                            const char *name, struct err *err)
{
    if (fds > DNS_SOCKETS_MAX || name == NULL) {
        return err_set(err, ST_INVALID,
                       "LISTEN_FDS: %lu sockets were handed over, and "
                       "LISTEN_FDNAMES has to name each; give the socket units "
                       "FileDescriptorName=dns, dot, http or https",
                       fds);
    }
    for (unsigned long i = 0; i < fds; i++) {
        size_t len = strcspn(name, ":");
        enum status st = take(out, FIRST_FD + (int)i, slice_of(name, len), err);

        if (st) {
            return st;
        }
        if (name[len] == '\0' && i + 1 < fds) {
            return err_set(err, ST_INVALID,
                           "LISTEN_FDNAMES: has fewer names than LISTEN_FDS "
                           "has sockets, %lu",
                           fds);
        }
        name += len + (name[len] == ':');
    }
    return ST_OK;
}

enum status activation_take(struct activation *out, struct err *err)
{
    unsigned long fds = number_of("LISTEN_FDS");
    enum status st = ST_OK;

    out->dns_count = 0;
    out->http = out->https = out->unix_socket = -1;
    if (fds > 0 && number_of("LISTEN_PID") == (unsigned long)getpid()) {
        st = take_all(out, fds, getenv("LISTEN_FDNAMES"), err);
    }
    return st;
}
