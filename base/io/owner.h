/*
 * owner.h - whose process is at the other end of a Unix socket.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/core/limits.h"

struct stream;

/* When it connected, by the kernel's word (SO_PEERCRED, SO_PEERGROUPS). */
struct owner {
    uint32_t uid;
    uint32_t groups[LIMIT_ACL_GROUPS + 1]; /* The main one, then the others. */
    size_t groups_count; /* Of more others than fit there are none. */
};

/* For base/io only; servers have functions of their own. False: not a Unix
 * socket, or nothing is known. */
bool owner_read(const struct stream *stream, struct owner *out_owner);
