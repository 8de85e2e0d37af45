/*
 * crc32c.h - CRC-32C (Castagnoli), RFC 3720 appendix B.4.
 *
 * `crc32c(0, data)` is the usual check sum; feeding the result back in
 * continues it, so crc32c(crc32c(0, a), b) equals that of a and b joined. That
 * is also how log records are chained and HashKV is computed.
 */
#pragma once

#include <stdint.h>

#include "base/core/bytes.h"

uint32_t crc32c(uint32_t before, struct slice data);
