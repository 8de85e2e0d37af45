/*
 * The search: all states that are possible after each code point, side by side.
 */
#include "base/core/regex_model.h"

#define REPLACEMENT 0xFFFD

/* ---- Code points --------------------------------------------------- */

static bool is_tail(uint8_t byte)
{
    return (byte & 0xC0) == 0x80;
}

/* RFC 3629, 4: how many bytes a sequence has by its first; 0: none. */
static size_t sequence_len(uint8_t first)
{
    if (first < 0x80) {
        return 1;
    }
    if (first >= 0xC2 && first <= 0xDF) {
        return 2;
    }
    if (first >= 0xE0 && first <= 0xEF) {
        return 3;
    }
    return first >= 0xF0 && first <= 0xF4 ? 4 : 0;
}

int32_t regex_next(struct slice *text)
{
    static const uint8_t masks[] = {0, 0x7F, 0x1F, 0x0F, 0x07};
    static const int32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const uint8_t *p = text->data;
    size_t len = sequence_len(p[0]);
    int32_t point;

    if (len == 0 || len > text->len) {
        *text = slice_skip(*text, 1);
        return REPLACEMENT;
    }
    point = p[0] & masks[len];
    for (size_t i = 1; i < len; i++) {
        if (!is_tail(p[i])) {
            *text = slice_skip(*text, 1);
            return REPLACEMENT;
        }
        point = point << 6 | (p[i] & 0x3F);
    }
    if (point < least[len] || point > 0x10FFFF ||
        (point >= 0xD800 && point <= 0xDFFF)) {
        *text = slice_skip(*text, 1);
        return REPLACEMENT;
    }
    *text = slice_skip(*text, len);
    return point;
}

/* ---- States -------------------------------------------------------- */

bool regex_holds(enum regex_op op, struct regex_place at)
{
    bool edge = regex_is_word(at.before) != regex_is_word(at.after);

    if (op == REGEX_BEGIN) {
        return at.before < 0;
    }
    if (op == REGEX_END) {
        return at.after < 0;
    }
    if (op == REGEX_LINE_BEGIN) {
        return at.before < 0 || at.before == '\n';
    }
    if (op == REGEX_LINE_END) {
        return at.after < 0 || at.after == '\n';
    }
    return edge == (op == REGEX_WORD);
}

static bool threads_add(struct regex_threads *t, uint32_t step)
{
    uint32_t place = t->place[step];

    if (place < t->count && t->items[place] == step) {
        return false;
    }
    t->place[step] = t->count;
    t->items[t->count++] = step;
    return true;
}

static uint32_t target(uint32_t step, int32_t by)
{
    return (uint32_t)((int64_t)step + by);
}

/* Steps that follow without reading anything go onto the stack. */
static uint32_t follow(const struct regex *r, uint32_t step,
                       struct regex_place at, uint32_t depth)
{
    const struct regex_step *s = &r->steps[step];

    if (s->op <= REGEX_ALL || s->op == REGEX_MATCH) {
        return depth;
    }
    if (s->op == REGEX_SPLIT) {
        r->stack[depth] = target(step, s->x);
        r->stack[depth + 1] = target(step, s->y);
        return depth + 2;
    }
    if (s->op == REGEX_JUMP) {
        r->stack[depth] = target(step, s->x);
        return depth + 1;
    }
    r->stack[depth] = step + 1;
    if (s->op == REGEX_SAVE) {
        return depth + 1;
    }
    return regex_holds(s->op, at) ? depth + 1 : depth;
}

/* A step and all that follow from it. Each is added once, and puts two on the
 * stack at most, so the stack is as long as two programs. True: a match. */
static bool enter(struct regex *r, struct regex_threads *t, uint32_t step,
                  struct regex_place at)
{
    uint32_t depth = 1;
    bool matched = false;

    r->stack[0] = step;
    while (depth > 0) {
        step = r->stack[--depth];
        if (threads_add(t, step)) {
            matched = matched || r->steps[step].op == REGEX_MATCH;
            depth = follow(r, step, at, depth);
        }
    }
    return matched;
}

static bool in_set(const struct regex *r, const struct regex_step *s, int32_t c)
{
    for (int32_t i = s->x; i < s->x + s->y; i++) {
        if (c >= r->ranges[i].low && c <= r->ranges[i].high) {
            return !s->negated;
        }
    }
    return s->negated;
}

bool regex_reads(const struct regex *r, const struct regex_step *s, int32_t c)
{
    if (s->op == REGEX_CHAR) {
        return s->x == c;
    }
    if (s->op == REGEX_SET) {
        return in_set(r, s, c);
    }
    return s->op == REGEX_ALL || (s->op == REGEX_ANY && c != '\n');
}

/* ---- The search ----------------------------------------------------- */

int32_t regex_read(const struct regex *r, struct slice *text)
{
    int32_t c;

    if (text->len == 0) {
        return -1;
    }
    c = regex_next(text);
    return r->fold ? regex_lower(c) : c;
}

/* All threads over one code point. True: a match. */
static bool advance(struct regex *r, int32_t c, struct regex_place behind)
{
    bool matched = false;

    r->next.count = 0;
    for (uint32_t i = 0; i < r->now.count; i++) {
        uint32_t step = r->now.items[i];

        if (regex_reads(r, &r->steps[step], c)) {
            matched = enter(r, &r->next, step + 1, behind) || matched;
        }
    }
    return matched;
}

bool regex_match(struct regex *r, struct slice text, uint64_t *work)
{
    struct regex_place at = {.before = -1, .after = regex_read(r, &text)};

    r->now.count = 0;
    for (;;) {
        struct regex_threads swap;
        int32_t c = at.after;

        /* A match may begin anywhere: the first step is always there. */
        if (enter(r, &r->now, 0, at)) {
            return true;
        }
        if (c < 0 || *work <= r->now.count) {
            *work = c < 0 ? *work : 0;
            return false;
        }
        *work -= r->now.count;
        at = (struct regex_place){.before = c, .after = regex_read(r, &text)};
        if (advance(r, c, at)) {
            return true;
        }
        swap = r->now;
        r->now = r->next;
        r->next = swap;
    }
}
