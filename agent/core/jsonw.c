#include "agent/core/jsonw.h"

#include <stdio.h>

#include "base/core/check.h"
#include "base/core/utf8.h"

void jsonw_init(struct jsonw *w, struct buf *out, enum jsonw_style style)
{
    *w = (struct jsonw){.out = out, .style = style, .first = true};
}

enum status jsonw_finish(const struct jsonw *w)
{
    CHECK(w->depth == 0);
    CHECK(!w->after_key);
    return w->st;
}

static void put(struct jsonw *w, const void *bytes, size_t len)
{
    if (w->st == ST_OK) {
        w->st = buf_add(w->out, slice_of(bytes, len));
    }
}

static void put_text(struct jsonw *w, const char *text)
{
    put(w, text, strlen(text));
}

static void new_line(struct jsonw *w)
{
    if (w->style == JSONW_COMPACT) {
        return;
    }
    put(w, "\n", 1);
    for (unsigned i = 0; i < w->depth; i++) {
        put(w, "    ", 4);
    }
}

/* Whatever has to stand before a value or key. */
static void lead(struct jsonw *w)
{
    if (w->after_key) {
        w->after_key = false;
        return;
    }
    if (!w->first) {
        put(w, ",", 1);
    }
    if (w->depth > 0) {
        new_line(w);
    }
    w->first = false;
}

static void open_with(struct jsonw *w, const char *bracket)
{
    lead(w);
    put(w, bracket, 1);
    w->depth++;
    w->first = true;
}

static void close_with(struct jsonw *w, const char *bracket)
{
    CHECK(w->depth > 0);
    w->depth--;
    if (!w->first) {
        new_line(w);
    }
    put(w, bracket, 1);
    w->first = false;
}

void jsonw_object(struct jsonw *w)
{
    open_with(w, "{");
}

void jsonw_object_end(struct jsonw *w)
{
    close_with(w, "}");
}

void jsonw_list(struct jsonw *w)
{
    open_with(w, "[");
}

void jsonw_list_end(struct jsonw *w)
{
    close_with(w, "]");
}

static void put_escape(struct jsonw *w, uint8_t c)
{
    char text[8];

    switch (c) {
    case '"':
        put(w, "\\\"", 2);
        return;
    case '\\':
        put(w, "\\\\", 2);
        return;
    case '\n':
        put(w, "\\n", 2);
        return;
    case '\r':
        put(w, "\\r", 2);
        return;
    case '\t':
        put(w, "\\t", 2);
        return;
    default:
        (void)snprintf(text, sizeof(text), "\\u%04x", c);
        put(w, text, 6);
    }
}

static bool is_plain(uint8_t c)
{
    return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

static void put_string(struct jsonw *w, struct slice text)
{
    size_t i = 0;

    put(w, "\"", 1);
    while (i < text.len) {
        size_t run = i;
        size_t sequence;

        while (run < text.len && is_plain(text.data[run])) {
            run++;
        }
        put(w, text.data + i, run - i);
        i = run;
        if (i == text.len) {
            break;
        }
        if (text.data[i] < 0x80) {
            put_escape(w, text.data[i++]);
            continue;
        }
        sequence = utf8_sequence(text.data + i, text.len - i);
        if (sequence > 0) {
            put(w, text.data + i, sequence);
            i += sequence;
        } else {
            put_text(w, "\\ufffd");
            i++;
        }
    }
    put(w, "\"", 1);
}

void jsonw_key(struct jsonw *w, const char *key)
{
    lead(w);
    put_string(w, slice_str(key));
    put_text(w, w->style == JSONW_PRETTY ? ": " : ":");
    w->after_key = true;
}

void jsonw_slice(struct jsonw *w, struct slice text)
{
    lead(w);
    put_string(w, text);
}

void jsonw_text(struct jsonw *w, const char *text)
{
    jsonw_slice(w, slice_str(text));
}

void jsonw_raw(struct jsonw *w, const char *json)
{
    lead(w);
    put_text(w, json);
}

void jsonw_int(struct jsonw *w, int64_t value)
{
    char text[24];

    (void)snprintf(text, sizeof(text), "%lld", (long long)value);
    jsonw_raw(w, text);
}

void jsonw_uint(struct jsonw *w, uint64_t value)
{
    char text[24];

    (void)snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
    jsonw_raw(w, text);
}

void jsonw_bool(struct jsonw *w, bool value)
{
    jsonw_raw(w, value ? "true" : "false");
}

void jsonw_null(struct jsonw *w)
{
    jsonw_raw(w, "null");
}

void jsonw_key_text(struct jsonw *w, const char *key, const char *text)
{
    jsonw_key(w, key);
    jsonw_text(w, text);
}

void jsonw_key_int(struct jsonw *w, const char *key, int64_t value)
{
    jsonw_key(w, key);
    jsonw_int(w, value);
}

void jsonw_key_uint(struct jsonw *w, const char *key, uint64_t value)
{
    jsonw_key(w, key);
    jsonw_uint(w, value);
}

void jsonw_key_bool(struct jsonw *w, const char *key, bool value)
{
    jsonw_key(w, key);
    jsonw_bool(w, value);
}
