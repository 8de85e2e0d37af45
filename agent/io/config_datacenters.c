/* remote_datacenters: which others the agent follows, and where their stores
 * are. */

#include <strings.h>

#include "agent/io/config_fields.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* Labels that mean something at their place in a DNS name. */
static const char *const taken[] = {
    "addr", "connect", "dc",      "ingress", "node",
    "ns",   "query",   "service", "virtual",
};

static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789-_";

static bool is_taken(const char *name)
{
    for (size_t i = 0; i < COUNT(taken); i++) {
        if (strcmp(name, taken[i]) == 0) {
            return true;
        }
    }
    return false;
}

enum status config_rule_datacenters(struct field_reader *r,
                                    const struct json_at *at, const void *value)
{
    const struct config_keys *k =
        (const void *)((const char *)value -
                       offsetof(struct config_keys, datacenters));

    for (size_t i = 0; i < k->datacenters_count; i++) {
        const char *name = k->datacenters[i].name;
        size_t len = strlen(name);

        if (len == 0 || len > 63 || strspn(name, letters) != len) {
            return field_error(r, at,
                               "\"%.64s\" is not a name of up to 63 "
                               "lower-case letters, digits, '-' and '_'",
                               name);
        }
        if (is_taken(name)) {
            return field_error(r, at,
                               "\"%s\" has a meaning of its own in DNS names; "
                               "a datacenter cannot be called so",
                               name);
        }
    }
    return ST_OK;
}

#define KEY(k, member) \
    .key = (k), .offset = offsetof(struct agent_datacenter, member)

static const struct field items[] = {
    {KEY("store", store), .kind = FIELD_TEXTS, .max = LIMIT_STORE_ENDPOINTS},
    {KEY("store_cacert", cacert), .kind = FIELD_TEXT},
    {KEY("store_cert", cert), .kind = FIELD_TEXT},
    {KEY("store_key", key), .kind = FIELD_TEXT},
};

static enum status finish(struct field_reader *r, const struct json_at *at,
                          void *object)
{
    const struct agent_datacenter *d = object;

    if ((*d->cert == '\0') != (*d->key == '\0')) {
        return field_error(r, at,
                           "store_cert and store_key are given together or not "
                           "at all");
    }
    return ST_OK;
}

const struct fields config_datacenter_fields = {
    .items = items,
    .count = COUNT(items),
    .size = sizeof(struct agent_datacenter),
    .finish = finish,
};

static const char *or_null(const char *text)
{
    return text[0] == '\0' ? NULL : text;
}

enum status config_datacenters_take(struct agent_config *c,
                                    const struct config_keys *k,
                                    struct err *err)
{
    struct agent_datacenter *all =
        arena_zalloc(&c->arena, k->datacenters_count, sizeof(*all));

    for (size_t i = 0; i < k->datacenters_count; i++) {
        struct agent_datacenter *d = &all[i];

        *d = k->datacenters[i];
        if (strcasecmp(d->name, c->datacenter) == 0) {
            return err_set(err, ST_INVALID,
                           "remote_datacenters: \"%s\" is our own datacenter",
                           d->name);
        }
        d->cacert = or_null(d->cacert);
        d->cert = or_null(d->cert);
        d->key = or_null(d->key);
        if (d->cacert == NULL && d->cert == NULL) {
            d->cacert = c->store_cacert;
            d->cert = c->store_cert;
            d->key = c->store_key;
        }
    }
    c->datacenters = all;
    c->datacenters_count = k->datacenters_count;
    c->translate_wan_addrs = k->translate_wan_addrs;
    return ST_OK;
}
