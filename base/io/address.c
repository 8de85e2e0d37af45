#include "base/io/address.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

static bool port_parse(const char *port, uint16_t *out_port)
{
    unsigned value = 0;

    if (*port == '\0' || strlen(port) > 5) {
        return false;
    }
    for (; *port != '\0'; port++) {
        if (*port < '0' || *port > '9') {
            return false;
        }
        value = value * 10 + (unsigned)(*port - '0');
    }
    *out_port = (uint16_t)value;
    return value <= UINT16_MAX;
}

static enum status parse_unix(const char *path, struct address *a,
                              struct err *err)
{
    if (*path == '\0' || strlen(path) >= sizeof(a->path)) {
        return err_set(err, ST_INVALID,
                       "\"unix:%s\": the path of a Unix socket must have 1 to "
                       "%zu bytes",
                       path, sizeof(a->path) - 1);
    }
    a->is_unix = true;
    (void)snprintf(a->path, sizeof(a->path), "%s", path);
    return ST_OK;
}

enum status address_parse(const char *text, struct address *out_address,
                          struct err *err)
{
    struct address a = {0};
    const char *host = text;
    const char *colon = strrchr(text, ':');
    size_t host_len;

    if (strncmp(text, "unix:", 5) == 0) {
        enum status st = parse_unix(text + 5, &a, err);

        if (st == ST_OK) {
            *out_address = a;
        }
        return st;
    }
    if (colon == NULL || !port_parse(colon + 1, &a.port_number)) {
        return err_set(err, ST_INVALID,
                       "\"%s\" is not an address: host:port with a port of 0 "
                       "to 65535, or unix:/path, is wanted",
                       text);
    }
    host_len = (size_t)(colon - text);
    if (host_len >= 2 && host[0] == '[' && host[host_len - 1] == ']') {
        host++;
        host_len -= 2;
    } else if (memchr(host, ':', host_len) != NULL) {
        return err_set(err, ST_INVALID,
                       "\"%s\": an IPv6 address stands in brackets, [::1]:80",
                       text);
    }
    if (host_len >= sizeof(a.host)) {
        return err_set(err, ST_INVALID, "\"%.40s...\": the name is too long",
                       text);
    }
    memcpy(a.host, host, host_len);
    memcpy(a.port, colon + 1, strlen(colon + 1) + 1);
    *out_address = a;
    return ST_OK;
}

void address_print(const struct sockaddr *sa, char *out, size_t cap)
{
    char host[INET6_ADDRSTRLEN] = "?";

    if (sa->sa_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)sa;

        (void)uv_ip6_name(v6, host, sizeof(host)); /* It is big enough. */
        (void)snprintf(out, cap, "[%s]:%u", host, ntohs(v6->sin6_port));
        return;
    }
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)sa;

    (void)uv_ip4_name(v4, host, sizeof(host)); /* It is big enough. */
    (void)snprintf(out, cap, "%s:%u", host, ntohs(v4->sin_port));
}
