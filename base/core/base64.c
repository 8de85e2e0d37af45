#include "base/core/base64.h"

static const char alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

struct slice base64_encode(struct arena *a, struct slice bytes)
{
    size_t len = (bytes.len + 2) / 3 * 4;
    char *out = arena_alloc(a, len + 1);
    char *to = out;

    for (size_t i = 0; i < bytes.len; i += 3) {
        size_t left = bytes.len - i;
        uint32_t group = (uint32_t)bytes.data[i] << 16;

        group |= left > 1 ? (uint32_t)bytes.data[i + 1] << 8 : 0;
        group |= left > 2 ? bytes.data[i + 2] : 0;
        *to++ = alphabet[group >> 18];
        *to++ = alphabet[group >> 12 & 63];
        *to++ = '=';
        *to++ = '=';
        if (left > 1) {
            to[-2] = alphabet[group >> 6 & 63];
        }
        if (left > 2) {
            to[-1] = alphabet[group & 63];
        }
    }
    *to = '\0';
    return slice_of(out, len);
}

static int digit(uint8_t c)
{
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }
    if (c == '+') {
        return 62;
    }
    return c == '/' ? 63 : -1;
}

/* How many of four characters carry bytes: 4, or 2 or 3 before padding. */
static size_t group_len(const uint8_t *four)
{
    if (four[3] != '=') {
        return 4;
    }
    return four[2] == '=' ? 2 : 3;
}

enum status base64_decode(struct arena *a, struct slice text,
                          struct slice *out_bytes)
{
    uint8_t *out = arena_alloc(a, text.len / 4 * 3 + 1);
    size_t len = 0;

    if (text.len % 4 != 0) {
        return ST_INVALID;
    }
    for (size_t i = 0; i < text.len; i += 4) {
        size_t count = group_len(text.data + i);
        uint32_t group = 0;

        if (count < 4 && i + 4 < text.len) {
            return ST_INVALID; /* Padding is only at the end. */
        }
        for (size_t k = 0; k < 4; k++) {
            int value = k < count ? digit(text.data[i + k]) : 0;

            if (value < 0) {
                return ST_INVALID;
            }
            group = group << 6 | (uint32_t)value;
        }
        for (size_t k = 0; k + 1 < count; k++) {
            out[len++] = (uint8_t)(group >> (16 - 8 * k));
        }
    }
    *out_bytes = slice_of(out, len);
    return ST_OK;
}
