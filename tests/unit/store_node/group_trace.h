/*
 * group_trace.h - what happens in a group, in words.
 */
#pragma once

#include <stdarg.h>

#include "group.h"

void trace_line(const struct group_config *c, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

/* `fate` is put behind, such as " (lost)". Heartbeats are told only when they
 * carry a read. */
void trace_message(const struct group_config *c, const struct raft_msg *m,
                   const char *fate);

void trace_role(const struct group_config *c, uint64_t id,
                const struct raft_status *s);
