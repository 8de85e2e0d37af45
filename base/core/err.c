#include "base/core/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum status err_set(struct err *err, enum status st, const char *format, ...)
{
    va_list args;

    if (err != NULL) {
        va_start(args, format);
        (void)vsnprintf(err->text, sizeof(err->text), format, args);
        va_end(args);
    }
    return st;
}

enum status err_prefix(struct err *err, enum status st, const char *format, ...)
{
    char prefix[sizeof(err->text)];
    char joined[2 * sizeof(err->text) + 2];
    va_list args;

    if (err == NULL) {
        return st;
    }
    va_start(args, format);
    (void)vsnprintf(prefix, sizeof(prefix), format, args);
    va_end(args);
    (void)snprintf(joined, sizeof(joined), "%s: %s", prefix, err->text);
    joined[sizeof(err->text) - 1] = '\0';
    memcpy(err->text, joined, sizeof(err->text));
    return st;
}
