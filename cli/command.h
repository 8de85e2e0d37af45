/*
 * command.h - a sub-command that asks the agent, from its command line to its
 * exit code.
 *
 * Reads the flags, makes the client, runs the command, says on stderr what went
 * wrong, and releases all of it.
 */
#pragma once

#include "base/core/arena.h"
#include "cli/args.h"
#include "cli/client.h"

/* One run. */
struct command_run {
    const char *command; /* "services" */
    const void *flags;   /* Those of the command. */
    const struct args *args;
    const char *subject; /* The last positional argument, or "". */
    struct client *client;
    struct arena arena; /* Of whatever lasts as long as the run. */
    struct err err; /* To be filled when it does not end with CLI_OK; without
                       text: all was said. */
};

typedef enum cli_exit command_fn(struct command_run *run);

/* One of several things that a command does: "list", "read ID". */
struct command_verb {
    const char *word;
    bool of_one; /* A subject follows. */
    command_fn *run;
};

/* Which of them the arguments are; to be called by a command_fn. CLI_USAGE:
 * none of them. */
enum cli_exit command_verb_run(struct command_run *run,
                               const struct command_verb *verbs, size_t count);

/* `spec` writes into `flags`, of which `client` is a part. Returns the exit
 * code. */
int command_main(const struct arg_spec *spec, int argc, char **argv,
                 const struct client_flags *client, const void *flags,
                 command_fn *run);
