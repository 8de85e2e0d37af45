#include "dns/core/transfer.h"

#include <ldns/ldns.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/core/limits.h"
#include "base/core/rng.h"
#include "dns/core/pack.h"
#include "secondary.h"
#include "suite.h"

enum {
    SERVICES = 5,
    NODES = 4,
    ROUNDS = 40,
    STEPS = 5,
};

/* ---- A world that changes at random ---------------------------------------
 */

static void put_service(struct dns_model *m, struct rng *rng, unsigned index)
{
    static const char *const names[SERVICES] = {"web", "db", "Mail", "_odd",
                                                "dns-sd"};
    static const char *const tags[] = {"v1", "a.b", "V1", "_x", "port"};
    static const char *const ids[] = {"one", "One", "two", "_grpc_config"};
    static const char *const addresses[] = {"",
                                            "10.1.0.1",
                                            "10.1.0.2",
                                            "2001:db8::1",
                                            "www.example.com",
                                            "web.service.consul"};
    static const struct dns_named_port ports[] = {{"admin", 9}, {"v1", 10}};
    static const struct dns_pair meta[] = {{"txt-a", "b"},
                                           {"grpc_config", "{}"}};
    struct dns_instance all[4] = {0};
    char nodes[4][8];
    size_t count = rng_below(rng, 5);

    for (size_t i = 0; i < count; i++) {
        (void)snprintf(nodes[i], sizeof(nodes[i]), "n%u",
                       (unsigned)rng_below(rng, NODES));
        all[i] = (struct dns_instance){
            .id = ids[rng_below(rng, 4)],
            .node = nodes[i],
            .node_address = "10.2.0.1",
            .address = addresses[rng_below(rng, 6)],
            .port = (uint16_t)(8000 + rng_below(rng, 3)),
            .weight_passing = 1,
            .weight_warning = 1,
            .health = (enum dns_health)rng_below(rng, 3),
            .tags = tags + rng_below(rng, 3),
            .tags_count = rng_below(rng, 3),
            .ports = ports,
            .ports_count = rng_below(rng, 3),
            .meta = meta,
            .meta_count = rng_below(rng, 3),
        };
    }
    dns_model_put_service(m, names[index], all, count);
}

static void put_node(struct dns_model *m, struct rng *rng, unsigned index)
{
    static const char *const addresses[] = {"10.2.0.1", "10.1.0.1",
                                            "2001:db8::7", "host.example.com"};
    char name[16];
    struct dns_pair meta = {"rack", "r1"};
    struct dns_node node = {.name = name,
                            .address = addresses[rng_below(rng, 4)],
                            .meta = &meta,
                            .meta_count = rng_below(rng, 2)};

    (void)snprintf(name, sizeof(name), "%sn%u", index % 2 == 0 ? "" : "x.",
                   index);
    if (rng_below(rng, 3) == 0) {
        dns_model_remove_node(m, name);
    } else {
        dns_model_put_node(m, &node);
    }
}

static void step(struct dns_model *m, struct rng *rng)
{
    unsigned index = (unsigned)rng_below(rng, SERVICES + NODES);

    if (index < SERVICES) {
        put_service(m, rng, index);
    } else {
        put_node(m, rng, index - SERVICES);
    }
}

static struct dns_model *model_new(void)
{
    struct dns_settings settings;
    struct dns_model *m;

    dns_settings_init(&settings);
    settings.srv_udp_is_tag = false;
    settings.self_node = "n0";
    ck_assert_int_eq(
        dns_model_new(&settings, (struct hash_key){1, 2}, &m, NULL), ST_OK);
    return m;
}

/* ---- What is told ----------------------------------------------------------
 */

/* What has changed without a new serial comes with the next one, also to who
 * had the serial before it changed. */
START_TEST(a_change_without_a_serial_is_told_with_the_next_one)
{
    static struct secondary early;
    static struct secondary late;
    struct dns_transfer_set *set = dns_transfer_set_new(1);
    struct dns_node node = {.name = "n", .address = "10.0.0.1"};
    struct dns_settings settings;
    struct dns_model *m;
    struct dns_zone *zones[3];

    dns_settings_init(&settings);
    ck_assert_int_eq(
        dns_model_new(&settings, (struct hash_key){1, 2}, &m, NULL), ST_OK);
    zones[0] = dns_model_commit(m, 7, DNS_FRESH);
    ck_assert(dns_transfer_set_update(set, zones[0]));
    ck_assert_int_eq(secondary_transfer(set, &early, DNS_TYPE_AXFR),
                     DNS_TRANSFER_WHOLE);
    settings.node_ttl_s = 77; /* Of the NS record; there is no other yet. */
    ck_assert_int_eq(dns_model_set_settings(m, &settings, NULL), ST_OK);
    zones[1] = dns_model_commit(m, 7, DNS_FRESH);
    ck_assert(!dns_transfer_set_update(set, zones[1]));
    dns_model_put_node(m, &node);
    zones[2] = dns_model_commit(m, 8, DNS_FRESH);
    ck_assert(dns_transfer_set_update(set, zones[2]));
    ck_assert_int_eq(secondary_transfer(set, &early, DNS_TYPE_IXFR),
                     DNS_TRANSFER_WHOLE);
    ck_assert_int_eq(secondary_transfer(set, &late, DNS_TYPE_AXFR),
                     DNS_TRANSFER_WHOLE);
    secondary_same(&early, &late);
    secondary_clear(&early);
    secondary_clear(&late);
    dns_transfer_set_free(set);
    for (int i = 0; i < 3; i++) {
        dns_zone_free(zones[i]);
    }
    dns_model_free(m);
}
END_TEST

/* ---- What it says is what we say --------------------------------------------
 */

/* Beside a CNAME there is nothing else. */
static void no_other_data(const struct secondary *s)
{
    for (size_t i = 0; i < s->count; i++) {
        size_t owner = strcspn(s->records[i], "\t");

        if (strstr(s->records[i], "\tCNAME\t") == NULL) {
            continue;
        }
        for (size_t j = 0; j < s->count; j++) {
            ck_assert_msg(
                i == j || strncmp(s->records[i], s->records[j], owner + 1) != 0,
                "beside %s: %s", s->records[i], s->records[j]);
        }
    }
}

/* As ldns has it; in canonical form. */
static ldns_rr *rr_of(const struct dns_record *record, struct arena *arena)
{
    uint8_t bytes[DNS_NAME_MAX + 4096];
    struct slice wire = dns_record_wire(record, arena);
    ldns_rr *rr = NULL;
    size_t at = 0;

    ck_assert_uint_lt(record->owner.len + wire.len, sizeof(bytes));
    memcpy(bytes, record->owner.data, record->owner.len);
    memcpy(bytes + record->owner.len, wire.data, wire.len);
    ck_assert_int_eq(ldns_wire2rr(&rr, bytes, record->owner.len + wire.len, &at,
                                  LDNS_SECTION_ANSWER),
                     LDNS_STATUS_OK);
    ldns_rr2canonical(rr);
    return rr;
}

static bool seen_before(const struct dns_answer *a, size_t index,
                        struct arena *arena)
{
    struct slice wire = dns_record_wire(&a->answers.items[index], arena);

    for (size_t i = 0; i < index; i++) {
        if (slice_eq(dns_record_wire(&a->answers.items[i], arena), wire)) {
            return true;
        }
    }
    return false;
}

/* How many of the answers, without chains, it has; all must be there. Instances
 * on two nodes with one address and port are the same record twice. */
static size_t all_there(const struct secondary *s, const struct dns_answer *a,
                        const struct dns_question *q, struct arena *arena)
{
    size_t count = 0;

    for (size_t i = 0; i < a->answers.count; i++) {
        const struct dns_record *record = &a->answers.items[i];
        ldns_rr *rr;
        char *text;
        bool is;

        if (!dns_same(record->owner, q->name) || seen_before(a, i, arena)) {
            continue;
        }
        rr = rr_of(record, arena);
        text = ldns_rr2str(rr);
        (void)secondary_find(s, text, &is);
        ck_assert_msg(is, "not transferred: %s", text);
        count++;
        free(text);
        ldns_rr_free(rr);
    }
    return count;
}

/* Records of this owner and type. */
static size_t count_like(const struct secondary *s, const ldns_rr *rr)
{
    char *owner = ldns_rdf2str(ldns_rr_owner(rr));
    char *type = ldns_rr_type2str(ldns_rr_get_type(rr));
    char middle[16];
    size_t count = 0;

    (void)snprintf(middle, sizeof(middle), "\tIN\t%s\t", type);
    for (size_t i = 0; i < s->count; i++) {
        size_t len = strcspn(s->records[i], "\t");

        count += len == strlen(owner) &&
                 strncmp(s->records[i], owner, len) == 0 &&
                 strstr(s->records[i], middle) != NULL;
    }
    free(owner);
    free(type);
    return count;
}

/* The answer to a question for the record's owner and type is what the
 * secondary has of them, no more and no less. */
static void is_answered(const struct dns_zone *zone, const struct secondary *s,
                        const char *text)
{
    struct arena arena = {0};
    struct dns_question q;
    struct dns_answer answer;
    ldns_rr *rr = NULL;

    ck_assert_int_eq(ldns_rr_new_frm_str(&rr, text, 0, NULL, NULL),
                     LDNS_STATUS_OK);
    dns_question_make(&q,
                      slice_of(ldns_rdf_data(ldns_rr_owner(rr)),
                               ldns_rdf_size(ldns_rr_owner(rr))),
                      (uint16_t)ldns_rr_get_type(rr));
    q.stream = true;
    dns_decide(zone, &q, &arena, &answer);
    ck_assert_msg(all_there(s, &answer, &q, &arena) == count_like(s, rr),
                  "we do not say %s", text);
    ldns_rr_free(rr);
    arena_release(&arena);
}

START_TEST(differences_lead_to_the_whole)
{
    struct rng rng;
    struct dns_model *m = model_new();
    struct dns_zone *zone = NULL;
    struct dns_transfer_set *set = dns_transfer_set_new(1);
    struct secondary *near = calloc(1, sizeof(*near));
    struct secondary *far = calloc(1, sizeof(*far));
    struct secondary *fresh = calloc(1, sizeof(*fresh));
    unsigned differences = 0;

    rng_init(&rng, (uint64_t)_i);
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct dns_transfer_set *anew = dns_transfer_set_new(1);
        struct dns_zone *next;

        for (uint64_t n = rng_below(&rng, STEPS); n > 0; n--) {
            step(m, &rng);
        }
        /* The revision stands still sometimes. */
        next = dns_model_commit(m, 10 + round / 2, DNS_FRESH);
        dns_zone_free(zone);
        zone = next;
        (void)dns_transfer_set_update(set, zone);
        differences += secondary_transfer(set, near, DNS_TYPE_IXFR) ==
                       DNS_TRANSFER_DIFFERENCES;
        if (round % 7 == 0) {
            (void)secondary_transfer(set, far, DNS_TYPE_IXFR);
        }
        (void)dns_transfer_set_update(anew, zone);
        (void)secondary_transfer(anew, fresh, DNS_TYPE_AXFR);
        secondary_same(near, fresh);
        no_other_data(fresh);
        for (size_t i = 0; round % 8 == 7 && i < fresh->count; i++) {
            is_answered(zone, fresh, fresh->records[i]);
        }
        ck_assert_uint_eq(dns_transfer_set_records(set), fresh->count);
        dns_transfer_set_free(anew);
    }
    (void)secondary_transfer(set, far, DNS_TYPE_IXFR);
    secondary_same(far, fresh);
    ck_assert_uint_gt(differences, 5);
    secondary_clear(near);
    secondary_clear(far);
    secondary_clear(fresh);
    free(near);
    free(far);
    free(fresh);
    dns_transfer_set_free(set);
    dns_zone_free(zone);
    dns_model_free(m);
}
END_TEST

/* ---- Size -------------------------------------------------------------------
 */

/* A stream says what was when it was opened, however long it takes, and its
 * messages are full but for the last. */
START_TEST(a_long_transfer_is_of_one_moment)
{
    enum {
        COUNT = 3000
    };
    static uint8_t message[DNS_TRANSFER_MESSAGE_MIN];
    struct dns_model *m = model_new();
    struct dns_transfer_set *set = dns_transfer_set_new(0);
    struct dns_transfer_request request = {
        .type = DNS_TYPE_AXFR, .name = slice_of("\6muster\10internal", 17)};
    struct dns_transfer_stream *t;
    struct dns_zone *zone;
    char name[16];
    size_t messages = 0;
    size_t records = 0;
    size_t len;

    for (unsigned i = 0; i < COUNT; i++) {
        struct dns_node node = {.name = name, .address = "10.0.0.1"};

        (void)snprintf(name, sizeof(name), "node-%u", i);
        dns_model_put_node(m, &node);
    }
    zone = dns_model_commit(m, 1, DNS_FRESH);
    (void)dns_transfer_set_update(set, zone);
    t = dns_transfer_open(set, &request);
    dns_zone_free(zone);
    dns_model_clear(m);
    zone = dns_model_commit(m, 2, DNS_FRESH);
    ck_assert(dns_transfer_set_update(set, zone));
    while ((len = dns_transfer_next(t, message, sizeof(message))) > 0) {
        messages++;
        records += (size_t)(message[6] << 8 | message[7]);
    }
    ck_assert_uint_eq(records, 2 * COUNT + 2 + 1); /* SOA twice, NS. */
    ck_assert_uint_gt(messages, 2);
    ck_assert_uint_lt(messages, 8);
    dns_transfer_set_free(set);
    dns_transfer_close(t);
    dns_zone_free(zone);
    dns_model_free(m);
}
END_TEST

/* The journal is bounded: who is too far behind gets the whole. */
START_TEST(who_is_far_behind_gets_the_whole)
{
    struct dns_model *m = model_new();
    struct dns_transfer_set *set = dns_transfer_set_new(1);
    struct secondary *old = calloc(1, sizeof(*old));
    struct dns_zone *zone = NULL;

    for (unsigned i = 0; i <= LIMIT_DNS_JOURNAL_STEPS + 1; i++) {
        char address[32];
        struct dns_node node = {.name = "n1", .address = address};
        struct dns_node still = {.name = "n2", .address = "10.0.0.1"};
        struct dns_zone *next;

        (void)snprintf(address, sizeof(address), "10.1.%u.%u", i / 256,
                       i % 256);
        dns_model_put_node(m, &node);
        dns_model_put_node(m, &still);
        next = dns_model_commit(m, 1 + i, DNS_FRESH);
        dns_zone_free(zone);
        zone = next;
        (void)dns_transfer_set_update(set, zone);
        if (i == 0) {
            (void)secondary_transfer(set, old, DNS_TYPE_AXFR);
        }
    }
    ck_assert_int_eq(secondary_transfer(set, old, DNS_TYPE_IXFR),
                     DNS_TRANSFER_WHOLE);
    ck_assert_int_eq(secondary_transfer(set, old, DNS_TYPE_IXFR),
                     DNS_TRANSFER_CURRENT);
    secondary_clear(old);
    free(old);
    dns_transfer_set_free(set);
    dns_zone_free(zone);
    dns_model_free(m);
}
END_TEST

UNIT_MAIN("dns_transfer", {
    tcase_add_test(tc, a_change_without_a_serial_is_told_with_the_next_one);
    tcase_add_loop_test(tc, differences_lead_to_the_whole, 0, 5);
    tcase_add_test(tc, a_long_transfer_is_of_one_moment);
    tcase_add_test(tc, who_is_far_behind_gets_the_whole);
})
