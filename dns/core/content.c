#include "dns/core/content.h"

#include <ldns/ldns.h>
#include <stdlib.h>

#include "base/core/check.h"

/* A piece of memory that is filled from the front. Its size was summed up
 * before, with these same rounding rules. */
struct bump {
    uint8_t *at;
    uint8_t *end;
};

static size_t rounded(size_t size)
{
    return (size + 7) & ~(size_t)7;
}

static void *bump_take(struct bump *b, size_t size)
{
    void *memory = b->at;

    CHECK(rounded(size) <= (size_t)(b->end - b->at));
    b->at += rounded(size);
    return memory;
}

static struct slice bump_copy(struct bump *b, struct slice bytes)
{
    uint8_t *copy = bump_take(b, bytes.len);

    if (bytes.len > 0) {
        memcpy(copy, bytes.data, bytes.len);
    }
    return slice_of(copy, bytes.len);
}

static struct slice bump_lower(struct bump *b, const char *text)
{
    struct slice copy = slice_str(text);
    uint8_t *bytes = bump_take(b, copy.len);

    for (size_t i = 0; i < copy.len; i++) {
        bytes[i] = dns_lower(copy.data[i]);
    }
    return slice_of(bytes, copy.len);
}

static size_t text_len(const char *text)
{
    return text == NULL ? 0 : strlen(text);
}

static bool parse_ip(const char *text, struct dns_address *out_address)
{
    ldns_rdf *rdf = NULL;

    if (text_len(text) == 0) {
        return false;
    }
    if (ldns_str2rdf_a(&rdf, text) != LDNS_STATUS_OK &&
        ldns_str2rdf_aaaa(&rdf, text) != LDNS_STATUS_OK) {
        return false;
    }
    out_address->len = (uint8_t)ldns_rdf_size(rdf);
    memcpy(out_address->ip, ldns_rdf_data(rdf), ldns_rdf_size(rdf));
    ldns_rdf_deep_free(rdf);
    return true;
}

static void parse_tagged(const char *text, uint8_t len,
                         struct dns_address *out_address)
{
    struct dns_address address = {0};

    if (parse_ip(text, &address) && address.len == len) {
        *out_address = address;
    }
}

/* Wire form with root; empty when the text is no name. */
static struct slice parse_hostname(struct bump *b, const char *text)
{
    struct dns_name n = {0};

    if (text_len(text) == 0 || !dns_name_add_text(&n, slice_str(text)) ||
        !dns_name_end(&n)) {
        return slice_of(NULL, 0);
    }
    return bump_copy(b, dns_name_slice(&n));
}

/* Wire form without root; empty when the text is no name. */
static struct slice parse_labels(struct bump *b, const char *text)
{
    struct dns_name n = {0};

    if (!dns_name_add_text(&n, slice_str(text))) {
        return slice_of(NULL, 0);
    }
    return bump_copy(b, dns_name_slice(&n));
}

#define TXT_PREFIX "txt-"

/* Of "key=value" as a string of a TXT record, its length byte included; 0 when
 * it is to be none or too long for one. */
static size_t string_size(const struct dns_pair *pair)
{
    size_t key_len = text_len(pair->key);
    size_t prefix = sizeof(TXT_PREFIX) - 1;
    size_t len = key_len - prefix + 1 + text_len(pair->value);

    if (key_len <= prefix ||
        !slice_starts(slice_str(pair->key), slice_str(TXT_PREFIX)) ||
        len > UINT8_MAX) {
        return 0;
    }
    return 1 + len;
}

static size_t pairs_size(const struct dns_pair *pairs, size_t count)
{
    size_t size = rounded(count * sizeof(struct query_pair));

    for (size_t i = 0; i < count; i++) {
        size += rounded(text_len(pairs[i].key));
        size += rounded(text_len(pairs[i].value));
    }
    return size;
}

static size_t for_queries_size(const struct dns_instance *in)
{
    size_t size = rounded(in->checks_count * sizeof(struct query_check));

    for (size_t i = 0; i < in->checks_count; i++) {
        size += rounded(text_len(in->checks[i].id));
    }
    if (in->meta_for_queries) {
        size += pairs_size(in->meta, in->meta_count);
        size += pairs_size(in->node_meta, in->node_meta_count);
    }
    return size;
}

static const struct query_pair *copy_pairs(struct bump *b,
                                           const struct dns_pair *pairs,
                                           size_t count)
{
    struct query_pair *copy = bump_take(b, count * sizeof(copy[0]));

    for (size_t i = 0; i < count; i++) {
        copy[i].key = bump_copy(b, slice_str(pairs[i].key));
        copy[i].value = bump_copy(b, slice_str(pairs[i].value));
    }
    return copy;
}

static void read_for_queries(struct bump *b, const struct dns_instance *in,
                             struct dns_member *m)
{
    struct query_check *checks =
        bump_take(b, in->checks_count * sizeof(checks[0]));

    for (size_t i = 0; i < in->checks_count; i++) {
        checks[i].id = bump_copy(b, slice_str(in->checks[i].id));
        checks[i].health = (enum query_health)in->checks[i].health;
    }
    m->checks = checks;
    m->checks_count = in->checks_count;
    if (in->meta_for_queries) {
        m->meta = copy_pairs(b, in->meta, in->meta_count);
        m->meta_count = in->meta_count;
        m->node_meta = copy_pairs(b, in->node_meta, in->node_meta_count);
        m->node_meta_count = in->node_meta_count;
    }
}

static size_t member_size(const struct dns_instance *in)
{
    size_t size = 0;

    size += rounded(text_len(in->node) + 2);
    size += rounded(text_len(in->address) + 2);
    size += rounded(text_len(in->node_address) + 2);
    size += in->tags_count * sizeof(struct slice);
    size += in->meta_count * sizeof(struct slice);
    size += in->ports_count * sizeof(struct dns_member_port);
    for (size_t i = 0; i < in->tags_count; i++) {
        size += rounded(text_len(in->tags[i]));
    }
    size += rounded(text_len(in->id));
    for (size_t i = 0; i < in->meta_count; i++) {
        size += rounded(text_len(in->meta[i].value));
        size += string_size(&in->meta[i]);
    }
    size = rounded(size) + 8; /* No strings are one empty string. */
    for (size_t i = 0; i < in->ports_count; i++) {
        size += rounded(text_len(in->ports[i].name));
    }
    return size + for_queries_size(in);
}

static bool parse_priority(const char *text, uint16_t *out_priority)
{
    unsigned long value = 0;

    if (text_len(text) == 0 || text_len(text) > 5) {
        return false;
    }
    for (const char *c = text; *c != '\0'; c++) {
        if (*c < '0' || *c > '9') {
            return false;
        }
        value = 10 * value + (unsigned long)(*c - '0');
    }
    if (value > UINT16_MAX) {
        return false;
    }
    *out_priority = (uint16_t)value;
    return true;
}

static bool parse_order(struct slice text, enum dns_order *out_order)
{
    static const char *const words[] = {[DNS_ORDER_SHUFFLE] = "shuffle",
                                        [DNS_ORDER_WEIGHTED] = "weighted",
                                        [DNS_ORDER_NEAR] = "near"};

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (slice_eq(text, slice_str(words[i]))) {
            *out_order = (enum dns_order)i;
            return true;
        }
    }
    return false;
}

static enum dns_none_healthy none_healthy_of(struct slice text)
{
    if (slice_eq(text, slice_str("all"))) {
        return DNS_NONE_ALL;
    }
    return slice_eq(text, slice_str("last_healthy")) ? DNS_NONE_LAST_HEALTHY
                                                     : DNS_NONE_NXDOMAIN;
}

static void read_meta(struct bump *b, const struct dns_instance *in,
                      struct dns_member *m)
{
    struct slice *texts = bump_take(b, in->meta_count * sizeof(texts[0]));

    m->texts = texts;
    for (size_t i = 0; i < in->meta_count; i++) {
        struct slice key = slice_str(in->meta[i].key);
        struct slice value = slice_str(in->meta[i].value);

        if (slice_starts(key, slice_str(TXT_PREFIX))) {
            texts[m->texts_count++] = bump_copy(b, value);
        } else if (slice_eq(key, slice_str("grpc_config"))) {
            m->grpc_config = bump_copy(b, value);
        } else if (slice_eq(key, slice_str("dns_priority"))) {
            (void)parse_priority(in->meta[i].value, &m->priority);
        } else if (slice_eq(key, slice_str("dns-none-healthy"))) {
            m->none_healthy_set = true;
            m->none_healthy = none_healthy_of(value);
        } else if (slice_eq(key, slice_str("dns-order"))) {
            m->order_set = parse_order(value, &m->order);
        }
    }
}

/* RFC 6763, 6.1: without any there is one empty string. */
static struct slice read_strings(struct bump *b, const struct dns_instance *in)
{
    size_t size = 0;
    uint8_t *bytes;
    uint8_t *at;

    for (size_t i = 0; i < in->meta_count; i++) {
        size += string_size(&in->meta[i]);
    }
    bytes = bump_take(b, size + 1);
    at = bytes;
    for (size_t i = 0; i < in->meta_count; i++) {
        const char *key = in->meta[i].key + sizeof(TXT_PREFIX) - 1;
        size_t len = string_size(&in->meta[i]);

        if (len > 0) {
            *at++ = (uint8_t)(len - 1);
            memcpy(at, key, strlen(key));
            at += strlen(key);
            *at++ = '=';
            memcpy(at, in->meta[i].value, text_len(in->meta[i].value));
            at += text_len(in->meta[i].value);
        }
    }
    if (size == 0) {
        *at++ = 0;
    }
    return slice_of(bytes, (size_t)(at - bytes));
}

static void read_address(struct bump *b, const struct dns_instance *in,
                         struct dns_member *m)
{
    const char *address = in->node_address;

    m->address_is_own = text_len(in->address) > 0;
    if (m->address_is_own) {
        address = in->address;
    }
    if (!parse_ip(address, &m->address)) {
        m->hostname = parse_hostname(b, address);
    }
    parse_tagged(in->lan_ipv4, 4, &m->lan_ipv4);
    parse_tagged(in->lan_ipv6, 16, &m->lan_ipv6);
}

static void read_member(struct bump *b, const struct dns_instance *in,
                        struct dns_member *m)
{
    struct slice *tags = bump_take(b, in->tags_count * sizeof(tags[0]));
    struct dns_member_port *ports =
        bump_take(b, in->ports_count * sizeof(ports[0]));

    for (size_t i = 0; i < in->tags_count; i++) {
        tags[i] = bump_lower(b, in->tags[i]);
    }
    for (size_t i = 0; i < in->ports_count; i++) {
        ports[i] = (struct dns_member_port){bump_lower(b, in->ports[i].name),
                                            in->ports[i].port};
    }
    *m = (struct dns_member){
        .id = bump_copy(b, slice_str(in->id)),
        .node = parse_labels(b, in->node),
        .health = in->health,
        .recent = in->recent,
        .last_resort = in->last_resort,
        .port = in->port,
        .weight = in->health == DNS_WARNING || in->recent ? in->weight_warning
                                                          : in->weight_passing,
        .priority = 1,
        .tags = tags,
        .tags_count = in->tags_count,
        .ports = ports,
        .ports_count = in->ports_count,
    };
    read_address(b, in, m);
    read_meta(b, in, m);
    m->strings = read_strings(b, in);
    read_for_queries(b, in, m);
    if (in->last_resort) {
        m->priority = UINT16_MAX;
    }
}

struct dns_service *dns_service_new(const char *name,
                                    const struct dns_instance *instances,
                                    size_t count, struct dns_areas *areas,
                                    struct dns_spot_names *spots)
{
    struct dns_service *s;
    struct dns_member *members;
    struct bump b;
    size_t size = rounded(sizeof(*s)) + rounded(text_len(name)) +
                  rounded(count * sizeof(members[0]));
    bool held = false;

    for (size_t i = 0; i < count; i++) {
        size += member_size(&instances[i]);
        held = held || instances[i].held;
    }
    size += held ? rounded(sizeof(*s->asked)) : 0;
    s = calloc(1, size);
    CHECK(s != NULL);
    b = (struct bump){(uint8_t *)s + rounded(sizeof(*s)), (uint8_t *)s + size};
    s->name = bump_lower(&b, name);
    members = bump_take(&b, count * sizeof(members[0]));
    for (size_t i = 0; i < count; i++) {
        read_member(&b, &instances[i], &members[i]);
        members[i].area = dns_areas_number(areas, instances[i].area);
        members[i].spot = dns_spot_number(spots, instances[i].node);
    }
    s->members = members;
    s->members_count = count;
    if (held) {
        s->asked = bump_take(&b, sizeof(*s->asked));
    }
    return s;
}

/* RFC 1464, 2: a backquote goes before each =, each backquote and the blanks at
 * either end of the key. Keys beginning "rfc1035-" leave the value bare. */
static struct slice quote_pair(struct bump *b, const struct dns_pair *pair)
{
    struct slice key = slice_str(pair->key);
    struct slice value = slice_str(pair->value);
    uint8_t *text;
    size_t len = 0;

    if (slice_starts(key, slice_str("rfc1035-"))) {
        return bump_copy(b, value);
    }
    text = bump_take(b, 2 * key.len + 1 + value.len);
    for (size_t i = 0; i < key.len; i++) {
        bool end = i == 0 || i == key.len - 1;
        uint8_t c = key.data[i];

        if (c == '`' || c == '=' || (end && (c == ' ' || c == '\t'))) {
            text[len++] = '`';
        }
        text[len++] = c;
    }
    text[len++] = '=';
    if (value.len > 0) {
        memcpy(text + len, value.data, value.len);
    }
    return slice_of(text, len + value.len);
}

static size_t host_size(const struct dns_node *node)
{
    size_t size = rounded(sizeof(struct dns_host));

    size += rounded(text_len(node->name) + 2);
    size += rounded(text_len(node->address) + 2);
    size += node->meta_count * sizeof(struct slice);
    for (size_t i = 0; i < node->meta_count; i++) {
        size += rounded(2 * text_len(node->meta[i].key) + 1 +
                        text_len(node->meta[i].value));
    }
    return size;
}

static void read_host_address(struct bump *b, const struct dns_node *node,
                              struct dns_host *h)
{
    struct dns_address address = {0};

    parse_tagged(node->lan_ipv4, 4, &h->ipv4);
    parse_tagged(node->lan_ipv6, 16, &h->ipv6);
    if (!parse_ip(node->address, &address)) {
        h->hostname = parse_hostname(b, node->address);
    } else if (address.len == 4) {
        h->ipv4 = address;
    } else {
        h->ipv6 = address;
    }
}

struct dns_host *dns_host_new(const struct dns_node *node,
                              struct dns_areas *areas,
                              struct dns_spot_names *spots)
{
    size_t size = host_size(node);
    struct dns_host *h = calloc(1, size);
    struct slice *texts;
    struct bump b;

    CHECK(h != NULL);
    b = (struct bump){(uint8_t *)h + rounded(sizeof(*h)), (uint8_t *)h + size};
    h->name = parse_labels(&b, node->name);
    if (h->name.len == 0) {
        free(h);
        return NULL;
    }
    read_host_address(&b, node, h);
    texts = bump_take(&b, node->meta_count * sizeof(texts[0]));
    for (size_t i = 0; i < node->meta_count; i++) {
        texts[i] = quote_pair(&b, &node->meta[i]);
        if (strcmp(node->meta[i].key, "zone") == 0) {
            h->area = dns_areas_number(areas, node->meta[i].value);
        }
    }
    h->spot = dns_spot_number(spots, node->name);
    h->texts = texts;
    h->texts_count = node->meta_count;
    return h;
}
