#include "agent/io/activation.h"

#include <stdlib.h>
#include <string.h>
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

static bool is_named(const char *name, size_t len, const char *wanted)
{
    return len == strlen(wanted) && memcmp(name, wanted, len) == 0;
}

enum status activation_dns(struct dns_socket *out, size_t *out_count,
                           struct err *err)
{
    unsigned long fds = number_of("LISTEN_FDS");
    const char *name = getenv("LISTEN_FDNAMES");
    size_t count = 0;

    *out_count = 0;
    if (fds == 0 || number_of("LISTEN_PID") != (unsigned long)getpid()) {
        return ST_OK;
    }
    if (fds > DNS_SOCKETS_MAX || name == NULL) {
        return err_set(err, ST_INVALID,
                       "LISTEN_FDS: %lu sockets were handed over, and "
                       "LISTEN_FDNAMES has to name each; give the socket units "
                       "FileDescriptorName=dns or dot",
                       fds);
    }
    for (unsigned long i = 0; i < fds; i++) {
        size_t len = strcspn(name, ":");
        bool tls = is_named(name, len, "dot");

        if (tls || is_named(name, len, "dns")) {
            out[count++] =
                (struct dns_socket){.fd = FIRST_FD + (int)i, .tls = tls};
        }
        if (name[len] == '\0' && i + 1 < fds) {
            return err_set(err, ST_INVALID,
                           "LISTEN_FDNAMES: has fewer names than LISTEN_FDS "
                           "has sockets, %lu",
                           fds);
        }
        name += len + (name[len] == ':');
    }
    *out_count = count;
    return ST_OK;
}
