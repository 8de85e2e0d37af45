#include "base/core/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

enum {
    LINE_BYTES = 2048
};

static _Atomic enum log_level level_min = LOG_INFO;

static const char *const names[] = {"debug", "info", "warn", "error"};

void log_set_level(enum log_level level)
{
    atomic_store(&level_min, level);
}

enum log_level log_get_level(void)
{
    return atomic_load(&level_min);
}

int log_level_parse(const char *name)
{
    static const struct {
        const char *name;
        enum log_level level;
    } others[] = {
        {"trace", LOG_DEBUG}, {"err", LOG_ERROR},    {"panic", LOG_ERROR},
        {"fatal", LOG_ERROR}, {"dpanic", LOG_ERROR},
    };

    for (int i = LOG_DEBUG; i <= LOG_ERROR; i++) {
        if (strcasecmp(name, names[i]) == 0) {
            return i;
        }
    }
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        if (strcasecmp(name, others[i].name) == 0) {
            return (int)others[i].level;
        }
    }
    return -1;
}

static size_t stamp(char *line, enum log_level level, const char *room)
{
    struct timespec now;
    struct tm utc;
    int len;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)gmtime_r(&now.tv_sec, &utc);
    len = snprintf(
        line, LINE_BYTES,
        "%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ %s %s: ", utc.tm_year + 1900,
        utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec,
        now.tv_nsec / 1000000, names[level], room);
    return len < 0 ? 0 : (size_t)len;
}

/* Text from outside may hold anything: a line stays one line. */
static void keep_one_line(char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)text[i] < ' ' || text[i] == 0x7f) {
            text[i] = '?';
        }
    }
}

void log_line(enum log_level level, const char *room, const char *format, ...)
{
    char line[LINE_BYTES];
    va_list args;
    size_t head;
    size_t len;
    int more;

    if (level < log_get_level()) {
        return;
    }
    head = stamp(line, level, room);
    va_start(args, format);
    more = vsnprintf(line + head, LINE_BYTES - head - 1, format, args);
    va_end(args);
    len = strnlen(line, LINE_BYTES - 2);
    keep_one_line(line + head, more < 0 ? 0 : len - head);
    line[len++] = '\n';
    (void)!write(STDERR_FILENO, line, len); /* Nowhere to report it. */
}
