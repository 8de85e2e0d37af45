/*
 * Sets of code points, and escapes, which stand in sets and outside.
 */
#include "base/core/regex_compiler.h"

/* ---- Sets ----------------------------------------------------------- */

static void add_range(struct compiler *c, int32_t low, int32_t high)
{
    if (c->ranges_count == RANGES_MAX) {
        compiler_refuse_size(c);
        return;
    }
    c->ranges[c->ranges_count++] =
        (struct regex_range){.low = low, .high = high};
}

/* Texts are read in lower case if (?i): so must be the sets. */
static void add_span(struct compiler *c, int32_t low, int32_t high)
{
    add_range(c, low, high);
    if (c->fold && low <= 'Z' && high >= 'A') {
        add_range(c, regex_lower(low < 'A' ? 'A' : low),
                  regex_lower(high > 'Z' ? 'Z' : high));
    }
}

/* All but these ranges, which are in order. */
static void add_others(struct compiler *c, const char *pairs)
{
    int32_t low = 0;

    for (; *pairs != '\0'; pairs += 2) {
        add_range(c, low, pairs[0] - 1);
        low = pairs[1] + 1;
    }
    add_range(c, low, 0x10FFFF);
}

static const struct {
    char letter;
    const char *pairs; /* First and last of each range, in order. */
} letters[] = {
    {'d', "09"},
    {'w', "09AZ__az"},
    {'s', "\t\n\f\r  "},
};

static const struct {
    const char *name;
    const char *pairs;
} classes[] = {
    {"alnum", "09AZaz"},   {"alpha", "AZaz"},
    {"blank", "\t\t  "},   {"cntrl", "\1\37\177\177"},
    {"digit", "09"},       {"graph", "!~"},
    {"lower", "az"},       {"print", " ~"},
    {"punct", "!/:@[`{~"}, {"space", "\t\r  "},
    {"upper", "AZ"},       {"word", "09AZ__az"},
    {"xdigit", "09AFaf"},
};

static void add_pairs(struct compiler *c, const char *pairs, bool negated)
{
    if (negated) {
        add_others(c, pairs);
        return;
    }
    for (; *pairs != '\0'; pairs += 2) {
        add_span(c, pairs[0], pairs[1]);
    }
}

/* \d, \W and so on; false: the letter stands for something else. */
bool compiler_add_letter(struct compiler *c, int letter)
{
    for (size_t i = 0; i < sizeof(letters) / sizeof(letters[0]); i++) {
        bool negated = letter == letters[i].letter - 'a' + 'A';

        if (negated || letter == letters[i].letter) {
            add_pairs(c, letters[i].pairs, negated);
            return true;
        }
    }
    return false;
}

/* "[:alpha:]" inside a set. */
static bool read_class(struct compiler *c)
{
    bool negated = slice_starts(c->rest, slice_str("[:^"));

    if (!slice_starts(c->rest, slice_str("[:"))) {
        return false;
    }
    for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
        struct slice name = slice_str(classes[i].name);
        struct slice rest = slice_skip(c->rest, negated ? 3 : 2);

        if (slice_starts(rest, name) &&
            slice_starts(slice_skip(rest, name.len), slice_str(":]"))) {
            c->rest = slice_skip(rest, name.len + 2);
            add_pairs(c, classes[i].pairs, negated);
            return true;
        }
    }
    return false;
}

static int hex_digit(int byte)
{
    if (byte >= '0' && byte <= '9') {
        return byte - '0';
    }
    byte |= 0x20;
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

/* Behind "\x": two digits, or any number in braces. */
static int32_t read_hex(struct compiler *c)
{
    bool braces = compiler_take(c, '{');
    int32_t point = 0;
    int digits = 0;

    while (hex_digit(compiler_peek(c)) >= 0 && digits < (braces ? 6 : 2)) {
        point = 16 * point + hex_digit(compiler_peek(c));
        c->rest = slice_skip(c->rest, 1);
        digits++;
    }
    if (digits == 0 || (!braces && digits != 2) ||
        (braces && !compiler_take(c, '}')) || point > 0x10FFFF) {
        compiler_refuse(c, "bad \\x");
    }
    return point;
}

/* One escaped code point; the backslash and the letter are taken. */
int32_t compiler_escaped_point(struct compiler *c, int32_t letter)
{
    static const char names[] = "afnrtv";
    static const char values[] = "\a\f\n\r\t\v";
    const char *name = letter < 128 ? strchr(names, letter) : NULL;

    if (letter == 'x') {
        return read_hex(c);
    }
    if (name != NULL && *name != '\0') {
        return values[name - names];
    }
    if (regex_is_word(letter)) {
        compiler_refuse(c, letter >= '0' && letter <= '9'
                               ? "back-references are not known"
                               : "unknown escape");
    }
    return letter;
}

int32_t compiler_take_point(struct compiler *c)
{
    if (c->rest.len == 0) {
        compiler_refuse(c, "unexpected end");
        return 0;
    }
    return regex_next(&c->rest);
}

/* One end of a range, or a class of its own (false). */
static bool read_set_point(struct compiler *c, int32_t *out_point)
{
    *out_point = compiler_take_point(c);
    if (*out_point != '\\') {
        return true;
    }
    *out_point = compiler_take_point(c);
    if (compiler_add_letter(c, *out_point)) {
        return false;
    }
    *out_point = compiler_escaped_point(c, *out_point);
    return true;
}

static void read_set_item(struct compiler *c)
{
    int32_t low;
    int32_t high;

    if (read_class(c) || !read_set_point(c, &low)) {
        return;
    }
    high = low;
    if (c->rest.len > 1 && c->rest.data[0] == '-' && c->rest.data[1] != ']') {
        c->rest = slice_skip(c->rest, 1);
        if (!read_set_point(c, &high) || high < low) {
            compiler_refuse(c, "bad range");
        }
    }
    add_span(c, low, high);
}

void compiler_read_set(struct compiler *c)
{
    struct regex_step step = {.op = REGEX_SET, .x = c->ranges_count};
    bool first = true;

    step.negated = compiler_take(c, '^');
    while (!c->st && (first || compiler_peek(c) != ']')) {
        first = false; /* "[]a]" holds a bracket. */
        if (c->rest.len == 0) {
            compiler_refuse(c, "missing ]");
        } else {
            read_set_item(c);
        }
    }
    (void)compiler_take(c, ']');
    step.y = c->ranges_count - step.x;
    compiler_emit_atom(c, step);
}
