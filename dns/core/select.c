#include "dns/core/select.h"

#include "base/core/check.h"
#include "base/core/hash.h"

static bool member_has_tag(const struct dns_member *m, struct slice tag)
{
    for (size_t i = 0; i < m->tags_count; i++) {
        if (slice_eq(m->tags[i], tag)) {
            return true;
        }
    }
    return false;
}

const struct dns_member_port *dns_member_find_port(const struct dns_member *m,
                                                   struct slice name)
{
    for (size_t i = 0; i < m->ports_count; i++) {
        if (slice_eq(m->ports[i].name, name)) {
            return &m->ports[i];
        }
    }
    return NULL;
}

static bool has_tag(const struct dns_service *s, struct slice tag)
{
    for (size_t i = 0; i < s->members_count; i++) {
        if (member_has_tag(&s->members[i], tag)) {
            return true;
        }
    }
    return false;
}

static bool has_port(const struct dns_service *s, struct slice name)
{
    for (size_t i = 0; i < s->members_count; i++) {
        if (dns_member_find_port(&s->members[i], name) != NULL) {
            return true;
        }
    }
    return false;
}

/* "b" when there is a tag "a.b": something lies below that name. */
static bool has_dotted_tag(const struct dns_service *s, struct slice end)
{
    for (size_t i = 0; i < s->members_count; i++) {
        const struct dns_member *m = &s->members[i];

        for (size_t t = 0; t < m->tags_count; t++) {
            struct slice tag = m->tags[t];

            if (tag.len > end.len && tag.data[tag.len - end.len - 1] == '.' &&
                memcmp(tag.data + tag.len - end.len, end.data, end.len) == 0) {
                return true;
            }
        }
    }
    return false;
}

static bool any_port(const struct dns_service *s)
{
    for (size_t i = 0; i < s->members_count; i++) {
        if (s->members[i].ports_count > 0) {
            return true;
        }
    }
    return false;
}

/* Labels `first` .. `end` - 1 of the question, joined by dots. */
static struct slice join(struct dns_decider *d, unsigned first, unsigned end)
{
    struct slice text = {0};
    uint8_t *copy = arena_alloc(d->arena, DNS_NAME_MAX);

    for (unsigned i = first; i < end; i++) {
        struct slice label = dns_label(d->q, i);

        if (text.len > 0) {
            copy[text.len++] = '.';
        }
        memcpy(copy + text.len, label.data, label.len);
        text.len += label.len;
    }
    text.data = copy;
    return text;
}

static void select_tags(struct dns_decider *d, struct dns_selection *s,
                        unsigned first, unsigned end)
{
    struct slice *tags = arena_alloc(d->arena, (end - first) * sizeof(tags[0]));

    for (unsigned i = first; i < end; i++) {
        tags[i - first] = dns_label(d->q, i);
    }
    s->tags = tags;
    s->tags_count = end - first;
}

static void select_one_tag(struct dns_decider *d, struct dns_selection *s,
                           struct slice tag)
{
    struct slice *tags = arena_alloc(d->arena, sizeof(*tags));

    *tags = tag;
    s->tags = tags;
    s->tags_count = 1;
}

static bool read_number(struct slice text, unsigned *out_number)
{
    unsigned number = 0;

    if (text.len == 0 || text.len > 3) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') {
            return false;
        }
        number = 10 * number + (unsigned)(text.data[i] - '0');
    }
    *out_number = number;
    return true;
}

/* "2of5.page": the second of five parts of the instances. */
static bool select_page(struct dns_decider *d, struct dns_selection *s,
                        unsigned first)
{
    struct slice label = dns_label(d->q, first);
    unsigned page;
    unsigned pages;

    if (!slice_eq(dns_label(d->q, first + 1), slice_str("page"))) {
        return false;
    }
    for (size_t i = 1; i + 2 < label.len; i++) {
        if (label.data[i] == 'o' && label.data[i + 1] == 'f' &&
            read_number(slice_of(label.data, i), &page) &&
            read_number(slice_skip(label, i + 2), &pages) && page >= 1 &&
            page <= pages) {
            s->page = page;
            s->pages = pages;
            return true;
        }
    }
    return false;
}

/* Labels `first` .. `end` - 1, left of the service's: one tag with dots in it,
 * or a named port, or several tags of which an instance must have all. */
static void select_by_labels(struct dns_decider *d, struct dns_selection *s,
                             unsigned first, unsigned end)
{
    struct slice joined = join(d, first, end);

    if (has_tag(s->service, joined)) {
        select_one_tag(d, s, joined);
    } else if (end - first == 2 &&
               slice_eq(dns_label(d->q, first + 1), slice_str("port")) &&
               has_port(s->service, dns_label(d->q, first))) {
        s->port = dns_label(d->q, first);
    } else if (end - first == 2 && select_page(d, s, first)) {
        return;
    } else if (has_dotted_tag(s->service, joined) ||
               (slice_eq(joined, slice_str("port")) && any_port(s->service)) ||
               slice_eq(joined, slice_str("page"))) {
        s->only_above = true;
    } else {
        select_tags(d, s, first, end);
    }
}

/* "_name._tag": tcp stands for every tag; a port's name comes second. */
static void select_by_underscores(struct dns_decider *d, unsigned at,
                                  struct dns_selection *s)
{
    struct slice tag = slice_skip(dns_label(d->q, at + 1), 1);

    if (dns_is_protocol(d->config, dns_label(d->q, at + 1))) {
        return;
    }
    if (!has_tag(s->service, tag) && has_port(s->service, tag)) {
        s->port = tag;
    } else {
        select_one_tag(d, s, tag);
    }
}

const struct dns_service *dns_find_service(const struct dns_decider *d,
                                           struct slice name)
{
    struct dns_name key = {0};
    const struct dns_entry *entry;

    CHECK(dns_name_add_label(&key, name));
    CHECK(dns_name_add_label(&key, slice_str("service")));
    entry = dns_zone_find(d->zone, dns_name_slice(&key));
    return entry == NULL ? NULL : entry->service;
}

bool dns_select_underscored(struct dns_decider *d, unsigned at,
                            struct dns_selection *s)
{
    s->service = dns_find_service(d, slice_skip(dns_label(d->q, at), 1));
    if (s->service != NULL) {
        select_by_underscores(d, at, s);
    }
    return s->service != NULL;
}

bool dns_select(struct dns_decider *d, struct dns_selection *s)
{
    unsigned parts = d->place.parts;
    unsigned first = 0;

    *s = (struct dns_selection){0};
    if (parts > 1 && slice_eq(dns_label(d->q, 0), slice_str("_grpc_config"))) {
        s->grpc_config = true;
        first = 1;
    }
    if (parts - first == 2 && dns_underscored(d->q, first) &&
        dns_underscored(d->q, first + 1)) {
        return dns_select_underscored(d, first, s);
    }
    s->service = dns_find_service(d, dns_label(d->q, parts - 1));
    if (s->service != NULL && parts - first > 1) {
        select_by_labels(d, s, first, parts - 1);
    }
    return s->service != NULL;
}

/* An instance stays in its part whoever else comes and goes. */
static bool on_page(const struct dns_selection *s, const struct dns_member *m)
{
    uint64_t node = hash_bytes((struct hash_key){0}, m->node);

    return s->pages == 0 ||
           hash_bytes((struct hash_key){node, 0}, m->id) % s->pages ==
               s->page - 1;
}

bool dns_member_selected(const struct dns_selection *s,
                         const struct dns_member *m)
{
    if (!on_page(s, m)) {
        return false;
    }
    for (size_t i = 0; i < s->tags_count; i++) {
        if (!member_has_tag(m, s->tags[i])) {
            return false;
        }
    }
    return s->port.len == 0 || dns_member_find_port(m, s->port) != NULL;
}

static bool is_healthy(const struct dns_settings *s, const struct dns_member *m)
{
    return m->health == DNS_PASSING ||
           (m->health == DNS_WARNING && !s->only_passing);
}

static bool served_when_none_healthy(const struct dns_settings *s,
                                     const struct dns_member *m)
{
    enum dns_none_healthy rule =
        m->none_healthy_set ? m->none_healthy : s->when_none_healthy;

    return rule == DNS_NONE_ALL || (rule == DNS_NONE_LAST_HEALTHY && m->recent);
}

/* Addresses have no rank: the last resort is left out if there is anything
 * better. SRV records have their priority. */
void dns_drop_last_resort(struct dns_members *chosen)
{
    size_t kept = 0;

    for (size_t i = 0; i < chosen->count; i++) {
        if (!chosen->items[i]->last_resort) {
            chosen->items[kept++] = chosen->items[i];
        }
    }
    chosen->count = kept > 0 ? kept : chosen->count;
}

/* The service's own rule, from the first instance that has one, or ours. */
enum dns_order dns_order_of(const struct dns_settings *settings,
                            const struct dns_service *s)
{
    for (size_t i = 0; i < s->members_count; i++) {
        if (s->members[i].order_set) {
            return s->members[i].order;
        }
    }
    return settings->order;
}

/* An area is worth staying in while enough of its instances are healthy. */
static const bool *near_areas(struct dns_decider *d,
                              const struct dns_selection *s)
{
    const struct dns_settings *settings = &d->config->settings;
    size_t areas = d->zone->areas_count + 1;
    uint32_t *all = arena_zalloc(d->arena, areas, sizeof(all[0]));
    uint32_t *well = arena_zalloc(d->arena, areas, sizeof(well[0]));
    bool *near = arena_zalloc(d->arena, areas, sizeof(near[0]));

    for (size_t i = 0; i < s->service->members_count; i++) {
        const struct dns_member *m = &s->service->members[i];

        if (dns_member_selected(s, m)) {
            all[m->area]++;
            well[m->area] += is_healthy(settings, m);
        }
    }
    for (size_t i = 1; i < areas; i++) {
        near[i] = well[i] > 0 && well[i] >= settings->near_min_healthy &&
                  (uint64_t)well[i] * 100 >=
                      (uint64_t)all[i] * settings->near_min_percent;
    }
    return near;
}

struct dns_standing dns_member_standing(const struct dns_members *chosen,
                                        const struct dns_member *m)
{
    bool near = chosen->near != NULL && chosen->near[m->area];

    if (chosen->by_origin) {
        near = chosen->origin_node.len > 0
                   ? m->node.len > 0 && dns_same(m->node, chosen->origin_node)
                   : m->area != 0 && m->area == chosen->origin_area;
        return (struct dns_standing){m->weight, near, m->spot};
    }
    return (struct dns_standing){m->weight, near ? m->area : 0, m->spot};
}

struct dns_members dns_choose(struct dns_decider *d,
                              const struct dns_selection *s)
{
    const struct dns_settings *settings = &d->config->settings;
    size_t total = s->service->members_count;
    struct dns_members chosen = {
        .items = arena_alloc(d->arena, (total + 1) * sizeof(chosen.items[0])),
        .order = dns_order_of(settings, s->service)};

    for (int pass = 0; pass < 2 && chosen.count == 0; pass++) {
        for (size_t i = 0; i < total; i++) {
            const struct dns_member *m = &s->service->members[i];

            if (dns_member_selected(s, m) &&
                (pass == 0 ? is_healthy(settings, m)
                           : served_when_none_healthy(settings, m))) {
                chosen.items[chosen.count++] = m;
            }
        }
    }
    if (s->service->asked != NULL && d->q->type != DNS_TYPE_SRV) {
        dns_drop_last_resort(&chosen);
    }
    if (chosen.order == DNS_ORDER_NEAR && settings->elsewhere) {
        chosen.order = DNS_ORDER_SHUFFLE;
    }
    if (chosen.order == DNS_ORDER_NEAR) {
        chosen.near = near_areas(d, s);
    }
    return chosen;
}
