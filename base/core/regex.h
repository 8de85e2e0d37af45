/*
 * regex.h - regular expressions whose time is linear in the text.
 *
 * A Thompson NFA over code points, of the syntax of RE2: literals, `.`, sets
 * with ranges and [:alpha:] classes, \d \w \s \D \W \S \b \B, ^ $ \A \z, groups
 * (also (?:...)), |, * + ? {n,m} with or without a lazy "?", and (?i), (?s),
 * (?m) at the beginning. There are no back-references and no looking around. A
 * match is sought anywhere in the text.
 *
 * Bytes that are not UTF-8 count as one U+FFFD each. (?i) folds ASCII letters.
 *
 * Sources: K. Thompson, "Regular Expression Search Algorithm", CACM 11(6),
 * 1968; R. Cox, "Regular Expression Matching: the Virtual Machine Approach".
 */
#pragma once

#include "base/core/arena.h"
#include "base/core/err.h"

struct regex;

/* The arena holds the expression; a compiled one is used by one thread.
 * ST_TOO_BIG: longer than LIMIT_REGEX_BYTES, or more steps than
 * LIMIT_REGEX_STEPS when repetitions are written out.
 * ST_INVALID: err says what is wrong, and where. */
enum status regex_compile(struct arena *a, struct slice pattern,
                          struct regex **out_regex, struct err *err);

/* Whether the text holds a match. What was done is taken off *work, which at 0
 * ends the search with false; a step of it is one state looked at. */
bool regex_match(struct regex *r, struct slice text, uint64_t *work);

#define REGEX_GROUPS_MAX                               \
    16 /* The whole, and those remembered; others only \
          group. */

/* The same, and what its groups hold: the match that begins first, and of those
 * the one that a backtracking search would find (Perl's). groups[0] is the
 * whole; groups that took no part are empty, without data. The expression is
 * not changed, so many threads may use one; what the search needs is taken from
 * `a`. *work as above. */
bool regex_find(const struct regex *r, struct slice text, struct arena *a,
                struct slice groups[REGEX_GROUPS_MAX], uint64_t *work);

size_t regex_steps(const struct regex *r); /* Its length, a measure of cost. */
