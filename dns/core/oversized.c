#include "base/core/limits.h"
#include "dns/core/answer.h"
#include "dns/core/content.h"

enum {
    SRV_FIXED = 18, /* A record with a pointer for an owner, but its target. */
    ADDRESS_A = 16,
    ADDRESS_AAAA = 28,
    HEAD_MAX = DNS_HEADER_BYTES + DNS_NAME_MAX + 4,
    /* What an instance adds at most. */
    INSTANCE_MAX = SRV_FIXED + DNS_NAME_MAX + ADDRESS_AAAA,
};

/* As it would be sent over TCP. */
static size_t size_of(const struct dns_question *q, const struct dns_answer *a)
{
    size_t size = DNS_HEADER_BYTES + q->name.len + 4;

    for (size_t i = 0; i < a->answers.count; i++) {
        size += SRV_FIXED + a->answers.items[i].data.srv.target.len;
    }
    for (size_t i = 0; i < a->extras.count; i++) {
        uint16_t type = a->extras.items[i].type;

        size += type == DNS_TYPE_A      ? ADDRESS_A
                : type == DNS_TYPE_AAAA ? ADDRESS_AAAA
                                        : 0;
    }
    return size;
}

bool dns_entry_oversized(const struct dns_zone *zone,
                         const struct dns_entry *entry)
{
    struct dns_zone fresh;
    struct arena arena = {0};
    struct dns_answer answer;
    struct dns_question q;
    struct dns_name name = {0};
    bool oversized;

    if (entry->service == NULL ||
        HEAD_MAX + entry->service->members_count * INSTANCE_MAX <=
            LIMIT_DNS_TCP ||
        !dns_name_add_wire(&name, dns_entry_key(entry)) ||
        !dns_name_add_wire(&name, dns_name_slice(&zone->config->domains[0]))) {
        return false;
    }
    dns_zone_as_fresh(zone, &fresh);
    dns_question_make(&q, dns_name_slice(&name), DNS_TYPE_SRV);
    dns_decide(&fresh, &q, &arena, &answer);
    oversized = size_of(&q, &answer) > LIMIT_DNS_TCP;
    arena_release(&arena);
    return oversized;
}
