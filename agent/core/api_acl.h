/*
 * api_acl.h - what the handlers of /v1/acl/ share (private to api_acl*.c).
 */
#pragma once

#include "agent/core/acl_record.h"
#include "agent/core/api_model.h"

/* A policy as a token's body names it: by one of the two. */
struct acl_link {
    const char *id;
    const char *name;
};

struct acl_body {
    const char *accessor;
    const char *secret;
    const char *id;
    const char *name;
    const char *description;
    const char *rules;
    const struct acl_link *links;
    size_t links_count;
    /* Refused when they say something. */
    uint64_t ttl_ms;
    const char *expires;
    const void *absent[4];
    size_t absent_count[4];
};

/* Access control is on, and the token has acl:read or acl:write. False: the
 * reply is made. */
bool acl_gate(struct api_call *call, enum acl_access wanted);

/* The request's body; an empty one says nothing. False: the reply is made. */
bool acl_read_body(struct api_call *call, struct acl_body *out_body);

/* "xxxxxxxx-xxxx-4xxx-axxx-xxxxxxxxxxxx" of 16 random bytes; and whether a text
 * has that form, in lower case. */
const char *acl_uuid(struct arena *a, const uint8_t bytes[16]);
bool acl_is_uuid(const char *text);

/* One write, which is answered with the outcome's body (see api_txn_done) when
 * the replica shows it. `mod_revision`: of what is replaced; 0: it is new. */
void acl_put(struct api_call *call, struct slice key, enum status st,
             struct buf *value, int64_t mod_revision);
void acl_delete(struct api_call *call, struct slice key, int64_t mod_revision);

/* `secret` NULL: hidden. */
void acl_write_token(struct api_call *call, const struct acl_token_item *token,
                     const char *secret);
void acl_write_policy(struct api_call *call, const struct acl_policy_item *p,
                      bool with_rules);

/* Make a token of the first two parts of the request's random bytes, and of
 * what is given in `record`; the reply shows it with its secret. */
void acl_create_token(struct api_call *call, struct acl_token_record record,
                      const char *secret);
