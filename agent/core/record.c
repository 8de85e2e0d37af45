#include "agent/core/record.h"

#include "agent/core/definition_tables.h"
#include "base/core/check.h"

enum {
    PORTS_MAX = 64,
    TAGGED_MAX = 16,
    ID_MAX = 512,
    /* 512 bytes come in; each that is not UTF-8 becomes the three of U+FFFD. */
    NOTES_MAX = 3 * 512,
};

static const char *const type_words[] = {
#define X(name, text) text,
    CHECK_TYPE_LIST(X)
#undef X
        NULL,
};

/* ---- Tables ------------------------------------------------------- */

#define AT(type, member) offsetof(struct type, member)

static const struct field owner_items[] = {
    {.key = "node",
     .kind = FIELD_TEXT,
     .offset = AT(record_owner, node),
     .max = ID_MAX},
    {.key = "incarnation",
     .kind = FIELD_TEXT,
     .offset = AT(record_owner, incarnation),
     .max = ID_MAX},
};

static const struct fields owner_fields = {
    .items = owner_items, .count = 2, .size = sizeof(struct record_owner)};

static const struct field node_items[] = {
    {.key = "name",
     .kind = FIELD_TEXT,
     .offset = AT(node_record, name),
     .max = ID_MAX},
    {.key = "id",
     .kind = FIELD_TEXT,
     .offset = AT(node_record, id),
     .max = ID_MAX},
    {.key = "address",
     .kind = FIELD_TEXT,
     .offset = AT(node_record, address),
     .max = 255,
     .rule = rule_address},
    {.key = "tagged_addresses",
     .kind = FIELD_PAIRS,
     .offset = AT(node_record, tagged),
     .max = TAGGED_MAX},
    {.key = "meta", .kind = FIELD_PAIRS, .offset = AT(node_record, meta)},
    {.key = "external",
     .kind = FIELD_BOOL,
     .offset = AT(node_record, external)},
    {.key = "reap", .kind = FIELD_DURATION, .offset = AT(node_record, reap_ms)},
    {.key = "owner",
     .kind = FIELD_OBJECT,
     .offset = AT(node_record, owner),
     .sub = &owner_fields},
};

static const struct fields node_fields = {
    .items = node_items,
    .count = sizeof(node_items) / sizeof(node_items[0]),
    .size = sizeof(struct node_record),
};

static const struct field live_items[] = {
    {.key = "node_id",
     .kind = FIELD_TEXT,
     .offset = AT(live_record, node_id),
     .max = ID_MAX},
    {.key = "incarnation",
     .kind = FIELD_TEXT,
     .offset = AT(live_record, incarnation),
     .max = ID_MAX},
    {.key = "start_revision",
     .kind = FIELD_I64,
     .offset = AT(live_record, start_revision),
     .max = INT64_MAX},
    {.key = "stopped", .kind = FIELD_BOOL, .offset = AT(live_record, stopped)},
};

static const struct fields live_fields = {
    .items = live_items,
    .count = sizeof(live_items) / sizeof(live_items[0]),
    .size = sizeof(struct live_record),
};

static enum status check_record_finish(struct field_reader *r,
                                       const struct json_at *at, void *object)
{
    const struct check_record *c = object;

    return *c->id == '\0' ? field_error(r, at, "id is missing") : ST_OK;
}

static const struct field check_items[] = {
    {.key = "id",
     .kind = FIELD_TEXT,
     .offset = AT(check_record, id),
     .max = ID_MAX},
    {.key = "name",
     .kind = FIELD_TEXT,
     .offset = AT(check_record, name),
     .max = ID_MAX},
    {.key = "notes",
     .kind = FIELD_TEXT,
     .offset = AT(check_record, notes),
     .max = NOTES_MAX},
    {.key = "output", .kind = FIELD_TEXT, .offset = AT(check_record, output)},
    {.key = "type",
     .kind = FIELD_WORD,
     .offset = AT(check_record, type),
     .words = type_words},
    {.key = "status",
     .kind = FIELD_WORD,
     .offset = AT(check_record, status),
     .words = check_status_words},
    {.key = "interval",
     .kind = FIELD_DURATION,
     .offset = AT(check_record, interval_ms)},
    {.key = "timeout",
     .kind = FIELD_DURATION,
     .offset = AT(check_record, timeout_ms)},
};

static const struct fields check_record_fields = {
    .what = "check",
    .items = check_items,
    .count = sizeof(check_items) / sizeof(check_items[0]),
    .size = sizeof(struct check_record),
    .finish = check_record_finish,
};

static void instance_init(void *object)
{
    struct instance_record *i = object;

    i->weight_passing = 1;
    i->weight_warning = 1;
}

static const struct field instance_items[] = {
    {.key = "node",
     .kind = FIELD_TEXT,
     .offset = AT(instance_record, node),
     .max = ID_MAX},
    {.key = "service",
     .kind = FIELD_TEXT,
     .offset = AT(instance_record, service),
     .max = LIMIT_SERVICE_NAME},
    {.key = "id",
     .kind = FIELD_TEXT,
     .offset = AT(instance_record, id),
     .max = ID_MAX},
    {.key = "tags",
     .kind = FIELD_TEXTS,
     .offset = AT(instance_record, tags),
     .max = LIMIT_TAGS},
    {.key = "address",
     .kind = FIELD_TEXT,
     .offset = AT(instance_record, address),
     .max = 255,
     .rule = rule_address},
    {.key = "port",
     .kind = FIELD_U16,
     .offset = AT(instance_record, port),
     .max = UINT16_MAX},
    {.key = "ports",
     .kind = FIELD_LIST,
     .offset = AT(instance_record, ports),
     .count_offset = AT(instance_record, ports_count),
     .max = PORTS_MAX,
     .sub = &named_port_fields},
    {.key = "socket_path",
     .kind = FIELD_TEXT,
     .offset = AT(instance_record, socket_path)},
    {.key = "tagged_addresses",
     .kind = FIELD_MAP,
     .offset = AT(instance_record, tagged),
     .count_offset = AT(instance_record, tagged_count),
     .max = TAGGED_MAX,
     .sub = &tagged_address_fields},
    {.key = "meta", .kind = FIELD_PAIRS, .offset = AT(instance_record, meta)},
    {.key = "weight_passing",
     .kind = FIELD_U32,
     .max = 65535,
     .offset = AT(instance_record, weight_passing)},
    {.key = "weight_warning",
     .kind = FIELD_U32,
     .max = 65535,
     .offset = AT(instance_record, weight_warning)},
    {.key = "enable_tag_override",
     .kind = FIELD_BOOL,
     .offset = AT(instance_record, enable_tag_override)},
    {.key = "connect_native",
     .kind = FIELD_BOOL,
     .offset = AT(instance_record, connect_native)},
    {.key = "kind",
     .kind = FIELD_TEXT,
     .offset = AT(instance_record, kind),
     .max = 64},
    {.key = "checks",
     .kind = FIELD_LIST,
     .offset = AT(instance_record, checks),
     .count_offset = AT(instance_record, checks_count),
     .max = LIMIT_CHECKS_OF_ONE + 2, /* Maintenance and drain on top. */
     .sub = &check_record_fields},
    {.key = "owner",
     .kind = FIELD_OBJECT,
     .offset = AT(instance_record, owner),
     .sub = &owner_fields},
};

static const struct fields instance_fields = {
    .items = instance_items,
    .count = sizeof(instance_items) / sizeof(instance_items[0]),
    .size = sizeof(struct instance_record),
    .init = instance_init,
};

static const struct field node_check_items[] = {
    {.key = "node",
     .kind = FIELD_TEXT,
     .offset = AT(node_check_record, node),
     .max = ID_MAX},
    {.key = "check",
     .kind = FIELD_OBJECT,
     .offset = AT(node_check_record, check),
     .sub = &check_record_fields},
    {.key = "owner",
     .kind = FIELD_OBJECT,
     .offset = AT(node_check_record, owner),
     .sub = &owner_fields},
};

static const struct fields node_check_fields = {
    .items = node_check_items,
    .count = 3,
    .size = sizeof(struct node_check_record),
};

/* ---- Of a definition ---------------------------------------------- */

struct instance_record instance_record_of(const struct service_def *d)
{
    return (struct instance_record){
        .node = "",
        .service = d->name,
        .id = d->id,
        .tags = d->tags,
        .address = d->address,
        .port = d->port,
        .ports = d->ports,
        .ports_count = d->ports_count,
        .socket_path = d->socket_path,
        .tagged = d->tagged,
        .tagged_count = d->tagged_count,
        .meta = d->meta,
        .weight_passing = d->weight_passing,
        .weight_warning = d->weight_warning,
        .enable_tag_override = d->enable_tag_override,
        .connect_native = d->connect_native,
        .kind = d->kind,
    };
}

/* ---- Writing ------------------------------------------------------ */

enum status record_fields_write(const struct fields *fields, const void *record,
                                struct buf *out)
{
    struct jsonw w;

    jsonw_init(&w, out, JSONW_COMPACT);
    fields_write(fields, record, &w);
    return jsonw_finish(&w);
}

enum status node_record_write(const struct node_record *r, struct buf *out)
{
    return record_fields_write(&node_fields, r, out);
}

enum status live_record_write(const struct live_record *r, struct buf *out)
{
    return record_fields_write(&live_fields, r, out);
}

enum status instance_record_write(const struct instance_record *r,
                                  struct buf *out)
{
    return record_fields_write(&instance_fields, r, out);
}

enum status node_check_record_write(const struct node_check_record *r,
                                    struct buf *out)
{
    return record_fields_write(&node_check_fields, r, out);
}

/* ---- Reading ------------------------------------------------------ */

enum status record_fields_read(struct arena *a, const struct fields *fields,
                               struct slice value, void *record,
                               struct err *err)
{
    struct field_reader r = {.arena = a,
                             .text = value,
                             .unknown = FIELD_UNKNOWN_IGNORED,
                             .err = err};
    enum status st = fields_parse(&r, fields, LIMIT_RECORD_BYTES, record);

    return st == ST_INVALID ? ST_CORRUPT : st;
}

static bool same_node(const char *lower, const char *name)
{
    for (; *lower != '\0' && *name != '\0'; lower++, name++) {
        char c =
            (char)(*name >= 'A' && *name <= 'Z' ? *name - 'A' + 'a' : *name);
        if (c != *lower) {
            return false;
        }
    }
    return *lower == *name;
}

static enum status contradiction(struct err *err, const char *field)
{
    return err_set(err, ST_CORRUPT, "%s is not what the key says", field);
}

enum status node_record_read(struct arena *a, const struct record_key *key,
                             struct slice value, struct node_record *out_record,
                             struct err *err)
{
    struct node_record record = {0};
    enum status st = record_fields_read(a, &node_fields, value, &record, err);

    if (st) {
        return st;
    }
    if (!same_node(key->node, record.name)) {
        return contradiction(err, "name");
    }
    if (*record.id == '\0' || *record.address == '\0') {
        return err_set(err, ST_CORRUPT, "id or address is missing");
    }
    *out_record = record;
    return ST_OK;
}

enum status live_record_read(struct arena *a, struct slice value,
                             struct live_record *out_record, struct err *err)
{
    struct live_record record = {0};
    enum status st = record_fields_read(a, &live_fields, value, &record, err);

    if (st == ST_OK) {
        *out_record = record;
    }
    return st;
}

enum status instance_record_read(struct arena *a, const struct record_key *key,
                                 struct slice value,
                                 struct instance_record *out_record,
                                 struct err *err)
{
    struct instance_record record = {0};
    enum status st =
        record_fields_read(a, &instance_fields, value, &record, err);

    if (st) {
        return st;
    }
    if (!same_node(key->node, record.node)) {
        return contradiction(err, "node");
    }
    if (strcmp(key->service, record.service) != 0) {
        return contradiction(err, "service");
    }
    if (strcmp(key->id, record.id) != 0) {
        return contradiction(err, "id");
    }
    *out_record = record;
    return ST_OK;
}

enum status node_check_record_read(struct arena *a,
                                   const struct record_key *key,
                                   struct slice value,
                                   struct node_check_record *out_record,
                                   struct err *err)
{
    struct node_check_record record = {0};
    enum status st =
        record_fields_read(a, &node_check_fields, value, &record, err);

    if (st) {
        return st;
    }
    if (!same_node(key->node, record.node)) {
        return contradiction(err, "node");
    }
    if (strcmp(key->id, record.check.id) != 0) {
        return contradiction(err, "check.id");
    }
    *out_record = record;
    return ST_OK;
}
