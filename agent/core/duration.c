#include "agent/core/duration.h"

#include <stdio.h>

#include "base/core/check.h"

/* 100 years, so that adding a duration to a time can never wrap. */
#define DURATION_MS_MAX 3153600000000.0

struct unit {
    const char *name;
    double ms;
};

/* Longer names first: "ms" begins with "m". */
static const struct unit units[] = {
    {"ns", 1e-6}, {"us", 1e-3}, {"\xc2\xb5s", 1e-3}, {"ms", 1},
    {"s", 1000},  {"m", 60000}, {"h", 3600000},
};

/* Reads "12.5", which must hold a digit. */
static bool read_number(struct slice *rest, double *out_number)
{
    double number = 0;
    double place = 1;
    bool any = false;
    bool point = false;
    size_t i = 0;

    for (; i < rest->len; i++) {
        uint8_t c = rest->data[i];

        if (c == '.' && !point) {
            point = true;
            continue;
        }
        if (c < '0' || c > '9') {
            break;
        }
        any = true;
        if (point) {
            place /= 10;
            number += (c - '0') * place;
        } else {
            number = number * 10 + (c - '0');
        }
    }
    *rest = slice_skip(*rest, i);
    *out_number = number;
    return any;
}

static const struct unit *read_unit(struct slice *rest)
{
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (slice_starts(*rest, slice_str(units[i].name))) {
            *rest = slice_skip(*rest, strlen(units[i].name));
            return &units[i];
        }
    }
    return NULL;
}

enum status duration_parse(struct slice text, uint64_t *out_ms)
{
    double total = 0;

    if (slice_eq(text, slice_str("0"))) {
        *out_ms = 0;
        return ST_OK;
    }
    if (text.len == 0 || text.len >= DURATION_TEXT) {
        return ST_INVALID;
    }
    while (text.len > 0) {
        const struct unit *unit;
        double number;

        if (!read_number(&text, &number)) {
            return ST_INVALID;
        }
        unit = read_unit(&text);
        if (unit == NULL) {
            return ST_INVALID;
        }
        total += number * unit->ms;
    }
    if (total > DURATION_MS_MAX) {
        return ST_INVALID;
    }
    /* Decimal fractions are not exact in binary: 0.3 s is 299.99…96 ms. */
    total -= 1e-7;
    *out_ms =
        total <= 0 ? 0 : (uint64_t)total + ((double)(uint64_t)total < total);
    return ST_OK;
}

const char *duration_format(uint64_t ms, char out[DURATION_TEXT])
{
    uint64_t hours = ms / 3600000;
    uint64_t minutes = ms / 60000 % 60;
    uint64_t rest = ms % 60000;
    int len = 0;

    if (ms > 0 && ms < 1000) {
        (void)snprintf(out, DURATION_TEXT, "%llums", (unsigned long long)ms);
        return out;
    }
    if (hours > 0) {
        len = snprintf(out, DURATION_TEXT, "%lluh%llum",
                       (unsigned long long)hours, (unsigned long long)minutes);
    } else if (minutes > 0) {
        len =
            snprintf(out, DURATION_TEXT, "%llum", (unsigned long long)minutes);
    }
    CHECK(len >= 0);
    len += snprintf(out + len, DURATION_TEXT - (size_t)len, "%llu",
                    (unsigned long long)(rest / 1000));
    if (rest % 1000 > 0) {
        len += snprintf(out + len, DURATION_TEXT - (size_t)len, ".%03llu",
                        (unsigned long long)(rest % 1000));
        while (out[len - 1] == '0') {
            len--;
        }
    }
    CHECK(len + 1 < DURATION_TEXT);
    out[len] = 's';
    out[len + 1] = '\0';
    return out;
}
