#include "base/core/utf8.h"

size_t utf8_sequence(const uint8_t *s, size_t len)
{
    size_t more;
    uint8_t low = 0x80;
    uint8_t high = 0xbf;

    if (s[0] >= 0xc2 && s[0] <= 0xdf) {
        more = 1;
    } else if (s[0] >= 0xe0 && s[0] <= 0xef) {
        more = 2;
        low = s[0] == 0xe0 ? 0xa0 : 0x80;
        high = s[0] == 0xed ? 0x9f : 0xbf;
    } else if (s[0] >= 0xf0 && s[0] <= 0xf4) {
        more = 3;
        low = s[0] == 0xf0 ? 0x90 : 0x80;
        high = s[0] == 0xf4 ? 0x8f : 0xbf;
    } else {
        return 0;
    }
    if (len < more + 1 || s[1] < low || s[1] > high) {
        return 0;
    }
    for (size_t i = 2; i <= more; i++) {
        if (s[i] < 0x80 || s[i] > 0xbf) {
            return 0;
        }
    }
    return more + 1;
}

struct slice utf8_cut(struct slice text, size_t max)
{
    if (text.len <= max) {
        return text;
    }
    while (max > 0 && (text.data[max] & 0xc0) == 0x80) {
        max--;
    }
    return slice_of(text.data, max);
}

bool utf8_is(struct slice text)
{
    size_t at = 0;

    while (at < text.len) {
        size_t len = text.data[at] < 0x80
                         ? 1
                         : utf8_sequence(text.data + at, text.len - at);

        if (len == 0) {
            return false;
        }
        at += len;
    }
    return true;
}
