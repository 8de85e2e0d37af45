#include "dns/core/decide.h"

static void add_texts(struct dns_decider *d, struct dns_records *to,
                      struct slice owner, const struct dns_host *host)
{
    for (size_t i = 0; i < host->texts_count; i++) {
        struct dns_record *r = dns_record_add(d, to, owner, DNS_TYPE_TXT,
                                              d->config->settings.node_ttl_s);

        r->data.txt.text = host->texts[i];
    }
}

const struct dns_host *dns_find_host(struct dns_decider *d, struct slice node)
{
    struct dns_name key = {0};
    const struct dns_entry *entry;

    if (!dns_name_add_wire(&key, node) ||
        !dns_name_add_label(&key, slice_str("node"))) {
        return NULL;
    }
    dns_name_lower(&key);
    entry = dns_zone_find(d->zone, dns_name_slice(&key));
    d->answer->depends = true;
    return entry == NULL ? NULL : entry->host;
}

void dns_add_node_texts(struct dns_decider *d, struct dns_records *to,
                        struct slice owner, struct slice node)
{
    const struct dns_host *host = dns_find_host(d, node);

    if (host != NULL) {
        add_texts(d, to, owner, host);
    }
}

/* ANY over UDP is answered with the addresses only, a subset as RFC 8482, 4.1,
 * allows: what Consul's users ask it for, and too short to be of use for an
 * attack. Over TCP nobody forges the sender, and they get all. */
static bool wants_texts(const struct dns_decider *d)
{
    return d->q->type == DNS_TYPE_TXT ||
           (d->q->type == DNS_TYPE_ANY && d->q->stream);
}

/* A host name stands for the node's addresses, not for its other records. */
static bool wants_hostname(const struct dns_decider *d)
{
    return dns_wants(d, DNS_TYPE_A) || dns_wants(d, DNS_TYPE_AAAA) ||
           dns_wants(d, DNS_TYPE_CNAME);
}

void dns_decide_node(struct dns_decider *d)
{
    struct dns_name scratch;
    struct dns_records *answers = &d->answer->answers;
    uint32_t ttl_s = d->config->settings.node_ttl_s;
    const struct dns_entry *entry =
        dns_zone_find(d->zone, dns_place_key(&d->place, d->q, &scratch));
    const struct dns_host *host = entry == NULL ? NULL : entry->host;

    if (host == NULL) {
        if (entry != NULL) {
            dns_decide_nodata(d);
        } else {
            dns_decide_missing(d);
        }
        return;
    }
    if (dns_wants(d, DNS_TYPE_A)) {
        dns_record_add_address(d, answers, d->q->name, &host->ipv4, ttl_s);
    }
    if (dns_wants(d, DNS_TYPE_AAAA)) {
        dns_record_add_address(d, answers, d->q->name, &host->ipv6, ttl_s);
    }
    if (host->hostname.len > 0 && wants_hostname(d)) {
        dns_record_add(d, answers, d->q->name, DNS_TYPE_CNAME, ttl_s)
            ->data.name = host->hostname;
    } else if (wants_texts(d)) {
        add_texts(d, answers, d->q->name, host);
    }
    if (!wants_texts(d) && d->config->settings.node_meta_txt) {
        add_texts(d, &d->answer->extras, d->q->name, host);
        if (answers->count > 0) {
            answers->items[0].extras_count = (uint32_t)host->texts_count;
        }
    }
    if (answers->count == 0) {
        dns_decide_nodata(d);
    }
}
