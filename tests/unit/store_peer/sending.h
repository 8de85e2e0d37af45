/*
 * sending.h - member 2, whom we send to.
 */
#pragma once

#include "other.h"
#include "suite.h"

static struct other_listener two;

static inline void begin(void)
{
    other_begin();
    two = other_listen();
    other_is_at(2, two.port);
}

static inline void end(void)
{
    other_end();
    (void)close(two.fd);
}

static inline void other_streams_away(int *fds, int count)
{
    for (int i = 0; i < count; i++) {
        (void)close(fds[i]);
    }
}

/* The next POST; streams that are dialled meanwhile are kept waiting. */
static inline int accept_post(const char *path, char *head, size_t cap)
{
    static int waiting[64];
    int count = 0;

    for (;;) {
        int fd = other_accept(&two);

        other_read_head(fd, head, cap);
        if (strncmp(head, path, strlen(path)) == 0) {
            other_streams_away(waiting, count);
            return fd;
        }
        ck_assert_int_lt(count, 64);
        waiting[count++] = fd;
    }
}
