#include "dns/core/question.h"

#include "base/core/check.h"
#include "base/core/wire.h"

enum {
    OPTION_CLIENT_SUBNET = 8,
    OPTION_COOKIE = 10,
    OPTION_KEEPALIVE = 11,
    OPTION_PADDING = 12,
};

/* Address family, source and scope prefix lengths, at most 16 bytes of it. */
#define SUBNET_BYTES_MAX (4 + 16)

static uint16_t get_u16(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

/* The length of the name at `at`, root included; 0 when it is not a plain name
 * that ends within `len`. A question has nothing to point back to, so a
 * compressed name is an error as well. */
static size_t read_name(const uint8_t *at, size_t len, struct dns_question *q)
{
    size_t offset = 0;
    unsigned labels = 0;

    if (len > DNS_NAME_MAX) {
        len = DNS_NAME_MAX;
    }
    for (;;) {
        size_t label;

        if (offset >= len) {
            return 0;
        }
        label = at[offset];
        if (label > DNS_LABEL_MAX || offset + label >= len) {
            return 0;
        }
        q->labels[labels] = (uint8_t)offset;
        q->lower[offset] = (uint8_t)label;
        if (label == 0) {
            q->labels_count = labels;
            return offset + 1;
        }
        for (size_t i = offset + 1; i <= offset + label; i++) {
            q->lower[i] = dns_lower(at[i]);
        }
        labels++;
        offset += label + 1;
    }
}

/* RFC 7871, 6: family, source prefix, scope 0 in a query, the address cut to
 * the prefix. */
static bool subnet_ok(struct slice body)
{
    uint8_t most;

    if (body.len < 4 || body.len > SUBNET_BYTES_MAX || body.data[3] != 0) {
        return false;
    }
    switch (get_u16(body.data)) {
    case 0:
        most = 0;
        break;
    case 1:
        most = 32;
        break;
    case 2:
        most = 128;
        break;
    default:
        return false;
    }
    if (body.data[2] > most || body.len - 4 != (body.data[2] + 7u) / 8) {
        return false;
    }
    /* What the prefix leaves of the last byte is zero. */
    return body.data[2] % 8 == 0 ||
           (body.data[body.len - 1] & (0xff >> body.data[2] % 8)) == 0;
}

/* RFC 7873, 4: a client's cookie alone, or with a server's of 8 to 32. */
static bool cookie_ok(struct slice body)
{
    return body.len == 8 || (body.len >= 16 && body.len <= 40);
}

/* false: its body is not what it must be. */
static bool read_option(unsigned code, struct slice body, struct dns_edns *edns)
{
    switch (code) {
    case OPTION_CLIENT_SUBNET:
        edns->subnet = subnet_ok(body) ? body : slice_of(NULL, 0);
        return edns->subnet.len > 0;
    case OPTION_COOKIE:
        edns->cookie = cookie_ok(body) ? body : slice_of(NULL, 0);
        return edns->cookie.len > 0;
    case OPTION_KEEPALIVE:
        edns->keepalive = true;
        return true;
    case OPTION_PADDING:
        edns->padding = true;
        return true;
    case DNS_OPTION_PATH:
        edns->path = body;
        return true;
    default:
        return true;
    }
}

static bool read_options(struct slice options, struct dns_edns *edns)
{
    struct wire_reader r = {.rest = options};

    while (r.rest.len > 0) {
        uint16_t code = wire_u16be(&r);
        uint16_t len = wire_u16be(&r);
        struct slice body = wire_bytes(&r, len);

        if (wire_finish(&r) || !read_option(code, body, edns)) {
            return false;
        }
    }
    return true;
}

/* RFC 6891, 6.1.2. The name must be the root; a second OPT is an error. */
static bool read_opt(struct wire_reader *r, struct dns_edns *edns)
{
    uint16_t size = wire_u16be(r);
    uint8_t rcode_high = wire_u8(r);
    uint8_t version = wire_u8(r);
    uint16_t flags = wire_u16be(r);
    uint16_t len = wire_u16be(r);
    struct slice options = wire_bytes(r, len);

    (void)rcode_high; /* Means nothing in a query. */
    if (wire_finish(r) || edns->present) {
        return false;
    }
    edns->present = true;
    edns->version = version;
    edns->dnssec_ok = (flags & 0x8000) != 0;
    edns->udp_size = size < 512 ? 512 : size;
    return read_options(options, edns);
}

/* A record's name. *out_root: it is the root. */
static bool skip_name(struct wire_reader *r, bool *out_root)
{
    uint8_t label = wire_u8(r);

    *out_root = label == 0;
    while (label != 0 && label <= DNS_LABEL_MAX && !r->failed) {
        (void)wire_bytes(r, label);
        label = wire_u8(r);
    }
    if (label > DNS_LABEL_MAX) {
        (void)wire_u8(r); /* The second half of a pointer ends it. */
    }
    return !r->failed;
}

/* Records behind the question: the answer and authority sections of a query are
 * empty, the additional one may hold OPT. TSIG is noted, and must be the last
 * (RFC 8945, 5.1); others (a SIG(0)) are stepped over. */
static bool read_additional(struct slice packet, size_t at, unsigned count,
                            struct dns_question *q)
{
    struct wire_reader r = {.rest = slice_skip(packet, at)};

    for (unsigned i = 0; i < count; i++) {
        size_t begin = packet.len - r.rest.len;
        uint16_t type;
        bool root;

        if (!skip_name(&r, &root)) {
            return false;
        }
        type = wire_u16be(&r);
        if (type == DNS_TYPE_OPT) {
            if (!root || !read_opt(&r, &q->edns)) {
                return false;
            }
            continue;
        }
        if (type == DNS_TYPE_TSIG) {
            if (i + 1 < count) {
                return false;
            }
            q->tsig_at = begin;
        }
        (void)wire_bytes(&r, 6); /* Class and TTL. */
        (void)wire_bytes(&r, wire_u16be(&r));
    }
    return wire_finish(&r) == ST_OK;
}

static enum dns_parse fail(enum dns_rcode rcode, enum dns_rcode *out_rcode)
{
    *out_rcode = rcode;
    return DNS_PARSE_ERROR;
}

static enum dns_parse malformed(struct dns_question *q, enum dns_flaw flaw,
                                enum dns_rcode *out_rcode)
{
    q->flaw = flaw;
    return fail(DNS_FORMERR, out_rcode);
}

enum dns_parse dns_question_parse(struct slice packet, struct dns_question *q,
                                  enum dns_rcode *out_rcode)
{
    const uint8_t *at = packet.data;
    unsigned additional;
    size_t len;

    q->flaw = DNS_FLAW_SHORT;
    if (packet.len < DNS_HEADER_BYTES) {
        return DNS_PARSE_DROP;
    }
    q->id = get_u16(at);
    q->flags = get_u16(at + 2);
    q->name = slice_of(NULL, 0);
    q->type = 0;
    q->class = 0;
    q->labels_count = 0;
    q->edns = (struct dns_edns){0};
    q->tsig_at = 0;
    q->stream = false;
    q->flaw = DNS_FLAW_RESPONSE;
    if (q->flags & DNS_FLAG_QR) {
        return DNS_PARSE_DROP;
    }
    q->flaw = DNS_FLAW_NONE;
    if ((q->flags & 0x7800) != 0) {
        return fail(DNS_NOTIMP, out_rcode);
    }
    additional = get_u16(at + 10);
    if (get_u16(at + 4) != 1) {
        return malformed(q, DNS_FLAW_COUNTS, out_rcode);
    }
    len = read_name(at + DNS_HEADER_BYTES, packet.len - DNS_HEADER_BYTES, q);
    if (len == 0 || packet.len < DNS_HEADER_BYTES + len + 4) {
        return malformed(q, DNS_FLAW_NAME, out_rcode);
    }
    at += DNS_HEADER_BYTES;
    q->name = slice_of(at, len);
    q->type = get_u16(at + len);
    q->class = get_u16(at + len + 2);
    if (q->type == DNS_TYPE_AXFR || q->type == DNS_TYPE_IXFR) {
        return fail(DNS_NOTIMP, out_rcode);
    }
    if (get_u16(packet.data + 6) != 0 || get_u16(packet.data + 8) != 0) {
        return malformed(q, DNS_FLAW_COUNTS, out_rcode);
    }
    if (additional > 0 &&
        !read_additional(packet, DNS_HEADER_BYTES + len + 4, additional, q)) {
        return malformed(q, DNS_FLAW_OPTIONS, out_rcode);
    }
    if (q->edns.version > 0) {
        return fail(DNS_BADVERS, out_rcode);
    }
    return DNS_PARSE_OK;
}

/* RFC 1995, 3: the SOA that the client has, its owner perhaps a pointer; of
 * its data, which begins with two names, the serial. */
static bool read_soa(struct wire_reader *r, uint32_t *out_serial)
{
    struct slice data;
    struct wire_reader in;
    uint16_t type;
    uint16_t len;
    bool root;

    if (!skip_name(r, &root)) {
        return false;
    }
    type = wire_u16be(r);
    (void)wire_bytes(r, 6);
    len = wire_u16be(r);
    data = wire_bytes(r, len);
    in = (struct wire_reader){.rest = data};
    if (wire_finish(r) || type != DNS_TYPE_SOA || !skip_name(&in, &root) ||
        !skip_name(&in, &root) || in.rest.len != 20) {
        return false;
    }
    *out_serial = wire_get_u32be(in.rest.data);
    return true;
}

enum dns_parse dns_question_transfer(struct slice packet,
                                     struct dns_question *q,
                                     uint32_t *out_serial)
{
    size_t at = DNS_HEADER_BYTES + q->name.len + 4;
    struct wire_reader r = {.rest = slice_skip(packet, at)};
    unsigned authority = get_u16(packet.data + 8);
    bool incremental = q->type == DNS_TYPE_IXFR;

    *out_serial = 0;
    if (get_u16(packet.data + 6) != 0 || authority != (incremental ? 1 : 0) ||
        (incremental && !read_soa(&r, out_serial)) ||
        !read_additional(packet, packet.len - r.rest.len,
                         get_u16(packet.data + 10), q) ||
        q->edns.version > 0) {
        return DNS_PARSE_ERROR;
    }
    return DNS_PARSE_OK;
}

void dns_question_make(struct dns_question *q, struct slice name, uint16_t type)
{
    q->id = 0;
    q->flags = 0;
    q->type = type;
    q->class = DNS_CLASS_IN;
    q->name = name;
    q->edns = (struct dns_edns){0};
    q->tsig_at = 0;
    q->stream = false;
    CHECK(read_name(name.data, name.len, q) == name.len);
}
