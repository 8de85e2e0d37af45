/*
 * The fields of a service and what must hold between them.
 */
#include "agent/core/definition.h"

#include <arpa/inet.h>

#include "agent/core/definition_tables.h"
#include "base/core/check.h"

enum {
    PORTS_MAX = 64,
    WEIGHT_MAX = 65535,
    /* Ids of its checks are made of it, and of those 512 bytes are stored. */
    SERVICE_ID_MAX = 256,
    HOST_NAME_MAX_BYTES = 253,
};

static void draft_init(void *object)
{
    struct service_draft *d = object;

    d->weights = (struct weights){.passing = 1, .warning = 1};
    d->def.weight_passing = 1;
    d->def.weight_warning = 1;
}

static void weights_init(void *object)
{
    *(struct weights *)object = (struct weights){.passing = 1, .warning = 1};
}

/* ---- Rules of single fields --------------------------------------- */

static bool is_label(const char *text, size_t len)
{
    if (len == 0 || len > 63 || text[0] == '-' || text[len - 1] == '-') {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        char c = text[i];

        if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') &&
            !(c >= '0' && c <= '9') && c != '-' && c != '_') {
            return false;
        }
    }
    return true;
}

static bool has_control(const char *text)
{
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text < 0x20 || *text == 0x7f) {
            return true;
        }
    }
    return false;
}

static enum status rule_name(struct field_reader *r, const struct json_at *at,
                             const void *value)
{
    const char *name = *(const char *const *)value;

    if (has_control(name)) {
        return field_error(r, at, "has control characters");
    }
    if (*name != '\0' && !is_label(name, strlen(name))) {
        field_warn(r, at,
                   "\"%.64s\" is not a DNS label, so DNS cannot answer for it; "
                   "use letters, digits and -",
                   name);
    }
    return ST_OK;
}

static enum status rule_id(struct field_reader *r, const struct json_at *at,
                           const void *value)
{
    if (has_control(*(const char *const *)value)) {
        return field_error(r, at, "has control characters");
    }
    return ST_OK;
}

/* A tag may have dots: then it is several labels. */
static bool is_labels(const char *text)
{
    for (;;) {
        size_t len = strcspn(text, ".");

        if (!is_label(text, len)) {
            return false;
        }
        if (text[len] == '\0') {
            return true;
        }
        text += len + 1;
    }
}

/* One word for all of a service's: key=value tags come in dozens. */
static void warn_of_tag(struct field_reader *r, const struct json_at *at,
                        const struct texts *tags)
{
    for (size_t i = 0; i < tags->count; i++) {
        struct json_at inner = {.up = at, .index = i};

        if (!is_labels(tags->items[i])) {
            field_warn(r, &inner,
                       "\"%.64s\" is not made of DNS labels, so DNS cannot be "
                       "asked for it",
                       tags->items[i]);
            return;
        }
    }
}

static enum status rule_tags(struct field_reader *r, const struct json_at *at,
                             const void *value)
{
    const struct texts *tags = value;

    for (size_t i = 0; i < tags->count; i++) {
        struct json_at inner = {.up = at, .index = i};

        if (tags->items[i][0] == '\0') {
            return field_error(r, &inner, "is empty; remove it");
        }
        if (has_control(tags->items[i])) {
            return field_error(r, &inner, "has control characters");
        }
    }
    warn_of_tag(r, at, tags);
    return ST_OK;
}

static bool is_ip(const char *text)
{
    uint8_t binary[16];

    return inet_pton(AF_INET, text, binary) == 1 ||
           inet_pton(AF_INET6, text, binary) == 1;
}

/* What DNS can carry as a name: labels of 1 to 63 bytes. One whose last label
 * is a number would be an IPv4 address with an error in it. */
static bool is_host_name(const char *text)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz"
                                  "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    size_t label;

    if (strlen(text) > HOST_NAME_MAX_BYTES) {
        return false;
    }
    for (;;) {
        const char *last = text;

        label = strspn(text, allowed);
        if (label == 0 || label > 63) {
            return false;
        }
        text += label;
        if (strcmp(text, "") == 0 || strcmp(text, ".") == 0) {
            return strspn(last, "0123456789") < label;
        }
        if (*text++ != '.') {
            return false;
        }
    }
}

enum status rule_address(struct field_reader *r, const struct json_at *at,
                         const void *value)
{
    const char *address = *(const char *const *)value;

    if (strcmp(address, "0.0.0.0") == 0 || strcmp(address, "::") == 0 ||
        strcmp(address, "[::]") == 0) {
        return field_error(r, at,
                           "\"%s\" is no address that others can reach; leave "
                           "it out to use the node's",
                           address);
    }
    if (*address != '\0' && !is_ip(address) && !is_host_name(address)) {
        return field_error(r, at,
                           "\"%.64s\" is neither an IP address nor a host name",
                           address);
    }
    return ST_OK;
}

enum status rule_meta(struct field_reader *r, const struct json_at *at,
                      const void *value)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz"
                                  "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";
    const struct pairs *meta = value;

    for (size_t i = 0; i < meta->count; i++) {
        const char *key = meta->items[i].key;
        struct json_at inner = {.up = at, .key = key};

        if (key[strspn(key, allowed)] != '\0') {
            return field_error(r, &inner,
                               "the key may hold letters, digits and _-. only");
        }
        if (strncmp(key, "consul-", 7) == 0) {
            return field_error(r, &inner,
                               "keys beginning with consul- are "
                               "reserved");
        }
    }
    return ST_OK;
}

enum status rule_default_only(struct field_reader *r, const struct json_at *at,
                              const void *value)
{
    const char *name = *(const char *const *)value;

    if (*name != '\0' && strcmp(name, "default") != 0) {
        return field_error(r, at, "only \"default\" exists here");
    }
    return ST_OK;
}

static enum status rule_sidecar(struct field_reader *r,
                                const struct json_at *at, const void *value)
{
    (void)value;
    return field_error(r, at,
                       "service mesh sidecars are not supported; register "
                       "the proxy as a service of its own");
}

static enum status rule_tagged_name(struct field_reader *r,
                                    const struct json_at *at, const char *name)
{
    static const char *const known[] = {"lan",      "wan",      "lan_ipv4",
                                        "lan_ipv6", "wan_ipv4", "wan_ipv6",
                                        "virtual"};

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (strcmp(known[i], name) == 0) {
            return ST_OK;
        }
    }
    return field_error(r, at,
                       "unknown kind of address; known are lan, wan, "
                       "lan_ipv4, lan_ipv6, wan_ipv4, wan_ipv6, virtual");
}

static enum status tagged_finish(struct field_reader *r,
                                 const struct json_at *at, void *object)
{
    const struct tagged_address *t = object;
    struct json_at inner = {.up = at, .key = "address"};

    if (*t->address == '\0') {
        return field_error(r, at, "address is missing");
    }
    if (at->key != NULL && rule_tagged_name(r, at, at->key)) {
        return ST_INVALID;
    }
    return rule_address(r, &inner, &t->address);
}

static enum status port_finish(struct field_reader *r, const struct json_at *at,
                               void *object)
{
    const struct named_port *p = object;

    if (!is_label(p->name, strlen(p->name))) {
        return field_error(r, at,
                           "a port needs a name of letters, digits and -");
    }
    if (p->port == 0) {
        return field_error(r, at, "the port's number is missing");
    }
    return ST_OK;
}

/* ---- Tables ------------------------------------------------------- */

static const struct field named_port_items[] = {
    {.key = "name",
     .kind = FIELD_TEXT,
     .max = 63,
     .offset = offsetof(struct named_port, name)},
    {.key = "port",
     .kind = FIELD_U16,
     .max = UINT16_MAX,
     .offset = offsetof(struct named_port, port)},
    {.key = "default",
     .kind = FIELD_BOOL,
     .offset = offsetof(struct named_port, is_default)},
};

const struct fields named_port_fields = {
    .items = named_port_items,
    .count = 3,
    .size = sizeof(struct named_port),
    .finish = port_finish,
};

static const struct field tagged_address_items[] = {
    {.key = "address",
     .kind = FIELD_TEXT,
     .max = 255,
     .offset = offsetof(struct tagged_address, address)},
    {.key = "port",
     .kind = FIELD_U16,
     .max = UINT16_MAX,
     .offset = offsetof(struct tagged_address, port)},
};

const struct fields tagged_address_fields = {
    .items = tagged_address_items,
    .count = 2,
    .size = sizeof(struct tagged_address),
    .finish = tagged_finish,
};

static const struct field weights_items[] = {
    {.key = "passing",
     .kind = FIELD_U32,
     .min = 1,
     .max = WEIGHT_MAX,
     .offset = offsetof(struct weights, passing)},
    {.key = "warning",
     .kind = FIELD_U32,
     .max = WEIGHT_MAX,
     .offset = offsetof(struct weights, warning)},
};

const struct fields weights_fields = {
    .items = weights_items,
    .count = 2,
    .size = sizeof(struct weights),
    .init = weights_init,
};

static const struct field connect_items[] = {
    {.key = "native", .kind = FIELD_BOOL, .offset = 0},
    {.key = "sidecar_service", .kind = FIELD_ANY, .rule = rule_sidecar},
};

static const struct fields connect_fields = {
    .items = connect_items,
    .count = 2,
    .size = sizeof(((struct service_draft *)NULL)->connect),
};

#define DRAFT(member) offsetof(struct service_draft, member)

static const struct field service_items[] = {
    {.key = "name",
     .kind = FIELD_TEXT,
     .offset = DRAFT(def.name),
     .max = LIMIT_SERVICE_NAME,
     .rule = rule_name},
    {.key = "id",
     .kind = FIELD_TEXT,
     .offset = DRAFT(def.id),
     .max = SERVICE_ID_MAX,
     .rule = rule_id},
    {.key = "tags",
     .kind = FIELD_TEXTS,
     .offset = DRAFT(def.tags),
     .max = LIMIT_TAGS,
     .rule = rule_tags},
    {.key = "address",
     .kind = FIELD_TEXT,
     .offset = DRAFT(def.address),
     .max = 255,
     .rule = rule_address},
    {.key = "port",
     .kind = FIELD_U16,
     .offset = DRAFT(def.port),
     .max = UINT16_MAX},
    {.key = "ports",
     .kind = FIELD_LIST,
     .offset = DRAFT(def.ports),
     .count_offset = DRAFT(def.ports_count),
     .max = PORTS_MAX,
     .sub = &named_port_fields},
    {.key = "socket_path",
     .kind = FIELD_TEXT,
     .offset = DRAFT(def.socket_path)},
    {.key = "tagged_addresses",
     .kind = FIELD_MAP,
     .offset = DRAFT(def.tagged),
     .count_offset = DRAFT(def.tagged_count),
     .max = 16,
     .sub = &tagged_address_fields},
    {.key = "meta",
     .kind = FIELD_PAIRS,
     .offset = DRAFT(def.meta),
     .rule = rule_meta},
    {.key = "weights",
     .kind = FIELD_OBJECT,
     .offset = DRAFT(weights),
     .sub = &weights_fields},
    {.key = "enable_tag_override",
     .kind = FIELD_BOOL,
     .offset = DRAFT(def.enable_tag_override)},
    {.key = "check",
     .kind = FIELD_ONE,
     .offset = DRAFT(check),
     .count_offset = DRAFT(check_count),
     .sub = &check_fields},
    {.key = "checks",
     .kind = FIELD_LIST,
     .offset = DRAFT(def.checks),
     .count_offset = DRAFT(def.checks_count),
     .max = LIMIT_CHECKS_OF_ONE,
     .sub = &check_fields},
    {.key = "token",
     .kind = FIELD_TEXT,
     .offset = DRAFT(def.token),
     .max = 512},
    {.key = "kind", .kind = FIELD_TEXT, .offset = DRAFT(def.kind), .max = 64},
    {.key = "proxy", .kind = FIELD_ANY},
    {.key = "connect",
     .kind = FIELD_OBJECT,
     .offset = DRAFT(connect),
     .sub = &connect_fields},
    {.key = "namespace",
     .kind = FIELD_TEXT,
     .offset = DRAFT(unused),
     .rule = rule_default_only},
    {.key = "partition",
     .kind = FIELD_TEXT,
     .offset = DRAFT(unused),
     .rule = rule_default_only},
    {.key = "drain", .kind = FIELD_DURATION, .offset = DRAFT(def.drain_ms)},
};

/* ---- Rules of the whole ------------------------------------------- */

static void drop_double_tags(struct service_def *s)
{
    const char **tags = (const char **)s->tags.items; /* The arena's. */
    size_t kept = 0;

    for (size_t i = 0; i < s->tags.count; i++) {
        bool known = false;

        for (size_t j = 0; j < kept && !known; j++) {
            known = strcmp(tags[j], tags[i]) == 0;
        }
        if (!known) {
            tags[kept++] = tags[i];
        }
    }
    s->tags.count = kept;
}

static enum status finish_ports(struct field_reader *r,
                                const struct json_at *at, struct service_def *s)
{
    struct named_port *ports = (struct named_port *)s->ports;
    struct json_at inner = {.up = at, .key = "ports"};
    size_t defaults = 0;

    if (s->ports_count == 0) {
        return ST_OK;
    }
    if (s->port != 0) {
        return field_error(r, &inner,
                           "port and ports exclude each other; "
                           "keep one");
    }
    for (size_t i = 0; i < s->ports_count; i++) {
        for (size_t j = 0; j < i; j++) {
            if (strcmp(ports[i].name, ports[j].name) == 0) {
                return field_error(r, &inner, "two ports are named \"%s\"",
                                   ports[i].name);
            }
        }
        if (ports[i].is_default) {
            s->port = ports[i].port;
            defaults++;
        }
    }
    if (defaults > 1) {
        return field_error(r, &inner, "more than one port is the default");
    }
    if (defaults == 0) {
        ports[0].is_default = true;
        s->port = ports[0].port;
    }
    return ST_OK;
}

/* `check` first, then `checks`. */
static void join_checks(struct field_reader *r, struct service_draft *d)
{
    size_t count = d->check_count + d->def.checks_count;
    struct check_def *all;

    if (d->check_count == 0) {
        return;
    }
    all = arena_zalloc(r->arena, count, sizeof(*all));
    all[0] = d->check[0];
    for (size_t i = 0; i < d->def.checks_count; i++) {
        all[i + 1] = d->def.checks[i];
    }
    d->def.checks = all;
    d->def.checks_count = count;
}

static enum status finish_checks(struct field_reader *r,
                                 const struct json_at *at,
                                 struct service_def *s)
{
    struct check_def *checks = (struct check_def *)s->checks;

    for (size_t i = 0; i < s->checks_count; i++) {
        struct check_def *c = &checks[i];

        if (*c->service_id != '\0' && strcmp(c->service_id, s->id) != 0) {
            return field_error(r, at,
                               "check %zu: service_id \"%.64s\" is not this "
                               "service's; leave it out",
                               i + 1, c->service_id);
        }
        c->service_id = s->id;
        if (*c->id == '\0' && s->checks_count == 1) {
            c->id = arena_printf(r->arena, "service:%s", s->id);
        } else if (*c->id == '\0') {
            c->id = arena_printf(r->arena, "service:%s:%zu", s->id, i + 1);
        }
        if (*c->name == '\0') {
            c->name = arena_printf(r->arena, "Service '%s' check", s->name);
        }
        for (size_t j = 0; j < i; j++) {
            if (strcmp(checks[j].id, c->id) == 0) {
                return field_error(r, at, "two checks have the id \"%.64s\"",
                                   c->id);
            }
        }
    }
    return ST_OK;
}

static enum status draft_finish(struct field_reader *r,
                                const struct json_at *at, void *object)
{
    struct service_draft *d = object;
    struct service_def *s = &d->def;
    enum status st;

    if (*s->name == '\0') {
        return field_error(r, at, "name is missing");
    }
    if (*s->id == '\0') {
        s->id = s->name;
    }
    if (*s->socket_path != '\0' && (s->port != 0 || s->ports_count > 0)) {
        return field_error(r, at,
                           "socket_path and port exclude each other; "
                           "keep one");
    }
    s->weight_passing = d->weights.passing;
    s->weight_warning = d->weights.warning;
    s->connect_native = d->connect.native;
    drop_double_tags(s);
    st = finish_ports(r, at, s);
    if (st) {
        return st;
    }
    join_checks(r, d);
    if (s->checks_count > LIMIT_CHECKS_OF_ONE) {
        return field_error(r, at, "has %zu checks, at most %d are allowed",
                           s->checks_count, LIMIT_CHECKS_OF_ONE);
    }
    return finish_checks(r, at, s);
}

const struct fields service_fields = {
    .what = "service",
    .items = service_items,
    .count = sizeof(service_items) / sizeof(service_items[0]),
    .size = sizeof(struct service_draft),
    .init = draft_init,
    .finish = draft_finish,
};
