#include "dns/io/recursion.h"
#include "dns/io/server.h"

#include <ldns/ldns.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "dns/core/question.h"
#include "tests/unit/dns_io/asker.h"
#include "tests/unit/dns_io/fake_upstream.h"
#include "tests/unit/suite.h"

/* A server, and two recursors that it may ask. */
struct fixture {
    struct fake_upstream up[2];
    struct dns_model *model;
    struct dns_server *server;
    struct dns_recursion_config recursion;
    const char *recursors[2];
};

static void server_start(struct fixture *f, const char *const *recursors,
                         size_t count)
{
    static const char *const listen[] = {"127.0.0.1:0"};
    struct dns_server_config config = {
        .listen = {.plain = listen, .plain_count = 1}, .threads = 2};
    struct dns_settings settings;
    struct err err = {0};

    f->recursion.recursors = recursors;
    f->recursion.recursors_count = count;
    config.recursion = f->recursion;
    dns_settings_init(&settings);
    ck_assert_int_eq(
        dns_model_new(&settings, (struct hash_key){7, 9}, &f->model, &err),
        ST_OK);
    ck_assert_msg(dns_server_start(&config, &f->server, &err) == ST_OK, "%s",
                  err.text);
    dns_server_publish(f->server, dns_model_commit(f->model, 1, DNS_FRESH));
}

/* UDP is repeated after a third of `timeout_ms`: where questions are counted,
 * that has to be long for a machine that is busy. */
static void start_with(struct fixture *f, uint32_t timeout_ms)
{
    f->recursion = (struct dns_recursion_config){.timeout_ms = timeout_ms,
                                                 .cache_bytes = 1 << 20};
    for (uint8_t i = 0; i < 2; i++) {
        fake_upstream_start(&f->up[i], (uint8_t)(i + 1));
        f->recursors[i] = f->up[i].address;
    }
    server_start(f, f->recursors, 2);
}

static void start(struct fixture *f)
{
    start_with(f, 6000);
}

/* For recursors that are not heard of again. */
static void start_impatient(struct fixture *f)
{
    start_with(f, 900);
}

static void server_stop(struct fixture *f)
{
    dns_server_stop(f->server);
    dns_model_free(f->model);
}

static void stop(struct fixture *f)
{
    server_stop(f);
    fake_upstream_stop(&f->up[0]);
    fake_upstream_stop(&f->up[1]);
}

static ldns_pkt *ask(const struct fixture *f, const char *name, uint16_t type)
{
    return ask_udp(dns_server_port(f->server, 0), name, type);
}

/* ---- One question ------------------------------------------------------- */

/* The first recursor does as the name says; the second always answers. How
 * often each is asked. */
static const struct {
    const char *name;
    uint16_t type;
    const char *said;
    unsigned first;
    unsigned second;
} rows[] = {
    {"ok.test", 1, "0 192.0.2.1", 1, 0},
    {"ok.test", 28, "0 2001:db8::1", 1, 0},
    {"nx.test", 1, "3", 1, 0},
    {"wrongid.test", 1, "0 192.0.2.1", 1, 0},
    {"wrongname.test", 1, "0 192.0.2.1", 1, 0},
    {"lower.with-many-letters-to-spell.test", 1, "0 192.0.2.1", 2, 0},
    {"poison.test", 1, "0 192.0.2.1", 1, 0},
    {"alias.test", 1, "0 ok.other. 192.0.2.1", 1, 0},
    {"servfail.1.test", 1, "0 192.0.2.2", 1, 1},
    {"refused.1.test", 1, "0 192.0.2.2", 1, 1},
    {"lame.1.test", 1, "0 192.0.2.2", 1, 1},
    {"garbage.1.test", 1, "0 192.0.2.2", 1, 1},
    {"silent.1.test", 1, "0 192.0.2.2", 2, 1}, /* UDP is repeated once. */
};

START_TEST(one_question_by_row)
{
    struct fixture f;
    const char *said;
    ldns_pkt *pkt;

    if (strncmp(rows[_i].name, "silent", 6) == 0) {
        start_impatient(&f);
    } else {
        start(&f);
    }
    atomic_store(&f.up[1].polite, true);
    pkt = ask(&f, rows[_i].name, rows[_i].type);
    ck_assert_uint_eq(ldns_pkt_arcount(pkt), 0); /* ldns takes OPT out. */
    ck_assert_uint_eq(ldns_pkt_nscount(pkt), rows[_i].said[0] == '3' ? 1 : 0);
    said = say(pkt);
    ck_assert_msg(strcmp(said, rows[_i].said) == 0, "%s: %s", rows[_i].name,
                  said);
    if (strncmp(rows[_i].name, "lower", 5) != 0) {
        ck_assert_uint_eq(atomic_load(&f.up[0].seen), rows[_i].first);
        ck_assert_int_eq(atomic_load(&f.up[1].seen) > 0, rows[_i].second > 0);
    }
    stop(&f);
}
END_TEST

START_TEST(one_without_edns_is_asked_without)
{
    struct fixture f;

    start(&f);
    ck_assert_str_eq(say(ask(&f, "formerr.test", 1)), "0 192.0.2.1");
    ck_assert_uint_eq(atomic_load(&f.up[1].seen), 0);
    stop(&f);
}
END_TEST

/* Why not: nobody answered, or nobody helped. Both are remembered. */
START_TEST(all_failed)
{
    struct fixture f;
    struct dns_server_stats stats;
    unsigned seen;

    start_impatient(&f);
    ck_assert_str_eq(say(ask(&f, "silent.test", 1)), "2 e22");
    ck_assert_str_eq(say(ask(&f, "servfail.test", 1)), "2 e23");
    seen = atomic_load(&f.up[1].seen);
    ck_assert_str_eq(say(ask(&f, "servfail.test", 1)), "2 e23");
    ck_assert_uint_eq(atomic_load(&f.up[1].seen), seen);
    dns_server_stats(f.server, &stats);
    ck_assert_uint_eq(stats.forward_failed, 2);
    stop(&f);
}
END_TEST

/* The first one is dead: found out once, then asked last. */
START_TEST(who_failed_is_asked_last)
{
    struct fixture f;
    char name[32];
    unsigned seen;

    start_impatient(&f);
    atomic_store(&f.up[0].mute, true);
    for (int i = 0; i < 20; i++) {
        (void)snprintf(name, sizeof(name), "ok.%d.test", i);
        ck_assert_str_eq(say(ask(&f, name, 1)), "0 192.0.2.2");
    }
    ck_assert_uint_eq(atomic_load(&f.up[0].seen), 2);
    ck_assert_uint_ge(atomic_load(&f.up[1].seen), 20);
    atomic_store(&f.up[0].mute, false);
    atomic_store(&f.up[1].mute, true); /* Now the last is the only one. */
    seen = atomic_load(&f.up[1].seen);
    ck_assert_str_eq(say(ask(&f, "ok.last.test", 1)), "0 192.0.2.1");
    ck_assert_str_eq(say(ask(&f, "ok.first.test", 1)), "0 192.0.2.1");
    ck_assert_uint_eq(atomic_load(&f.up[1].seen), seen + 2);
    stop(&f);
}
END_TEST

START_TEST(random_strategy_asks_both)
{
    struct fixture f;
    char name[32];

    start(&f);
    f.recursion.order = DNS_RECURSORS_SHUFFLED;
    ck_assert_int_eq(dns_server_recursion(f.server, &f.recursion, NULL), ST_OK);
    for (int i = 0; i < 60; i++) {
        (void)snprintf(name, sizeof(name), "ok.%d.test", i);
        ldns_pkt_free(ask(&f, name, 1));
    }
    ck_assert_uint_gt(atomic_load(&f.up[0].seen), 10);
    ck_assert_uint_gt(atomic_load(&f.up[1].seen), 10);
    stop(&f);
}
END_TEST

/* ---- Truncation --------------------------------------------------------- */

START_TEST(truncated_is_passed_on_and_whole_over_tcp)
{
    struct fixture f;
    ldns_pkt *pkt;

    start(&f);
    pkt = ask(&f, "long.test", 1);
    ck_assert(ldns_pkt_tc(pkt));
    ck_assert_uint_eq(ldns_pkt_ancount(pkt), 0);
    ldns_pkt_free(pkt);
    ck_assert_uint_eq(atomic_load(&f.up[0].seen_tcp), 0);
    pkt = ask_tcp(dns_server_port(f.server, 0), "long.test", 1);
    ck_assert(!ldns_pkt_tc(pkt));
    ck_assert_uint_eq(ldns_pkt_ancount(pkt), 60);
    ldns_pkt_free(pkt);
    ck_assert_uint_eq(atomic_load(&f.up[0].seen_tcp), 1);
    pkt = ask(&f, "long.test", 1); /* There is room for it in 4096 bytes. */
    ck_assert_uint_eq(ldns_pkt_ancount(pkt), 60);
    ldns_pkt_free(pkt);
    ck_assert_uint_eq(atomic_load(&f.up[0].seen), 2);
    stop(&f);
}
END_TEST

START_TEST(the_largest_answer)
{
    struct fixture f;
    ldns_pkt *pkt;

    start(&f);
    pkt = ask_tcp(dns_server_port(f.server, 0), "huge.test", 1);
    ck_assert_uint_eq(ldns_pkt_ancount(pkt), 1800);
    ck_assert_uint_eq(ldns_pkt_arcount(pkt), 0);
    ldns_pkt_free(pkt);
    stop(&f);
}
END_TEST

/* ---- Cache -------------------------------------------------------------- */

START_TEST(asked_once_in_any_spelling)
{
    struct fixture f;
    struct dns_server_stats stats;
    struct dns_upstream_stats up;
    ldns_pkt *pkt;

    start(&f);
    for (int i = 0; i < 10; i++) {
        pkt = ask(&f, i % 2 ? "OK.Test" : "ok.tESt", 1);
        ck_assert_uint_le(ldns_rr_ttl(ldns_rr_list_rr(ldns_pkt_answer(pkt), 0)),
                          60);
        ck_assert_str_eq(say(pkt), "0 192.0.2.1");
        ck_assert_str_eq(say(ask(&f, "nx.test", 28)), "3");
    }
    ck_assert_uint_eq(atomic_load(&f.up[0].seen), 2);
    dns_server_stats(f.server, &stats);
    ck_assert_uint_eq(stats.cache_hits, 18);
    ck_assert_uint_eq(stats.cache_misses, 2);
    dns_server_upstream_stats(f.server, &up);
    ck_assert_uint_eq(up.cache_entries, 2);
    ck_assert_uint_eq(up.recursors_count, 2);
    ck_assert_str_eq(up.recursors[0].address, f.up[0].address);
    ck_assert_uint_eq(up.recursors[0].asked, 2);
    ck_assert_uint_eq(up.recursors[0].answered, 2);
    stop(&f);
}
END_TEST

START_TEST(without_a_cache_each_is_asked)
{
    struct fixture f;

    start(&f);
    f.recursion.cache_bytes = 0;
    ck_assert_int_eq(dns_server_recursion(f.server, &f.recursion, NULL), ST_OK);
    ldns_pkt_free(ask(&f, "ok.test", 1));
    ldns_pkt_free(ask(&f, "ok.test", 1));
    ck_assert_uint_eq(atomic_load(&f.up[0].seen), 2);
    stop(&f);
}
END_TEST

/* Many clients, one question, nobody answers: upstream is asked by one flight
 * (which repeats itself once), and all get to hear how it ended. */
START_TEST(equal_questions_are_one)
{
    enum {
        CLIENTS = 40
    };
    struct fixture f;
    int fds[CLIENTS];
    uint8_t query[512];
    uint8_t response[512];
    struct dns_upstream_stats up;

    start_impatient(&f);
    for (int i = 0; i < CLIENTS; i++) {
        size_t len = asker_query("silent.1.test", 1, (uint16_t)i, query);

        fds[i] = asker_socket(dns_server_port(f.server, 0), SOCK_DGRAM);
        ck_assert_int_gt(send(fds[i], query + 2, len - 2, 0), 0);
    }
    atomic_store(&f.up[1].polite, true);
    for (int i = 0; i < CLIENTS; i++) {
        ck_assert_int_gt(recv(fds[i], response, sizeof(response), 0), 12);
        ck_assert_uint_eq((unsigned)(response[0] << 8 | response[1]),
                          (unsigned)i);
        ck_assert_uint_eq(response[7], 1);
        (void)close(fds[i]);
    }
    ck_assert_uint_eq(atomic_load(&f.up[0].seen), 2);
    ck_assert_uint_ge(atomic_load(&f.up[1].seen), 1);
    ck_assert_uint_le(atomic_load(&f.up[1].seen), 2);
    dns_server_upstream_stats(f.server, &up);
    ck_assert_uint_eq(up.joined, CLIENTS - 1);
    ck_assert_uint_eq(up.waiting, 0);
    stop(&f);
}
END_TEST

static bool wait_for(const struct fixture *f, const char *name,
                     const char *said, unsigned tries)
{
    for (unsigned i = 0; i < tries; i++) {
        struct timespec pause = {.tv_nsec = 20 * 1000 * 1000};

        if (strcmp(say(ask(f, name, 1)), said) == 0) {
            return true;
        }
        (void)nanosleep(&pause, NULL);
    }
    return false;
}

/* RFC 8767: expired, and upstream is gone: the old answer, marked, 30 s. When
 * upstream is back, so is the truth. */
START_TEST(stale_is_served)
{
    struct fixture f;
    ldns_pkt *pkt;

    start_impatient(&f);
    f.recursion.stale_max_s = 3600;
    f.recursion.stale_wait_ms = 50;
    ck_assert_int_eq(dns_server_recursion(f.server, &f.recursion, NULL), ST_OK);
    ck_assert_str_eq(say(ask(&f, "brief.test", 1)), "0 192.0.2.1");
    atomic_store(&f.up[0].mute, true);
    atomic_store(&f.up[1].mute, true);
    ck_assert(wait_for(&f, "brief.test", "0 192.0.2.1 e3", 200));
    pkt = ask(&f, "brief.test", 1);
    ck_assert_uint_eq(ldns_rr_ttl(ldns_rr_list_rr(ldns_pkt_answer(pkt), 0)),
                      30);
    ldns_pkt_free(pkt);
    ck_assert_str_eq(say(ask(&f, "other.test", 1)), "2 e22");
    stop(&f);
}
END_TEST

/* The client waits for a while only; the refresh goes on behind its back. */
START_TEST(stale_is_refreshed_behind)
{
    struct fixture f;

    start_impatient(&f);
    f.recursion.stale_max_s = 3600;
    f.recursion.stale_wait_ms = 50;
    f.recursion.timeout_ms = 2000;
    ck_assert_int_eq(dns_server_recursion(f.server, &f.recursion, NULL), ST_OK);
    ck_assert_str_eq(say(ask(&f, "brief.test", 1)), "0 192.0.2.1");
    atomic_store(&f.up[0].mute, true);
    ck_assert(wait_for(&f, "brief.test", "0 192.0.2.1 e3", 200));
    ck_assert(wait_for(&f, "brief.test", "0 192.0.2.2", 400));
    stop(&f);
}
END_TEST

/* ---- Routes, rules ------------------------------------------------------ */

START_TEST(domains_have_their_own_recursors)
{
    struct fixture f;
    struct dns_domain_recursor domains[1];

    start(&f);
    domains[0] = (struct dns_domain_recursor){"corp.example", f.recursors[1]};
    f.recursion.recursors_count = 0;
    f.recursion.domains = domains;
    f.recursion.domains_count = 1;
    ck_assert_int_eq(dns_server_recursion(f.server, &f.recursion, NULL), ST_OK);
    ck_assert_str_eq(say(ask(&f, "ok.corp.example", 1)), "0 192.0.2.2");
    ck_assert_str_eq(say(ask(&f, "ok.example", 1)), "5");
    f.recursion.recursors_count = 1;
    ck_assert_int_eq(dns_server_recursion(f.server, &f.recursion, NULL), ST_OK);
    ck_assert_str_eq(say(ask(&f, "ok.example", 1)), "0 192.0.2.1");
    ck_assert_uint_eq(atomic_load(&f.up[0].seen), 1);
    stop(&f);
}
END_TEST

START_TEST(a_bad_reload_changes_nothing)
{
    struct fixture f;
    char own[32];
    const char *bad[] = {own, "nobody", "192.0.2.1:99999"};
    static const char *const networks[] = {"10.0.0.1/8"};
    struct err err = {0};

    start(&f);
    (void)snprintf(own, sizeof(own), "127.0.0.1:%u",
                   dns_server_port(f.server, 0));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct dns_recursion_config c = {.recursors = &bad[i],
                                         .recursors_count = 1};

        ck_assert_int_eq(dns_server_recursion(f.server, &c, &err), ST_INVALID);
    }
    f.recursion.from = networks;
    f.recursion.from_count = 1;
    ck_assert_int_eq(dns_server_recursion(f.server, &f.recursion, &err),
                     ST_INVALID);
    ck_assert(strstr(err.text, "recursion_from") != NULL);
    ck_assert_str_eq(say(ask(&f, "ok.test", 1)), "0 192.0.2.1");
    stop(&f);
}
END_TEST

START_TEST(loopback_and_listed_networks_only)
{
    static const struct {
        const char *client;
        bool may;
    } clients[] = {{"127.0.0.1:1", true},
                   {"127.9.9.9:1", true},
                   {"[::1]:1", true},
                   {"10.1.2.3:1", true},
                   {"[2001:db8::7]:1", true},
                   {"192.168.0.1:1", false},
                   {"[fe80::1]:1", false},
                   {"8.8.8.8:1", false},
                   {"[::ffff:10.0.0.1]:1", true}};
    static const char *const networks[] = {"10.0.0.0/8", "2001:db8::/32"};
    struct dns_recursion_config c = {.from = networks, .from_count = 2};
    struct recursion *r = NULL;

    ck_assert_int_eq(recursion_new(&c, NULL, 0, &r, NULL), ST_OK);
    for (size_t i = 0; i < sizeof(clients) / sizeof(clients[0]); i++) {
        union address a;

        ck_assert_int_eq(dns_address_parse(clients[i].client, -1, "", &a, NULL),
                         ST_OK);
        ck_assert_msg(recursion_is_for(r, &a) == clients[i].may, "%s",
                      clients[i].client);
    }
    recursion_unref(r);
}
END_TEST

/* Two servers that are each other's recursor: noticed at the second meeting,
 * not when somebody's patience ends. */
START_TEST(loops_are_noticed)
{
    struct fixture a = {.recursion = {.timeout_ms = 20000}};
    struct fixture b = {.recursion = {.timeout_ms = 20000}};
    char to_a[32];
    char to_b[32];
    const char *recursor = to_a;
    struct dns_server_stats stats;

    server_start(&a, NULL, 0);
    (void)snprintf(to_a, sizeof(to_a), "127.0.0.1:%u",
                   dns_server_port(a.server, 0));
    server_start(&b, &recursor, 1);
    (void)snprintf(to_b, sizeof(to_b), "127.0.0.1:%u",
                   dns_server_port(b.server, 0));
    recursor = to_b;
    a.recursion.recursors = &recursor;
    a.recursion.recursors_count = 1;
    ck_assert_int_eq(dns_server_recursion(a.server, &a.recursion, NULL), ST_OK);
    while (strcmp(say(ask(&a, "x.example", 1)), "2 e23") != 0) {
        continue; /* Its workers have not all heard of the recursor. */
    }
    dns_server_stats(a.server, &stats);
    ck_assert_uint_eq(stats.forward_loops, 1);
    server_stop(&a);
    server_stop(&b);
}
END_TEST

/* ---- Names of ours that lead outside ------------------------------------- */

static void put(struct fixture *f, const char *service, const char *address)
{
    struct dns_instance one = {.id = "1",
                               .node = "n1",
                               .node_address = "10.0.0.1",
                               .address = address,
                               .port = 80,
                               .weight_passing = 1};

    dns_model_put_service(f->model, service, &one, 1);
    dns_server_publish(f->server, dns_model_commit(f->model, 2, DNS_FRESH));
}

static const struct {
    const char *address; /* Of the service. */
    uint16_t type;
    const char *said;
    unsigned extras;
    unsigned seen;
} outside[] = {
    {"ok.test", 1, "0 ok.test. 192.0.2.1", 0, 1},
    {"ok.test", 28, "0 ok.test. 2001:db8::1", 0, 1},
    {"ok.test", 33, "0 ok.test.", 2, 2}, /* Both families come along. */
    {"alias.test", 1, "0 alias.test. ok.other. 192.0.2.1", 0, 1},
    {"alias.test", 33, "0 alias.test.", 2, 2},
    {"nx.test", 1, "3 nx.test.", 0, 1},
    {"servfail.test", 1, "0 servfail.test.", 0, 1},
    {"long.test", 28, "0 long.test. 2001:db8::", 0, 2}, /* A unit: whole. */
};

START_TEST(our_names_that_lead_outside)
{
    struct fixture f;
    const char *said;
    ldns_pkt *pkt;

    start(&f);
    put(&f, "ext", outside[_i].address);
    for (int again = 0; again < 2; again++) { /* Then from the cache. */
        pkt = ask(&f, "ext.service.consul", outside[_i].type);
        ck_assert_uint_eq(ldns_pkt_arcount(pkt), outside[_i].extras);
        said = say(pkt);
        ck_assert_msg(
            strncmp(said, outside[_i].said, strlen(outside[_i].said)) == 0,
            "%s: %s", outside[_i].address, said);
        ck_assert_uint_eq(atomic_load(&f.up[0].seen), outside[_i].seen);
    }
    stop(&f);
}
END_TEST

UNIT_MAIN("dns_forward", {
    tcase_add_loop_test(tc, one_question_by_row, 0, COUNT_OF(rows));
    tcase_add_test(tc, one_without_edns_is_asked_without);
    tcase_add_test(tc, all_failed);
    tcase_add_test(tc, who_failed_is_asked_last);
    tcase_add_test(tc, random_strategy_asks_both);
    tcase_add_test(tc, truncated_is_passed_on_and_whole_over_tcp);
    tcase_add_test(tc, the_largest_answer);
    tcase_add_test(tc, asked_once_in_any_spelling);
    tcase_add_test(tc, without_a_cache_each_is_asked);
    tcase_add_test(tc, equal_questions_are_one);
    tcase_add_test(tc, stale_is_served);
    tcase_add_test(tc, stale_is_refreshed_behind);
    tcase_add_test(tc, domains_have_their_own_recursors);
    tcase_add_test(tc, a_bad_reload_changes_nothing);
    tcase_add_test(tc, loopback_and_listed_networks_only);
    tcase_add_test(tc, loops_are_noticed);
    tcase_add_loop_test(tc, our_names_that_lead_outside, 0, COUNT_OF(outside));
})
