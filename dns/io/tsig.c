#include "dns/io/tsig.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <strings.h>

#include "base/core/check.h"
#include "base/core/wire.h"
#include "dns/core/question.h"

enum {
    CLASS_ANY = 255,
    TIME_BYTES = 6,
};

static const struct {
    const char *name;
    const char *digest;
    uint16_t len;
} algorithms[] = {
    [TSIG_HMAC_SHA224] = {"hmac-sha224", "SHA224", 28},
    [TSIG_HMAC_SHA256] = {"hmac-sha256", "SHA256", 32},
    [TSIG_HMAC_SHA384] = {"hmac-sha384", "SHA384", 48},
    [TSIG_HMAC_SHA512] = {"hmac-sha512", "SHA512", 64},
};

bool tsig_algorithm_parse(const char *text, enum tsig_algorithm *out)
{
    for (size_t i = 0; i < sizeof(algorithms) / sizeof(algorithms[0]); i++) {
        if (strcasecmp(text, algorithms[i].name) == 0) {
            *out = (enum tsig_algorithm)i;
            return true;
        }
    }
    return false;
}

static void algorithm_name(enum tsig_algorithm a, struct dns_name *out)
{
    *out = (struct dns_name){0};
    CHECK(dns_name_add_text(out, slice_str(algorithms[a].name)));
    CHECK(dns_name_end(out));
}

/* ---- The record -------------------------------------------------------- */

struct record {
    struct dns_name key_name; /* Lower case. */
    struct dns_name algorithm;
    uint64_t time_s;
    uint16_t fudge_s;
    struct slice mac;
    uint16_t original_id;
    uint16_t error;
    struct slice other;
};

/* Names of a TSIG record are not compressed (RFC 8945, 4.2). */
static bool read_name(struct wire_reader *r, struct dns_name *out)
{
    uint8_t label;

    *out = (struct dns_name){0};
    do {
        label = wire_u8(r);
        if (label > DNS_LABEL_MAX ||
            !dns_name_add_wire(out, slice_of(&label, 1)) ||
            !dns_name_add_wire(out, wire_bytes(r, label))) {
            return false;
        }
    } while (label != 0 && !r->failed);
    dns_name_lower(out);
    return !r->failed;
}

static uint64_t read_u48(struct wire_reader *r)
{
    uint64_t value = 0;

    for (int i = 0; i < TIME_BYTES; i++) {
        value = value << 8 | wire_u8(r);
    }
    return value;
}

static bool read_record(struct slice packet, size_t at, struct record *out)
{
    struct wire_reader r = {.rest = slice_skip(packet, at)};
    struct slice fixed;
    uint16_t len;

    if (!read_name(&r, &out->key_name)) {
        return false;
    }
    fixed = wire_bytes(&r, 8); /* Type, class, TTL. */
    len = wire_u16be(&r);
    if (r.failed || fixed.data[2] != 0 || fixed.data[3] != CLASS_ANY ||
        wire_get_u32be(fixed.data + 4) != 0 || len != r.rest.len ||
        !read_name(&r, &out->algorithm)) {
        return false;
    }
    out->time_s = read_u48(&r);
    out->fudge_s = wire_u16be(&r);
    len = wire_u16be(&r);
    out->mac = wire_bytes(&r, len);
    out->original_id = wire_u16be(&r);
    out->error = wire_u16be(&r);
    len = wire_u16be(&r);
    out->other = wire_bytes(&r, len);
    return wire_finish(&r) == ST_OK && r.rest.len == 0;
}

/* A name in a message, perhaps with a pointer at its end. */
static void skip_name(struct wire_reader *r)
{
    uint8_t label = wire_u8(r);

    while (label != 0 && label <= DNS_LABEL_MAX && !r->failed) {
        (void)wire_bytes(r, label);
        label = wire_u8(r);
    }
    if (label > DNS_LABEL_MAX) {
        (void)wire_u8(r);
    }
}

bool tsig_find(struct slice packet, size_t *out_at)
{
    struct wire_reader r = {.rest = packet};
    unsigned counts[6];
    uint16_t type = 0;

    for (size_t i = 0; i < 6; i++) {
        counts[i] = wire_u16be(&r);
    }
    for (unsigned i = 0; i < counts[2] && !r.failed; i++) {
        skip_name(&r);
        (void)wire_bytes(&r, 4);
    }
    for (unsigned i = 0; i < counts[3] + counts[4] + counts[5] && !r.failed;
         i++) {
        *out_at = packet.len - r.rest.len;
        skip_name(&r);
        type = wire_u16be(&r);
        (void)wire_bytes(&r, 6);
        (void)wire_bytes(&r, wire_u16be(&r));
    }
    return counts[5] > 0 && type == DNS_TYPE_TSIG && wire_finish(&r) == ST_OK &&
           r.rest.len == 0;
}

/* ---- The MAC ----------------------------------------------------------- */

struct digest {
    EVP_MAC *mac;
    EVP_MAC_CTX *ctx;
};

static void digest_begin(struct digest *d, const struct tsig_key *key)
{
    OSSL_PARAM params[2];

    params[0] = OSSL_PARAM_construct_utf8_string(
        OSSL_MAC_PARAM_DIGEST, (char *)algorithms[key->algorithm].digest, 0);
    params[1] = OSSL_PARAM_construct_end();
    d->mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    CHECK(d->mac != NULL);
    d->ctx = EVP_MAC_CTX_new(d->mac);
    CHECK(d->ctx != NULL);
    CHECK(EVP_MAC_init(d->ctx, key->secret, key->secret_len, params) == 1);
}

static void digest_add(struct digest *d, struct slice bytes)
{
    CHECK(EVP_MAC_update(d->ctx, bytes.data, bytes.len) == 1);
}

static void digest_u16(struct digest *d, size_t value)
{
    uint8_t bytes[2] = {(uint8_t)(value >> 8), (uint8_t)value};

    digest_add(d, slice_of(bytes, sizeof(bytes)));
}

static void put_u48(uint8_t *at, uint64_t value)
{
    for (int i = 0; i < TIME_BYTES; i++) {
        at[i] = (uint8_t)(value >> 8 * (TIME_BYTES - 1 - i));
    }
}

static void digest_time(struct digest *d, uint64_t time_s, uint16_t fudge_s)
{
    uint8_t bytes[TIME_BYTES];

    put_u48(bytes, time_s);
    digest_add(d, slice_of(bytes, sizeof(bytes)));
    digest_u16(d, fudge_s);
}

static size_t digest_end(struct digest *d, uint8_t out[TSIG_MAC_MAX])
{
    size_t len = 0;

    CHECK(EVP_MAC_final(d->ctx, out, &len, TSIG_MAC_MAX) == 1);
    EVP_MAC_CTX_free(d->ctx);
    EVP_MAC_free(d->mac);
    return len;
}

/* RFC 8945, 4.3.3: the variables, or in later messages only the times. */
static void digest_record(struct digest *d, const struct record *r,
                          bool chained)
{
    static const uint8_t class_ttl[] = {0, CLASS_ANY, 0, 0, 0, 0};

    if (chained) {
        digest_time(d, r->time_s, r->fudge_s);
        return;
    }
    digest_add(d, dns_name_slice(&r->key_name));
    digest_add(d, slice_of(class_ttl, sizeof(class_ttl)));
    digest_add(d, dns_name_slice(&r->algorithm));
    digest_time(d, r->time_s, r->fudge_s);
    digest_u16(d, r->error);
    digest_u16(d, r->other.len);
    digest_add(d, r->other);
}

/* The message as it was before the record came to it. */
static void digest_message(struct digest *d, struct slice message,
                           uint16_t original_id)
{
    uint8_t head[DNS_HEADER_BYTES];
    unsigned additional;

    memcpy(head, message.data, sizeof(head));
    head[0] = (uint8_t)(original_id >> 8);
    head[1] = (uint8_t)original_id;
    additional = (unsigned)(head[10] << 8 | head[11]) - 1;
    head[10] = (uint8_t)(additional >> 8);
    head[11] = (uint8_t)additional;
    digest_add(d, slice_of(head, sizeof(head)));
    digest_add(d, slice_skip(message, sizeof(head)));
}

static void digest_mac(struct digest *d, const struct tsig *t)
{
    digest_u16(d, t->mac_len);
    digest_add(d, slice_of(t->mac, t->mac_len));
}

/* ---- Verifying --------------------------------------------------------- */

static const struct tsig_key *key_of(const struct record *r,
                                     const struct tsig_key *keys, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct dns_name algorithm;

        algorithm_name(keys[i].algorithm, &algorithm);
        if (slice_eq(dns_name_slice(&keys[i].name),
                     dns_name_slice(&r->key_name)) &&
            slice_eq(dns_name_slice(&algorithm),
                     dns_name_slice(&r->algorithm))) {
            return &keys[i];
        }
    }
    return NULL;
}

static uint64_t distance(uint64_t a, uint64_t b)
{
    return a > b ? a - b : b - a;
}

/* RFC 8945, 5.2.2.1: half of it, ten bytes at least, may be sent; we want the
 * whole. */
static bool length_allowed(size_t len, size_t whole)
{
    return len <= whole && len >= 10 && len >= whole / 2;
}

static enum tsig_error judge(const struct record *r, const uint8_t *mac,
                             size_t whole, uint64_t now_s)
{
    if (CRYPTO_memcmp(r->mac.data, mac, r->mac.len) != 0) {
        return TSIG_BADSIG;
    }
    if (distance(r->time_s, now_s) > r->fudge_s) {
        return TSIG_BADTIME;
    }
    return r->mac.len < whole ? TSIG_BADTRUNC : TSIG_OK;
}

enum tsig_verdict tsig_request(struct slice packet, size_t at,
                               const struct tsig_key *keys, size_t keys_count,
                               uint64_t now_s, struct tsig *out)
{
    uint8_t mac[TSIG_MAC_MAX];
    struct record r;
    struct digest d;
    size_t whole;

    if (!read_record(packet, at, &r)) {
        return TSIG_MALFORMED;
    }
    *out = (struct tsig){.key_name = r.key_name,
                         .algorithm = r.algorithm,
                         .original_id = r.original_id,
                         .time_s = r.time_s,
                         .request_seen = true};
    out->key = key_of(&r, keys, keys_count);
    if (out->key == NULL) {
        out->error = TSIG_BADKEY;
        return TSIG_BAD;
    }
    whole = algorithms[out->key->algorithm].len;
    if (!length_allowed(r.mac.len, whole)) {
        return TSIG_MALFORMED;
    }
    digest_begin(&d, out->key);
    digest_message(&d, slice_of(packet.data, at), r.original_id);
    digest_record(&d, &r, false);
    CHECK(digest_end(&d, mac) == whole);
    out->error = judge(&r, mac, whole, now_s);
    out->mac_len = (uint16_t)r.mac.len;
    memcpy(out->mac, r.mac.data, r.mac.len);
    return out->error == TSIG_OK ? TSIG_GOOD : TSIG_BAD;
}

void tsig_begin(struct tsig *t, const struct tsig_key *key)
{
    *t = (struct tsig){.key = key, .key_name = key->name};
    algorithm_name(key->algorithm, &t->algorithm);
}

bool tsig_response(const struct tsig *t, struct slice packet, size_t at,
                   uint64_t now_s)
{
    uint8_t mac[TSIG_MAC_MAX];
    struct record r;
    struct digest d;
    size_t whole = algorithms[t->key->algorithm].len;

    if (!read_record(packet, at, &r) || key_of(&r, t->key, 1) == NULL ||
        r.mac.len != whole) {
        return false;
    }
    digest_begin(&d, t->key);
    digest_mac(&d, t);
    digest_message(&d, slice_of(packet.data, at), r.original_id);
    digest_record(&d, &r, false);
    CHECK(digest_end(&d, mac) == whole);
    return judge(&r, mac, whole, now_s) == TSIG_OK && r.error == TSIG_OK;
}

/* ---- Signing ----------------------------------------------------------- */

static void put(uint8_t **at, struct slice bytes)
{
    if (bytes.len > 0) {
        memcpy(*at, bytes.data, bytes.len);
    }
    *at += bytes.len;
}

static void put_u16(uint8_t **at, size_t value)
{
    uint8_t bytes[2] = {(uint8_t)(value >> 8), (uint8_t)value};

    put(at, slice_of(bytes, sizeof(bytes)));
}

static size_t append(const struct record *r, uint8_t *message, size_t len)
{
    uint8_t *at = message + len;
    uint8_t time[TIME_BYTES];

    put_u48(time, r->time_s);
    put(&at, dns_name_slice(&r->key_name));
    put_u16(&at, DNS_TYPE_TSIG);
    put_u16(&at, CLASS_ANY);
    put_u16(&at, 0);
    put_u16(&at, 0);
    put_u16(&at,
            r->algorithm.len + TIME_BYTES + 10 + r->mac.len + r->other.len);
    put(&at, dns_name_slice(&r->algorithm));
    put(&at, slice_of(time, sizeof(time)));
    put_u16(&at, r->fudge_s);
    put_u16(&at, r->mac.len);
    put(&at, r->mac);
    put_u16(&at, r->original_id);
    put_u16(&at, r->error);
    put_u16(&at, r->other.len);
    put(&at, r->other);
    return (size_t)(at - message);
}

size_t tsig_sign(struct tsig *t, uint8_t *message, size_t len, uint64_t now_s)
{
    uint8_t now[TIME_BYTES];
    unsigned additional = (unsigned)(message[10] << 8 | message[11]) + 1;
    struct record r = {.key_name = t->key_name,
                       .algorithm = t->algorithm,
                       .time_s = now_s,
                       .fudge_s = TSIG_FUDGE_S,
                       .original_id = (uint16_t)(message[0] << 8 | message[1]),
                       .error = (uint16_t)t->error};
    struct digest d;

    message[10] = (uint8_t)(additional >> 8);
    message[11] = (uint8_t)additional;
    if (t->error == TSIG_BADTIME) {
        /* The client's time, and beside it what we think it is. */
        put_u48(now, now_s);
        r.time_s = t->time_s;
        r.other = slice_of(now, sizeof(now));
    }
    if (t->error == TSIG_BADKEY || t->error == TSIG_BADSIG) {
        return append(&r, message, len); /* Not signed: RFC 8945, 5.3.2. */
    }
    digest_begin(&d, t->key);
    if (t->request_seen) {
        digest_mac(&d, t);
    }
    digest_message(&d, slice_of(message, len), r.original_id);
    digest_record(&d, &r, t->chained);
    t->mac_len = (uint16_t)digest_end(&d, t->mac);
    t->chained = t->request_seen;
    r.mac = slice_of(t->mac, t->mac_len);
    return append(&r, message, len);
}
