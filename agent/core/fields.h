/*
 * fields.h - one table describes a JSON object, for reading and for writing.
 *
 * Each row names a key, the kind of its value, the largest size allowed and
 * the place in the struct. Reading checks types and limits and finds the words
 * for what is wrong, with file, line and field; writing leaves out what equals
 * the default. Sidecar files, API bodies, records in the store and items on
 * disk are all read and written this way.
 *
 * Keys match without case and underscores, except within pairs and maps, whose
 * keys belong to the user.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/core/json_where.h"
#include "agent/core/jsonw.h"
#include "base/core/arena.h"
#include "base/core/err.h"

enum field_kind {
    FIELD_TEXT,     /* const char *; at most `max` bytes */
    FIELD_BOOL,     /* bool */
    FIELD_U16,      /* uint16_t, `min` .. `max` */
    FIELD_U32,      /* uint32_t or unsigned, `min` .. `max` */
    FIELD_I64,      /* int64_t, `min` .. `max` */
    FIELD_DURATION, /* uint64_t in ms; at least `min` ms. Numbers are
                       nanoseconds, below `max` seconds. */
    FIELD_WORD,     /* an enum: index into `words` */
    FIELD_TEXTS,    /* struct texts; at most `max` of LIMIT_TEXT bytes */
    FIELD_PAIRS,    /* struct pairs, from an object of texts */
    FIELD_HEADERS,  /* struct pairs, from an object of texts or lists of texts;
                       several values of one key follow each other */
    FIELD_ONE,      /* as FIELD_LIST, but one object or none; not written */
    FIELD_OBJECT,   /* a struct within, described by `sub` */
    FIELD_LIST,     /* pointer and, at `count_offset`, a size_t */
    FIELD_MAP,      /* the same from an object; the key is the element's first
                       member, a const char * */
    FIELD_ANY,      /* accepted, of no meaning to us */
};

struct fields;
struct field_reader;

struct field {
    const char *key; /* As written, in snake_case. */
    bool alias;      /* Another spelling of an earlier row: never written. */
    enum field_kind kind;
    size_t offset;
    int64_t min;
    int64_t max; /* 0: the kind's own. */
    size_t count_offset;
    const struct fields *sub;
    const char *const *words; /* Ends with NULL. */
    /* A further rule for a value just read; ST_INVALID with field_error(). */
    enum status (*rule)(struct field_reader *r, const struct json_at *at,
                        const void *value);
};

struct fields {
    const char *what; /* "service": errors begin 'service "web": '; or NULL. */
    const struct field *items;
    size_t count;
    size_t size; /* Of the struct. */
    /* Set defaults on a zeroed struct; NULL: zeroes, and "" for texts. */
    void (*init)(void *object);
    /* Look at the whole, fill in what depends on other fields. */
    enum status (*finish)(struct field_reader *r, const struct json_at *at,
                          void *object);
};

#define FIELDS_MAX 192  /* Of a table. */
#define LIMIT_TEXT 4096 /* Of a text whose field names no limit. */

enum field_unknown {
    FIELD_UNKNOWN_REFUSED, /* An error with a suggestion. */
    FIELD_UNKNOWN_NOTED,   /* A warning. */
    FIELD_UNKNOWN_IGNORED,
};

struct field_warning {
    struct field_warning *next;
    const char *text;
};

struct field_reader {
    struct arena *arena; /* Receives all strings and lists. */
    const char *file;    /* NULL: no file and line in errors. */
    struct slice text;   /* For lines; empty: no lines. */
    enum field_unknown unknown;
    const char *manual; /* Where people find the fields; NULL: checks.md. */
    struct err *err;
    struct field_warning *warnings; /* Newest first; from the arena. */
};

/* Read `json` into the zeroed `object`. ST_INVALID: r->err says what. */
enum status fields_read(struct field_reader *r, const struct json_at *at,
                        const struct fields *fields, const json_t *json,
                        void *object);

/* Parse text and read it. ST_INVALID, ST_TOO_BIG (over `limit`). */
enum status fields_parse(struct field_reader *r, const struct fields *fields,
                         size_t limit, void *object);

/* Parse r->text only. The caller releases *out_json. */
enum status fields_json(struct field_reader *r, size_t limit,
                        json_t **out_json);

/* Say what is wrong with the value at `at`. Returns ST_INVALID. */
enum status field_error(struct field_reader *r, const struct json_at *at,
                        const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void field_warn(struct field_reader *r, const struct json_at *at,
                const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Defaults, on a zeroed object. */
void fields_init(const struct fields *fields, void *object);

/* Write the object's members that differ from a fresh one, as one object. */
void fields_write(const struct fields *fields, const void *object,
                  struct jsonw *w);

/* Whether two keys are the same to us: no case, no underscores. */
bool field_key_equal(const char *a, const char *b);
