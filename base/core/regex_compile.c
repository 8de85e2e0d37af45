/*
 * From a pattern to a program, in one pass. Groups are kept on a stack; what is
 * repeated is the piece of program since the last atom began, and since targets
 * are relative, pieces are shifted and copied as they are.
 */
#include <stdlib.h>

#include "base/core/check.h"
#include "base/core/regex_compiler.h"

/* ---- Trouble -------------------------------------------------------- */

void compiler_refuse(struct compiler *c, const char *what)
{
    if (!c->st) {
        c->st = err_set(c->err, ST_INVALID,
                        "regular expression: %s at byte %zu of \"%.*s\"", what,
                        c->whole.len - c->rest.len, (int)c->whole.len,
                        (const char *)c->whole.data);
    }
}

void compiler_refuse_size(struct compiler *c)
{
    if (!c->st) {
        c->st = err_set(c->err, ST_TOO_BIG,
                        "regular expression: more than %d steps when its "
                        "repetitions are written out",
                        LIMIT_REGEX_STEPS);
    }
}

/* ---- The program ---------------------------------------------------- */

static struct group *top(struct compiler *c)
{
    return &c->groups[c->depth];
}

static void emit(struct compiler *c, struct regex_step step)
{
    if (c->count == LIMIT_REGEX_STEPS) {
        compiler_refuse_size(c);
        return;
    }
    c->steps[c->count++] = step;
}

void compiler_emit_atom(struct compiler *c, struct regex_step step)
{
    top(c)->atom = c->count;
    emit(c, step);
}

/* Shift what stands from `at` on, and put a step there. */
static void insert(struct compiler *c, int32_t at, struct regex_step step)
{
    if (c->count == LIMIT_REGEX_STEPS) {
        compiler_refuse_size(c);
        return;
    }
    memmove(&c->steps[at + 1], &c->steps[at],
            (size_t)(c->count - at) * sizeof(step));
    c->steps[at] = step;
    c->count++;
}

static void copy(struct compiler *c, int32_t from, int32_t len)
{
    if (c->count + len > LIMIT_REGEX_STEPS) {
        compiler_refuse_size(c);
        return;
    }
    memcpy(&c->steps[c->count], &c->steps[from],
           (size_t)len * sizeof(c->steps[0]));
    c->count += len;
}

/* Which of two ways comes first: once more, or on. */
enum greed {
    GREEDY,
    LAZY
};

static struct regex_step split(int32_t more, int32_t on, enum greed greed)
{
    return (struct regex_step){.op = REGEX_SPLIT,
                               .x = greed == GREEDY ? more : on,
                               .y = greed == GREEDY ? on : more};
}

static void make_optional(struct compiler *c, int32_t atom, enum greed greed)
{
    insert(c, atom, split(1, c->count - atom + 1, greed));
}

static void make_star(struct compiler *c, int32_t atom, enum greed greed)
{
    int32_t len = c->count - atom;

    insert(c, atom, split(1, len + 2, greed));
    emit(c, (struct regex_step){.op = REGEX_JUMP, .x = -(len + 1)});
}

static void make_plus(struct compiler *c, int32_t atom, enum greed greed)
{
    emit(c, split(atom - c->count, 1, greed));
}

/* ---- Repetition ----------------------------------------------------- */

int compiler_peek(const struct compiler *c)
{
    return c->rest.len == 0 ? -1 : c->rest.data[0];
}

bool compiler_take(struct compiler *c, char byte)
{
    if (compiler_peek(c) != byte) {
        return false;
    }
    c->rest = slice_skip(c->rest, 1);
    return true;
}

static bool read_number(struct compiler *c, int32_t *out_number)
{
    int32_t n = 0;
    bool any = false;

    while (compiler_peek(c) >= '0' && compiler_peek(c) <= '9' &&
           n <= REPEAT_MAX) {
        n = 10 * n + compiler_peek(c) - '0';
        c->rest = slice_skip(c->rest, 1);
        any = true;
    }
    *out_number = n;
    return any;
}

/* "{2}", "{2,}", "{2,5}"; anything else is text, and false. */
static bool read_bounds(struct compiler *c, int32_t *out_least,
                        int32_t *out_most)
{
    struct slice before = c->rest;
    bool ok = compiler_take(c, '{') && read_number(c, out_least);

    *out_most = *out_least;
    if (ok && compiler_take(c, ',')) {
        *out_most = -1;
        (void)(compiler_peek(c) != '}' && read_number(c, out_most));
    }
    if (!ok || !compiler_take(c, '}')) {
        c->rest = before;
        return false;
    }
    return true;
}

/* The atom is there once. Written out: `least` times, then up to `most` times
 * optional, or without end. */
static void repeat(struct compiler *c, int32_t least, int32_t most,
                   enum greed greed)
{
    int32_t atom = top(c)->atom;
    int32_t len = c->count - atom;

    if (least > REPEAT_MAX || most > REPEAT_MAX ||
        (most >= 0 && most < least)) {
        compiler_refuse(c, "bad repetition");
        return;
    }
    if (most == 0) {
        c->count = atom;
        return;
    }
    for (int32_t i = 1; i < least && !c->st; i++) {
        copy(c, atom, len);
    }
    if (most < 0) {
        if (least == 0) {
            make_star(c, atom, greed);
        } else {
            make_plus(c, c->count - len, greed);
        }
        return;
    }
    /* Copies are made before the first one becomes optional. */
    for (int32_t i = least == 0 ? 1 : least; i < most && !c->st; i++) {
        int32_t at = c->count;

        copy(c, atom, len);
        if (!c->st) {
            make_optional(c, at, greed);
        }
    }
    if (least == 0 && !c->st) {
        insert(c, atom, split(1, len + 1, greed));
    }
}

static bool read_repetition(struct compiler *c)
{
    int32_t least = 0;
    int32_t most = 0;
    int32_t atom = top(c)->atom;
    int mark = compiler_peek(c);
    enum greed greed;

    if (mark != '*' && mark != '+' && mark != '?' && mark != '{') {
        return false;
    }
    if (mark == '{') {
        if (!read_bounds(c, &least, &most)) {
            return false;
        }
    } else {
        c->rest = slice_skip(c->rest, 1);
        least = mark == '+' ? 1 : 0;
        most = mark == '?' ? 1 : -1;
    }
    greed = compiler_take(c, '?') ? LAZY : GREEDY;
    if (atom == NO_ATOM) {
        compiler_refuse(c, "nothing to repeat");
        return true;
    }
    repeat(c, least, most, greed);
    top(c)->atom = NO_ATOM;
    return true;
}

/* ---- Atoms ---------------------------------------------------------- */

static void emit_point(struct compiler *c, int32_t point)
{
    compiler_emit_atom(
        c, (struct regex_step){.op = REGEX_CHAR,
                               .x = c->fold ? regex_lower(point) : point});
}

/* Assertions read nothing, and may not be repeated. */
static void emit_assertion(struct compiler *c, enum regex_op op)
{
    emit(c, (struct regex_step){.op = op});
    top(c)->atom = NO_ATOM;
}

static void read_escape(struct compiler *c)
{
    static const struct {
        char letter;
        enum regex_op op;
    } assertions[] = {
        {'b', REGEX_WORD},
        {'B', REGEX_NO_WORD},
        {'A', REGEX_BEGIN},
        {'z', REGEX_END},
    };
    struct regex_step set = {.op = REGEX_SET, .x = c->ranges_count};
    int32_t letter = compiler_take_point(c);

    for (size_t i = 0; i < sizeof(assertions) / sizeof(assertions[0]); i++) {
        if (letter == assertions[i].letter) {
            emit_assertion(c, assertions[i].op);
            return;
        }
    }
    if (compiler_add_letter(c, letter)) {
        set.y = c->ranges_count - set.x;
        compiler_emit_atom(c, set);
    } else {
        emit_point(c, compiler_escaped_point(c, letter));
    }
}

static void open_group(struct compiler *c)
{
    bool plain = compiler_take(c, '?');

    if (plain && !compiler_take(c, ':')) {
        compiler_refuse(c, "only (?:...) is known, and (?i), (?s), (?m) at the "
                           "beginning");
        return;
    }
    if (c->depth + 1 == GROUPS_MAX) {
        compiler_refuse(c, "groups too deep");
        return;
    }
    c->depth++;
    *top(c) =
        (struct group){.start = c->count, .atom = NO_ATOM, .jumps = NO_ATOM};
    if (!plain && c->groups_count < REGEX_GROUPS_MAX) {
        top(c)->number = c->groups_count++;
        emit(c, (struct regex_step){.op = REGEX_SAVE, .x = 2 * top(c)->number});
    }
    top(c)->alternative = c->count;
}

/* a|b|c: each alternative but the last is SPLIT to itself and to the next one,
 * and ends with a jump to the end. */
static void next_alternative(struct compiler *c)
{
    struct group *g = top(c);

    insert(c, g->alternative,
           (struct regex_step){
               .op = REGEX_SPLIT, .x = 1, .y = c->count - g->alternative + 2});
    emit(c, (struct regex_step){.op = REGEX_JUMP, .x = g->jumps});
    g->jumps = c->count - 1;
    g->alternative = c->count;
    g->atom = NO_ATOM;
}

static void end_alternatives(struct compiler *c)
{
    int32_t jump = top(c)->jumps;

    while (jump != NO_ATOM && !c->st) {
        int32_t before = c->steps[jump].x;

        c->steps[jump].x = c->count - jump;
        jump = before;
    }
}

static void close_group(struct compiler *c)
{
    int32_t start = top(c)->start;
    int32_t number = top(c)->number;

    if (c->depth == 0) {
        compiler_refuse(c, "unexpected )");
        return;
    }
    end_alternatives(c);
    if (number != 0) {
        emit(c, (struct regex_step){.op = REGEX_SAVE, .x = 2 * number + 1});
    }
    c->depth--;
    top(c)->atom = start;
}

static void read_piece(struct compiler *c)
{
    int32_t point;

    if (read_repetition(c)) {
        return;
    }
    point = compiler_take_point(c);
    switch (point) {
    case '(':
        open_group(c);
        return;
    case ')':
        close_group(c);
        return;
    case '|':
        next_alternative(c);
        return;
    case '[':
        compiler_read_set(c);
        return;
    case '\\':
        read_escape(c);
        return;
    case '.':
        compiler_emit_atom(
            c, (struct regex_step){.op = c->dot_all ? REGEX_ALL : REGEX_ANY});
        return;
    case '^':
        emit_assertion(c, c->multi_line ? REGEX_LINE_BEGIN : REGEX_BEGIN);
        return;
    case '$':
        emit_assertion(c, c->multi_line ? REGEX_LINE_END : REGEX_END);
        return;
    default:
        emit_point(c, point);
    }
}

/* ---- The whole ------------------------------------------------------ */

/* "(?is)" at the very beginning. */
static void read_flags(struct compiler *c)
{
    struct slice before = c->rest;

    if (!compiler_take(c, '(') || !compiler_take(c, '?')) {
        c->rest = before;
        return;
    }
    for (;;) {
        int letter = compiler_peek(c);

        if (letter == 'i') {
            c->fold = true;
        } else if (letter == 's') {
            c->dot_all = true;
        } else if (letter == 'm') {
            c->multi_line = true;
        } else {
            break;
        }
        c->rest = slice_skip(c->rest, 1);
    }
    if (!compiler_take(c, ')')) {
        c->rest = before;
        c->fold = c->dot_all = c->multi_line = false;
    }
}

static void compile(struct compiler *c)
{
    c->groups[0] = (struct group){.atom = NO_ATOM, .jumps = NO_ATOM};
    c->groups_count = 1;
    read_flags(c);
    while (c->rest.len > 0 && !c->st) {
        read_piece(c);
    }
    if (c->depth > 0) {
        compiler_refuse(c, "missing )");
    }
    end_alternatives(c);
    emit(c, (struct regex_step){.op = REGEX_MATCH});
}

static struct regex_threads new_threads(struct arena *a, size_t count)
{
    return (struct regex_threads){
        .items = arena_zalloc(a, count, sizeof(uint32_t)),
        .place = arena_zalloc(a, count, sizeof(uint32_t)),
    };
}

static struct regex *take_program(struct arena *a, const struct compiler *c)
{
    struct regex *r = arena_zalloc(a, 1, sizeof(*r));
    size_t count = (size_t)c->count;

    r->count = (uint32_t)count;
    r->steps = arena_zalloc(a, count, sizeof(*r->steps));
    memcpy(r->steps, c->steps, count * sizeof(*r->steps));
    r->ranges =
        arena_zalloc(a, (size_t)c->ranges_count + 1, sizeof(*r->ranges));
    memcpy(r->ranges, c->ranges, (size_t)c->ranges_count * sizeof(*r->ranges));
    r->groups = (uint32_t)c->groups_count;
    r->fold = c->fold;
    r->now = new_threads(a, count);
    r->next = new_threads(a, count);
    r->stack = arena_zalloc(a, count + 2, sizeof(*r->stack));
    return r;
}

enum status regex_compile(struct arena *a, struct slice pattern,
                          struct regex **out_regex, struct err *err)
{
    struct compiler *c;
    enum status st;

    if (pattern.len > LIMIT_REGEX_BYTES) {
        return err_set(err, ST_TOO_BIG,
                       "regular expression: longer than %d bytes",
                       LIMIT_REGEX_BYTES);
    }
    c = calloc(1, sizeof(*c));
    CHECK(c != NULL);
    c->rest = pattern;
    c->whole = pattern;
    c->err = err;
    compile(c);
    st = c->st;
    if (!st) {
        *out_regex = take_program(a, c);
    }
    free(c);
    return st;
}
