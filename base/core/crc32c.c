#include "base/core/crc32c.h"

#if defined(__SSE4_2__) || defined(__x86_64__)
#include <nmmintrin.h>
#define HAVE_SSE42_PATH 1
#endif

/* Reflected polynomial 0x1EDC6F41. */
#define POLYNOMIAL 0x82f63b78u

static uint32_t crc_portable(uint32_t crc, const uint8_t *p, size_t len)
{
    while (len-- > 0) {
        crc ^= *p++;
        for (int bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ (POLYNOMIAL & (0u - (crc & 1)));
        }
    }
    return crc;
}

#ifdef HAVE_SSE42_PATH
__attribute__((target("sse4.2"))) static uint32_t crc_sse42(uint32_t crc,
                                                            const uint8_t *p,
                                                            size_t len)
{
    uint64_t wide = crc;

    while (len >= 8) {
        uint64_t word;

        memcpy(&word, p, sizeof(word));
        wide = _mm_crc32_u64(wide, word);
        p += 8;
        len -= 8;
    }
    crc = (uint32_t)wide;
    while (len-- > 0) {
        crc = _mm_crc32_u8(crc, *p++);
    }
    return crc;
}
#endif

uint32_t crc32c(uint32_t before, struct slice data)
{
#ifdef HAVE_SSE42_PATH
    if (__builtin_cpu_supports("sse4.2")) {
        return ~crc_sse42(~before, data.data, data.len);
    }
#endif
    return ~crc_portable(~before, data.data, data.len);
}
