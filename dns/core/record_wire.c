#include <ldns/ldns.h>

#include "base/core/check.h"
#include "base/core/limits.h"
#include "dns/core/pack.h"

static void push(ldns_rr *rr, ldns_rdf *rdf)
{
    CHECK(rdf != NULL);
    CHECK(ldns_rr_push_rdf(rr, rdf));
}

static void push_bytes(ldns_rr *rr, ldns_rdf_type type, struct slice bytes)
{
    push(rr, ldns_rdf_new_frm_data(type, bytes.len, bytes.data));
}

static void push_u16(ldns_rr *rr, uint16_t value)
{
    push(rr, ldns_native2rdf_int16(LDNS_RDF_TYPE_INT16, value));
}

static void push_u32(ldns_rr *rr, uint32_t value)
{
    push(rr, ldns_native2rdf_int32(LDNS_RDF_TYPE_INT32, value));
}

/* Character strings of at most 255 bytes; an empty text is one empty string. */
static void push_text(ldns_rr *rr, struct slice text)
{
    uint8_t string[256];

    do {
        size_t len = text.len < 255 ? text.len : 255;

        string[0] = (uint8_t)len;
        if (len > 0) {
            memcpy(string + 1, text.data, len);
        }
        push_bytes(rr, LDNS_RDF_TYPE_STR, slice_of(string, len + 1));
        text = slice_skip(text, len);
    } while (text.len > 0);
}

static void push_strings(ldns_rr *rr, struct slice strings)
{
    while (strings.len > 0) {
        size_t len = strings.data[0] + 1u;

        push_bytes(rr, LDNS_RDF_TYPE_STR, slice_of(strings.data, len));
        strings = slice_skip(strings, len);
    }
}

static void push_data(ldns_rr *rr, const struct dns_record *r)
{
    switch (r->type) {
    case DNS_TYPE_A:
        push_bytes(rr, LDNS_RDF_TYPE_A, slice_of(r->data.ipv4, 4));
        return;
    case DNS_TYPE_AAAA:
        push_bytes(rr, LDNS_RDF_TYPE_AAAA, slice_of(r->data.ipv6, 16));
        return;
    case DNS_TYPE_TXT:
        if (r->data.txt.strings) {
            push_strings(rr, r->data.txt.text);
        } else {
            push_text(rr, r->data.txt.text);
        }
        return;
    case DNS_TYPE_SRV:
        push_u16(rr, r->data.srv.priority);
        push_u16(rr, r->data.srv.weight);
        push_u16(rr, r->data.srv.port);
        push_bytes(rr, LDNS_RDF_TYPE_DNAME, r->data.srv.target);
        return;
    case DNS_TYPE_SOA:
        push_bytes(rr, LDNS_RDF_TYPE_DNAME, r->data.soa.mname);
        push_bytes(rr, LDNS_RDF_TYPE_DNAME, r->data.soa.rname);
        push_u32(rr, r->data.soa.serial);
        push_u32(rr, r->data.soa.refresh_s);
        push_u32(rr, r->data.soa.retry_s);
        push_u32(rr, r->data.soa.expire_s);
        push_u32(rr, r->data.soa.minimum_s);
        return;
    default: /* CNAME, NS, PTR */
        push_bytes(rr, LDNS_RDF_TYPE_DNAME, r->data.name);
        return;
    }
}

struct slice dns_record_wire(const struct dns_record *r, struct arena *arena)
{
    static const uint8_t root = 0;
    ldns_rr *rr = ldns_rr_new();
    ldns_buffer *wire = ldns_buffer_new(LDNS_MIN_BUFLEN);
    struct slice copy;

    CHECK(rr != NULL);
    CHECK(wire != NULL);
    ldns_rr_set_owner(rr, ldns_rdf_new_frm_data(LDNS_RDF_TYPE_DNAME, 1, &root));
    ldns_rr_set_type(rr, (ldns_rr_type)r->type);
    ldns_rr_set_class(rr, LDNS_RR_CLASS_IN);
    ldns_rr_set_ttl(rr, r->ttl_s);
    push_data(rr, r);
    CHECK(ldns_rr2buffer_wire(wire, rr, LDNS_SECTION_ANSWER) == LDNS_STATUS_OK);
    copy = arena_copy(arena, slice_of(ldns_buffer_begin(wire) + 1,
                                      ldns_buffer_position(wire) - 1));
    ldns_buffer_free(wire);
    ldns_rr_free(rr);
    return copy;
}
