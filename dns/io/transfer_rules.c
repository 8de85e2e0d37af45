#include "dns/io/transfer_rules.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/core/check.h"

enum {
    SECRET_MIN = 16,
    KEY_NAME_MAX = 50, /* In wire form: 512 bytes have room for question, OPT
                          and a signature. */
};

static bool read_name(const char *text, struct dns_name *out)
{
    *out = (struct dns_name){0};
    if (!dns_name_add_text(out, slice_str(text)) || !dns_name_end(out)) {
        return false;
    }
    dns_name_lower(out);
    return true;
}

static enum status read_key(struct tsig_key *key,
                            const struct dns_transfer_key *from,
                            struct err *err)
{
    if (!read_name(from->name, &key->name) || key->name.len > KEY_NAME_MAX) {
        return err_set(err, ST_INVALID,
                       "transfer key \"%s\": its name is no DNS name of up to "
                       "%d letters",
                       from->name, KEY_NAME_MAX - 2);
    }
    if (!tsig_algorithm_parse(from->algorithm, &key->algorithm)) {
        return err_set(err, ST_INVALID,
                       "transfer key \"%s\": \"%s\" is not one of "
                       "hmac-sha224, hmac-sha256, hmac-sha384, hmac-sha512",
                       from->name, from->algorithm);
    }
    if (from->secret.len < SECRET_MIN ||
        from->secret.len > sizeof(key->secret)) {
        return err_set(err, ST_INVALID,
                       "transfer key \"%s\": a secret has %d to %zu bytes, in "
                       "base64; make one with: openssl rand -base64 32",
                       from->name, SECRET_MIN, sizeof(key->secret));
    }
    key->secret_len = (uint16_t)from->secret.len;
    memcpy(key->secret, from->secret.data, from->secret.len);
    return ST_OK;
}

static enum status read_keys(struct transfer_rules *r,
                             const struct dns_transfer_config *config,
                             struct err *err)
{
    enum status st = ST_OK;

    if (config->keys_count > LIMIT_DNS_TSIG_KEYS) {
        return err_set(err, ST_INVALID, "transfer keys: at most %d",
                       LIMIT_DNS_TSIG_KEYS);
    }
    for (size_t i = 0; i < config->keys_count && !st; i++) {
        st = read_key(&r->keys[r->keys_count++], &config->keys[i], err);
    }
    return st;
}

/* `name` may be NULL. */
static enum status find_key(const struct transfer_rules *r, const char *name,
                            const struct tsig_key **out, struct err *err)
{
    struct dns_name wanted;

    *out = NULL;
    if (name == NULL) {
        return ST_OK;
    }
    for (size_t i = 0; read_name(name, &wanted) && i < r->keys_count; i++) {
        if (slice_eq(dns_name_slice(&r->keys[i].name),
                     dns_name_slice(&wanted))) {
            *out = &r->keys[i];
            return ST_OK;
        }
    }
    return err_set(err, ST_NOT_FOUND,
                   "transfer: there is no key \"%s\" among its keys", name);
}

static enum status read_rule(const struct transfer_rules *r,
                             struct transfer_rule *rule,
                             const struct dns_transfer_rule *from,
                             struct err *err)
{
    enum status st = find_key(r, from->key, &rule->key, err);

    if (!st && from->networks_count == 0 && from->key == NULL) {
        return err_set(err, ST_INVALID,
                       "transfer allow: name a key, or networks, or both; "
                       "for everybody: \"0.0.0.0/0\", \"::/0\"");
    }
    if (!st && from->networks_count > RULE_NETWORKS_MAX) {
        return err_set(err, ST_INVALID,
                       "transfer allow: at most %d networks in a rule",
                       RULE_NETWORKS_MAX);
    }
    for (size_t i = 0; i < from->networks_count && !st; i++) {
        st = dns_network_parse(from->networks[i],
                               &rule->networks[rule->networks_count++]);
        if (st) {
            return err_set(err, ST_INVALID,
                           "transfer allow: \"%s\" is not a network such as "
                           "\"192.0.2.0/24\" or \"2001:db8::/32\"",
                           from->networks[i]);
        }
    }
    return st;
}

static enum status read_allow(struct transfer_rules *r,
                              const struct dns_transfer_config *config,
                              struct err *err)
{
    enum status st = ST_OK;

    if (config->allow_count > LIMIT_DNS_TRANSFER_RULES) {
        return err_set(err, ST_INVALID, "transfer allow: at most %d rules",
                       LIMIT_DNS_TRANSFER_RULES);
    }
    r->allow = calloc(config->allow_count + 1, sizeof(r->allow[0]));
    CHECK(r->allow != NULL);
    for (size_t i = 0; i < config->allow_count && !st; i++) {
        st = read_rule(r, &r->allow[r->allow_count++], &config->allow[i], err);
    }
    return st;
}

static enum status read_targets(struct transfer_rules *r,
                                const struct dns_transfer_config *config,
                                struct err *err)
{
    enum status st = ST_OK;

    if (config->notify_count > LIMIT_DNS_TRANSFER_NOTIFY) {
        return err_set(err, ST_INVALID, "transfer notify: at most %d",
                       LIMIT_DNS_TRANSFER_NOTIFY);
    }
    for (size_t i = 0; i < config->notify_count && !st; i++) {
        struct transfer_target *t = &r->targets[r->targets_count++];

        st = dns_address_parse(config->notify[i].address, 53, "transfer notify",
                               &t->to, err);
        if (!st) {
            st = find_key(r, config->notify[i].key, &t->key, err);
        }
    }
    return st;
}

static enum status read_zones(struct transfer_rules *r,
                              const struct dns_transfer_config *config,
                              struct err *err)
{
    if (config->zones_count > TRANSFER_ZONES_MAX) {
        return err_set(err, ST_INVALID, "transfer zones: at most %d",
                       TRANSFER_ZONES_MAX);
    }
    for (size_t i = 0; i < config->zones_count; i++) {
        if (!read_name(config->zones[i], &r->zones[r->zones_count++])) {
            return err_set(err, ST_INVALID,
                           "transfer zones: \"%s\" is no DNS name",
                           config->zones[i]);
        }
    }
    return ST_OK;
}

enum status transfer_rules_new(const struct dns_transfer_config *config,
                               struct transfer_rules **out_rules,
                               struct err *err)
{
    struct transfer_rules *r;
    enum status st;

    *out_rules = NULL;
    if (config == NULL ||
        config->keys_count + config->allow_count + config->notify_count == 0) {
        return ST_OK;
    }
    r = calloc(1, sizeof(*r));
    CHECK(r != NULL);
    atomic_store(&r->refs, 1);
    r->interval_ms = config->notify_interval_ms;
    (void)snprintf(r->serial_path, sizeof(r->serial_path), "%s",
                   config->serial_path == NULL ? "" : config->serial_path);
    st = read_keys(r, config, err);
    if (!st) {
        st = read_allow(r, config, err);
    }
    if (!st) {
        st = read_targets(r, config, err);
    }
    if (!st) {
        st = read_zones(r, config, err);
    }
    if (st) {
        transfer_rules_unref(r);
        return st;
    }
    *out_rules = r;
    return ST_OK;
}

struct transfer_rules *transfer_rules_ref(struct transfer_rules *r)
{
    atomic_fetch_add(&r->refs, 1);
    return r;
}

void transfer_rules_unref(struct transfer_rules *r)
{
    if (r != NULL && atomic_fetch_sub(&r->refs, 1) == 1) {
        OPENSSL_cleanse(r->keys, sizeof(r->keys));
        free(r->allow);
        free(r);
    }
}

static bool rule_allows(const struct transfer_rule *rule, struct slice ip,
                        const struct tsig_key *key)
{
    if (rule->key != NULL && rule->key != key) {
        return false;
    }
    for (size_t i = 0; i < rule->networks_count; i++) {
        if (dns_network_has(&rule->networks[i], ip)) {
            return true;
        }
    }
    return rule->networks_count == 0;
}

bool transfer_rules_allow(const struct transfer_rules *r, struct slice ip,
                          const struct tsig_key *key)
{
    for (size_t i = 0; i < r->allow_count; i++) {
        if (rule_allows(&r->allow[i], ip, key)) {
            return true;
        }
    }
    return false;
}

bool transfer_rules_zone(const struct transfer_rules *r, struct slice name)
{
    for (size_t i = 0; i < r->zones_count; i++) {
        if (dns_same(dns_name_slice(&r->zones[i]), name)) {
            return true;
        }
    }
    return r->zones_count == 0;
}
