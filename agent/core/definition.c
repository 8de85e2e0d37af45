#include "agent/core/definition.h"

#include <stdlib.h>

#include "agent/core/definition_tables.h"
#include "base/core/check.h"

enum {
    DEFINITIONS_MAX = 10000
};

struct definitions {
    unsigned refs;
    struct arena arena;
    const struct service_def **services;
    size_t services_count;
    const struct check_def **checks;
    size_t checks_count;
    const char **warnings;
    size_t warnings_count;
};

/* One object of a file; a file is one or a list of them. */
struct file_part {
    const struct service_draft *service;
    size_t service_count;
    const struct service_draft *services;
    size_t services_count;
    const struct check_def *check;
    size_t check_count;
    const struct check_def *checks;
    size_t checks_count;
};

#define PART(member) offsetof(struct file_part, member)

static const struct field file_items[] = {
    {.key = "service",
     .kind = FIELD_ONE,
     .offset = PART(service),
     .count_offset = PART(service_count),
     .sub = &service_fields},
    {.key = "services",
     .kind = FIELD_LIST,
     .offset = PART(services),
     .count_offset = PART(services_count),
     .max = DEFINITIONS_MAX,
     .sub = &service_fields},
    {.key = "check",
     .kind = FIELD_ONE,
     .offset = PART(check),
     .count_offset = PART(check_count),
     .sub = &check_fields},
    {.key = "checks",
     .kind = FIELD_LIST,
     .offset = PART(checks),
     .count_offset = PART(checks_count),
     .max = DEFINITIONS_MAX,
     .sub = &check_fields},
};

static const struct fields file_fields = {
    .items = file_items,
    .count = sizeof(file_items) / sizeof(file_items[0]),
    .size = sizeof(struct file_part),
};

/* ---- Collecting --------------------------------------------------- */

static void add_service(struct definitions *d, const struct service_def *s)
{
    if (d->services_count % 64 == 0) {
        const struct service_def **more =
            arena_alloc(&d->arena, (d->services_count + 64) * sizeof(*more));

        if (d->services_count > 0) {
            memcpy(more, d->services, d->services_count * sizeof(*more));
        }
        d->services = more;
    }
    d->services[d->services_count++] = s;
}

static enum status add_check(struct definitions *d, struct field_reader *r,
                             const struct json_at *at, struct check_def *c)
{
    if (*c->name == '\0' && *c->id == '\0') {
        return field_error(r, at, "a check outside of a service needs a name");
    }
    if (*c->id == '\0') {
        c->id = c->name;
    }
    if (*c->name == '\0') {
        c->name = c->id;
    }
    if (c->deregister_after_ms > 0 && *c->service_id == '\0') {
        return field_error(r, at,
                           "deregister_critical_service_after needs a "
                           "service_id");
    }
    if (d->checks_count % 64 == 0) {
        const struct check_def **more =
            arena_alloc(&d->arena, (d->checks_count + 64) * sizeof(*more));

        if (d->checks_count > 0) {
            memcpy(more, d->checks, d->checks_count * sizeof(*more));
        }
        d->checks = more;
    }
    d->checks[d->checks_count++] = c;
    return ST_OK;
}

static enum status add_checks(struct definitions *d, struct field_reader *r,
                              const struct json_at *at, const char *key,
                              const struct check_def *checks, size_t count)
{
    struct json_at list = {.up = at, .key = key};

    for (size_t i = 0; i < count; i++) {
        struct json_at inner = {.up = &list, .index = i};
        enum status st =
            add_check(d, r, &inner, (struct check_def *)&checks[i]);

        if (st) {
            return st;
        }
    }
    return ST_OK;
}

static enum status add_part(struct definitions *d, struct field_reader *r,
                            const struct json_at *at, const json_t *json)
{
    struct file_part part = {0};
    struct json_at check = {.up = at, .key = "check"};
    enum status st;

    if (json_is_object(json) && json_object_get(json, "name") != NULL &&
        json_object_get(json, "service") == NULL) {
        return field_error(r, at,
                           "a definition stands under \"service\" or "
                           "\"check\": {\"service\": {\"name\": ...}}");
    }
    st = fields_read(r, at, &file_fields, json, &part);
    if (st) {
        return st;
    }
    if (part.service_count > 0) {
        add_service(d, &part.service->def);
    }
    for (size_t i = 0; i < part.services_count; i++) {
        add_service(d, &part.services[i].def);
    }
    if (part.check_count > 0) {
        st = add_check(d, r, &check, (struct check_def *)part.check);
        if (st) {
            return st;
        }
    }
    return add_checks(d, r, at, "checks", part.checks, part.checks_count);
}

static enum status read_file(struct definitions *d, struct field_reader *r,
                             const json_t *json)
{
    struct json_at root = {0};

    if (!json_is_array(json)) {
        return add_part(d, r, &root, json);
    }
    for (size_t i = 0; i < json_array_size(json); i++) {
        struct json_at inner = {.up = &root, .index = i};
        enum status st = add_part(d, r, &inner, json_array_get(json, i));

        if (st) {
            return st;
        }
    }
    return ST_OK;
}

static enum status read_body(struct definitions *d, struct field_reader *r,
                             enum definition_form form, const json_t *json)
{
    struct json_at root = {0};
    struct service_draft *draft;
    struct check_def *check;
    enum status st;

    if (form == DEFINITION_SERVICE) {
        draft = arena_zalloc(r->arena, 1, sizeof(*draft));
        st = fields_read(r, &root, &service_fields, json, draft);
        if (st == ST_OK) {
            add_service(d, &draft->def);
        }
        return st;
    }
    check = arena_zalloc(r->arena, 1, sizeof(*check));
    st = fields_read(r, &root, &check_fields, json, check);
    return st ? st : add_check(d, r, &root, check);
}

/* ---- Ids that come twice ------------------------------------------ */

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static enum status refuse_doubles(struct field_reader *r, const char *what,
                                  const char **ids, size_t count)
{
    qsort(ids, count, sizeof(*ids), compare_texts);
    for (size_t i = 1; i < count; i++) {
        if (strcmp(ids[i - 1], ids[i]) == 0) {
            return err_set(r->err, ST_INVALID,
                           "%s%stwo %ss have the id \"%.64s\"; give each an "
                           "id of its own",
                           r->file == NULL ? "" : r->file,
                           r->file == NULL ? "" : ": ", what, ids[i]);
        }
    }
    return ST_OK;
}

static enum status check_ids(struct definitions *d, struct field_reader *r)
{
    size_t checks = d->checks_count;
    const char **ids;
    enum status st;

    for (size_t i = 0; i < d->services_count; i++) {
        checks += d->services[i]->checks_count;
    }
    ids =
        arena_alloc(&d->arena, (checks + d->services_count + 1) * sizeof(*ids));
    for (size_t i = 0; i < d->services_count; i++) {
        ids[i] = d->services[i]->id;
    }
    st = refuse_doubles(r, "service", ids, d->services_count);
    if (st) {
        return st;
    }
    checks = 0;
    for (size_t i = 0; i < d->checks_count; i++) {
        ids[checks++] = d->checks[i]->id;
    }
    for (size_t i = 0; i < d->services_count; i++) {
        for (size_t j = 0; j < d->services[i]->checks_count; j++) {
            ids[checks++] = d->services[i]->checks[j].id;
        }
    }
    return refuse_doubles(r, "check", ids, checks);
}

static void keep_warnings(struct definitions *d, const struct field_reader *r)
{
    size_t count = 0;

    for (struct field_warning *w = r->warnings; w != NULL; w = w->next) {
        count++;
    }
    d->warnings = arena_zalloc(&d->arena, count, sizeof(*d->warnings));
    d->warnings_count = count;
    for (struct field_warning *w = r->warnings; w != NULL; w = w->next) {
        d->warnings[--count] = w->text;
    }
}

enum status definitions_parse(enum definition_form form, const char *file,
                              struct slice text,
                              struct definitions **out_definitions,
                              struct err *err)
{
    struct definitions *d = calloc(1, sizeof(*d));
    struct field_reader r = {
        .text = text,
        .file = strcmp(file, "-") == 0 ? NULL : file,
        .unknown = form == DEFINITION_FILE ? FIELD_UNKNOWN_REFUSED
                                           : FIELD_UNKNOWN_NOTED,
        .err = err,
    };
    json_t *json = NULL;
    enum status st;

    CHECK(d != NULL);
    d->refs = 1;
    r.arena = &d->arena;
    st = fields_json(&r, LIMIT_DEFINITION_BYTES, &json);
    if (st == ST_OK) {
        st = form == DEFINITION_FILE ? read_file(d, &r, json)
                                     : read_body(d, &r, form, json);
    }
    json_decref(json);
    if (st == ST_OK) {
        st = check_ids(d, &r);
    }
    if (st) {
        definitions_unref(d);
        return st;
    }
    keep_warnings(d, &r);
    *out_definitions = d;
    return ST_OK;
}

struct definitions *definitions_ref(struct definitions *d)
{
    d->refs++;
    return d;
}

void definitions_unref(struct definitions *d)
{
    if (d == NULL || --d->refs > 0) {
        return;
    }
    arena_release(&d->arena);
    free(d);
}

size_t definitions_services_count(const struct definitions *d)
{
    return d->services_count;
}

const struct service_def *definitions_service(const struct definitions *d,
                                              size_t index)
{
    CHECK(index < d->services_count);
    return d->services[index];
}

size_t definitions_checks_count(const struct definitions *d)
{
    return d->checks_count;
}

const struct check_def *definitions_check(const struct definitions *d,
                                          size_t index)
{
    CHECK(index < d->checks_count);
    return d->checks[index];
}

size_t definitions_warnings_count(const struct definitions *d)
{
    return d->warnings_count;
}

const char *definitions_warning(const struct definitions *d, size_t index)
{
    CHECK(index < d->warnings_count);
    return d->warnings[index];
}

/* ---- Writing ------------------------------------------------------ */

enum status service_def_write(const struct service_def *s, struct buf *out)
{
    struct service_draft draft = {
        .def = *s,
        .unused = "",
        .weights = {s->weight_passing, s->weight_warning},
        .connect = {s->connect_native},
    };
    struct jsonw w;

    if (s->ports_count > 0) {
        draft.def.port = 0; /* Follows from the default port. */
    }
    jsonw_init(&w, out, JSONW_COMPACT);
    fields_write(&service_fields, &draft, &w);
    return jsonw_finish(&w);
}

enum status check_def_write(const struct check_def *c, struct buf *out)
{
    struct jsonw w;

    jsonw_init(&w, out, JSONW_COMPACT);
    fields_write(&check_fields, c, &w);
    return jsonw_finish(&w);
}

bool check_def_equal(const struct check_def *a, const struct check_def *b)
{
    struct buf x;
    struct buf y;
    bool equal;

    buf_init(&x, LIMIT_DEFINITION_BYTES);
    buf_init(&y, LIMIT_DEFINITION_BYTES);
    equal = check_def_write(a, &x) == ST_OK &&
            check_def_write(b, &y) == ST_OK &&
            slice_eq(buf_slice(&x), buf_slice(&y));
    buf_release(&x);
    buf_release(&y);
    return equal;
}
