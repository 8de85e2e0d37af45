/* Zone transfers: what a secondary is sent. */
#include <ldns/ldns.h>
#include <stdlib.h>

#include "base/core/check.h"
#include "dns/core/transfer.h"
#include "run.h"

static void say_rr(struct run *r, const ldns_rr *rr)
{
    char *text = ldns_rr2str(rr);

    for (char *c = text; *c != '\0'; c++) {
        *c = *c == '\t' ? ' ' : *c;
    }
    say(r, text);
    free(text);
}

static void say_message(struct run *r, struct slice message)
{
    ldns_pkt *pkt = NULL;

    CHECK(ldns_wire2pkt(&pkt, message.data, message.len) == LDNS_STATUS_OK);
    for (size_t i = 0; i < ldns_rr_list_rr_count(ldns_pkt_answer(pkt)); i++) {
        say_rr(r, ldns_rr_list_rr(ldns_pkt_answer(pkt), i));
    }
    ldns_pkt_free(pkt);
}

static void say_stream(struct run *r, struct dns_transfer_stream *t)
{
    static const char *const kinds[] = {
        [DNS_TRANSFER_WHOLE] = "whole\n",
        [DNS_TRANSFER_DIFFERENCES] = "differences\n",
        [DNS_TRANSFER_CURRENT] = "current\n",
    };
    static uint8_t message[DNS_TRANSFER_MESSAGE_MIN];
    size_t len;

    say(r, kinds[dns_transfer_kind(t)]);
    while ((len = dns_transfer_next(t, message, sizeof(message))) > 0) {
        say_message(r, slice_of(message, len));
    }
    dns_transfer_close(t);
}

static void transfer_of(struct run *r, const struct dns_zone *zone,
                        char **words, size_t count)
{
    struct dns_name name = {0};
    struct dns_transfer_request request = {.type = DNS_TYPE_AXFR};
    unsigned domain;

    if (count > 2) {
        request.type = DNS_TYPE_IXFR;
        request.serial = (uint32_t)strtoul(words[2], NULL, 10);
    }
    CHECK(dns_name_add_text(&name, slice_str(words[1])) && dns_name_end(&name));
    request.name = dns_name_slice(&name);
    if (!dns_zone_domain(zone, request.name, &domain)) {
        say(r, "not ours\n");
        return;
    }
    if (!dns_zone_may_transfer(zone)) {
        say(r, "not known\n");
        return;
    }
    if (r->sets[domain] == NULL) {
        r->sets[domain] = dns_transfer_set_new(domain);
    }
    (void)dns_transfer_set_update(r->sets[domain], zone);
    say_stream(r, dns_transfer_open(r->sets[domain], &request));
}

void do_transfer(struct run *r, char **words, size_t count)
{
    struct dns_zone *zone = commit_now(r);

    transfer_of(r, zone, words, count);
    dns_zone_free(zone);
}
