/* What the responder says to clients that it does not know, without a socket.
 */
#include "dns/io/responder.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "dns/core/model.h"
#include "dns/core/name.h"
#include "tests/unit/suite.h"

static struct counts counts;

struct world {
    struct dns_model *model;
    struct dns_zone *zone;
    struct responder responder;
};

static void open_world(struct world *w, uint32_t per_second, uint32_t slip)
{
    struct dns_settings settings;
    struct dns_protection protection;
    struct dns_instance all[20] = {0};
    char addresses[20][24];

    *w = (struct world){0};
    counts = (struct counts){0};
    dns_settings_init(&settings);
    ck_assert_int_eq(
        dns_model_new(&settings, (struct hash_key){7, 9}, &w->model, NULL),
        ST_OK);
    for (unsigned i = 0; i < 20; i++) {
        (void)snprintf(addresses[i], sizeof(addresses[i]), "10.1.0.%u", i);
        all[i] = (struct dns_instance){.id = addresses[i],
                                       .node = "n1",
                                       .node_address = "10.0.0.1",
                                       .address = addresses[i],
                                       .port = 80};
    }
    dns_model_put_service(w->model, "many", all, 20);
    dns_model_put_service(w->model, "one", all, 1);
    w->zone = dns_model_commit(w->model, 1, DNS_FRESH);
    dns_protection_init(&protection);
    protection.rate = (struct dns_rate_limits){per_second, slip};
    memset(protection.cookie_key, 7, sizeof(protection.cookie_key));
    ck_assert_int_eq(
        dns_network_parse("203.0.113.0/24", &protection.networks[0]), ST_OK);
    protection.networks_count = 1;
    rng_init(&w->responder.rng, 1);
    w->responder.udp_remote = 4096;
    w->responder.counts = &counts;
    guard_init(&w->responder.guard, &protection);
}

static void close_world(struct world *w)
{
    guard_release(&w->responder.guard);
    arena_release(&w->responder.scratch);
    dns_zone_free(w->zone);
    dns_model_free(w->model);
}

/* An SRV question with EDNS; `cookie` is the option's body. */
static size_t make_query(const char *name, struct slice cookie, uint8_t *out)
{
    struct dns_name n = {0};
    size_t len = 12;

    memset(out, 0, 512);
    out[5] = out[11] = 1;
    ck_assert(dns_name_add_text(&n, slice_str(name)));
    ck_assert(dns_name_end(&n));
    memcpy(out + len, n.bytes, n.len);
    len += n.len;
    memcpy(out + len, "\0\41\0\1\0\0\51\20\0\0\0\0\0\0\0", 15);
    len += 15;
    if (cookie.len > 0) {
        out[len - 1] = (uint8_t)(4 + cookie.len);
        memcpy(out + len, "\0\12\0", 3);
        out[len + 3] = (uint8_t)cookie.len;
        memcpy(out + len + 4, cookie.data, cookie.len);
        len += 4 + cookie.len;
    }
    return len;
}

struct said {
    enum response kind;
    size_t len;
    size_t query_len;
    unsigned rcode; /* With OPT's part. */
    unsigned answers;
    bool tc;
    uint8_t bytes[65535];
};

/* Where the OPT record is: our responses have it last, with a cookie at most.
 */
static unsigned opt_high(const struct said *s, struct slice cookie)
{
    size_t opt_len = 11 + (cookie.len > 0 ? 4 + DNS_COOKIE_BYTES : 0);

    return s->bytes[s->len - opt_len + 5];
}

static void ask(struct world *w, const char *name, const char *from,
                struct slice cookie, struct said *out)
{
    uint8_t packet[512];
    union address client = {.ipv4 = {.sin_family = AF_INET}};
    struct query query = {.packet = {.data = packet}, .client = &client};
    struct taken taken;

    ck_assert_int_eq(inet_pton(AF_INET, from, &client.ipv4.sin_addr), 1);
    query.packet.len = make_query(name, cookie, packet);
    out->query_len = query.packet.len;
    out->kind =
        responder_take(&w->responder, w->zone, &query, out->bytes, &taken);
    if (out->kind == RESPONSE_SEND) {
        out->len = taken.len;
        out->rcode =
            opt_high(out, cookie) << 4 | (unsigned)(out->bytes[3] & 15);
        out->answers = (unsigned)(out->bytes[6] << 8 | out->bytes[7]);
        out->tc = (out->bytes[2] & 2) != 0;
    }
}

static const struct slice no_cookie = {0};

static const struct {
    const char *name;
    const char *from;
    const char *question;
    bool cut;
} sizes[] = {
    {"a stranger's large answer", "198.51.100.7", "many.service.consul", true},
    {"a stranger's small answer", "198.51.100.7", "one.service.consul", false},
    {"loopback", "127.0.0.1", "many.service.consul", false},
    {"private", "10.9.9.9", "many.service.consul", false},
    {"listed", "203.0.113.200", "many.service.consul", false},
};

START_TEST(at_most_four_times_the_query)
{
    static struct said s;
    struct world w;

    open_world(&w, 0, 0);
    ask(&w, sizes[_i].question, sizes[_i].from, no_cookie, &s);
    ck_assert_int_eq(s.kind, RESPONSE_SEND);
    ck_assert_msg(s.tc == sizes[_i].cut, "%s", sizes[_i].name);
    ck_assert_msg((s.answers == 0) == sizes[_i].cut, "%s", sizes[_i].name);
    if (sizes[_i].cut) {
        ck_assert_uint_le(s.len, 4 * s.query_len);
    }
    ck_assert_uint_eq(counts.amplified, sizes[_i].cut);
    close_world(&w);
}
END_TEST

/* The cookie of the last response. */
static struct slice cookie_in(const struct said *s)
{
    return slice_of(s->bytes + s->len - DNS_COOKIE_BYTES, DNS_COOKIE_BYTES);
}

/* First contact gives a cookie; with it the client is believed, at its own
 * address only. */
START_TEST(a_cookie_proves_the_address)
{
    static struct said s;
    struct world w;
    uint8_t cookie[DNS_COOKIE_BYTES];

    open_world(&w, 0, 0);
    ask(&w, "many.service.consul", "198.51.100.7", slice_of("abcdefgh", 8), &s);
    ck_assert(s.tc);
    ck_assert(memcmp(cookie_in(&s).data, "abcdefgh", 8) == 0);
    memcpy(cookie, cookie_in(&s).data, sizeof(cookie));
    ask(&w, "many.service.consul", "198.51.100.7",
        slice_of(cookie, sizeof(cookie)), &s);
    ck_assert_uint_eq(s.answers, 20);
    ask(&w, "many.service.consul", "198.51.100.8",
        slice_of(cookie, sizeof(cookie)), &s);
    ck_assert(s.tc);
    cookie[23] ^= 1;
    ask(&w, "many.service.consul", "198.51.100.7",
        slice_of(cookie, sizeof(cookie)), &s);
    ck_assert(s.tc);
    ck_assert_uint_eq(counts.cookies_good, 1);
    ck_assert_uint_eq(counts.cookies_new, 3);
    close_world(&w);
}
END_TEST

/* Another worker, or a restart with the same key. */
START_TEST(cookies_hold_elsewhere)
{
    static struct said s;
    struct world w;
    uint8_t cookie[DNS_COOKIE_BYTES];

    open_world(&w, 0, 0);
    ask(&w, "one.service.consul", "198.51.100.7", slice_of("abcdefgh", 8), &s);
    memcpy(cookie, cookie_in(&s).data, sizeof(cookie));
    close_world(&w);
    open_world(&w, 0, 0);
    ask(&w, "many.service.consul", "198.51.100.7",
        slice_of(cookie, sizeof(cookie)), &s);
    ck_assert_uint_eq(counts.cookies_good, 1);
    close_world(&w);
}
END_TEST

/* Over the rate: silence and TC in turn; BADCOOKIE for whom that helps; nobody
 * else notices. */
START_TEST(rate)
{
    static struct said s;
    struct world w;
    unsigned full = 0;
    unsigned slipped = 0;
    uint8_t cookie[DNS_COOKIE_BYTES];

    open_world(&w, 5, 2);
    for (unsigned i = 0; i < 105; i++) {
        ask(&w, "one.service.consul", "198.51.100.7", no_cookie, &s);
        full += s.kind == RESPONSE_SEND && !s.tc;
        slipped += s.kind == RESPONSE_SEND && s.tc;
    }
    ck_assert_uint_ge(full, 5);
    ck_assert_uint_le(full, 40); /* A slow machine refills a few. */
    ck_assert_uint_eq(slipped, (105 - full) / 2);
    ck_assert_uint_eq(counts.rate_slipped, slipped);
    ck_assert_uint_eq(counts.rate_dropped, 105 - full - slipped);
    do {
        ask(&w, "one.service.consul", "198.51.100.9", slice_of("abcdefgh", 8),
            &s);
    } while (s.kind != RESPONSE_SEND || s.rcode == DNS_NOERROR);
    ck_assert_uint_eq(s.rcode, DNS_BADCOOKIE);
    memcpy(cookie, cookie_in(&s).data, sizeof(cookie));
    for (unsigned i = 0; i < 50; i++) {
        ask(&w, "one.service.consul", "198.51.100.9",
            slice_of(cookie, sizeof(cookie)), &s);
        ck_assert_uint_eq(s.answers, 1);
        ask(&w, "one.service.consul", "127.0.0.1", no_cookie, &s);
        ck_assert_uint_eq(s.answers, 1);
        ask(&w, "one.service.consul", "203.0.113.4", no_cookie, &s);
        ck_assert_uint_eq(s.answers, 1);
    }
    close_world(&w);
}
END_TEST

UNIT_MAIN("dns_responder", {
    tcase_add_loop_test(tc, at_most_four_times_the_query, 0,
                        sizeof(sizes) / sizeof(sizes[0]));
    tcase_add_test(tc, a_cookie_proves_the_address);
    tcase_add_test(tc, cookies_hold_elsewhere);
    tcase_add_test(tc, rate);
})
