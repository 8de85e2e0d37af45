/*
 * Parsing: tokens, comparisons, and their order by a stack of operators. The
 * input's depth is the length of that stack, not of ours.
 */
#include "agent/core/filter.h"

#include <stdlib.h>

#include "agent/core/filter_model.h"
#include "base/core/check.h"

enum token_kind {
    TOKEN_END,
    TOKEN_OPEN,
    TOKEN_CLOSE,
    TOKEN_EQ,
    TOKEN_NE,
    TOKEN_WORD,
    TOKEN_TEXT, /* In quotes. */
};

struct token {
    enum token_kind kind;
    struct slice text;
    size_t at; /* Where it begins. */
};

enum operator_kind {
    OPERATOR_OPEN,
    OPERATOR_OR,
    OPERATOR_AND,
    OPERATOR_NOT
};

struct parser {
    struct arena *arena;
    const struct filter_schema *schema;
    struct slice whole;
    struct slice rest;
    struct token token; /* The present one. */
    enum operator_kind operators[LIMIT_FILTER_DEPTH];
    size_t depth;
    struct filter *filter;
    struct err *err;
};

/* ---- Tokens ---------------------------------------------------------- */

static enum status refuse(const struct parser *p, const char *what)
{
    return err_set(p->err, ST_INVALID, "filter: %s at byte %zu of \"%.*s\"",
                   what, p->token.at,
                   p->whole.len > 256 ? 256 : (int)p->whole.len,
                   (const char *)p->whole.data);
}

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void take(struct parser *p, enum token_kind kind, size_t len)
{
    p->token.kind = kind;
    p->token.text = slice_of(p->rest.data, len);
    p->rest = slice_skip(p->rest, len);
}

/* Of `["key"]` behind a name; 0: it does not end. */
static size_t bracket_len(struct slice s)
{
    size_t i = 1;

    if (s.len > 1 && (s.data[1] == '"' || s.data[1] == '`')) {
        for (i = 2; i < s.len && s.data[i] != s.data[1]; i++) {
        }
    }
    while (i < s.len && s.data[i] != ']') {
        i++;
    }
    return i < s.len ? i + 1 : 0;
}

static enum status read_word(struct parser *p)
{
    size_t len = 0;

    while (len < p->rest.len && !is_blank(p->rest.data[len]) &&
           memchr("()\"`=!]", p->rest.data[len], 7) == NULL) {
        size_t more = 1;

        if (p->rest.data[len] == '[') {
            more = bracket_len(slice_skip(p->rest, len));
        }
        if (more == 0) {
            return refuse(p, "missing ]");
        }
        len += more;
    }
    if (len == 0) {
        return refuse(p, "unexpected character");
    }
    take(p, TOKEN_WORD, len);
    return ST_OK;
}

static int hex_value(uint8_t c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void put_utf8(uint8_t *out, size_t *len, uint32_t c)
{
    if (c < 0x80) {
        out[(*len)++] = (uint8_t)c;
    } else if (c < 0x800) {
        out[(*len)++] = (uint8_t)(0xC0 | c >> 6);
        out[(*len)++] = (uint8_t)(0x80 | (c & 0x3F));
    } else {
        out[(*len)++] = (uint8_t)(0xE0 | c >> 12);
        out[(*len)++] = (uint8_t)(0x80 | (c >> 6 & 0x3F));
        out[(*len)++] = (uint8_t)(0x80 | (c & 0x3F));
    }
}

/* Behind a backslash. How many bytes were read; 0: no such escape. What is
 * written is never longer than what was read, with the backslash. */
static size_t read_escape(struct slice s, uint8_t *out, size_t *len)
{
    static const char names[] = "abfnrtv\\\"'";
    static const char values[] = "\a\b\f\n\r\t\v\\\"'";
    size_t digits = s.data[0] == 'x' ? 2 : s.data[0] == 'u' ? 4 : 0;
    uint32_t point = 0;
    const char *name;

    if (digits == 0) {
        name = s.data[0] == '\0' ? NULL : strchr(names, s.data[0]);
        if (name == NULL) {
            return 0;
        }
        out[(*len)++] = (uint8_t)values[name - names];
        return 1;
    }
    if (s.len < digits + 1) {
        return 0;
    }
    for (size_t i = 1; i <= digits; i++) {
        if (hex_value(s.data[i]) < 0) {
            return 0;
        }
        point = point << 4 | (uint32_t)hex_value(s.data[i]);
    }
    if (digits == 2) {
        out[(*len)++] = (uint8_t)point;
    } else {
        put_utf8(out, len, point);
    }
    return digits + 1;
}

static enum status read_quoted(struct parser *p)
{
    uint8_t *out = arena_alloc(p->arena, p->rest.len + 1);
    size_t len = 0;
    size_t i = 1;

    while (i < p->rest.len && p->rest.data[i] != '"') {
        if (p->rest.data[i] == '\\' && i + 1 < p->rest.len) {
            size_t read = read_escape(slice_skip(p->rest, i + 1), out, &len);

            if (read == 0) {
                return refuse(p, "unknown escape in the text");
            }
            i += 1 + read;
        } else {
            out[len++] = p->rest.data[i++];
        }
    }
    if (i >= p->rest.len) {
        return refuse(p, "missing \" of the text");
    }
    take(p, TOKEN_TEXT, i + 1);
    p->token.text = slice_of(out, len);
    return ST_OK;
}

static enum status read_raw(struct parser *p)
{
    const uint8_t *end =
        p->rest.len < 2 ? NULL : memchr(p->rest.data + 1, '`', p->rest.len - 1);
    size_t len;

    if (end == NULL) {
        return refuse(p, "missing ` of the text");
    }
    len = (size_t)(end - p->rest.data);
    take(p, TOKEN_TEXT, len + 1);
    p->token.text = slice_of(p->token.text.data + 1, len - 1);
    return ST_OK;
}

static enum status advance(struct parser *p)
{
    while (p->rest.len > 0 && is_blank(p->rest.data[0])) {
        p->rest = slice_skip(p->rest, 1);
    }
    p->token.at = p->whole.len - p->rest.len;
    if (p->rest.len == 0) {
        take(p, TOKEN_END, 0);
        return ST_OK;
    }
    switch (p->rest.data[0]) {
    case '(':
        take(p, TOKEN_OPEN, 1);
        return ST_OK;
    case ')':
        take(p, TOKEN_CLOSE, 1);
        return ST_OK;
    case '"':
        return read_quoted(p);
    case '`':
        return read_raw(p);
    case '=':
    case '!':
        if (p->rest.len < 2 || p->rest.data[1] != '=') {
            return refuse(p, "expected == or !=");
        }
        take(p, p->rest.data[0] == '=' ? TOKEN_EQ : TOKEN_NE, 2);
        return ST_OK;
    default:
        return read_word(p);
    }
}

static bool is_word(const struct parser *p, const char *word)
{
    return p->token.kind == TOKEN_WORD &&
           slice_eq(p->token.text, slice_str(word));
}

/* ---- Comparisons ----------------------------------------------------- */

static enum status read_number(struct parser *p, struct filter_match *m)
{
    char text[32] = {0};
    char *end;

    if (m->value.len == 0 || m->value.len >= sizeof(text)) {
        return refuse(p, "expected a number");
    }
    memcpy(text, m->value.data, m->value.len);
    m->number = strtoll(text, &end, 10);
    return *end == '\0' ? ST_OK : refuse(p, "expected a number");
}

static enum status read_bool(struct parser *p, struct filter_match *m)
{
    static const char *const words[] = {"false", "False", "FALSE", "f",
                                        "F",     "0",     "true",  "True",
                                        "TRUE",  "t",     "T",     "1"};

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (slice_eq(m->value, slice_str(words[i]))) {
            m->yes = i >= 6;
            return ST_OK;
        }
    }
    return refuse(p, "expected true or false");
}

/* The present token is the value. */
static enum status take_value(struct parser *p, struct filter_match *m)
{
    if (p->token.kind != TOKEN_WORD && p->token.kind != TOKEN_TEXT) {
        return refuse(p, "expected a value");
    }
    m->value = p->token.text;
    return ST_OK;
}

/* Once operator, field and value are known. */
static enum status settle_value(struct parser *p, struct filter_match *m)
{
    if (m->op == FILTER_MATCHES) {
        return regex_compile(p->arena, m->value, &m->regex, p->err);
    }
    if (m->op != FILTER_EQ) {
        return ST_OK;
    }
    if (m->field->kind == FILTER_NUMBER) {
        return read_number(p, m);
    }
    return m->field->kind == FILTER_BOOL ? read_bool(p, m) : ST_OK;
}

/* `val in sel`; "in" is the present token. */
static enum status read_in(struct parser *p, struct token first,
                           struct filter_match *m)
{
    enum status st = advance(p);

    m->op = FILTER_IN;
    m->value = first.text;
    if (!st && p->token.kind != TOKEN_WORD) {
        st = refuse(p, "expected a selector");
    }
    return st ? st
              : filter_select(p->arena, p->schema, p->token.text, m, p->err);
}

/* `sel is [not] empty`; "is" is the present token. */
static enum status read_is(struct parser *p, struct token first,
                           struct filter_match *m)
{
    enum status st = advance(p);

    m->op = FILTER_EMPTY;
    if (!st && is_word(p, "not")) {
        m->negated = true;
        st = advance(p);
    }
    if (!st && !is_word(p, "empty")) {
        st = refuse(p, "expected empty");
    }
    return st ? st : filter_select(p->arena, p->schema, first.text, m, p->err);
}

/* The operator between selector and value is the present token. */
static enum status read_compared(struct parser *p, struct token first,
                                 struct filter_match *m)
{
    enum status st;

    if (first.kind != TOKEN_WORD) {
        return refuse(p, "expected in or not in behind a value");
    }
    if (p->token.kind == TOKEN_EQ || p->token.kind == TOKEN_NE) {
        m->op = FILTER_EQ;
        m->negated = p->token.kind == TOKEN_NE;
    } else if (is_word(p, "contains")) {
        m->op = FILTER_IN;
    } else if (is_word(p, "matches")) {
        m->op = FILTER_MATCHES;
    } else {
        return refuse(p, "expected ==, !=, in, contains, is or matches");
    }
    st = advance(p);
    if (!st) {
        st = take_value(p, m);
    }
    return st ? st : filter_select(p->arena, p->schema, first.text, m, p->err);
}

static enum status emit(struct parser *p, struct filter_code code)
{
    struct filter *f = p->filter;

    if (f->code_count == FILTER_CODE_MAX) {
        return err_set(p->err, ST_TOO_BIG, "filter: too long");
    }
    f->code[f->code_count++] = code;
    return ST_OK;
}

static enum status read_match(struct parser *p)
{
    struct filter *f = p->filter;
    struct filter_match *m = &f->matches[f->matches_count];
    struct token first = p->token;
    enum status st;

    if (f->matches_count == LIMIT_FILTER_MATCHES) {
        return err_set(p->err, ST_TOO_BIG, "filter: more than %d comparisons",
                       LIMIT_FILTER_MATCHES);
    }
    if (first.kind != TOKEN_WORD && first.kind != TOKEN_TEXT) {
        return refuse(p, "expected a comparison");
    }
    st = advance(p);
    if (!st && is_word(p, "not")) {
        m->negated = true;
        st = advance(p);
    }
    if (st) {
        return st;
    }
    if (is_word(p, "in")) {
        st = read_in(p, first, m);
    } else if (m->negated && !is_word(p, "contains") &&
               !is_word(p, "matches")) {
        st = refuse(p, "expected in, contains or matches behind not");
    } else if (is_word(p, "is")) {
        st = first.kind == TOKEN_WORD ? read_is(p, first, m)
                                      : refuse(p, "expected in or not in");
    } else {
        st = read_compared(p, first, m);
    }
    if (!st) {
        st = settle_value(p, m);
    }
    if (!st) {
        st = emit(p, (struct filter_code){.op = FILTER_CODE_MATCH,
                                          .match = f->matches_count++});
    }
    return st;
}

/* ---- Order ----------------------------------------------------------- */

static enum status push(struct parser *p, enum operator_kind op)
{
    if (p->depth == LIMIT_FILTER_DEPTH) {
        return err_set(p->err, ST_TOO_BIG, "filter: nested more than %d deep",
                       LIMIT_FILTER_DEPTH);
    }
    p->operators[p->depth++] = op;
    return ST_OK;
}

/* Finish what binds at least as tightly. */
static enum status reduce(struct parser *p, enum operator_kind least)
{
    static const enum filter_code_op codes[] = {
        [OPERATOR_OR] = FILTER_CODE_OR,
        [OPERATOR_AND] = FILTER_CODE_AND,
        [OPERATOR_NOT] = FILTER_CODE_NOT,
    };
    enum status st = ST_OK;

    while (!st && p->depth > 0 && p->operators[p->depth - 1] >= least) {
        st = emit(p,
                  (struct filter_code){.op = codes[p->operators[--p->depth]]});
    }
    return st;
}

/* Where a comparison, a "not" or a parenthesis may stand. */
static enum status read_operand(struct parser *p, bool *out_whole)
{
    enum status st;

    *out_whole = false;
    if (p->token.kind == TOKEN_OPEN) {
        return push(p, OPERATOR_OPEN);
    }
    if (is_word(p, "not")) {
        return push(p, OPERATOR_NOT);
    }
    st = read_match(p);
    *out_whole = true;
    return st ? st : reduce(p, OPERATOR_NOT);
}

/* Behind one. */
static enum status read_operator(struct parser *p, bool *out_whole)
{
    enum status st;
    bool is_and = is_word(p, "and");

    *out_whole = false;
    if (is_and || is_word(p, "or")) {
        st = reduce(p, is_and ? OPERATOR_AND : OPERATOR_OR);
        return st ? st : push(p, is_and ? OPERATOR_AND : OPERATOR_OR);
    }
    *out_whole = true;
    if (p->token.kind != TOKEN_CLOSE) {
        return refuse(p, "expected and, or, ) or the end");
    }
    st = reduce(p, OPERATOR_OR);
    if (!st && p->depth == 0) {
        st = refuse(p, "unexpected )");
    }
    if (st) {
        return st;
    }
    p->depth--; /* The parenthesis. */
    return reduce(p, OPERATOR_NOT);
}

static enum status parse(struct parser *p)
{
    bool whole = false; /* What stands so far is an expression. */
    enum status st = advance(p);

    while (!st && p->token.kind != TOKEN_END) {
        st = whole ? read_operator(p, &whole) : read_operand(p, &whole);
        if (!st) {
            st = advance(p);
        }
    }
    if (!st && !whole) {
        st = refuse(p, "expected a comparison");
    }
    if (!st) {
        st = reduce(p, OPERATOR_OR);
    }
    if (!st && p->depth > 0) {
        st = refuse(p, "missing )");
    }
    return st;
}

enum status filter_compile(struct arena *a, const struct filter_schema *schema,
                           struct slice text, struct filter **out_filter,
                           struct err *err)
{
    struct parser p = {.arena = a, .schema = schema, .err = err};
    enum status st;

    if (text.len > LIMIT_FILTER_BYTES) {
        return err_set(err, ST_TOO_BIG, "filter: longer than %d bytes",
                       LIMIT_FILTER_BYTES);
    }
    p.whole = arena_copy(a, text);
    p.rest = p.whole;
    p.filter = arena_zalloc(a, 1, sizeof(*p.filter));
    p.filter->work = LIMIT_FILTER_WORK;
    st = parse(&p);
    if (!st) {
        *out_filter = p.filter;
    }
    return st;
}
