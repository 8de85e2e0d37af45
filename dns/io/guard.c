#include "dns/io/guard.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <time.h>

#include "base/core/check.h"
#include "base/core/wire.h"

static uint32_t wall_s(void)
{
    struct timespec now;

    CHECK(clock_gettime(CLOCK_REALTIME_COARSE, &now) == 0);
    return (uint32_t)now.tv_sec;
}

static uint32_t monotonic_ms(void)
{
    struct timespec now;

    CHECK(clock_gettime(CLOCK_MONOTONIC_COARSE, &now) == 0);
    return (uint32_t)((uint64_t)now.tv_sec * 1000 +
                      (uint64_t)now.tv_nsec / 1000000);
}

void guard_init(struct guard *g, const struct dns_protection *settings)
{
    *g = (struct guard){.settings = *settings};
}

void guard_set(struct guard *g, const struct dns_protection *settings)
{
    g->settings = *settings;
    g->secrets[0].known = false;
    g->secrets[1].known = false;
}

void guard_release(struct guard *g)
{
    dns_rates_free(g->rates);
    OPENSSL_cleanse(g, sizeof(*g));
}

static const uint8_t *secret_of(struct guard *g, uint32_t period)
{
    unsigned slot = period % 2; /* Two of them are in use at most. */
    uint8_t text[] = "dns cookie....";
    uint8_t mac[EVP_MAX_MD_SIZE];
    unsigned len = sizeof(mac);

    if (!g->secrets[slot].known || g->secrets[slot].period != period) {
        wire_put_u32be(text + sizeof(text) - 5, period);
        CHECK(HMAC(EVP_sha256(), g->settings.cookie_key,
                   sizeof(g->settings.cookie_key), text, sizeof(text) - 1, mac,
                   &len) != NULL);
        memcpy(g->secrets[slot].bytes, mac, DNS_COOKIE_SECRET_BYTES);
        OPENSSL_cleanse(mac, sizeof(mac));
        g->secrets[slot].period = period;
        g->secrets[slot].known = true;
    }
    return g->secrets[slot].bytes;
}

struct slice guard_cookie(struct guard *g, struct slice option,
                          const union address *client, bool *out_proven)
{
    struct slice ip = address_ip(client);
    uint32_t now_s = wall_s();
    uint32_t made_s;

    *out_proven = false;
    if (!g->settings.cookies) {
        return slice_of(NULL, 0);
    }
    if (dns_cookie_timely(option, now_s, &made_s)) {
        *out_proven = dns_cookie_good(secret_of(g, dns_cookie_period(made_s)),
                                      option, ip);
    }
    dns_cookie_make(secret_of(g, dns_cookie_period(now_s)), option, ip, now_s,
                    g->cookie);
    return slice_of(g->cookie, sizeof(g->cookie));
}

static bool is_listed(const struct guard *g, const union address *client)
{
    struct slice ip = address_ip(client);

    for (size_t i = 0; i < g->settings.networks_count; i++) {
        if (dns_network_has(&g->settings.networks[i], ip)) {
            return true;
        }
    }
    return false;
}

enum dns_rate_verdict guard_rate(struct guard *g, const union address *client)
{
    if (g->settings.rate.per_second == 0 || is_listed(g, client)) {
        return DNS_RATE_PASS;
    }
    if (g->rates == NULL) {
        struct hash_key key;

        CHECK(RAND_bytes((unsigned char *)&key, sizeof(key)) == 1);
        g->rates = dns_rates_new(key);
    }
    return dns_rates_take(g->rates, &g->settings.rate, address_prefix(client),
                          monotonic_ms());
}

bool guard_knows(const struct guard *g, const union address *client)
{
    return address_is_local(client) || is_listed(g, client);
}
