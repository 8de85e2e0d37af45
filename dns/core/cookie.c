#include "dns/core/cookie.h"

#include "base/core/check.h"
#include "base/core/hash.h"
#include "base/core/wire.h"

enum {
    PERIOD_S = 86400,
    AGE_MAX_S = 3600,  /* RFC 9018, 4.3. */
    AHEAD_MAX_S = 300, /* The same: clocks differ. */
    CLIENT_BYTES = 8,
    VERSION = 1,
    STAMP_AT = 12, /* Behind version and three reserved bytes. */
    HASH_AT = 16
};

uint32_t dns_cookie_period(uint32_t made_s)
{
    return made_s / PERIOD_S;
}

bool dns_cookie_timely(struct slice option, uint32_t now_s,
                       uint32_t *out_made_s)
{
    int32_t age_s;

    if (option.len != DNS_COOKIE_BYTES ||
        option.data[CLIENT_BYTES] != VERSION) {
        return false;
    }
    *out_made_s = wire_get_u32be(option.data + STAMP_AT);
    age_s = (int32_t)(now_s - *out_made_s); /* RFC 1982. */
    return age_s <= AGE_MAX_S && age_s >= -AHEAD_MAX_S;
}

/* RFC 9018, 4.4: over all that stands before it, and the client's address. */
static void put_hash(const uint8_t *secret, const uint8_t *cookie,
                     struct slice client_ip, uint8_t out[8])
{
    uint8_t input[HASH_AT + 16];

    CHECK(client_ip.len <= 16);
    memcpy(input, cookie, HASH_AT);
    memcpy(input + HASH_AT, client_ip.data, client_ip.len);
    wire_put_u64(
        out, hash_siphash24(secret, slice_of(input, HASH_AT + client_ip.len)));
}

bool dns_cookie_good(const uint8_t *secret, struct slice option,
                     struct slice client_ip)
{
    uint8_t hash[8];
    unsigned differs = 0;

    put_hash(secret, option.data, client_ip, hash);
    for (unsigned i = 0; i < sizeof(hash); i++) { /* In constant time. */
        differs |= hash[i] ^ option.data[HASH_AT + i];
    }
    return differs == 0;
}

void dns_cookie_make(const uint8_t *secret, struct slice option,
                     struct slice client_ip, uint32_t now_s,
                     uint8_t out_cookie[DNS_COOKIE_BYTES])
{
    CHECK(option.len >= CLIENT_BYTES);
    memcpy(out_cookie, option.data, CLIENT_BYTES);
    memset(out_cookie + CLIENT_BYTES, 0, 4);
    out_cookie[CLIENT_BYTES] = VERSION;
    wire_put_u32be(out_cookie + STAMP_AT, now_s);
    put_hash(secret, out_cookie, client_ip, out_cookie + HASH_AT);
}
