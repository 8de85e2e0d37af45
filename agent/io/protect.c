#include "agent/io/protect.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <unistd.h>

#include "base/core/check.h"
#include "base/io/whole_file.h"

static enum status fail(struct err *err, const char *path)
{
    return err_set(err, ST_IO, "%s: %s", path, strerror(errno));
}

static enum status key_make(const char *path, uint8_t *out_key, struct err *err)
{
    CHECK(RAND_bytes(out_key, DNS_COOKIE_KEY_BYTES) == 1);
    return whole_file_write(path, 0600, slice_of(out_key, DNS_COOKIE_KEY_BYTES),
                            err);
}

enum status protect_key(const char *data_dir,
                        uint8_t out_key[DNS_COOKIE_KEY_BYTES], struct err *err)
{
    uint8_t bytes[DNS_COOKIE_KEY_BYTES + 1];
    char path[4100];
    ssize_t len;
    int fd;

    (void)snprintf(path, sizeof(path), "%s/dns-cookie.key", data_dir);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return errno == ENOENT ? key_make(path, out_key, err) : fail(err, path);
    }
    len = read(fd, bytes, sizeof(bytes));
    (void)close(fd);
    if (len < 0) {
        return fail(err, path);
    }
    if (len != DNS_COOKIE_KEY_BYTES) {
        return err_set(err, ST_CORRUPT,
                       "%s: holds %zd bytes, not %d; remove it, and a new one "
                       "is made",
                       path, len, DNS_COOKIE_KEY_BYTES);
    }
    memcpy(out_key, bytes, DNS_COOKIE_KEY_BYTES);
    return ST_OK;
}

void protect_settings(const struct agent_dns_config *c,
                      const uint8_t key[DNS_COOKIE_KEY_BYTES],
                      struct dns_protection *out)
{
    dns_protection_init(out);
    out->rate.per_second = c->rrl.responses_per_second;
    out->rate.slip = c->rrl.slip;
    out->cookies = c->cookies;
    out->udp_max_remote = (uint16_t)c->udp_max_remote;
    memcpy(out->cookie_key, key, DNS_COOKIE_KEY_BYTES);
    out->tcp_idle_ms = (uint32_t)c->tcp.idle_timeout_ms;
    out->tcp_conns_max = c->tcp.connections;
    out->tcp_conns_per_client = c->tcp.connections_per_client;
    out->networks_count = 0;
    for (size_t i = 0; i < c->rrl.exempt.count; i++) {
        /* Looked at when the configuration was read. */
        CHECK(dns_network_parse(c->rrl.exempt.items[i],
                                &out->networks[out->networks_count++]) ==
              ST_OK);
    }
}
