/*
 * log.h - lines for the operator.
 *
 * For shells only: cores do not log. One line an event, in the form
 *
 *     2026-11-23T21:40:03.123Z warn store: lost member 2, trying again in 2 s
 *
 * A failure is logged once, where it is handled, and a message about one that
 * we survive says so. Safe from any thread.
 */
#pragma once

enum log_level {
    LOG_DEBUG,
    LOG_INFO,
    LOG_WARN,
    LOG_ERROR
};

/* Process-wide, set once by main(). Default: LOG_INFO. */
void log_set_level(enum log_level level);
enum log_level log_get_level(void);

/* "debug", "info", "warn", "error", in any case; also Consul's "trace" and
 * "err", etcd's "panic", "fatal". Returns -1 for anything else. */
int log_level_parse(const char *name);

/* `room` is a short static word: store, agent, dns. */
void log_line(enum log_level level, const char *room, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#define log_debug(room, ...) log_line(LOG_DEBUG, room, __VA_ARGS__)
#define log_info(room, ...)  log_line(LOG_INFO, room, __VA_ARGS__)
#define log_warn(room, ...)  log_line(LOG_WARN, room, __VA_ARGS__)
#define log_error(room, ...) log_line(LOG_ERROR, room, __VA_ARGS__)
