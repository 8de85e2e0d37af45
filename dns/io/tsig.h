/*
 * tsig.h - signed messages (RFC 8945): HMACs with a key that both sides know.
 *
 * ldns has TSIG, but only for messages that are its own objects; ours are
 * packed already, up to 64 KiB of them at a time. What is done here is checked
 * against ldns by unit.dns_tsig.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/core/limits.h"
#include "dns/core/name.h"

enum tsig_algorithm {
    TSIG_HMAC_SHA224,
    TSIG_HMAC_SHA256,
    TSIG_HMAC_SHA384,
    TSIG_HMAC_SHA512,
};

struct tsig_key {
    struct dns_name name; /* With root, lower case. */
    enum tsig_algorithm algorithm;
    uint16_t secret_len;
    uint8_t secret[LIMIT_DNS_TSIG_SECRET];
};

/* "hmac-sha256". false: not one of ours; MD5 and SHA-1 are none. */
bool tsig_algorithm_parse(const char *text, enum tsig_algorithm *out);

enum {
    TSIG_MAC_MAX = 64,
    TSIG_FUDGE_S = 300,
    TSIG_FIXED = 10 + 16 + TSIG_MAC_MAX + 6, /* All but two names. */
    TSIG_ROOM = 255 + 255 + TSIG_FIXED,
};

enum tsig_error {
    TSIG_OK = 0,
    TSIG_BADSIG = 16,
    TSIG_BADKEY = 17,
    TSIG_BADTIME = 18,
    TSIG_BADTRUNC = 22,
};

/* A conversation: a request, and the responses to it. */
struct tsig {
    const struct tsig_key *key; /* NULL: a key that we do not have. */
    enum tsig_error error;      /* Of the request. */
    struct dns_name key_name;   /* As the request has them. */
    struct dns_name algorithm;
    uint16_t original_id;
    uint64_t time_s; /* Of the request, for BADTIME. */
    bool request_seen;
    bool chained; /* One response was signed: the next ones are shorter. */
    uint16_t mac_len;
    uint8_t mac[TSIG_MAC_MAX]; /* Of the message before. */
};

enum tsig_verdict {
    TSIG_GOOD,
    TSIG_BAD,       /* Answer NOTAUTH, and tsig_sign() it: out->error. */
    TSIG_MALFORMED, /* FORMERR */
};

/* Look at a request whose TSIG record is at `at`. Keys are borrowed. */
enum tsig_verdict tsig_request(struct slice packet, size_t at,
                               const struct tsig_key *keys, size_t keys_count,
                               uint64_t now_s, struct tsig *out);

/* Where the TSIG record of a message is, its last one. false: it has none, or
 * its records cannot be read. */
bool tsig_find(struct slice packet, size_t *out_at);

/* Begin a conversation of ours. */
void tsig_begin(struct tsig *t, const struct tsig_key *key);

/* What it needs at most. */
static inline size_t tsig_room(const struct tsig *t)
{
    return t->key_name.len + t->algorithm.len + (size_t)TSIG_FIXED;
}

/* Append TSIG to a message that has TSIG_ROOM bytes behind its end; returns its
 * new length. */
size_t tsig_sign(struct tsig *t, uint8_t *message, size_t len, uint64_t now_s);

/* Whether a response is the one to the request that tsig_sign() has signed.
 * `at` is where its TSIG is. */
bool tsig_response(const struct tsig *t, struct slice packet, size_t at,
                   uint64_t now_s);
