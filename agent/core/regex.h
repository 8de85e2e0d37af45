/*
 * regex.h - regular expressions whose time is linear in the text.
 *
 * A Thompson NFA over code points, of the syntax of RE2: literals, `.`, sets
 * with ranges and [:alpha:] classes, \d \w \s \D \W \S \b \B, ^ $ \A \z, groups
 * (also (?:...)), |, * + ? {n,m} with or without a lazy "?", and (?i), (?s),
 * (?m) at the beginning. There are no captures, no back-references and no
 * looking around. A match is sought anywhere in the text.
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
