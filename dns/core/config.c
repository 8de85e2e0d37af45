#include <stdlib.h>

#include "base/core/check.h"
#include "dns/core/content.h"

/* Room that a domain must leave for "hostmaster" and the like. */
enum {
    DOMAIN_BYTES_MAX = 128
};

void dns_settings_init(struct dns_settings *s)
{
    *s = (struct dns_settings){
        .domain = "muster.internal.",
        .alt_domain = "consul.",
        .datacenter = "dc1",
        .self_service = "consul",
        .soa_refresh_s = 3600,
        .soa_retry_s = 600,
        .soa_expire_s = 86400,
        .soa_min_ttl_s = 0,
        .nodata_ttl_s = 30,
        .udp_answer_limit = 3,
        .edns_udp_size = 1232,
        .srv_udp_is_tag = true,
        .when_none_healthy = DNS_NONE_NXDOMAIN,
        .near_min_healthy = 2,
        .near_min_percent = 30,
    };
}

static size_t text_size(const char *text)
{
    return text == NULL ? 0 : strlen(text) + 1;
}

static char *place_text(char **at, const char *text)
{
    char *copy = *at;

    if (text == NULL) {
        return NULL;
    }
    memcpy(copy, text, strlen(text) + 1);
    *at += strlen(text) + 1;
    return copy;
}

static size_t texts_size(const struct dns_settings *s)
{
    size_t size = text_size(s->domain) + text_size(s->alt_domain) +
                  text_size(s->datacenter) + text_size(s->self_service) +
                  text_size(s->self_node);

    for (size_t i = 0; i < s->service_ttls_count; i++) {
        size += text_size(s->service_ttls[i].pattern);
    }
    for (size_t i = 0; i < s->others_count; i++) {
        size += text_size(s->others[i]);
    }
    return size;
}

/* The settings with all their texts, in one piece of memory with the config. */
static struct dns_config *copy_settings(const struct dns_settings *s)
{
    size_t ttls_size = s->service_ttls_count * sizeof(s->service_ttls[0]);
    struct dns_config *c =
        calloc(1, sizeof(*c) + ttls_size + texts_size(s) + 1);
    struct dns_service_ttl *ttls = (void *)(c + 1);
    char *at = (char *)(c + 1) + ttls_size;

    CHECK(c != NULL);
    c->settings = *s;
    c->settings.domain = place_text(&at, s->domain);
    c->settings.alt_domain = place_text(&at, s->alt_domain);
    c->settings.datacenter = place_text(&at, s->datacenter);
    c->settings.self_service = place_text(&at, s->self_service);
    c->settings.self_node = place_text(&at, s->self_node);
    c->settings.service_ttls = ttls;
    for (size_t i = 0; i < s->service_ttls_count; i++) {
        ttls[i].pattern = place_text(&at, s->service_ttls[i].pattern);
        ttls[i].ttl_s = s->service_ttls[i].ttl_s;
    }
    c->settings.others = NULL;
    for (size_t i = 0; i < s->others_count; i++) {
        char *text = place_text(&at, s->others[i]);

        for (char *letter = text; *letter != '\0'; letter++) {
            *letter = (char)dns_lower((uint8_t)*letter);
        }
        c->others[i] = slice_str(text);
    }
    c->others_count = (unsigned)s->others_count;
    return c;
}

static enum status add_domain(struct dns_config *c, const char *text,
                              struct err *err)
{
    struct dns_name *n = &c->domains[c->domains_count];
    unsigned labels = 0;

    *n = (struct dns_name){0};
    if (text == NULL || !dns_name_add_text(n, slice_str(text)) ||
        !dns_name_end(n)) {
        return err_set(err, ST_INVALID, "domain \"%s\" is not a DNS name",
                       text == NULL ? "" : text);
    }
    if (n->len > DOMAIN_BYTES_MAX) {
        return err_set(err, ST_INVALID, "domain \"%s\" is longer than %d bytes",
                       text, DOMAIN_BYTES_MAX);
    }
    dns_name_lower(n);
    for (size_t at = 0; n->bytes[at] != 0; at += n->bytes[at] + 1u) {
        labels++;
    }
    c->domain_labels[c->domains_count] = labels;
    c->domains_count++;
    return ST_OK;
}

static enum status read_names(struct dns_config *c, struct err *err)
{
    const struct dns_settings *s = &c->settings;
    enum status st = add_domain(c, s->domain, err);

    if (st == ST_OK && text_size(s->alt_domain) > 1 &&
        !dns_same(slice_str(s->domain), slice_str(s->alt_domain))) {
        st = add_domain(c, s->alt_domain, err);
    }
    if (st) {
        return st;
    }
    if (s->datacenter == NULL ||
        !dns_name_add_label(&c->datacenter, slice_str(s->datacenter)) ||
        strchr(s->datacenter, '.') != NULL) {
        return err_set(err, ST_INVALID,
                       "datacenter \"%s\" is not one DNS label",
                       s->datacenter == NULL ? "" : s->datacenter);
    }
    dns_name_lower(&c->datacenter);
    return ST_OK;
}

enum status dns_config_new(const struct dns_settings *settings,
                           struct dns_config **out_config, struct err *err)
{
    struct dns_config *c;
    enum status st;
    size_t self_len;

    if (settings->others_count > LIMIT_DATACENTERS) {
        return err_set(err, ST_TOO_BIG, "more than %d other datacenters",
                       LIMIT_DATACENTERS);
    }
    c = copy_settings(settings);
    st = read_names(c, err);
    self_len = text_size(c->settings.self_service);

    if (st) {
        free(c);
        return st;
    }
    if (self_len > 1 && self_len - 1 <= DNS_LABEL_MAX) {
        char *text = (char *)c->settings.self_service; /* Our own copy. */

        for (size_t i = 0; i < self_len - 1; i++) {
            text[i] = (char)dns_lower((uint8_t)text[i]);
        }
        c->self_service = slice_of(text, self_len - 1);
    }
    *out_config = c;
    return ST_OK;
}

enum status dns_settings_verify(const struct dns_settings *settings,
                                struct err *err)
{
    struct dns_config *c = NULL;
    enum status st = dns_config_new(settings, &c, err);

    free(c);
    return st;
}

bool dns_config_ttl(const struct dns_config *c, struct slice service,
                    uint32_t *out_ttl_s)
{
    size_t best_len = 0;
    bool found = false;

    *out_ttl_s = 0;

    for (size_t i = 0; i < c->settings.service_ttls_count; i++) {
        const struct dns_service_ttl *t = &c->settings.service_ttls[i];
        struct slice pattern = slice_str(t->pattern);

        if (dns_same(pattern, service)) {
            *out_ttl_s = t->ttl_s;
            return true;
        }
        if (pattern.len == 0 || pattern.data[pattern.len - 1] != '*') {
            continue;
        }
        pattern.len--;
        if (pattern.len <= service.len &&
            dns_same(pattern, slice_of(service.data, pattern.len)) &&
            (!found || pattern.len > best_len)) {
            found = true;
            best_len = pattern.len;
            *out_ttl_s = t->ttl_s;
        }
    }
    return found;
}
