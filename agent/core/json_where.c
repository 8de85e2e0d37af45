#include "agent/core/json_where.h"

#include <jansson.h>

#include "base/core/check.h"

/* Deeper than any form that fields.h describes. */
enum {
    DEPTH_MAX = 16
};

struct walk {
    struct slice text;
    size_t at;
    unsigned line;
};

static void step(struct walk *w)
{
    if (w->text.data[w->at] == '\n') {
        w->line++;
    }
    w->at++;
}

static void skip_blank(struct walk *w)
{
    while (w->at < w->text.len &&
           strchr(" \t\r\n,:", w->text.data[w->at]) != NULL) {
        step(w);
    }
}

static uint8_t peek(const struct walk *w)
{
    return w->at < w->text.len ? w->text.data[w->at] : 0;
}

/* Stands on a quote; returns the string with its quotes. */
static struct slice skip_string(struct walk *w)
{
    size_t begin = w->at;

    step(w);
    while (w->at < w->text.len && w->text.data[w->at] != '"') {
        if (w->text.data[w->at] == '\\' && w->at + 1 < w->text.len) {
            step(w);
        }
        step(w);
    }
    if (w->at < w->text.len) {
        step(w);
    }
    return slice_of(w->text.data + begin, w->at - begin);
}

/* One value, whatever it is; brackets are counted, strings are jumped over. */
static void skip_value(struct walk *w)
{
    unsigned depth = 0;

    do {
        skip_blank(w);
        switch (peek(w)) {
        case '{':
        case '[':
            depth++;
            step(w);
            break;
        case '}':
        case ']':
            depth -= depth > 0;
            step(w);
            break;
        case '"':
            (void)skip_string(w);
            break;
        default:
            while (w->at < w->text.len &&
                   strchr(" \t\r\n,:]}", w->text.data[w->at]) == NULL) {
                step(w);
            }
        }
        skip_blank(w);
    } while (depth > 0 && w->at < w->text.len);
}

static bool string_is(struct slice quoted, const char *key)
{
    json_t *decoded;
    bool same;

    if (memchr(quoted.data, '\\', quoted.len) == NULL) {
        return quoted.len >= 2 && strlen(key) == quoted.len - 2 &&
               memcmp(quoted.data + 1, key, quoted.len - 2) == 0;
    }
    decoded = json_loadb((const char *)quoted.data, quoted.len, JSON_DECODE_ANY,
                         NULL);
    same =
        json_is_string(decoded) && strcmp(json_string_value(decoded), key) == 0;
    json_decref(decoded);
    return same;
}

/* Stands on "{"; goes to the value of `key`. The line is that of the key. */
static bool enter_object(struct walk *w, const char *key, unsigned *out_line)
{
    step(w);
    for (;;) {
        struct slice name;

        skip_blank(w);
        if (peek(w) != '"') {
            return false;
        }
        *out_line = w->line;
        name = skip_string(w);
        skip_blank(w);
        if (string_is(name, key)) {
            return true;
        }
        skip_value(w);
    }
}

static bool enter_list(struct walk *w, size_t index, unsigned *out_line)
{
    step(w);
    for (size_t i = 0; i < index; i++) {
        skip_blank(w);
        if (peek(w) == ']' || w->at >= w->text.len) {
            return false;
        }
        skip_value(w);
    }
    skip_blank(w);
    *out_line = w->line;
    return peek(w) != ']';
}

unsigned json_where(struct slice text, const struct json_at *at)
{
    const struct json_at *path[DEPTH_MAX];
    struct walk w = {.text = text, .line = 1};
    size_t depth = 0;
    unsigned line;

    for (; at != NULL && at->up != NULL; at = at->up) {
        CHECK(depth < DEPTH_MAX);
        path[depth++] = at;
    }
    skip_blank(&w);
    line = w.line;
    while (depth > 0) {
        const struct json_at *next = path[--depth];
        bool found = false;

        skip_blank(&w);
        if (next->key != NULL && peek(&w) == '{') {
            found = enter_object(&w, next->key, &line);
        } else if (next->key == NULL && peek(&w) == '[') {
            found = enter_list(&w, next->index, &line);
        }
        if (!found) {
            break;
        }
    }
    return line;
}
