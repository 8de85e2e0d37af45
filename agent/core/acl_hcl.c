/*
 * The part of HCL that policies are written in:
 *
 *     body   = { name [label] block | name "=" text [","] }
 *     block  = "{" body "}"
 *     label  = text
 *     name   = letters, digits, '_' and '-', or a text
 *
 * and comments: "#" and "//" to the end of the line, slash-star to star-slash.
 */
#include <string.h>

#include "agent/core/acl_policy.h"
#include "base/core/check.h"
#include "base/core/limits.h"

/* Policies nest two deep. */
#define DEPTH_MAX 4

struct hcl {
    struct slice text;
    size_t at;
    char word[LIMIT_ACL_NAME + 1]; /* The last name or text read. */
    struct err *err;
};

static unsigned line_of(const struct hcl *h)
{
    unsigned line = 1;

    for (size_t i = 0; i < h->at && i < h->text.len; i++) {
        line += h->text.data[i] == '\n';
    }
    return line;
}

static enum status wrong(struct hcl *h, const char *text)
{
    return err_set(h->err, ST_INVALID, "line %u: %s", line_of(h), text);
}

static int look(const struct hcl *h, size_t ahead)
{
    return h->at + ahead < h->text.len ? h->text.data[h->at + ahead] : -1;
}

static void skip_line(struct hcl *h)
{
    while (look(h, 0) != -1 && look(h, 0) != '\n') {
        h->at++;
    }
}

static enum status skip_block_comment(struct hcl *h)
{
    h->at += 2;
    while (look(h, 0) != '*' || look(h, 1) != '/') {
        if (look(h, 0) == -1) {
            return wrong(h, "the comment does not end");
        }
        h->at++;
    }
    h->at += 2;
    return ST_OK;
}

/* Blanks and comments. */
static enum status skip(struct hcl *h)
{
    for (;;) {
        int c = look(h, 0);

        if (c == ' ' || c == '\t' || c == '\r' || c == '\n') {
            h->at++;
        } else if (c == '#' || (c == '/' && look(h, 1) == '/')) {
            skip_line(h);
        } else if (c == '/' && look(h, 1) == '*') {
            enum status st = skip_block_comment(h);

            if (st) {
                return st;
            }
        } else {
            return ST_OK;
        }
    }
}

static bool is_name_char(int c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9') || c == '_' || c == '-';
}

static enum status add_char(struct hcl *h, size_t *len, int c)
{
    if (*len == LIMIT_ACL_NAME) {
        return wrong(h, "a name or text is longer than 1024 bytes");
    }
    h->word[(*len)++] = (char)c;
    h->word[*len] = '\0';
    return ST_OK;
}

static enum status read_text(struct hcl *h)
{
    size_t len = 0;
    enum status st = ST_OK;

    h->word[0] = '\0';
    h->at++;
    while (!st && look(h, 0) != '"') {
        int c = look(h, 0);

        if (c == '\\' && (look(h, 1) == '"' || look(h, 1) == '\\')) {
            h->at++;
            c = look(h, 0);
        } else if (c == '\\') {
            return wrong(h, "the only escapes are \\\" and \\\\");
        }
        if (c < 0x20) { /* The end, too. */
            return wrong(h, "the text does not end on its line");
        }
        st = add_char(h, &len, c);
        h->at++;
    }
    h->at++;
    return st;
}

static enum status read_name(struct hcl *h)
{
    size_t len = 0;
    enum status st = ST_OK;

    if (look(h, 0) == '"') {
        return read_text(h);
    }
    while (!st && is_name_char(look(h, 0))) {
        st = add_char(h, &len, look(h, 0));
        h->at++;
    }
    if (!st && len == 0) {
        st = wrong(h, "a name such as service_prefix or policy is expected");
    }
    return st;
}

/* Add under `key`, which must be new. Takes `value`. */
static enum status add_new(struct hcl *h, json_t *into, const char *key,
                           json_t *value)
{
    if (value == NULL) {
        return wrong(h, "a text is not valid UTF-8");
    }
    if (json_object_get(into, key) != NULL) {
        json_decref(value);
        return err_set(h->err, ST_INVALID, "line %u: \"%.64s\" is there twice",
                       line_of(h), key);
    }
    if (json_object_set_new(into, key, value) != 0) {
        return wrong(h, "a name is not valid UTF-8");
    }
    return ST_OK;
}

/* The object under `key`, made if it is missing. NULL: something else is. */
static json_t *object_under(json_t *into, const char *key)
{
    json_t *found = json_object_get(into, key);

    if (found == NULL) {
        (void)json_object_set_new(into, key, json_object());
        found = json_object_get(into, key);
    }
    return json_is_object(found) ? found : NULL;
}

static enum status read_body(struct hcl *h, json_t *into, unsigned depth);

static enum status read_block(struct hcl *h, json_t *into, const char *label,
                              unsigned depth)
{
    json_t *body = json_object();
    enum status st;

    CHECK(body != NULL);
    h->at++; /* The brace. */
    st = depth == DEPTH_MAX ? wrong(h, "blocks are nested too deep")
                            : read_body(h, body, depth + 1);
    if (!st && look(h, 0) != '}') {
        st = wrong(h, "\"}\" is missing");
    }
    if (st) {
        json_decref(body);
        return st;
    }
    h->at++;
    return add_new(h, into, label, body);
}

static enum status read_value(struct hcl *h, json_t *into, const char *key)
{
    enum status st;

    h->at++; /* The equals sign. */
    st = skip(h);
    if (!st && look(h, 0) != '"') {
        st = wrong(h, "a text in double quotes is expected behind \"=\"");
    }
    if (!st) {
        st = read_text(h);
    }
    if (!st) {
        st = add_new(h, into, key, json_string(h->word));
    }
    return st;
}

static enum status read_labelled(struct hcl *h, json_t *into, const char *kind,
                                 unsigned depth)
{
    json_t *group = object_under(into, kind);
    char label[LIMIT_ACL_NAME + 1];
    enum status st = read_text(h);

    if (!st && group == NULL) {
        st = wrong(h, "a block and a text have the same name, or a name is "
                      "not valid UTF-8");
    }
    if (!st) {
        st = skip(h);
    }
    if (!st && look(h, 0) != '{') {
        st = wrong(h, "\"{\" is expected behind the name in quotes");
    }
    if (st) {
        return st;
    }
    memcpy(label, h->word, sizeof(label));
    return read_block(h, group, label, depth);
}

static enum status read_item(struct hcl *h, json_t *into, unsigned depth)
{
    char name[LIMIT_ACL_NAME + 1];
    enum status st = read_name(h);

    if (!st) {
        memcpy(name, h->word, sizeof(name));
        st = skip(h);
    }
    if (st) {
        return st;
    }
    switch (look(h, 0)) {
    case '=':
        return read_value(h, into, name);
    case '{':
        return read_block(h, into, name, depth);
    case '"':
        return read_labelled(h, into, name, depth);
    default:
        return wrong(h, "\"=\", \"{\" or a name in quotes is expected");
    }
}

static enum status read_body(struct hcl *h, json_t *into, unsigned depth)
{
    enum status st = skip(h);

    while (!st && look(h, 0) != -1 && look(h, 0) != '}') {
        st = read_item(h, into, depth);
        if (!st) {
            st = skip(h);
        }
        if (!st && look(h, 0) == ',') {
            h->at++;
            st = skip(h);
        }
    }
    return st;
}

enum status acl_hcl_parse(struct slice text, json_t **out_json, struct err *err)
{
    struct hcl h = {.text = text, .err = err};
    json_t *root = json_object();
    enum status st;

    CHECK(root != NULL);
    st = read_body(&h, root, 0);
    if (!st && look(&h, 0) != -1) {
        st = wrong(&h, "\"}\" without a block");
    }
    if (st) {
        json_decref(root);
        return st;
    }
    *out_json = root;
    return ST_OK;
}
