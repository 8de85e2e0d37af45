/*
 * duration.h - durations as Go and Consul write them: "1m30s", "800ms".
 */
#pragma once

#include <stdint.h>

#include "base/core/bytes.h"

/* Decimal numbers with units ns us ms s m h, joined; "0" alone is fine. Parts
 * of a millisecond are rounded up. ST_INVALID: not a duration, negative, or
 * over 100 years. */
enum status duration_parse(struct slice text, uint64_t *out_ms);

#define DURATION_TEXT 32

/* "10s", "1m30s", "800ms", "0s". Returns `out`. */
const char *duration_format(uint64_t ms, char out[DURATION_TEXT]);
