/*
 * script.h - stories and their traces, whatever their commands are.
 *
 *     PROGRAM FILE...            compare
 *     PROGRAM --rewrite FILE...  fill in what comes out
 *
 * A block is commands, a line "----", and the trace expected, up to an empty
 * line. What the commands change lives on from block to block. A line that
 * begins with # is for the reader. "quietly COMMAND" leaves no trace.
 */
#pragma once

#include <stdbool.h>

#include "base/core/bytes.h"
#include "store/raft/raft.h"

struct script {
    /* Carry out one command. false: it is none. */
    bool (*obey)(void *ctx, const char *line);
    void (*end)(void *ctx); /* The file has ended: forget everything. */
    void *ctx;
    struct buf out; /* The trace of this block. */
    bool quiet;
};

/* One line of the trace. */
void script_say(struct script *s, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* "follows", "leads" ... */
const char *script_role(enum raft_role role);

/* The whole program; returns its exit code. */
int script_main(struct script *s, int argc, char **argv);
