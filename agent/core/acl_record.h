/*
 * acl_record.h - tokens and policies as JSON values in the store.
 *
 * A token's value has the hash of its secret, in hex, not the secret.
 */
#pragma once

#include "agent/core/acl_table.h"

struct acl_token_record {
    const char *accessor;
    const char *hash; /* Hex. */
    const char *description;
    struct texts policies; /* Ids. */
    int64_t created_s;
};

struct acl_policy_record {
    const char *id;
    const char *name;
    const char *description;
    const char *text;
};

/* ST_TOO_BIG: over out's limit. */
enum status acl_token_write(const struct acl_token_record *r, struct buf *out);
enum status acl_policy_write(const struct acl_policy_record *r,
                             struct buf *out);

/* ST_CORRUPT or ST_TOO_BIG: err says why. Strings from the arena. */
enum status acl_token_read(struct arena *a, struct slice value,
                           struct acl_token_record *out_record,
                           struct err *err);
enum status acl_policy_read(struct arena *a, struct slice value,
                            struct acl_policy_record *out_record,
                            struct err *err);

/* ACL_HASH_BYTES to 64 hex digits, and back. ST_CORRUPT: they are not. */
const char *acl_hash_text(struct arena *a, const uint8_t *hash);
enum status acl_hash_read(const char *text, uint8_t out_hash[ACL_HASH_BYTES]);
