/*
 * transfer_rules.h - which secondaries there are, and what they may: the
 * configuration, parsed. Immutable, and counted by all threads.
 */
#pragma once

#include <stdatomic.h>

#include "dns/core/network.h"
#include "dns/core/zone.h"
#include "dns/io/address.h"
#include "dns/io/server.h"
#include "dns/io/tsig.h"

enum {
    RULE_NETWORKS_MAX = 64,
    TRANSFER_ZONES_MAX = 2,
};

struct transfer_rule {
    const struct tsig_key *key; /* NULL: unsigned. */
    size_t networks_count;      /* 0: from anywhere. */
    struct dns_network networks[RULE_NETWORKS_MAX];
};

struct transfer_target {
    union address to;
    const struct tsig_key *key; /* NULL: unsigned. */
};

struct transfer_rules {
    atomic_uint refs;
    struct tsig_key keys[LIMIT_DNS_TSIG_KEYS];
    size_t keys_count;
    struct transfer_rule *allow;
    size_t allow_count;
    struct transfer_target targets[LIMIT_DNS_TRANSFER_NOTIFY];
    size_t targets_count;
    uint32_t interval_ms;
    struct dns_name zones[TRANSFER_ZONES_MAX]; /* Lower case, with root. */
    size_t zones_count;                        /* 0: all of ours. */
    char serial_path[4096];                    /* "": none. */
};

/* *out_rules is NULL when nothing is configured. ST_INVALID, ST_NOT_FOUND. */
enum status transfer_rules_new(const struct dns_transfer_config *config,
                               struct transfer_rules **out_rules,
                               struct err *err);
struct transfer_rules *transfer_rules_ref(struct transfer_rules *r);
void transfer_rules_unref(struct transfer_rules *r); /* NULL is fine. */

/* `ip` has 4 or 16 bytes; `key`: NULL: unsigned. */
bool transfer_rules_allow(const struct transfer_rules *r, struct slice ip,
                          const struct tsig_key *key);

/* Whether the zone of this name (wire form, root) is for secondaries. */
bool transfer_rules_zone(const struct transfer_rules *r, struct slice name);
