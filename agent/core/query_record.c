#include "agent/core/query_record.h"

#include "agent/core/duration.h"
#include "agent/core/fields.h"
#include "agent/core/record.h"
#include "base/core/check.h"
#include "base/core/limits.h"

#define AT(member) .offset = offsetof(struct query_def, member)

/* The objects within one another are one flat struct to us. */
#define PART(name)                                               \
    static const struct fields name##_fields = {                 \
        .items = name##_items,                                   \
        .count = sizeof(name##_items) / sizeof(name##_items[0]), \
        .size = sizeof(struct query_def),                        \
    }

static enum status ttl_rule(struct field_reader *r, const struct json_at *at,
                            const void *value)
{
    const char *text = *(const char *const *)value;
    uint64_t ms;

    if (*text == '\0' || duration_parse(slice_str(text), &ms) == ST_OK) {
        return ST_OK;
    }
    return field_error(r, at,
                       "Bad DNS TTL '%.64s': not a duration; write \"10s\" or "
                       "\"1m30s\"",
                       text);
}

static const struct field template_items[] = {
    {AT(template_type), .key = "type", .kind = FIELD_TEXT, .max = 64},
    {AT(template_regexp), .key = "regexp", .kind = FIELD_TEXT,
     .max = LIMIT_REGEX_BYTES},
    {AT(remove_empty_tags), .key = "remove_empty_tags", .kind = FIELD_BOOL},
};
PART(template);

static const struct field failover_items[] = {
    {AT(nearest_n), .key = "nearest_n", .kind = FIELD_I64, .min = INT32_MIN,
     .max = INT32_MAX},
    {AT(datacenters), .key = "datacenters", .kind = FIELD_TEXTS,
     .max = LIMIT_QUERY_LIST},
};
PART(failover);

static const struct field service_items[] = {
    {AT(service), .key = "service", .kind = FIELD_TEXT, .max = 512},
    {.key = "failover", .kind = FIELD_OBJECT, .sub = &failover_fields},
    {AT(ignore_checks), .key = "ignore_check_ids", .kind = FIELD_TEXTS,
     .max = LIMIT_QUERY_LIST},
    {AT(only_passing), .key = "only_passing", .kind = FIELD_BOOL},
    {AT(near), .key = "near", .kind = FIELD_TEXT, .max = 512},
    {AT(tags), .key = "tags", .kind = FIELD_TEXTS, .max = LIMIT_TAGS},
    {AT(node_meta), .key = "node_meta", .kind = FIELD_PAIRS,
     .max = LIMIT_META_PAIRS},
    {AT(service_meta), .key = "service_meta", .kind = FIELD_PAIRS,
     .max = LIMIT_META_PAIRS},
    {AT(connect), .key = "connect", .kind = FIELD_BOOL},
};
PART(service);

static const struct field dns_items[] = {
    {AT(ttl), .key = "ttl", .kind = FIELD_TEXT, .max = DURATION_TEXT,
     .rule = ttl_rule},
};
PART(dns);

static const struct field query_items[] = {
    {AT(name), .key = "name", .kind = FIELD_TEXT, .max = 512},
    {AT(session), .key = "session", .kind = FIELD_TEXT, .max = 64},
    {AT(token), .key = "token", .kind = FIELD_TEXT, .max = LIMIT_ACL_SECRET},
    {.key = "template", .kind = FIELD_OBJECT, .sub = &template_fields},
    {.key = "service", .kind = FIELD_OBJECT, .sub = &service_fields},
    {.key = "dns", .kind = FIELD_OBJECT, .sub = &dns_fields},
};
PART(query);

enum status query_def_read(struct arena *a, struct slice text,
                           struct query_def *out_def, struct err *err)
{
    struct field_reader r = {
        .arena = a, .text = text, .unknown = FIELD_UNKNOWN_IGNORED, .err = err};
    struct query_def def = {.id = ""};
    enum status st = fields_parse(&r, &query_fields, LIMIT_RECORD_BYTES, &def);

    if (!st && *def.ttl != '\0') {
        CHECK(duration_parse(slice_str(def.ttl), &def.ttl_ms) == ST_OK);
    }
    if (!st) {
        *out_def = def;
    }
    return st;
}

struct slice query_def_write(struct arena *a, const struct query_def *def)
{
    struct jsonw w;
    struct buf b;
    struct slice copy;

    /* Escapes may make it up to six times as long as what was read. */
    buf_init(&b, 8 * LIMIT_RECORD_BYTES);
    jsonw_init(&w, &b, JSONW_COMPACT);
    fields_write(&query_fields, def, &w);
    CHECK(jsonw_finish(&w) == ST_OK);
    copy = arena_copy(a, buf_slice(&b));
    buf_release(&b);
    return copy;
}

struct slice query_key(struct arena *a, const char *dc, const char *id)
{
    struct slice folder = record_folder(a, dc, "lookup");

    return slice_str(arena_printf(a, "%.*s%s", (int)folder.len,
                                  (const char *)folder.data, id));
}

struct slice query_bound_key(struct arena *a, const char *dc,
                             const char *session, const char *id)
{
    struct slice folder = record_folder(a, dc, "sessq");

    return slice_str(arena_printf(a, "%.*s%s/%s", (int)folder.len,
                                  (const char *)folder.data, session, id));
}
