#include "dns/core/pack_edns.h"

enum {
    OPTION_CLIENT_SUBNET = 8,
    OPTION_EXTENDED_ERROR = 15,
    FIXED = 11
};

static void opt_u16(struct dns_opt *o, unsigned value)
{
    o->bytes[o->len++] = (uint8_t)(value >> 8);
    o->bytes[o->len++] = (uint8_t)value;
}

void dns_opt_make(const struct dns_question *q, uint16_t udp_size,
                  enum dns_rcode rcode, int extended_error,
                  struct dns_opt *out_opt)
{
    struct dns_opt *o = out_opt;

    o->len = 0;
    o->scope_at = 0;
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
        opt_u16(o, OPTION_CLIENT_SUBNET);
        opt_u16(o, (unsigned)q->edns.subnet.len);
        o->scope_at = (uint8_t)(o->len + 3);
        o->scope = q->edns.subnet.data[2];
        memcpy(o->bytes + o->len, q->edns.subnet.data, q->edns.subnet.len);
        o->len = (uint8_t)(o->len + q->edns.subnet.len);
    }
    if (extended_error != DNS_EDE_NONE) {
        opt_u16(o, OPTION_EXTENDED_ERROR);
        opt_u16(o, 2);
        opt_u16(o, (unsigned)extended_error);
    }
    o->bytes[FIXED - 1] = (uint8_t)(o->len - FIXED);
}

void dns_opt_narrow(struct dns_opt *opt)
{
    if (opt->scope_at > 0) {
        opt->bytes[opt->scope_at] = opt->scope;
    }
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
    return len + opt->len;
}
