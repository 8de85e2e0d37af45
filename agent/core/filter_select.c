/*
 * Selectors: a path, and the field of a schema that it names.
 */
#include "agent/core/filter_model.h"
#include "base/core/suggest.h"

enum {
    PARTS_MAX = 8
};

/* "Meta["a.b"].c": Meta, a.b, c */
struct path {
    const char *parts[PARTS_MAX];
    size_t count;
};

/* ---- Reading -------------------------------------------------------- */

static bool is_ident(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9') || c == '_' || c == '-';
}

static bool add_part(struct arena *a, struct path *p, struct slice part)
{
    if (p->count == PARTS_MAX) {
        return false;
    }
    p->parts[p->count++] = arena_strdup(a, part);
    return true;
}

/* `["key"]`, without escapes: keys of maps need none. */
static bool read_bracket(struct arena *a, struct slice *rest, struct path *p)
{
    size_t len = 0;
    uint8_t quote;

    if (rest->len < 4 || (rest->data[1] != '"' && rest->data[1] != '`')) {
        return false;
    }
    quote = rest->data[1];
    while (len + 2 < rest->len && rest->data[2 + len] != quote) {
        len++;
    }
    if (len + 3 >= rest->len || rest->data[3 + len] != ']' ||
        !add_part(a, p, slice_of(rest->data + 2, len))) {
        return false;
    }
    *rest = slice_skip(*rest, len + 4);
    return true;
}

static bool read_ident(struct arena *a, struct slice *rest, struct path *p)
{
    size_t len = 0;

    while (len < rest->len && is_ident(rest->data[len])) {
        len++;
    }
    if (len == 0 || !add_part(a, p, slice_of(rest->data, len))) {
        return false;
    }
    *rest = slice_skip(*rest, len);
    return true;
}

static bool read_path(struct arena *a, struct slice rest, struct path *p)
{
    bool ok = read_ident(a, &rest, p);

    while (ok && rest.len > 0) {
        if (rest.data[0] == '.') {
            rest = slice_skip(rest, 1);
            ok = read_ident(a, &rest, p);
        } else {
            ok = rest.data[0] == '[' && read_bracket(a, &rest, p);
        }
    }
    return ok;
}

/* ---- Finding -------------------------------------------------------- */

/* The rest of a path as one key: keys of meta data may have dots. */
static const char *join(struct arena *a, const struct path *p, size_t from)
{
    const char *key = p->parts[from];

    for (size_t i = from + 1; i < p->count; i++) {
        key = arena_printf(a, "%s.%s", key, p->parts[i]);
    }
    return key;
}

/* Whether the first parts of the path are `name`; "*" takes any as the key. */
static bool begins_with(const struct path *p, size_t *at, const char *name,
                        const char **out_key)
{
    while (*name != '\0') {
        size_t len = strcspn(name, ".");
        const char *part = *at < p->count ? p->parts[*at] : NULL;

        if (part == NULL) {
            return false;
        }
        if (len == 1 && *name == '*') {
            *out_key = part;
        } else if (strlen(part) != len || strncmp(part, name, len) != 0) {
            return false;
        }
        (*at)++;
        name += len;
        name += *name == '.';
    }
    return true;
}

static bool names_field(struct arena *a, const struct path *p,
                        const char *prefix, const struct filter_field *field,
                        struct filter_match *match)
{
    const char *key = NULL;
    size_t at = 0;

    if (!begins_with(p, &at, prefix, &key) ||
        !begins_with(p, &at, field->name, &key)) {
        return false;
    }
    if (at < p->count && field->kind != FILTER_MAP) {
        return false;
    }
    match->field = field;
    match->key = at < p->count ? join(a, p, at) : key;
    return true;
}

static bool find_field(struct arena *a, const struct filter_schema *schema,
                       const struct path *p, struct filter_match *match)
{
    for (size_t i = 0; i < schema->count; i++) {
        const struct filter_part *part = &schema->parts[i];

        for (size_t k = 0; k < part->count; k++) {
            if (names_field(a, p, part->prefix, &part->fields[k], match)) {
                return true;
            }
        }
    }
    return false;
}

/* The field whose name is nearest to what was written; NULL: none is near. */
static const char *nearest(struct arena *a, const struct filter_schema *schema,
                           const char *written)
{
    struct suggestion best = {0};

    for (size_t i = 0; i < schema->count; i++) {
        const struct filter_part *part = &schema->parts[i];

        for (size_t k = 0; k < part->count; k++) {
            suggest_consider(
                &best, written,
                arena_printf(a, "%s%s", part->prefix, part->fields[k].name));
        }
    }
    return best.word;
}

static enum status unknown(struct arena *a, const struct filter_schema *schema,
                           struct slice selector, struct err *err)
{
    const char *written = arena_strdup(a, selector);
    const char *near = nearest(a, schema, written);

    if (near != NULL) {
        return err_set(err, ST_INVALID,
                       "filter: selector \"%.128s\" is not known here; did you "
                       "mean %s?",
                       written, near);
    }
    return err_set(err, ST_INVALID,
                   "filter: selector \"%.128s\" is not known here", written);
}

/* ---- What may be asked ---------------------------------------------- */

/* A map's value is a text. */
static enum filter_kind kind_of(const struct filter_match *m)
{
    return m->field->kind == FILTER_MAP && m->key != NULL ? FILTER_TEXT
                                                          : m->field->kind;
}

static bool may_be_asked(enum filter_kind kind, enum filter_op op)
{
    switch (kind) {
    case FILTER_TEXT:
    case FILTER_LIST:
        return true;
    case FILTER_NUMBER:
    case FILTER_BOOL:
        return op == FILTER_EQ;
    case FILTER_MAP:
        return op == FILTER_IN || op == FILTER_EMPTY;
    case FILTER_OBJECTS:
        return op == FILTER_EMPTY;
    }
    return false;
}

enum status filter_select(struct arena *a, const struct filter_schema *schema,
                          struct slice selector, struct filter_match *match,
                          struct err *err)
{
    static const char *const asked[] = {[FILTER_EQ] = "== and !=",
                                        [FILTER_IN] = "in and contains",
                                        [FILTER_EMPTY] = "is empty",
                                        [FILTER_MATCHES] = "matches"};
    struct path path = {0};

    if (!read_path(a, selector, &path) ||
        !find_field(a, schema, &path, match)) {
        return unknown(a, schema, selector, err);
    }
    if (!may_be_asked(kind_of(match), match->op)) {
        return err_set(
            err, ST_INVALID, "filter: %s cannot be asked of selector \"%.*s\"",
            asked[match->op], (int)selector.len, (const char *)selector.data);
    }
    return ST_OK;
}
