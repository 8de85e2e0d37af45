/* dns_config.transfer: secondaries, and the keys they sign with. */

#include "agent/io/config_fields.h"
#include "base/core/limits.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

#define TRANSFER_KEY(k)            \
    .key = #k, .kind = FIELD_TEXT, \
    .offset = offsetof(struct agent_transfer_key, k)

static const struct field key_items[] = {
    {TRANSFER_KEY(name), .max = 255},
    {TRANSFER_KEY(algorithm), .max = 32},
    {TRANSFER_KEY(secret), .max = 512},
    {TRANSFER_KEY(secret_file)},
};

static void key_init(void *object)
{
    ((struct agent_transfer_key *)object)->algorithm = "hmac-sha256";
}

static enum status key_finish(struct field_reader *r, const struct json_at *at,
                              void *object)
{
    const struct agent_transfer_key *k = object;

    if (k->name == NULL || *k->name == '\0') {
        return field_error(r, at, "name is missing");
    }
    if ((k->secret != NULL && *k->secret != '\0') ==
        (k->secret_file != NULL && *k->secret_file != '\0')) {
        return field_error(r, at, "give one of secret and secret_file");
    }
    return ST_OK;
}

static const struct fields key_fields = {
    .items = key_items,
    .count = COUNT(key_items),
    .size = sizeof(struct agent_transfer_key),
    .init = key_init,
    .finish = key_finish,
};

static const struct field rule_items[] = {
    {.key = "networks",
     .kind = FIELD_TEXTS,
     .max = 64,
     .offset = offsetof(struct agent_transfer_rule, networks)},
    {.key = "key",
     .kind = FIELD_TEXT,
     .offset = offsetof(struct agent_transfer_rule, key)},
};

static const struct fields rule_fields = {
    .items = rule_items,
    .count = COUNT(rule_items),
    .size = sizeof(struct agent_transfer_rule),
};

static const struct field target_items[] = {
    {.key = "address",
     .kind = FIELD_TEXT,
     .offset = offsetof(struct agent_transfer_target, address)},
    {.key = "key",
     .kind = FIELD_TEXT,
     .offset = offsetof(struct agent_transfer_target, key)},
};

static const struct fields target_fields = {
    .items = target_items,
    .count = COUNT(target_items),
    .size = sizeof(struct agent_transfer_target),
};

#define TRANSFER(k, member) \
    .key = k, .offset = offsetof(struct agent_transfer_config, member)

static const struct field transfer_items[] = {
    {TRANSFER("keys", keys), .kind = FIELD_LIST, .max = LIMIT_DNS_TSIG_KEYS,
     .count_offset = offsetof(struct agent_transfer_config, keys_count),
     .sub = &key_fields},
    {TRANSFER("allow", allow), .kind = FIELD_LIST,
     .max = LIMIT_DNS_TRANSFER_RULES,
     .count_offset = offsetof(struct agent_transfer_config, allow_count),
     .sub = &rule_fields},
    {TRANSFER("notify", notify), .kind = FIELD_LIST,
     .max = LIMIT_DNS_TRANSFER_NOTIFY,
     .count_offset = offsetof(struct agent_transfer_config, notify_count),
     .sub = &target_fields},
    {TRANSFER("notify_interval", notify_interval_ms), .kind = FIELD_DURATION,
     .max = 3600000},
    {TRANSFER("zones", zones), .kind = FIELD_TEXTS, .max = 2},
};

static void transfer_init(void *object)
{
    ((struct agent_transfer_config *)object)->notify_interval_ms = 5000;
}

const struct fields config_transfer_fields = {
    .items = transfer_items,
    .count = COUNT(transfer_items),
    .size = sizeof(struct agent_transfer_config),
    .init = transfer_init,
};
