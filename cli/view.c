#include "cli/view.h"

#include <stdio.h>
#include <string.h>

#include "base/core/check.h"

const char *view_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text ? text : "";
}

long long view_number(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

/* The end of a text that begins with its quote. */
static size_t text_end(struct slice s, size_t at)
{
    for (at++; at < s.len && s.data[at] != '"'; at++) {
        at += s.data[at] == '\\';
    }
    return at < s.len ? at + 1 : s.len;
}

#define DIGITS_SAFE 18

/* The end of a number, and whether it may be too large an integer. */
static size_t number_end(struct slice s, size_t at, bool *out_large)
{
    size_t first = at + (s.data[at] == '-');
    size_t end = first;
    size_t digits = 0;

    for (; end < s.len; end++) {
        uint8_t c = s.data[end];

        if (c >= '0' && c <= '9') {
            digits++;
        } else if (c != '.' && c != 'e' && c != 'E' && c != '+' && c != '-') {
            break;
        }
    }
    *out_large = digits == end - first && digits > DIGITS_SAFE;
    return end;
}

static void add(struct buf *out, struct slice s, size_t from, size_t to)
{
    CHECK(buf_add(out, slice_of(s.data + from, to - from)) == ST_OK);
}

/* Copy, with quotes around integers that may be too large. */
static void quote_integers(struct slice s, struct buf *out)
{
    size_t from = 0; /* Not copied yet. */
    size_t at = 0;

    while (at < s.len) {
        size_t end = at + 1;
        bool large = false;

        if (s.data[at] == '"') {
            end = text_end(s, at);
        } else if (s.data[at] == '-' ||
                   (s.data[at] >= '0' && s.data[at] <= '9')) {
            end = number_end(s, at, &large);
        }
        if (large) {
            add(out, s, from, at);
            CHECK(buf_add_u8(out, '"') == ST_OK);
            add(out, s, at, end);
            CHECK(buf_add_u8(out, '"') == ST_OK);
            from = end;
        }
        at = end;
    }
    add(out, s, from, s.len);
}

json_t *view_load(struct slice text, json_error_t *out_error)
{
    json_t *json = json_loadb((const char *)text.data, text.len,
                              JSON_DECODE_ANY, out_error);
    struct buf quoted;

    if (json != NULL) {
        return json;
    }
    buf_init(&quoted, 2 * text.len + 1);
    quote_integers(text, &quoted);
    json = json_loadb((const char *)quoted.data, quoted.len, JSON_DECODE_ANY,
                      out_error);
    buf_release(&quoted);
    return json;
}

const char *view_digits(struct arena *arena, const json_t *object,
                        const char *key)
{
    const json_t *value = json_object_get(object, key);
    const char *text = json_string_value(value);
    const char *digits;

    if (text == NULL) {
        return arena_printf(arena, "%lld",
                            (long long)json_integer_value(value));
    }
    digits = text + (*text == '-');
    return *digits != '\0' && digits[strspn(digits, "0123456789")] == '\0'
               ? arena_strdup(arena, slice_str(text))
               : "0";
}

static enum view_health health_of_one(const json_t *check)
{
    const char *status = view_text(check, "Status");
    const char *id = view_text(check, "CheckID");

    if (strcmp(id, "_node_maintenance") == 0 ||
        strncmp(id, "_service_maintenance:", 21) == 0) {
        return VIEW_MAINTENANCE;
    }
    if (strcmp(status, "passing") == 0) {
        return VIEW_PASSING;
    }
    return strcmp(status, "warning") == 0 ? VIEW_WARNING : VIEW_CRITICAL;
}

enum view_health view_health_of(const json_t *checks, const char *service_id)
{
    enum view_health worst = VIEW_PASSING;
    const json_t *check;
    size_t i;

    json_array_foreach(checks, i, check)
    {
        const char *owner = view_text(check, "ServiceID");
        enum view_health health = health_of_one(check);

        if (service_id != NULL && *owner != '\0' &&
            strcmp(owner, service_id) != 0) {
            continue;
        }
        if (health > worst) {
            worst = health;
        }
    }
    return worst;
}

const char *view_health_word(enum view_health health)
{
    switch (health) {
    case VIEW_PASSING:
        return "passing";
    case VIEW_WARNING:
        return "warning";
    case VIEW_CRITICAL:
        return "critical";
    case VIEW_MAINTENANCE:
        return "maintenance";
    }
    UNREACHABLE();
}

enum table_paint view_health_paint(enum view_health health)
{
    switch (health) {
    case VIEW_PASSING:
        return TABLE_GOOD;
    case VIEW_WARNING:
    case VIEW_MAINTENANCE:
        return TABLE_FAIR;
    case VIEW_CRITICAL:
        return TABLE_BAD;
    }
    UNREACHABLE();
}

const char *view_join(struct arena *arena, const json_t *words)
{
    const char *joined = "";
    const json_t *word;
    size_t i;

    json_array_foreach(words, i, word)
    {
        const char *text = json_string_value(word);

        joined = arena_printf(arena, "%s%s%s", joined, i > 0 ? ", " : "",
                              text ? text : "?");
    }
    return *joined ? joined : "-";
}

const char *view_endpoint(struct arena *arena, const char *address,
                          long long port)
{
    if (*address == '\0' || port == 0) {
        return *address ? address : "-";
    }
    return strchr(address, ':') != NULL
               ? arena_printf(arena, "[%s]:%lld", address, port)
               : arena_printf(arena, "%s:%lld", address, port);
}

void view_print_json(const json_t *document)
{
    (void)json_dumpf(document, stdout,
                     JSON_INDENT(2) | JSON_SORT_KEYS | JSON_ENCODE_ANY);
    (void)putchar('\n');
}
