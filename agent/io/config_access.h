/*
 * config_access.h - who may do what, as the configuration says it: acl,
 * http_config, tls. Private to config*.c.
 */
#pragma once

#include "agent/core/acl_policy.h"
#include "agent/core/fields.h"
#include "agent/io/config.h"

struct config_policy {
    const char *name;
    struct acl_policy rules;
    const char *hcl; /* The same as text; one of the two. */
};

struct config_peer {
    const char *uid; /* Name or number; "": any. */
    const char *gid;
    const char *token;
};

struct config_acl {
    bool enabled;
    int default_policy; /* enum acl_default */
    const struct config_policy *policies;
    size_t policies_count;
    const struct acl_token_setting *tokens;
    size_t tokens_count;
    const struct config_peer *peers;
    size_t peers_count;
    struct texts anonymous;
    struct {
        const char *management;
        const char *standard;
        const char *dns;
        const char *files;
    } named;
};

struct config_http {
    struct texts writers;
    struct texts hosts;
};

struct config_tls_side {
    const char *ca_file;
    const char *cert_file;
    const char *key_file;
    bool verify_incoming;
    int version; /* The only word is the default. */
};

struct config_tls {
    struct config_tls_side defaults;
    struct config_tls_side https;
};

extern const struct fields config_acl_fields;
extern const struct fields config_http_fields;
extern const struct fields config_tls_fields;

/* Owners of sockets may be given by number: as texts, so that the table can
 * read them. */
void config_access_texts(struct json_t *root);

/* Each key that `side` does not have is taken from `other`; both may ask for
 * client certificates. */
void config_tls_join(struct config_tls_side *side,
                     const struct config_tls_side *other);

/* What the keys say, into `c`, for agent_config_finish(). ST_INVALID: err says
 * which key and why. */
enum status config_access_take(struct agent_config *c,
                               const struct config_acl *acl,
                               const struct config_http *http,
                               const struct config_tls *tls, struct err *err);
