#include "agent/core/acl_record.h"

#include "agent/core/fields.h"
#include "agent/core/record.h"
#include "base/core/limits.h"

#define TOKEN(k, member) \
    .key = k, .offset = offsetof(struct acl_token_record, member)

static const struct field token_items[] = {
    {TOKEN("accessor", accessor), .kind = FIELD_TEXT, .max = 256},
    {TOKEN("hash", hash), .kind = FIELD_TEXT, .max = 2 * ACL_HASH_BYTES},
    {TOKEN("description", description), .kind = FIELD_TEXT, .max = 512},
    {TOKEN("policies", policies), .kind = FIELD_TEXTS, .max = LIMIT_ACL_LINKS},
    {TOKEN("created", created_s), .kind = FIELD_I64, .max = INT64_MAX},
};

static const struct fields token_fields = {
    .items = token_items,
    .count = sizeof(token_items) / sizeof(token_items[0]),
    .size = sizeof(struct acl_token_record),
};

#define POLICY(k, member) \
    .key = k, .offset = offsetof(struct acl_policy_record, member)

static const struct field policy_items[] = {
    {POLICY("id", id), .kind = FIELD_TEXT, .max = 256},
    {POLICY("name", name), .kind = FIELD_TEXT, .max = 128},
    {POLICY("description", description), .kind = FIELD_TEXT, .max = 512},
    {POLICY("rules", text), .kind = FIELD_TEXT, .max = LIMIT_ACL_POLICY_BYTES},
};

static const struct fields policy_fields = {
    .items = policy_items,
    .count = sizeof(policy_items) / sizeof(policy_items[0]),
    .size = sizeof(struct acl_policy_record),
};

enum status acl_token_write(const struct acl_token_record *r, struct buf *out)
{
    return record_fields_write(&token_fields, r, out);
}

enum status acl_policy_write(const struct acl_policy_record *r, struct buf *out)
{
    return record_fields_write(&policy_fields, r, out);
}

enum status acl_token_read(struct arena *a, struct slice value,
                           struct acl_token_record *out_record, struct err *err)
{
    struct acl_token_record record = {0};
    uint8_t hash[ACL_HASH_BYTES];
    enum status st = record_fields_read(a, &token_fields, value, &record, err);

    if (!st && (*record.accessor == '\0' || acl_hash_read(record.hash, hash))) {
        st = err_set(err, ST_CORRUPT, "accessor or hash is missing");
    }
    if (!st) {
        *out_record = record;
    }
    return st;
}

enum status acl_policy_read(struct arena *a, struct slice value,
                            struct acl_policy_record *out_record,
                            struct err *err)
{
    struct acl_policy_record record = {0};
    enum status st = record_fields_read(a, &policy_fields, value, &record, err);

    if (!st && (*record.id == '\0' || *record.name == '\0')) {
        st = err_set(err, ST_CORRUPT, "id or name is missing");
    }
    if (!st) {
        *out_record = record;
    }
    return st;
}

const char *acl_hash_text(struct arena *a, const uint8_t *hash)
{
    static const char digits[] = "0123456789abcdef";
    char *text = arena_alloc(a, 2 * ACL_HASH_BYTES + 1);

    for (size_t i = 0; i < ACL_HASH_BYTES; i++) {
        text[2 * i] = digits[hash[i] >> 4];
        text[2 * i + 1] = digits[hash[i] & 15];
    }
    text[2 * ACL_HASH_BYTES] = '\0';
    return text;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

enum status acl_hash_read(const char *text, uint8_t out_hash[ACL_HASH_BYTES])
{
    if (strlen(text) != 2 * (size_t)ACL_HASH_BYTES) {
        return ST_CORRUPT;
    }
    for (size_t i = 0; i < ACL_HASH_BYTES; i++) {
        int high = hex_value(text[2 * i]);
        int low = hex_value(text[2 * i + 1]);

        if (high < 0 || low < 0) {
            return ST_CORRUPT;
        }
        out_hash[i] = (uint8_t)(high * 16 + low);
    }
    return ST_OK;
}
