/*
 * zone.h - an immutable picture of all names, made by dns_model_commit().
 *
 * A zone may be read by any number of threads at once, without a lock or a
 * count. Whoever publishes it sees to it that dns_zone_free() comes after the
 * last reader has moved on to a younger zone (dns/io/publish.h).
 *
 * Names are kept below their domain: "web.service", "v3.web.service",
 * "edge-07.node", "5.2.0.192.in-addr"; the key of the table is this rest in
 * lower-case wire form without the root label. One entry serves all the forms
 * of a name (both domains, with and without the datacenter, RFC 2782).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/core/bytes.h"
#include "dns/core/model.h"

/* In the order of making: zones must be freed in ascending sequence. */
uint64_t dns_zone_sequence(const struct dns_zone *z);

/* Names and services in it, for metrics. */
size_t dns_zone_names(const struct dns_zone *z);

/* Services whose SRV answer, addresses included, is longer than a TCP message:
 * how many there are, and the names of some that became so with this zone. The
 * names are borrowed until the zone is published. */
#define DNS_OVERSIZED_NAMES 8
size_t dns_zone_oversized(const struct dns_zone *z);
size_t dns_zone_new_oversized(const struct dns_zone *z,
                              struct slice out_names[DNS_OVERSIZED_NAMES]);

void dns_zone_free(struct dns_zone *z); /* NULL is fine. */
