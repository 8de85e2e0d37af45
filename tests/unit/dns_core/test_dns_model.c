#include "dns/core/model.h"

#include <stdio.h>

#include "base/core/rng.h"
#include "dns/core/prepared.h"
#include "suite.h"

enum {
    SERVICES = 12,
    NODES = 6,
    TAGS = 4,
    ROUNDS = 150,
    STEPS = 6
};

/* A small world that changes at random, and what it should be. */
struct service {
    unsigned count; /* 0: not there. */
    struct {
        unsigned node;
        unsigned address; /* 0: the node's; 4: a name, which may be there. */
        unsigned tag;     /* TAGS: none. */
        enum dns_health health;
    } instances[4];
};

struct world {
    struct service services[SERVICES];
    unsigned node_address[NODES]; /* 0: not there. */
};

static const char *const tag_names[TAGS] = {"v1", "v2", "a.b", "b"};

static void service_name(unsigned index, char *out, size_t size)
{
    (void)snprintf(out, size, "svc%u", index);
}

/* Some nodes have dots in their names, one below another. */
static void node_name(unsigned index, char *out, size_t size)
{
    switch (index % 3) {
    case 0:
        (void)snprintf(out, size, "n%u", index / 3);
        break;
    case 1:
        (void)snprintf(out, size, "x.n%u", index / 3);
        break;
    default:
        (void)snprintf(out, size, "y.x.n%u", index / 3);
        break;
    }
}

static void put_service(struct dns_model *m, const struct world *w,
                        unsigned index)
{
    const struct service *s = &w->services[index];
    struct dns_instance all[4] = {0};
    char nodes[4][16];
    char addresses[4][16];
    char name[16];

    for (unsigned i = 0; i < s->count; i++) {
        node_name(s->instances[i].node, nodes[i], sizeof(nodes[i]));
        (void)snprintf(addresses[i], sizeof(addresses[i]), "10.1.0.%u",
                       s->instances[i].address);
        all[i].id = "i";
        all[i].node = nodes[i];
        all[i].node_address = "10.2.0.1";
        all[i].address = s->instances[i].address == 0   ? ""
                         : s->instances[i].address == 4 ? "x.n0.node.consul"
                                                        : addresses[i];
        all[i].port = (uint16_t)(8000 + i);
        all[i].health = s->instances[i].health;
        if (s->instances[i].tag < TAGS) {
            all[i].tags = &tag_names[s->instances[i].tag];
            all[i].tags_count = 1;
        }
    }
    service_name(index, name, sizeof(name));
    dns_model_put_service(m, name, all, s->count);
}

static void put_node(struct dns_model *m, const struct world *w, unsigned index)
{
    char name[16];
    char address[16];
    struct dns_node node = {.name = name, .address = address};

    node_name(index, name, sizeof(name));
    (void)snprintf(address, sizeof(address), "10.1.0.%u",
                   w->node_address[index]);
    if (w->node_address[index] == 0) {
        dns_model_remove_node(m, name);
    } else {
        dns_model_put_node(m, &node);
    }
}

static void step(struct dns_model *m, struct world *w, struct rng *rng)
{
    unsigned index = (unsigned)rng_below(rng, SERVICES);
    struct service *s = &w->services[index];

    if (rng_below(rng, 3) == 0) {
        index = (unsigned)rng_below(rng, NODES);
        w->node_address[index] = (unsigned)rng_below(rng, 5);
        put_node(m, w, index);
        return;
    }
    s->count = (unsigned)rng_below(rng, 5);
    for (unsigned i = 0; i < s->count; i++) {
        s->instances[i].node = (unsigned)rng_below(rng, NODES);
        s->instances[i].address = (unsigned)rng_below(rng, 5);
        s->instances[i].tag = (unsigned)rng_below(rng, TAGS + 1);
        s->instances[i].health = (enum dns_health)rng_below(rng, 3);
    }
    put_service(m, w, index);
}

static struct dns_model *model_new(void)
{
    struct dns_settings settings;
    struct dns_model *m;

    dns_settings_init(&settings);
    ck_assert_int_eq(
        dns_model_new(&settings, (struct hash_key){1, 2}, &m, NULL), ST_OK);
    return m;
}

static struct dns_model *model_of(const struct world *w)
{
    struct dns_model *m = model_new();

    for (unsigned i = 0; i < SERVICES; i++) {
        put_service(m, w, i);
    }
    for (unsigned i = 0; i < NODES; i++) {
        put_node(m, w, i);
    }
    return m;
}

struct reply {
    size_t len;
    uint8_t bytes[4096];
};

static void ask(const struct dns_zone *z, const char *name, uint16_t type,
                struct reply *out)
{
    struct dns_name n = {0};
    struct dns_question q;
    struct dns_answer answer;
    struct arena arena = {0};
    struct rng rng;
    struct dns_transport t = {.tcp = true,
                              .size_max = sizeof(out->bytes),
                              .rng = &rng,
                              .scratch = &arena};
    struct reply quick;

    ck_assert(dns_name_add_text(&n, slice_str(name)));
    ck_assert(dns_name_end(&n));
    dns_question_make(&q, dns_name_slice(&n), type);
    rng_init(&rng, 3);
    dns_decide(z, &q, &arena, &answer);
    out->len = dns_pack(z, &q, &answer, &t, out->bytes);
    rng_init(&rng, 3);
    quick.len = dns_answer_prepared(z, &q, &t, quick.bytes);
    if (quick.len > 0) {
        ck_assert_uint_eq(quick.len, out->len);
        ck_assert(memcmp(quick.bytes, out->bytes, out->len) == 0);
    }
    arena_release(&arena);
}

static void same_reply(const struct dns_zone *a, const struct dns_zone *b,
                       const char *name, uint16_t type)
{
    struct reply from_a;
    struct reply from_b;

    ask(a, name, type, &from_a);
    ask(b, name, type, &from_b);
    ck_assert_msg(from_a.len == from_b.len &&
                      memcmp(from_a.bytes, from_b.bytes, from_a.len) == 0,
                  "%s type %u differs", name, type);
}

/* Every name that may exist says the same in both. */
static void same_zone(const struct dns_zone *a, const struct dns_zone *b)
{
    char name[64];
    char part[16];

    ck_assert_uint_eq(dns_zone_names(a), dns_zone_names(b));
    for (unsigned i = 0; i < SERVICES; i++) {
        service_name(i, part, sizeof(part));
        (void)snprintf(name, sizeof(name), "%s.service.consul", part);
        same_reply(a, b, name, DNS_TYPE_A);
        same_reply(a, b, name, DNS_TYPE_SRV);
        for (unsigned t = 0; t < TAGS; t++) {
            (void)snprintf(name, sizeof(name), "%s.%s.service.consul",
                           tag_names[t], part);
            same_reply(a, b, name, DNS_TYPE_A);
        }
    }
    for (unsigned i = 0; i < NODES; i++) {
        node_name(i, part, sizeof(part));
        (void)snprintf(name, sizeof(name), "%s.node.consul", part);
        same_reply(a, b, name, DNS_TYPE_A);
    }
    for (unsigned i = 0; i < 6; i++) {
        (void)snprintf(name, sizeof(name), "%u.0.1.10.in-addr.arpa", i);
        same_reply(a, b, name, DNS_TYPE_PTR);
    }
}

/* However a zone came about, step by step with older zones still in use, it is
 * the zone of its content; and the older zone says what it always said. */
START_TEST(incremental_equals_fresh)
{
    struct rng rng;
    struct world w = {0};
    struct dns_model *m = model_new();
    struct dns_zone *zone = dns_model_commit(m, 7, DNS_FRESH);

    rng_init(&rng, (uint64_t)_i);
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct world before = w;
        struct dns_model *fresh_model;
        struct dns_zone *fresh;
        struct dns_zone *next;

        for (uint64_t n = rng_below(&rng, STEPS); n > 0; n--) {
            step(m, &w, &rng);
        }
        next = dns_model_commit(m, 8 + round, DNS_FRESH);
        fresh_model = model_of(round % 2 == 0 ? &w : &before);
        fresh = dns_model_commit(fresh_model, 7 + round + (round % 2 == 0),
                                 DNS_FRESH);
        same_zone(round % 2 == 0 ? next : zone, fresh);
        dns_zone_free(fresh);
        dns_model_free(fresh_model);
        dns_zone_free(zone);
        zone = next;
    }
    dns_zone_free(zone);
    dns_model_free(m);
}
END_TEST

enum {
    KEPT = 4
};

/* What a zone has said of the services elsewhere. */
struct told {
    struct dns_zone *zone; /* NULL: freed, or not made yet. */
    struct reply replies[SERVICES];
};

static void ask_elsewhere(const struct dns_zone *z, unsigned service,
                          struct reply *out)
{
    char name[64];

    (void)snprintf(name, sizeof(name), "svc%u.service.dc2.consul", service);
    ask(z, name, DNS_TYPE_A, out);
}

static void tells_the_same(const struct told *t)
{
    struct reply now;

    for (unsigned i = 0; t->zone != NULL && i < SERVICES; i++) {
        ask_elsewhere(t->zone, i, &now);
        ck_assert_uint_eq(now.len, t->replies[i].len);
        ck_assert(memcmp(now.bytes, t->replies[i].bytes, now.len) == 0);
    }
}

static struct dns_model *model_with(const char *datacenter, const char *other)
{
    struct dns_settings settings;
    struct dns_model *m;

    dns_settings_init(&settings);
    settings.datacenter = datacenter;
    settings.others = &other;
    settings.others_count = other == NULL ? 0 : 1;
    ck_assert_int_eq(
        dns_model_new(&settings, (struct hash_key){1, 2}, &m, NULL), ST_OK);
    return m;
}

/* A zone says of another datacenter what was known when it was made, however
 * that one has changed meanwhile. */
START_TEST(others_stay_with_their_zone)
{
    struct dns_model *m = model_with("dc1", "DC2");
    struct dns_model *other = model_with("dc2", NULL);
    struct told told[KEPT] = {0};
    struct world w = {0};
    struct rng rng;

    rng_init(&rng, (uint64_t)_i);
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct told *t = &told[round % KEPT];

        for (uint64_t n = rng_below(&rng, STEPS); n > 0; n--) {
            step(other, &w, &rng);
        }
        if (rng_below(&rng, 3) > 0) {
            dns_model_set_other(m, 0, dns_model_commit(other, 7, DNS_FRESH));
        }
        dns_zone_free(t->zone);
        t->zone = dns_model_commit(m, 7, DNS_FRESH);
        for (unsigned i = 0; i < SERVICES; i++) {
            ask_elsewhere(t->zone, i, &t->replies[i]);
        }
        for (unsigned i = 0; i < KEPT; i++) {
            tells_the_same(&told[i]);
        }
    }
    for (unsigned i = 0; i < KEPT; i++) {
        dns_zone_free(told[(ROUNDS + i) % KEPT].zone);
    }
    dns_model_free(m);
    dns_model_free(other);
}
END_TEST

/* Before its first zone has come, nothing is known. */
START_TEST(a_datacenter_without_zone_is_unknown)
{
    struct dns_model *m = model_with("dc1", "dc2");
    struct dns_zone *zone = dns_model_commit(m, 1, DNS_FRESH);
    struct reply reply;

    ask(zone, "web.service.dc2.consul", DNS_TYPE_A, &reply);
    ck_assert_uint_eq(reply.bytes[3] & 15, DNS_SERVFAIL);
    ask(zone, "0a000001.addr.dc2.consul", DNS_TYPE_A, &reply);
    ck_assert_uint_eq(reply.bytes[3] & 15, DNS_NOERROR);
    ask(zone, "service.dc2.consul", DNS_TYPE_A, &reply);
    ck_assert_uint_eq(reply.bytes[3] & 15, DNS_NOERROR);
    ask(zone, "web.service.dc3.consul", DNS_TYPE_A, &reply);
    ck_assert_uint_eq(reply.bytes[3] & 15, DNS_NXDOMAIN);
    dns_zone_free(zone);
    dns_model_free(m);
}
END_TEST

START_TEST(clear_forgets_everything)
{
    struct world w = {0};
    struct rng rng;
    struct dns_model *m = model_new();
    struct dns_zone *full;
    struct dns_zone *empty;
    struct reply reply;

    rng_init(&rng, 11);
    for (int i = 0; i < 50; i++) {
        step(m, &w, &rng);
    }
    w.node_address[0] = 4;
    put_node(m, &w, 0);
    full = dns_model_commit(m, 1, DNS_FRESH);
    step(m, &w, &rng);
    dns_model_clear(m);
    empty = dns_model_commit(m, 2, DNS_FRESH);
    ck_assert_uint_gt(dns_zone_names(full), 0);
    ck_assert_uint_eq(dns_zone_names(empty), 0);
    ask(full, "n0.node.consul", DNS_TYPE_A, &reply);
    ck_assert_uint_eq(reply.bytes[3] & 15, DNS_NOERROR);
    ask(empty, "n0.node.consul", DNS_TYPE_A, &reply);
    ck_assert_uint_eq(reply.bytes[3] & 15, DNS_NXDOMAIN);
    dns_zone_free(full);
    dns_zone_free(empty);
    dns_model_free(m);
}
END_TEST

/* Thousands of names, so that the table grows; then all but one go. */
START_TEST(many_names)
{
    enum {
        MANY = 3000
    };
    struct dns_model *m = model_new();
    struct dns_instance one = {
        .id = "1", .node = "n", .node_address = "10.0.0.1", .port = 1};
    struct dns_zone *zone;
    struct dns_zone *small;
    struct reply reply;
    char name[64];

    for (unsigned i = 0; i < MANY; i++) {
        (void)snprintf(name, sizeof(name), "s%u", i);
        dns_model_put_service(m, name, &one, 1);
    }
    zone = dns_model_commit(m, 1, DNS_FRESH);
    ck_assert_uint_eq(dns_zone_names(zone), MANY);
    for (unsigned i = 1; i < MANY; i++) {
        (void)snprintf(name, sizeof(name), "s%u", i);
        dns_model_put_service(m, name, NULL, 0);
    }
    small = dns_model_commit(m, 2, DNS_FRESH);
    ck_assert_uint_eq(dns_zone_names(small), 1);
    for (unsigned i = 0; i < MANY; i++) {
        (void)snprintf(name, sizeof(name), "s%u.service.consul", i);
        ask(zone, name, DNS_TYPE_A, &reply);
        ck_assert_uint_eq(reply.bytes[3] & 15, DNS_NOERROR);
        ask(small, name, DNS_TYPE_A, &reply);
        ck_assert_uint_eq(reply.bytes[3] & 15,
                          i == 0 ? DNS_NOERROR : DNS_NXDOMAIN);
    }
    dns_zone_free(zone);
    dns_zone_free(small);
    dns_model_free(m);
}
END_TEST

/* More instances than a message holds: said once when it becomes so. */
START_TEST(oversized_services_are_counted)
{
    enum {
        COUNT = 1500
    };
    struct dns_instance *all = calloc(COUNT, sizeof(*all));
    struct dns_model *m = model_new();
    struct slice names[DNS_OVERSIZED_NAMES];
    struct dns_zone *zones[5];

    for (size_t i = 0; i < COUNT; i++) {
        all[i] = (struct dns_instance){
            .id = "x", .node = "n", .address = "10.0.0.1", .port = (uint16_t)i};
    }
    dns_model_put_service(m, "small", all, 100);
    zones[0] = dns_model_commit(m, 1, DNS_FRESH);
    ck_assert_uint_eq(dns_zone_oversized(zones[0]), 0);
    dns_model_put_service(m, "big", all, COUNT);
    zones[1] = dns_model_commit(m, 2, DNS_FRESH);
    ck_assert_uint_eq(dns_zone_oversized(zones[1]), 1);
    ck_assert_uint_eq(dns_zone_new_oversized(zones[1], names), 1);
    ck_assert(slice_eq(names[0], slice_str("big")));
    dns_model_put_service(m, "small", all, 99);
    zones[2] = dns_model_commit(m, 3, DNS_FRESH);
    ck_assert_uint_eq(dns_zone_oversized(zones[2]), 1);
    ck_assert_uint_eq(dns_zone_new_oversized(zones[2], names), 0);
    dns_model_put_service(m, "big", all, 0);
    zones[3] = dns_model_commit(m, 4, DNS_FRESH);
    ck_assert_uint_eq(dns_zone_oversized(zones[3]), 0);
    dns_model_put_service(m, "big", all, COUNT);
    dns_model_clear(m);
    zones[4] = dns_model_commit(m, 5, DNS_FRESH);
    ck_assert_uint_eq(dns_zone_oversized(zones[4]), 0);
    for (size_t i = 0; i < 5; i++) {
        dns_zone_free(zones[i]);
    }
    dns_model_free(m);
    free(all);
}
END_TEST

START_TEST(settings_are_checked_and_changed)
{
    struct dns_model *m = model_new();
    struct dns_settings settings;
    struct err err = {0};
    struct world w = {.node_address = {4}};
    struct dns_zone *before;
    struct dns_zone *after;
    struct reply reply;

    dns_settings_init(&settings);
    settings.domain = "bad..name";
    ck_assert_int_eq(dns_model_set_settings(m, &settings, &err), ST_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "bad..name"));
    put_node(m, &w, 0);
    before = dns_model_commit(m, 1, DNS_FRESH);
    settings.domain = "corp.example.";
    settings.alt_domain = NULL;
    settings.node_ttl_s = 9;
    ck_assert_int_eq(dns_model_set_settings(m, &settings, &err), ST_OK);
    after = dns_model_commit(m, 2, DNS_FRESH);
    ask(before, "n0.node.consul", DNS_TYPE_A, &reply);
    ck_assert_uint_eq(reply.bytes[7], 1);
    ask(after, "n0.node.consul", DNS_TYPE_A, &reply);
    ck_assert_uint_eq(reply.bytes[3] & 15, DNS_REFUSED);
    ask(after, "n0.node.corp.example", DNS_TYPE_A, &reply);
    ck_assert_uint_eq(reply.bytes[7], 1);
    ck_assert_uint_eq(reply.bytes[reply.len - 7], 9); /* The TTL. */
    dns_zone_free(before);
    dns_zone_free(after);
    dns_model_free(m);
}
END_TEST

/* Names that DNS cannot carry are kept out; the rest goes on. */
START_TEST(unservable_names_are_left_out)
{
    struct dns_model *m = model_new();
    struct dns_instance one = {
        .id = "1", .node = "..", .node_address = "10.0.0.1", .port = 1};
    const struct dns_node node = {.name = "..", .address = "10.0.0.1"};
    char long_name[80];
    struct dns_zone *zone;

    memset(long_name, 'x', sizeof(long_name) - 1);
    long_name[sizeof(long_name) - 1] = '\0';
    dns_model_put_service(m, long_name, &one, 1);
    dns_model_put_service(m, "", &one, 1);
    dns_model_put_node(m, &node);
    dns_model_remove_node(m, "");
    dns_model_put_service(m, "ok", &one, 1);
    zone = dns_model_commit(m, 1, DNS_FRESH);
    ck_assert_uint_eq(dns_zone_names(zone), 1);
    dns_zone_free(zone);
    dns_model_free(m);
}
END_TEST

UNIT_MAIN("dns_model", {
    tcase_add_loop_test(tc, incremental_equals_fresh, 0, 6);
    tcase_add_loop_test(tc, others_stay_with_their_zone, 0, 3);
    tcase_add_test(tc, a_datacenter_without_zone_is_unknown);
    tcase_add_test(tc, clear_forgets_everything);
    tcase_add_test(tc, many_names);
    tcase_add_test(tc, oversized_services_are_counted);
    tcase_add_test(tc, settings_are_checked_and_changed);
    tcase_add_test(tc, unservable_names_are_left_out);
})
