/*
 * regex_compiler.h - a program under construction (private to regex_compile.c
 * and regex_set.c).
 */
#pragma once

#include "base/core/limits.h"
#include "base/core/regex_model.h"

enum {
    GROUPS_MAX = 64,
    REPEAT_MAX = 1000, /* As RE2. */
    RANGES_MAX = 2048,
    NO_ATOM = -1,
};

struct group {
    int32_t start;       /* Its first step. */
    int32_t number;      /* As what it is remembered; 0: it is not. */
    int32_t alternative; /* The first step of the present alternative. */
    int32_t atom;        /* What a repetition applies to, or NO_ATOM. */
    int32_t jumps;       /* The last alternative's jump to the end, whose x is
                            the one before; NO_ATOM: none. */
};

struct compiler {
    struct slice rest;
    struct slice whole;
    struct regex_step steps[LIMIT_REGEX_STEPS];
    int32_t count;
    struct regex_range ranges[RANGES_MAX];
    int32_t ranges_count;
    struct group groups[GROUPS_MAX];
    size_t depth;
    int32_t groups_count; /* Remembered ones; the whole is the first. */
    bool fold;
    bool dot_all;
    bool multi_line;
    enum status st; /* The first failure sticks. */
    struct err *err;
};

/* The first failure sticks; `what` is said with its place. */
void compiler_refuse(struct compiler *c, const char *what);
void compiler_refuse_size(struct compiler *c);

int compiler_peek(const struct compiler *c); /* -1: the end. */
bool compiler_take(struct compiler *c, char byte);
int32_t compiler_take_point(struct compiler *c);

/* A step that may be repeated. */
void compiler_emit_atom(struct compiler *c, struct regex_step step);

/* ---- regex_set.c --------------------------------------------------- */

/* Behind "[". */
void compiler_read_set(struct compiler *c);
/* The ranges of \d, \W and so on; false: the letter stands for itself or for
 * a control character. */
bool compiler_add_letter(struct compiler *c, int letter);
/* That one; the backslash and the letter are taken. */
int32_t compiler_escaped_point(struct compiler *c, int32_t letter);
