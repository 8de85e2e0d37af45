/*
 * The other direction of fields.c: a struct becomes an object of the members
 * that differ from their defaults.
 */
#include "agent/core/definition.h"
#include "agent/core/duration.h"
#include "agent/core/fields.h"
#include "base/core/check.h"

static bool texts_empty(const struct texts *t)
{
    return t->count == 0;
}

static bool is_default(const struct field *f, const uint8_t *object,
                       const uint8_t *fresh)
{
    const void *place = object + f->offset;
    const void *usual = fresh + f->offset;

    switch (f->kind) {
    case FIELD_TEXT:
        return strcmp(*(const char *const *)place,
                      *(const char *const *)usual) == 0;
    case FIELD_BOOL:
        return *(const bool *)place == *(const bool *)usual;
    case FIELD_U16:
        return *(const uint16_t *)place == *(const uint16_t *)usual;
    case FIELD_U32:
        return *(const uint32_t *)place == *(const uint32_t *)usual;
    case FIELD_I64:
        return *(const int64_t *)place == *(const int64_t *)usual;
    case FIELD_DURATION:
        return *(const uint64_t *)place == *(const uint64_t *)usual;
    case FIELD_WORD:
        return *(const int *)place == *(const int *)usual;
    case FIELD_TEXTS:
        return texts_empty(place);
    case FIELD_PAIRS:
    case FIELD_HEADERS:
        return ((const struct pairs *)place)->count == 0;
    case FIELD_OBJECT:
        return memcmp(place, usual, f->sub->size) == 0;
    case FIELD_LIST:
    case FIELD_MAP:
        return *(const size_t *)(object + f->count_offset) == 0;
    case FIELD_ONE:
    case FIELD_ANY:
        return true;
    }
    UNREACHABLE();
}

static void write_texts(const struct texts *texts, struct jsonw *w)
{
    jsonw_list(w);
    for (size_t i = 0; i < texts->count; i++) {
        jsonw_text(w, texts->items[i]);
    }
    jsonw_list_end(w);
}

static void write_pairs(const struct pairs *pairs, struct jsonw *w)
{
    jsonw_object(w);
    for (size_t i = 0; i < pairs->count; i++) {
        jsonw_key_text(w, pairs->items[i].key, pairs->items[i].value);
    }
    jsonw_object_end(w);
}

static void write_headers(const struct pairs *pairs, struct jsonw *w)
{
    jsonw_object(w);
    for (size_t i = 0; i < pairs->count; i++) {
        if (i == 0 || pairs->items[i].key != pairs->items[i - 1].key) {
            jsonw_key(w, pairs->items[i].key);
            jsonw_list(w);
        }
        jsonw_text(w, pairs->items[i].value);
        if (i + 1 == pairs->count ||
            pairs->items[i + 1].key != pairs->items[i].key) {
            jsonw_list_end(w);
        }
    }
    jsonw_object_end(w);
}

static void write_elements(const struct field *f, const uint8_t *object,
                           struct jsonw *w)
{
    const uint8_t *items = *(const uint8_t *const *)(object + f->offset);
    size_t count = *(const size_t *)(object + f->count_offset);
    bool is_map = f->kind == FIELD_MAP;

    is_map ? jsonw_object(w) : jsonw_list(w);
    for (size_t i = 0; i < count; i++) {
        const uint8_t *item = items + i * f->sub->size;

        if (is_map) {
            jsonw_key(w, *(const char *const *)item);
        }
        fields_write(f->sub, item, w);
    }
    is_map ? jsonw_object_end(w) : jsonw_list_end(w);
}

static void write_value(const struct field *f, const uint8_t *object,
                        struct jsonw *w)
{
    const void *place = object + f->offset;
    char text[DURATION_TEXT];

    switch (f->kind) {
    case FIELD_TEXT:
        jsonw_text(w, *(const char *const *)place);
        return;
    case FIELD_BOOL:
        jsonw_bool(w, *(const bool *)place);
        return;
    case FIELD_U16:
        jsonw_uint(w, *(const uint16_t *)place);
        return;
    case FIELD_U32:
        jsonw_uint(w, *(const uint32_t *)place);
        return;
    case FIELD_I64:
        jsonw_int(w, *(const int64_t *)place);
        return;
    case FIELD_DURATION:
        jsonw_text(w, duration_format(*(const uint64_t *)place, text));
        return;
    case FIELD_WORD:
        jsonw_text(w, f->words[*(const int *)place]);
        return;
    case FIELD_TEXTS:
        write_texts(place, w);
        return;
    case FIELD_PAIRS:
        write_pairs(place, w);
        return;
    case FIELD_HEADERS:
        write_headers(place, w);
        return;
    case FIELD_OBJECT:
        fields_write(f->sub, place, w);
        return;
    case FIELD_LIST:
    case FIELD_MAP:
        write_elements(f, object, w);
        return;
    case FIELD_ONE:
    case FIELD_ANY:
        return;
    }
    UNREACHABLE();
}

void fields_write(const struct fields *fields, const void *object,
                  struct jsonw *w)
{
    _Alignas(16) uint8_t fresh[1024] = {0};

    CHECK(fields->size <= sizeof(fresh));
    fields_init(fields, fresh);
    jsonw_object(w);
    for (size_t i = 0; i < fields->count; i++) {
        const struct field *f = &fields->items[i];

        if (!f->alias && !is_default(f, object, fresh)) {
            jsonw_key(w, f->key);
            write_value(f, object, w);
        }
    }
    jsonw_object_end(w);
}
