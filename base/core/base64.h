/*
 * base64.h - binary in JSON: the standard alphabet with padding (RFC 4648, 4).
 */
#pragma once

#include "base/core/arena.h"

/* From the arena, with a NUL behind. */
struct slice base64_encode(struct arena *a, struct slice bytes);

/* ST_INVALID: a character outside the alphabet, or padding that is not as it
 * should be. */
enum status base64_decode(struct arena *a, struct slice text,
                          struct slice *out_bytes);
