#include "dns/core/place.h"

#include "base/core/check.h"

static bool label_is(struct slice label, const char *word, size_t len)
{
    return label.len == len && memcmp(label.data, word, len) == 0;
}

#define LABEL_IS(label, word) label_is(label, word, sizeof(word) - 1)

/* The kind that a keyword stands for; FOREIGN when the label is none. */
static enum dns_kind keyword(struct slice label)
{
    switch (label.len) {
    case 4:
        return LABEL_IS(label, "node")   ? DNS_KIND_NODE
               : LABEL_IS(label, "addr") ? DNS_KIND_ADDR
                                         : DNS_KIND_FOREIGN;
    case 5:
        return LABEL_IS(label, "query") ? DNS_KIND_QUERY : DNS_KIND_FOREIGN;
    case 7:
        return LABEL_IS(label, "service") ? DNS_KIND_SERVICE
               : LABEL_IS(label, "connect") || LABEL_IS(label, "virtual") ||
                       LABEL_IS(label, "ingress")
                   ? DNS_KIND_NONE
                   : DNS_KIND_FOREIGN;
    default:
        return DNS_KIND_FOREIGN;
    }
}

/* Domains are compared on label boundaries; the longest wins. */
static bool find_domain(const struct dns_config *c,
                        const struct dns_question *q, struct dns_place *place)
{
    bool found = false;

    for (unsigned i = 0; i < c->domains_count; i++) {
        const struct dns_name *domain = &c->domains[i];
        unsigned labels = c->domain_labels[i];
        unsigned apex;

        if (labels > q->labels_count || q->name.len < domain->len) {
            continue;
        }
        apex = q->labels_count - labels;
        if (q->labels[apex] + (size_t)domain->len != q->name.len ||
            memcmp(q->lower + q->labels[apex], domain->bytes, domain->len) !=
                0) {
            continue;
        }
        if (!found || apex < place->apex) {
            place->domain = i;
            place->apex = apex;
            found = true;
        }
    }
    return found;
}

static bool is_arpa(const struct dns_question *q)
{
    unsigned n = q->labels_count;

    return n >= 2 && LABEL_IS(dns_label(q, n - 1), "arpa") &&
           (LABEL_IS(dns_label(q, n - 2), "in-addr") ||
            LABEL_IS(dns_label(q, n - 2), "ip6"));
}

static bool find_datacenter(const struct dns_config *c, struct slice label,
                            unsigned *out_dc)
{
    if (slice_eq(label, slice_skip(dns_name_slice(&c->datacenter), 1))) {
        *out_dc = 0;
        return true;
    }
    for (unsigned i = 0; i < c->others_count; i++) {
        if (slice_eq(label, c->others[i])) {
            *out_dc = i + 1;
            return true;
        }
    }
    return false;
}

/* What stands between keyword and domain: nothing, "<dc>" or "<dc>.dc". */
static bool suffix_ok(const struct dns_config *c, const struct dns_question *q,
                      unsigned first, struct dns_place *place)
{
    unsigned apex = place->apex;

    if (first == apex) {
        return true;
    }
    if (!find_datacenter(c, dns_label(q, first), &place->dc)) {
        return false;
    }
    return first + 1 == apex ||
           (first + 2 == apex && LABEL_IS(dns_label(q, first + 1), "dc"));
}

/* No keyword: "<dc>", "dc", "<dc>.dc" and "ns" are all there is. */
static enum dns_kind place_of_bare(const struct dns_config *c,
                                   const struct dns_question *q,
                                   struct dns_place *place)
{
    unsigned apex = place->apex;

    if (suffix_ok(c, q, 0, place)) {
        return DNS_KIND_EMPTY;
    }
    if (apex == 1 && LABEL_IS(dns_label(q, 0), "dc")) {
        return DNS_KIND_EMPTY;
    }
    if (apex == 1 && LABEL_IS(dns_label(q, 0), "ns")) {
        return DNS_KIND_NS;
    }
    return DNS_KIND_NONE;
}

/* The first label from the right that is a keyword, or for which `service` is
 * understood. Returns false when there is none. An SRV question may leave the
 * keyword out; for other types such a name is recognised only when nothing else
 * matches, because it exists then, if only for SRV. */
static bool find_keyword(const struct dns_question *q, struct dns_place *place)
{
    unsigned implied_at = 0;

    for (unsigned i = place->apex; i-- > 0;) {
        enum dns_kind kind = keyword(dns_label(q, i));

        if (kind != DNS_KIND_FOREIGN) {
            place->kind = kind;
            place->parts = i;
            return true;
        }
        if (implied_at == 0 && dns_underscored(q, i)) {
            implied_at = i + 1;
            if (q->type == DNS_TYPE_SRV) {
                break;
            }
        }
    }
    if (implied_at == 0) {
        return false;
    }
    place->kind = DNS_KIND_SERVICE;
    place->parts = implied_at;
    place->implied = true;
    return true;
}

bool dns_is_protocol(const struct dns_config *c, struct slice label)
{
    return LABEL_IS(label, "_tcp") ||
           (LABEL_IS(label, "_udp") && !c->settings.srv_udp_is_tag);
}

void dns_place_of(const struct dns_config *config, const struct dns_question *q,
                  struct dns_place *out_place)
{
    struct dns_place *p = out_place;
    unsigned suffix;

    *p = (struct dns_place){.kind = DNS_KIND_FOREIGN};
    if (!find_domain(config, q, p)) {
        if (is_arpa(q)) {
            p->kind = DNS_KIND_ARPA;
            p->apex = q->labels_count - 2;
        }
        return;
    }
    if (p->apex == 0) {
        p->kind = DNS_KIND_APEX;
        return;
    }
    if (!find_keyword(q, p)) {
        p->kind = place_of_bare(config, q, p);
        return;
    }
    suffix = p->implied ? p->parts : p->parts + 1;
    if (!suffix_ok(config, q, suffix, p)) {
        p->kind = DNS_KIND_NONE;
    } else if (p->parts == 0) {
        p->kind = p->kind != DNS_KIND_NONE ? DNS_KIND_EMPTY : DNS_KIND_NONE;
    }
    p->underscored = p->kind == DNS_KIND_SERVICE && p->parts == 2 &&
                     dns_underscored(q, 0) && dns_underscored(q, 1);
    p->untagged = p->underscored && dns_is_protocol(config, dns_label(q, 1));
}

/* "_web._v3" is kept as "v3.web.service", "_web._tcp" as "web.service". */
static struct slice key_of_underscored(const struct dns_question *q,
                                       bool untagged, struct dns_name *scratch)
{
    struct slice service = slice_skip(dns_label(q, 0), 1);
    struct slice tag = slice_skip(dns_label(q, 1), 1);

    scratch->len = 0;
    if (!untagged) {
        CHECK(dns_name_add_label(scratch, tag));
    }
    CHECK(dns_name_add_label(scratch, service));
    CHECK(dns_name_add_label(scratch, slice_str("service")));
    return dns_name_slice(scratch);
}

struct slice dns_place_key(const struct dns_place *place,
                           const struct dns_question *q,
                           struct dns_name *scratch)
{
    if (place->kind == DNS_KIND_ARPA) {
        return slice_of(q->lower, q->labels[place->apex + 1]);
    }
    if (place->underscored) {
        return key_of_underscored(q, place->untagged, scratch);
    }
    if (place->implied) {
        scratch->len = 0;
        if (!dns_name_add_wire(scratch,
                               slice_of(q->lower, q->labels[place->parts])) ||
            !dns_name_add_label(scratch, slice_str("service"))) {
            return slice_of(NULL, 0);
        }
        return dns_name_slice(scratch);
    }
    return slice_of(q->lower, q->labels[place->parts + 1]);
}
