/*
 * "${...}" in a template's texts.
 */
#include "base/core/limits.h"
#include "query/core/model.h"

static struct slice trim(struct slice text)
{
    while (text.len > 0 && text.data[0] == ' ') {
        text = slice_skip(text, 1);
    }
    while (text.len > 0 && text.data[text.len - 1] == ' ') {
        text.len--;
    }
    return text;
}

/* "match(12)"; a group that is not there is empty, as in Consul. */
static bool read_match(const struct query_words *w, struct slice text,
                       struct slice *out_value)
{
    static const char head[] = "match(";
    size_t number = 0;

    if (!slice_starts(text, slice_str(head)) ||
        text.data[text.len - 1] != ')') {
        return false;
    }
    text =
        trim(slice_of(text.data + sizeof(head) - 1, text.len - sizeof(head)));
    if (text.len == 0 || text.len > 6) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') {
            return false;
        }
        number = 10 * number + (size_t)(text.data[i] - '0');
    }
    *out_value =
        number < REGEX_GROUPS_MAX ? w->groups[number] : (struct slice){0};
    return true;
}

static bool value_of(const struct query_words *w, struct slice word,
                     struct slice *out_value)
{
    const struct {
        const char *word;
        struct slice value;
    } known[] = {
        {"name.full", w->full},
        {"name.prefix", w->prefix},
        {"name.suffix", w->suffix},
        {"agent.segment", {0}},
    };

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (slice_eq(word, slice_str(known[i].word))) {
            *out_value = known[i].value;
            return true;
        }
    }
    return read_match(w, word, out_value);
}

/* Behind "${"; *rest goes on behind its "}". */
static enum status fill_in(const struct query_words *w, struct slice *rest,
                           struct buf *out, struct err *err)
{
    const uint8_t *end =
        rest->len == 0 ? NULL : memchr(rest->data, '}', rest->len);
    struct slice value = {0};
    struct slice word;

    if (end == NULL) {
        return err_set(err, ST_INVALID, "\"${\" without \"}\"");
    }
    word = trim(slice_of(rest->data, (size_t)(end - rest->data)));
    if (!value_of(w, word, &value)) {
        return err_set(err, ST_INVALID,
                       "\"${%.*s}\" is not known; use name.full, name.prefix, "
                       "name.suffix, match(N) or agent.segment",
                       word.len > 64 ? 64 : (int)word.len,
                       (const char *)word.data);
    }
    *rest = slice_skip(*rest, (size_t)(end - rest->data) + 1);
    return value.len == 0 ? ST_OK : buf_add(out, value);
}

static enum status expand(const struct query_words *w, struct slice rest,
                          struct buf *out, struct err *err)
{
    enum status st = ST_OK;

    while (rest.len > 0 && !st) {
        if (slice_starts(rest, slice_str("$${"))) {
            st = buf_add_str(out, "${");
            rest = slice_skip(rest, 3);
        } else if (slice_starts(rest, slice_str("${"))) {
            rest = slice_skip(rest, 2);
            st = fill_in(w, &rest, out, err);
        } else {
            st = buf_add_u8(out, rest.data[0]);
            rest = slice_skip(rest, 1);
        }
    }
    return st;
}

enum status query_expand(const struct query_words *w, const char *text,
                         struct arena *a, const char **out_text,
                         struct err *err)
{
    struct buf out;
    enum status st;

    if (strstr(text, "${") == NULL) {
        *out_text = text;
        return ST_OK;
    }
    buf_init(&out, LIMIT_QUERY_TEXT);
    st = expand(w, slice_str(text), &out, err);
    if (st == ST_TOO_BIG) {
        st = err_set(err, ST_TOO_BIG, "a text becomes longer than %d bytes",
                     LIMIT_QUERY_TEXT);
    }
    if (!st) {
        *out_text = arena_strdup(a, buf_slice(&out));
    }
    buf_release(&out);
    return st;
}
