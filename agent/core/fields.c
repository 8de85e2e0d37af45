#include "agent/core/fields.h"

#include <stdio.h>

#include "agent/core/definition.h"
#include "agent/core/duration.h"
#include "base/core/check.h"
#include "base/core/suggest.h"

static int key_char(const char **at)
{
    while (**at == '_') {
        (*at)++;
    }
    int c = (unsigned char)**at;

    if (c != 0) {
        (*at)++;
    }
    return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c;
}

bool field_key_equal(const char *a, const char *b)
{
    for (;;) {
        int x = key_char(&a);
        int y = key_char(&b);

        if (x != y) {
            return false;
        }
        if (x == 0) {
            return true;
        }
    }
}

static const char *type_name(const json_t *json)
{
    switch (json_typeof(json)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "a list";
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
    case JSON_REAL:
        return "a number";
    case JSON_TRUE:
    case JSON_FALSE:
        return "true or false";
    case JSON_NULL:
        return "null";
    }
    UNREACHABLE();
}

static enum status wrong_type(struct field_reader *r, const struct json_at *at,
                              const char *wanted, const json_t *json)
{
    return field_error(r, at, "must be %s, not %s", wanted, type_name(json));
}

/* ---- Values ------------------------------------------------------- */

static enum status read_text(struct field_reader *r, const struct json_at *at,
                             int64_t max, const json_t *json,
                             const char **out_text)
{
    size_t limit = max > 0 ? (size_t)max : LIMIT_TEXT;
    size_t len = json_string_length(json);

    if (!json_is_string(json)) {
        return wrong_type(r, at, "a string", json);
    }
    if (len > limit) {
        return field_error(r, at, "has %zu bytes, at most %zu are allowed", len,
                           limit);
    }
    *out_text = arena_strdup(r->arena, slice_of(json_string_value(json), len));
    return ST_OK;
}

static enum status read_number(struct field_reader *r, const struct json_at *at,
                               const struct field *f, const json_t *json,
                               int64_t *out_number)
{
    int64_t value = json_integer_value(json);

    if (!json_is_integer(json)) {
        return wrong_type(r, at, "a whole number", json);
    }
    if (value < f->min || value > f->max) {
        return field_error(r, at, "%lld is not within %lld to %lld",
                           (long long)value, (long long)f->min,
                           (long long)f->max);
    }
    *out_number = value;
    return ST_OK;
}

/* A text in units, or a number of nanoseconds as Go's clients send it. */
static enum status read_duration(struct field_reader *r,
                                 const struct json_at *at,
                                 const struct field *f, const json_t *json,
                                 uint64_t *out_ms)
{
    uint64_t ms = 0;

    if (json_is_integer(json) && json_integer_value(json) >= 0) {
        uint64_t ns = (uint64_t)json_integer_value(json);

        ms = ns < (uint64_t)f->max ? ns * 1000
                                   : ns / 1000000 + (ns % 1000000 > 0);
    } else if (!json_is_string(json)) {
        return wrong_type(r, at, "a duration like \"10s\"", json);
    } else if (json_string_length(json) > 0 &&
               duration_parse(slice_str(json_string_value(json)), &ms)) {
        return field_error(r, at,
                           "\"%.64s\" is not a duration; write it like "
                           "\"10s\", \"500ms\" or \"1m30s\"",
                           json_string_value(json));
    }
    if (ms > 0 && ms < (uint64_t)f->min) {
        char least[DURATION_TEXT];

        return field_error(r, at, "is below the minimum of %s",
                           duration_format((uint64_t)f->min, least));
    }
    *out_ms = ms;
    return ST_OK;
}

static enum status read_word(struct field_reader *r, const struct json_at *at,
                             const struct field *f, const json_t *json,
                             int *out_index)
{
    char known[128] = "";

    if (!json_is_string(json)) {
        return wrong_type(r, at, "a string", json);
    }
    if (json_string_length(json) == 0) {
        return ST_OK; /* Leaves the default. */
    }
    for (int i = 0; f->words[i] != NULL; i++) {
        if (strcmp(f->words[i], json_string_value(json)) == 0) {
            *out_index = i;
            return ST_OK;
        }
        (void)snprintf(known + strlen(known), sizeof(known) - strlen(known),
                       "%s\"%s\"", i == 0 ? "" : ", ", f->words[i]);
    }
    return field_error(r, at, "\"%.64s\" is not one of %s",
                       json_string_value(json), known);
}

static enum status read_texts(struct field_reader *r, const struct json_at *at,
                              const struct field *f, const json_t *json,
                              struct texts *out_texts)
{
    size_t count = json_array_size(json);
    const char **items;

    if (!json_is_array(json)) {
        return wrong_type(r, at, "a list of strings", json);
    }
    if (count > (size_t)f->max) {
        return field_error(r, at, "has %zu entries, at most %lld are allowed",
                           count, (long long)f->max);
    }
    items = arena_zalloc(r->arena, count + 1, sizeof(*items));
    for (size_t i = 0; i < count; i++) {
        struct json_at inner = {.up = at, .index = i};
        enum status st =
            read_text(r, &inner, 0, json_array_get(json, i), &items[i]);

        if (st) {
            return st;
        }
    }
    *out_texts = (struct texts){.items = items, .count = count};
    return ST_OK;
}

static enum status read_pairs(struct field_reader *r, const struct json_at *at,
                              const struct field *f, json_t *json,
                              struct pairs *out_pairs)
{
    size_t limit = f->max > 0 ? (size_t)f->max : LIMIT_META_PAIRS;
    struct pair *items;
    const char *key;
    json_t *value;
    size_t count = 0;

    if (!json_is_object(json)) {
        return wrong_type(r, at, "an object of strings", json);
    }
    if (json_object_size(json) > limit) {
        return field_error(r, at, "has %zu entries, at most %zu are allowed",
                           json_object_size(json), limit);
    }
    items = arena_zalloc(r->arena, json_object_size(json), sizeof(*items));
    json_object_foreach(json, key, value)
    {
        struct json_at inner = {.up = at, .key = key};
        enum status st =
            read_text(r, &inner, LIMIT_META_VALUE, value, &items[count].value);

        if (st) {
            return st;
        }
        if (key[0] == '\0' || strlen(key) > LIMIT_META_KEY) {
            return field_error(r, &inner, "a key has 1 to %d bytes",
                               LIMIT_META_KEY);
        }
        items[count++].key = arena_strdup(r->arena, slice_str(key));
    }
    *out_pairs = (struct pairs){.items = items, .count = count};
    return ST_OK;
}

static enum status add_header(struct field_reader *r, const struct json_at *at,
                              const char *key, const json_t *value,
                              struct pair *items, size_t *count)
{
    if (*count == LIMIT_META_PAIRS) {
        return field_error(r, at, "more than %d values", LIMIT_META_PAIRS);
    }
    items[*count].key = key;
    return read_text(r, at, 0, value, &items[(*count)++].value);
}

static enum status read_headers(struct field_reader *r,
                                const struct json_at *at, json_t *json,
                                struct pairs *out_pairs)
{
    struct pair *items =
        arena_zalloc(r->arena, LIMIT_META_PAIRS, sizeof(*items));
    const char *key;
    json_t *value;
    size_t count = 0;
    enum status st = ST_OK;

    if (!json_is_object(json)) {
        return wrong_type(r, at, "an object of lists of strings", json);
    }
    json_object_foreach(json, key, value)
    {
        struct json_at inner = {.up = at, .key = key};
        const char *name = arena_strdup(r->arena, slice_str(key));

        if (!json_is_array(value)) {
            st = add_header(r, &inner, name, value, items, &count);
        }
        for (size_t i = 0; i < json_array_size(value) && st == ST_OK; i++) {
            struct json_at each = {.up = &inner, .index = i};

            st = add_header(r, &each, name, json_array_get(value, i), items,
                            &count);
        }
        if (st) {
            return st;
        }
    }
    *out_pairs = (struct pairs){.items = items, .count = count};
    return ST_OK;
}

/* ---- Objects and lists of them ------------------------------------ */

static enum status read_elements(struct field_reader *r,
                                 const struct json_at *at,
                                 const struct field *f, json_t *json,
                                 uint8_t *object)
{
    bool is_map = f->kind == FIELD_MAP;
    size_t count = is_map ? json_object_size(json) : json_array_size(json);
    void *iter = is_map ? json_object_iter(json) : NULL;
    uint8_t *items;

    if (is_map ? !json_is_object(json) : !json_is_array(json)) {
        return wrong_type(r, at, is_map ? "an object" : "a list", json);
    }
    if (count > (size_t)f->max) {
        return field_error(r, at, "has %zu entries, at most %lld are allowed",
                           count, (long long)f->max);
    }
    items = arena_zalloc(r->arena, count, f->sub->size);
    for (size_t i = 0; i < count; i++) {
        uint8_t *item = items + i * f->sub->size;
        struct json_at inner = {.up = at, .index = i};
        const json_t *value =
            is_map ? json_object_iter_value(iter) : json_array_get(json, i);
        enum status st;

        if (is_map) {
            inner.key = json_object_iter_key(iter);
            if (strlen(inner.key) > LIMIT_META_KEY) {
                return field_error(r, &inner, "the key is too long");
            }
        }
        st = fields_read(r, &inner, f->sub, value, item);
        if (st) {
            return st;
        }
        if (is_map) {
            *(const char **)item = arena_strdup(r->arena, slice_str(inner.key));
            iter = json_object_iter_next(json, iter);
        }
    }
    *(const void **)(object + f->offset) = items;
    *(size_t *)(object + f->count_offset) = count;
    return ST_OK;
}

static enum status read_one(struct field_reader *r, const struct json_at *at,
                            const struct field *f, const json_t *json,
                            uint8_t *object)
{
    void *item = arena_zalloc(r->arena, 1, f->sub->size);

    if (json_is_object(json) && json_object_size(json) == 0) {
        return ST_OK; /* Some clients send an empty object for "none". */
    }
    *(const void **)(object + f->offset) = item;
    *(size_t *)(object + f->count_offset) = 1;
    return fields_read(r, at, f->sub, json, item);
}

static enum status read_integer(struct field_reader *r,
                                const struct json_at *at, const struct field *f,
                                const json_t *json, void *place)
{
    int64_t number = 0;
    enum status st = read_number(r, at, f, json, &number);

    if (st) {
        return st;
    }
    if (f->kind == FIELD_U16) {
        *(uint16_t *)place = (uint16_t)number;
    } else if (f->kind == FIELD_U32) {
        *(uint32_t *)place = (uint32_t)number;
    } else {
        *(int64_t *)place = number;
    }
    return ST_OK;
}

static enum status read_value(struct field_reader *r, const struct json_at *at,
                              const struct field *f, json_t *json,
                              uint8_t *object)
{
    void *place = object + f->offset;

    switch (f->kind) {
    case FIELD_TEXT:
        return read_text(r, at, f->max, json, place);
    case FIELD_BOOL:
        if (!json_is_boolean(json)) {
            return wrong_type(r, at, "true or false", json);
        }
        *(bool *)place = json_is_true(json);
        return ST_OK;
    case FIELD_U16:
    case FIELD_U32:
    case FIELD_I64:
        return read_integer(r, at, f, json, place);
    case FIELD_DURATION:
        return read_duration(r, at, f, json, place);
    case FIELD_WORD:
        return read_word(r, at, f, json, place);
    case FIELD_TEXTS:
        return read_texts(r, at, f, json, place);
    case FIELD_PAIRS:
        return read_pairs(r, at, f, json, place);
    case FIELD_HEADERS:
        return read_headers(r, at, json, place);
    case FIELD_ONE:
        return read_one(r, at, f, json, object);
    case FIELD_OBJECT:
        return fields_read(r, at, f->sub, json, place);
    case FIELD_LIST:
    case FIELD_MAP:
        return read_elements(r, at, f, json, object);
    case FIELD_ANY:
        return ST_OK;
    }
    UNREACHABLE();
}

/* ---- Keys --------------------------------------------------------- */

static const struct field *find_field(const struct fields *fields,
                                      const char *key)
{
    for (size_t i = 0; i < fields->count; i++) {
        if (field_key_equal(fields->items[i].key, key)) {
            return &fields->items[i];
        }
    }
    return NULL;
}

static enum status unknown_key(struct field_reader *r, const struct json_at *at,
                               const struct fields *fields, const char *key)
{
    struct suggestion nearest = {0};

    if (r->unknown == FIELD_UNKNOWN_IGNORED) {
        return ST_OK;
    }
    for (size_t i = 0; i < fields->count; i++) {
        suggest_consider(&nearest, key, fields->items[i].key);
    }
    if (r->unknown == FIELD_UNKNOWN_NOTED && nearest.word != NULL) {
        field_warn(r, at, "unknown field, ignored; did you mean \"%s\"?",
                   nearest.word);
        return ST_OK;
    }
    if (r->unknown == FIELD_UNKNOWN_NOTED) {
        field_warn(r, at, "unknown field, ignored");
        return ST_OK;
    }
    if (nearest.word != NULL) {
        return field_error(r, at, "unknown field; did you mean \"%s\"?",
                           nearest.word);
    }
    return field_error(r, at,
                       "unknown field; remove it, or see %s for those that "
                       "there are",
                       r->manual != NULL ? r->manual : "checks.md");
}

/* How errors call this object: by its name or its id. NULL: it has none. */
static const char *subject_of(struct field_reader *r,
                              const struct fields *fields, json_t *json)
{
    static const char *const naming[] = {"name", "id", "check_id", "node"};
    const char *key;
    json_t *value;

    for (size_t i = 0; i < sizeof(naming) / sizeof(naming[0]); i++) {
        json_object_foreach(json, key, value)
        {
            if (field_key_equal(key, naming[i]) && json_is_string(value) &&
                json_string_length(value) > 0) {
                return arena_printf(r->arena, "%s \"%.64s\"", fields->what,
                                    json_string_value(value));
            }
        }
    }
    return NULL;
}

static enum status read_member(struct field_reader *r, const struct json_at *at,
                               const struct fields *fields, const char *key,
                               json_t *value, void *object, uint64_t seen[])
{
    struct json_at inner = {.up = at, .key = key};
    const struct field *f = find_field(fields, key);
    enum status st;
    size_t place;

    if (f == NULL) {
        return unknown_key(r, &inner, fields, key);
    }
    place = (size_t)(f - fields->items);
    if (seen[place / 64] & (UINT64_C(1) << place % 64)) {
        return field_error(r, &inner, "given twice");
    }
    seen[place / 64] |= UINT64_C(1) << place % 64;
    if (json_is_null(value)) {
        return ST_OK; /* As Go's decoder: null leaves the default. */
    }
    st = read_value(r, &inner, f, value, object);
    if (st == ST_OK && f->rule != NULL) {
        st = f->rule(r, &inner, (uint8_t *)object + f->offset);
    }
    return st;
}

void fields_init(const struct fields *fields, void *object)
{
    for (size_t i = 0; i < fields->count; i++) {
        const struct field *f = &fields->items[i];
        uint8_t *place = (uint8_t *)object + f->offset;

        if (f->kind == FIELD_TEXT) {
            *(const char **)place = "";
        } else if (f->kind == FIELD_OBJECT) {
            fields_init(f->sub, place);
        }
    }
    if (fields->init != NULL) {
        fields->init(object);
    }
}

enum status fields_read(struct field_reader *r, const struct json_at *at,
                        const struct fields *fields, const json_t *json,
                        void *object)
{
    json_t *members = (json_t *)json; /* jansson iterates without const. */
    struct json_at named = at != NULL ? *at : (struct json_at){0};
    uint64_t seen[FIELDS_MAX / 64] = {0};
    const char *key;
    json_t *value;

    CHECK(fields->count <= FIELDS_MAX);
    fields_init(fields, object);
    if (!json_is_object(json)) {
        return wrong_type(r, at, "an object", json);
    }
    if (fields->what != NULL) {
        named.subject = subject_of(r, fields, members);
        if (named.subject == NULL && named.up == NULL) {
            named.subject = fields->what;
        }
    }
    json_object_foreach(members, key, value)
    {
        enum status st =
            read_member(r, &named, fields, key, value, object, seen);

        if (st) {
            return st;
        }
    }
    return fields->finish == NULL ? ST_OK : fields->finish(r, &named, object);
}

static enum status say_not_json(struct field_reader *r, const json_error_t *e)
{
    if (r->text.len == 0) {
        return err_set(r->err, ST_INVALID, "%s%sis empty",
                       r->file == NULL ? "" : r->file,
                       r->file == NULL ? "" : ": ");
    }
    if (r->file != NULL) {
        return err_set(r->err, ST_INVALID, "%s:%d: not JSON: %s (column %d)",
                       r->file, e->line, e->text, e->column);
    }
    return err_set(r->err, ST_INVALID, "not JSON: %s (line %d, column %d)",
                   e->text, e->line, e->column);
}

/* Some editors begin a file with a byte order mark. RFC 8259 lets us ignore it.
 */
static struct slice without_mark(struct slice text)
{
    return text.len >= 3 && memcmp(text.data, "\xef\xbb\xbf", 3) == 0
               ? slice_skip(text, 3)
               : text;
}

enum status fields_json(struct field_reader *r, size_t limit, json_t **out_json)
{
    json_error_t error;
    json_t *json;

    if (r->text.len > limit) {
        return err_set(r->err, ST_TOO_BIG,
                       "%s%shas %zu bytes, at most %zu are allowed",
                       r->file == NULL ? "" : r->file,
                       r->file == NULL ? "" : ": ", r->text.len, limit);
    }
    r->text = without_mark(r->text);
    json = json_loadb((const char *)r->text.data, r->text.len,
                      JSON_REJECT_DUPLICATES, &error);
    if (json == NULL) {
        return say_not_json(r, &error);
    }
    *out_json = json;
    return ST_OK;
}

enum status fields_parse(struct field_reader *r, const struct fields *fields,
                         size_t limit, void *object)
{
    struct json_at root = {0};
    json_t *json = NULL;
    enum status st = fields_json(r, limit, &json);

    if (st == ST_OK) {
        st = fields_read(r, &root, fields, json, object);
    }
    json_decref(json);
    return st;
}
