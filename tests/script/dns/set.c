/* Settings by name, and where nodes are. */
#include <stdlib.h>

#include "base/core/check.h"
#include "run.h"

static void set_number(struct dns_settings *s, const char *key, uint32_t number,
                       bool *out_known)
{
    const struct {
        const char *key;
        uint32_t *value;
    } numbers[] = {
        {"node_ttl", &s->node_ttl_s},
        {"nodata_ttl", &s->nodata_ttl_s},
        {"min_ttl", &s->soa_min_ttl_s},
        {"a_record_limit", &s->a_record_limit},
        {"udp_answer_limit", &s->udp_answer_limit},
        {"near_min_healthy", &s->near_min_healthy},
        {"near_min_percent", &s->near_min_percent},
    };
    const struct {
        const char *key;
        bool *value;
    } switches[] = {
        {"only_passing", &s->only_passing},
        {"enable_truncate", &s->enable_truncate},
        {"node_meta_txt", &s->node_meta_txt},
        {"disable_compression", &s->disable_compression},
        {"srv_udp_is_tag", &s->srv_udp_is_tag},
        {"always_ra", &s->always_ra},
    };

    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        if (strcmp(key, numbers[i].key) == 0) {
            *numbers[i].value = number;
            *out_known = true;
        }
    }
    for (size_t i = 0; i < sizeof(switches) / sizeof(switches[0]); i++) {
        if (strcmp(key, switches[i].key) == 0) {
            *switches[i].value = number != 0;
            *out_known = true;
        }
    }
}

static void set_text(struct dns_settings *s, const char *key, const char *value,
                     bool *out_known)
{
    bool known = true;

    if (strcmp(key, "alt_domain") == 0) {
        s->alt_domain = value;
    } else if (strcmp(key, "self_node") == 0) {
        s->self_node = value;
    } else if (strcmp(key, "none_healthy") == 0) {
        s->when_none_healthy =
            *value == 'l' ? DNS_NONE_LAST_HEALTHY : DNS_NONE_ALL;
    } else if (strcmp(key, "order") == 0) {
        s->order = *value == 'w'   ? DNS_ORDER_WEIGHTED
                   : *value == 'n' ? DNS_ORDER_NEAR
                                   : DNS_ORDER_SHUFFLE;
    } else if (strcmp(key, "subset") == 0) {
        s->subset = *value == 'r'   ? DNS_SUBSET_RANDOM
                    : *value == 's' ? DNS_SUBSET_STABLE
                                    : DNS_SUBSET_BY_TYPE;
    } else {
        known = false;
    }
    *out_known = *out_known || known;
}

/* What all of them share, and what is each one's. */
static struct dns_settings settings_of(const struct run *r,
                                       const struct site *s)
{
    struct dns_settings settings = r->settings;

    if (s == &r->home) {
        settings.others = r->names;
        settings.others_count = r->others_count;
        return settings;
    }
    settings.datacenter = s->name;
    settings.elsewhere = true;
    return settings;
}

static void settings_apply(struct run *r, const struct site *s)
{
    struct dns_settings settings = settings_of(r, s);
    struct err err = {0};

    CHECK(dns_model_set_settings(s->model, &settings, &err) == ST_OK);
}

void do_dc(struct run *r, const char *name)
{
    struct dns_settings settings;
    struct site *s = r->others;

    while (s < r->others + r->others_count && strcmp(s->name, name) != 0) {
        s++;
    }
    r->site = strcmp(name, r->home.name) == 0 ? &r->home : s;
    if (r->site == &r->home || s < r->others + r->others_count) {
        return;
    }
    CHECK(r->others_count < OTHERS_MAX);
    *s = (struct site){.name = name, .state = DNS_FRESH};
    settings = settings_of(r, s);
    CHECK(dns_model_new(&settings, (struct hash_key){3, 4}, &s->model, NULL) ==
          ST_OK);
    r->names[r->others_count++] = name;
    settings_apply(r, &r->home);
}

void do_set(struct run *r, const char *key, char *value)
{
    struct dns_settings *s = &r->settings;
    static struct dns_service_ttl ttls[WORDS_MAX];
    uint32_t number = (uint32_t)atoi(value);
    bool known = false;

    set_number(s, key, number, &known);
    set_text(s, key, value, &known);
    if (strncmp(key, "ttl:", 4) == 0) {
        ttls[s->service_ttls_count++] =
            (struct dns_service_ttl){key + 4, number};
        s->service_ttls = ttls;
        known = true;
    }
    if (!known) {
        say(r, "unknown setting\n");
    }
    settings_apply(r, &r->home);
    for (size_t i = 0; i < r->others_count; i++) {
        settings_apply(r, &r->others[i]);
    }
}

/* "n1=100,200": so many us from the first measuring point, and the second. */
static void read_position(char *word, struct dns_position *p)
{
    char *value = strchr(word, '=');
    size_t dims = 0;

    CHECK(value != NULL);
    *value = '\0';
    *p = (struct dns_position){.node = word};
    for (char *at = strtok(value + 1, ","); at != NULL;
         at = strtok(NULL, ",")) {
        CHECK(dims < DNS_POSITION_DIMS);
        p->at_us[dims++] = (float)atoi(at);
    }
}

void do_measured(struct run *r, char **words, size_t count)
{
    struct dns_position positions[WORDS_MAX];

    for (size_t i = 1; i < count; i++) {
        read_position(words[i], &positions[i - 1]);
    }
    dns_model_set_positions(r->site->model, positions, count - 1);
}
