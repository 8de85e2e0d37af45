/*
 * acl_table.h - the tokens and policies that this agent knows.
 *
 * Some are written in its configuration (acl_configure), the others lie in the
 * store (acl_apply), at
 *
 *   /muster/v1/<dc>/acl/token/<accessor>   acl_token_write()
 *   /muster/v1/<dc>/acl/policy/<name>      acl_policy_write()
 *   /muster/v1/<dc>/acl/bootstrap          the accessor of the first token
 *
 * and are kept with the replica, so that a token works with the store gone.
 * Secrets are forgotten once they were hashed (SHA-256); the store has hashes
 * too. A token names its policies by their id, so a policy may be renamed.
 *
 * Pure. Pointers handed out are good until the table changes.
 */
#pragma once

#include "agent/core/acl.h"
#include "agent/core/catalog.h"

#define ACL_HASH_BYTES        32
#define ACL_ANONYMOUS         "00000000-0000-0000-0000-000000000002"
#define ACL_GLOBAL_MANAGEMENT "global-management"
#define ACL_GLOBAL_ID         "00000000-0000-0000-0000-000000000001"

struct acl;

enum acl_default {
    ACL_DEFAULT_READ, /* Reading is for everybody, the rest is not. */
    ACL_DEFAULT_DENY,
    ACL_DEFAULT_ALLOW
};

/* ---- From the configuration --------------------------------------- */

struct acl_policy_setting {
    const char *name;
    const char *text; /* As acl_rules_parse() reads it, without fail. */
};

struct acl_token_setting {
    const char *secret;
    const char *accessor; /* "": made of the secret's hash. */
    const char *description;
    struct texts policies; /* Names. */
};

/* Who comes by the Unix socket. */
struct acl_peer_setting {
    bool has_uid;
    bool has_gid;
    uint32_t uid; /* If has_uid, it must be this one, */
    uint32_t gid; /* and if has_gid, this is one of its groups. */
    const char *token;
};

struct acl_settings {
    bool enabled;
    enum acl_default otherwise;
    const struct acl_policy_setting *policies;
    size_t policies_count;
    const struct acl_token_setting *tokens;
    size_t tokens_count;
    const struct acl_peer_setting *peers; /* The first that fits counts. */
    size_t peers_count;
    struct texts anonymous;    /* Policies of requests without token. */
    const char *management;    /* A secret for everything; "": none. */
    const char *default_token; /* Of requests without one; "": none. */
    const char *dns_token;     /* What DNS may show; "": as without token. */
    const char *file_token;    /* Of sidecar files that name none; "": they need
                                  none. */
};

struct acl *acl_new(const char *datacenter);
void acl_free(struct acl *t); /* NULL is fine. */

/* Take the settings in place of those before; copied. */
void acl_configure(struct acl *t, const struct acl_settings *settings);

bool acl_enabled(const struct acl *t); /* NULL: no. */
enum acl_default acl_default_policy(const struct acl *t);

/* Whether the configuration has a token for everything. */
bool acl_has_management(const struct acl *t);

/* Grows with every change of what anybody may do. */
uint64_t acl_generation(const struct acl *t);

/* ---- From the store ----------------------------------------------- */

/* Changes; with `full`, what is not among `events` is gone. Other keys are
 * passed over; records that cannot be read count as deleted. */
void acl_apply(struct acl *t, const struct catalog_event *events,
               size_t events_count, bool full);

/* ---- Who asks ----------------------------------------------------- */

struct acl_caller {
    struct slice secret; /* The token that was sent; empty: none. */
    bool by_socket;      /* The following are known. */
    uint32_t uid;
    const uint32_t *groups; /* The main one, and the others. */
    size_t groups_count;
};

enum acl_found {
    ACL_FOUND,
    ACL_UNKNOWN_TOKEN /* There is no such token. */
};

/* Rights of a caller: by the token sent, else by the socket's peer, else by the
 * agent's default token, else those of the anonymous one. *out_own tells
 * whether it was one of the first two. */
enum acl_found acl_identify(struct acl *t, const struct acl_caller *caller,
                            struct acl_auth *out_auth, bool *out_own);

/* Rights that DNS shows the world by, and those of a sidecar file: `token` is
 * the one it names, or "". ACL_UNKNOWN_TOKEN as above. */
enum acl_found acl_for_dns(struct acl *t, struct acl_auth *out_auth);
enum acl_found acl_for_file(struct acl *t, const char *token,
                            struct acl_auth *out_auth);

/* Rights of a token that a record names: by "sha256:" and the hash of its
 * secret in hex, or, in records of before, by the secret. */
enum acl_found acl_for_record(struct acl *t, const char *token,
                              struct acl_auth *out_auth);
bool acl_is_hashed(const char *token);
/* A secret as such records have it. */
const char *acl_hashed(struct arena *a, const char *secret);

void acl_hash(struct slice secret, uint8_t out_hash[ACL_HASH_BYTES]);

/* ---- What is there (for the API) ---------------------------------- */

struct acl_policy_item {
    const char *id;
    const char *name;
    const char *description;
    const char *text;
    bool from_store;  /* Else it cannot be changed by the API. */
    struct slice key; /* In the store. */
    int64_t create_revision;
    int64_t mod_revision;
    struct acl_rules rules;
};

struct acl_token_item {
    const char *accessor;
    const char *description;
    const uint8_t *hash;   /* ACL_HASH_BYTES. */
    struct texts policies; /* Ids. */
    int64_t created_s;     /* Unix time; 0: not known. */
    bool from_store;
    struct slice key;
    int64_t create_revision;
    int64_t mod_revision;
};

/* By id or, for policies, by name in any case. NULL: none. */
const struct acl_token_item *acl_token(const struct acl *t,
                                       const char *accessor);
const struct acl_token_item *acl_token_of_secret(const struct acl *t,
                                                 struct slice secret);
const struct acl_policy_item *acl_policy_by_id(const struct acl *t,
                                               const char *id);
const struct acl_policy_item *acl_policy_by_name(const struct acl *t,
                                                 const char *name);

/* In order of accessor and name. */
typedef void (*acl_token_fn)(void *ctx, const struct acl_token_item *token);
typedef void (*acl_policy_fn)(void *ctx, const struct acl_policy_item *policy);
void acl_each_token(const struct acl *t, acl_token_fn fn, void *ctx);
void acl_each_policy(const struct acl *t, acl_policy_fn fn, void *ctx);
size_t acl_tokens_count(const struct acl *t);
size_t acl_policies_count(const struct acl *t);

/* The bootstrap key's mod revision; 0: it is not there. */
int64_t acl_bootstrap_revision(const struct acl *t);

/* Keys of the store, from the arena. */
struct slice acl_token_key(const struct acl *t, struct arena *a,
                           const char *accessor);
struct slice acl_policy_key(const struct acl *t, struct arena *a,
                            const char *name);
struct slice acl_bootstrap_key(const struct acl *t, struct arena *a);
