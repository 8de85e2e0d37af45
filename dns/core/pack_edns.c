#include "dns/core/pack_edns.h"

#include "base/core/check.h"
#include "base/core/limits.h"

enum {
    OPTION_CLIENT_SUBNET = 8,
    OPTION_COOKIE = 10,
    OPTION_KEEPALIVE = 11,
    OPTION_PADDING = 12,
    OPTION_EXTENDED_ERROR = 15,
    OPTION_HEAD = 4,
    FIXED = 11
};

static void opt_u16(struct dns_opt *o, unsigned value)
{
    o->bytes[o->len++] = (uint8_t)(value >> 8);
    o->bytes[o->len++] = (uint8_t)value;
}

static void opt_bytes(struct dns_opt *o, unsigned code, struct slice body)
{
    opt_u16(o, code);
    opt_u16(o, (unsigned)body.len);
    memcpy(o->bytes + o->len, body.data, body.len);
    o->len = (uint8_t)(o->len + body.len);
}

/* What depends on how the query came. */
static void opt_transport(struct dns_opt *o, const struct dns_question *q,
                          const struct dns_transport *t)
{
    if (t->cookie.len > 0) {
        CHECK(t->cookie.len == DNS_COOKIE_BYTES);
        opt_bytes(o, OPTION_COOKIE, t->cookie);
    }
    if (q->edns.keepalive && t->idle_ds > 0) {
        opt_u16(o, OPTION_KEEPALIVE);
        opt_u16(o, 2);
        opt_u16(o, t->idle_ds);
    }
    if (q->edns.padding) {
        o->pad_block = t->pad_block;
    }
}

void dns_opt_make(const struct dns_question *q, const struct dns_transport *t,
                  uint16_t udp_size, enum dns_rcode rcode, int extended_error,
                  struct dns_opt *out_opt)
{
    struct dns_opt *o = out_opt;

    o->len = 0;
    o->scope_at = 0;
    o->pad_block = 0;
    if (!q->edns.present) {
        return;
    }
    o->bytes[o->len++] = 0; /* Owner: the root. */
    opt_u16(o, DNS_TYPE_OPT);
    opt_u16(o, udp_size);
    o->bytes[o->len++] = (uint8_t)((unsigned)rcode >> 4);
    o->bytes[o->len++] = 0; /* Version. */
    opt_u16(o, q->edns.dnssec_ok ? 0x8000 : 0);
    opt_u16(o, 0); /* Length of the options: below. */
    if (q->edns.subnet.len > 0) {
        /* Echoed as it came; its scope byte is 0 in a query, which says that
         * the answer is anybody's. */
        o->scope_at = (uint8_t)(o->len + OPTION_HEAD + 3);
        o->scope = q->edns.subnet.data[2];
        opt_bytes(o, OPTION_CLIENT_SUBNET, q->edns.subnet);
    }
    if (extended_error != DNS_EDE_NONE) {
        opt_u16(o, OPTION_EXTENDED_ERROR);
        opt_u16(o, 2);
        opt_u16(o, (unsigned)extended_error);
    }
    opt_transport(o, q, t);
    o->bytes[FIXED - 1] = (uint8_t)(o->len - FIXED);
}

void dns_opt_narrow(struct dns_opt *opt)
{
    if (opt->scope_at > 0) {
        opt->bytes[opt->scope_at] = opt->scope;
    }
}

/* RFC 8467, 4.1: the whole message becomes a multiple of the block; at the end
 * of what fits it becomes as long as it may. */
static size_t pad(const struct dns_opt *opt, uint8_t *message, size_t opt_at,
                  size_t len)
{
    size_t bare = len + OPTION_HEAD;
    size_t whole =
        (bare + opt->pad_block - 1) / opt->pad_block * opt->pad_block;
    size_t rest_len;

    if (bare > LIMIT_DNS_TCP) {
        return len;
    }
    whole = whole > LIMIT_DNS_TCP ? LIMIT_DNS_TCP : whole;
    rest_len = whole - opt_at - FIXED;
    memset(message + len, 0, whole - len);
    message[len + 1] = OPTION_PADDING;
    message[len + 2] = (uint8_t)((whole - bare) >> 8);
    message[len + 3] = (uint8_t)(whole - bare);
    message[opt_at + FIXED - 2] = (uint8_t)(rest_len >> 8);
    message[opt_at + FIXED - 1] = (uint8_t)rest_len;
    return whole;
}

size_t dns_opt_append(const struct dns_opt *opt, uint8_t *message, size_t len)
{
    unsigned extras = (unsigned)(message[10] << 8 | message[11]);

    if (opt->len == 0) {
        return len;
    }
    memcpy(message + len, opt->bytes, opt->len);
    extras++;
    message[10] = (uint8_t)(extras >> 8);
    message[11] = (uint8_t)extras;
    return opt->pad_block == 0 ? len + opt->len
                               : pad(opt, message, len, len + opt->len);
}
