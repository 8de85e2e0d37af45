/*
 * regex_model.h - a compiled expression (private to regex*.c).
 */
#pragma once

#include "base/core/regex.h"

enum regex_op {
    /* What reads a code point, up to REGEX_ALL. */
    REGEX_CHAR,  /* The code point `x`. */
    REGEX_SET,   /* One in `y` ranges from `x` on; `negated`: one in none. */
    REGEX_ANY,   /* Any but a line break. */
    REGEX_ALL,   /* Any. */
    REGEX_SPLIT, /* Go on at both: this + x, which comes first, this + y. */
    REGEX_JUMP,  /* Go on at this + x. */
    REGEX_BEGIN, /* Assertions. */
    REGEX_END,
    REGEX_LINE_BEGIN,
    REGEX_LINE_END,
    REGEX_WORD,
    REGEX_NO_WORD,
    REGEX_SAVE, /* A group begins or ends here: x is 2 * group, or one more. */
    REGEX_MATCH
};

/* Targets are relative, so that a piece of the program can be copied. */
struct regex_step {
    enum regex_op op;
    bool negated;
    int32_t x;
    int32_t y;
};

struct regex_range {
    int32_t low;
    int32_t high;
};

/* Steps to look at for the next code point: a sparse set. */
struct regex_threads {
    uint32_t *items;
    uint32_t *place; /* Of each step in `items`, if it is there. */
    uint32_t count;
};

struct regex {
    struct regex_step *steps;
    uint32_t count;
    struct regex_range *ranges;
    uint32_t groups; /* 1 at least: the whole. */
    bool fold;       /* (?i): texts are read in lower case. */
    struct regex_threads now;
    struct regex_threads next;
    uint32_t *stack;
};

/* In [A-Za-z0-9_]. */
static inline bool regex_is_word(int32_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
           (c >= 'a' && c <= 'z') || c == '_';
}

static inline int32_t regex_lower(int32_t c)
{
    return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c;
}

/* The next code point, taken off; text must not be empty. */
int32_t regex_next(struct slice *text);

/* The same, as the expression reads it; -1: the text is at its end. */
int32_t regex_read(const struct regex *r, struct slice *text);

/* What is around a place in the text; -1: nothing. */
struct regex_place {
    int32_t before;
    int32_t after;
};

/* Whether an assertion is true there. */
bool regex_holds(enum regex_op op, struct regex_place at);

/* Whether a step that reads reads this code point. */
bool regex_reads(const struct regex *r, const struct regex_step *s, int32_t c);
