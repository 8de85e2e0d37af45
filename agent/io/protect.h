/*
 * protect.h - what the configuration says about floods, cookies and
 * connections, for the DNS server.
 *
 * The key of the DNS cookies lies in the data folder (dns-cookie.key, 32 bytes,
 * mode 0600), made when it is missing. So cookies hold over a restart, and
 * agents that share an address (anycast) can be given the same file.
 */
#pragma once

#include "agent/io/config.h"
#include "dns/io/server.h"

/* Read it, or make it. ST_IO, ST_CORRUPT (it has not 32 bytes): err says what
 * to do. */
enum status protect_key(const char *data_dir,
                        uint8_t out_key[DNS_COOKIE_KEY_BYTES], struct err *err);

void protect_settings(const struct agent_dns_config *c,
                      const uint8_t key[DNS_COOKIE_KEY_BYTES],
                      struct dns_protection *out);
