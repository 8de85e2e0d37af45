/*
 * utf8.h - what is well formed UTF-8 (RFC 3629: no overlong forms, no
 * surrogates, nothing above U+10FFFF). JSON has to be (RFC 8259, 8.1).
 */
#pragma once

#include "base/core/bytes.h"

/* Bytes of the sequence that `s` begins with, two or more; 0: there is none, as
 * at an ASCII letter. `len` is at least 1. */
size_t utf8_sequence(const uint8_t *s, size_t len);

/* The beginning of a text, at most `max` bytes: no sequence is cut in two. */
struct slice utf8_cut(struct slice text, size_t max);

/* The whole text is. */
bool utf8_is(struct slice text);
