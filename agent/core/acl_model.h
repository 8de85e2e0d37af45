/*
 * acl_model.h - what a struct acl is made of (private to acl_table.c,
 * acl_store.c).
 */
#pragma once

#include <uthash.h>

#include "agent/core/acl_table.h"

struct policy_box {
    struct acl_policy_item pub;
    struct arena arena;
    bool kept;         /* By the full read under way. */
    UT_hash_handle hh; /* By id. */
};

struct token_box {
    struct acl_token_item pub;
    uint8_t hash[ACL_HASH_BYTES];
    struct arena arena;
    bool kept;
    UT_hash_handle by_accessor;
    UT_hash_handle by_hash;
    /* Merged when first asked for; old when `merged` is not the generation. */
    struct arena rules_arena;
    struct acl_rules rules;
    bool management;
    uint64_t merged;
};

struct peer_rule {
    struct acl_peer_setting setting; /* Without its token. */
    uint8_t hash[ACL_HASH_BYTES];
};

/* A token that the configuration refers to by its secret. */
struct named_token {
    bool given;
    uint8_t hash[ACL_HASH_BYTES];
};

struct acl {
    char *datacenter;
    bool enabled;
    enum acl_default otherwise;
    bool has_management;
    uint64_t generation;
    struct policy_box *policies;
    struct token_box *tokens;  /* By accessor. */
    struct token_box *secrets; /* The same, by hash. */
    struct token_box *anonymous;
    struct peer_rule *peers;
    size_t peers_count;
    struct named_token default_token;
    struct named_token dns_token;
    struct named_token file_token;
    int64_t bootstrap_revision;
    bool bootstrap_kept;
};

/* Put in, in place of one of the same id. The box is the table's then. */
void acl_put_policy(struct acl *t, struct policy_box *p);
void acl_put_token(struct acl *t, struct token_box *k);
void acl_drop_policy(struct acl *t, struct policy_box *p);
void acl_drop_token(struct acl *t, struct token_box *k);
