/*
 * exit.h - the exit codes of every sub-command; scripts rely on them.
 */
#pragma once

enum cli_exit {
    CLI_OK = 0,          /* Done as asked. */
    CLI_FAILED = 1,      /* Refused or failed; the reason is on stderr. */
    CLI_USAGE = 2,       /* The command line is wrong; nothing was done. */
    CLI_UNREACHABLE = 3, /* No agent answers where we asked. */
    CLI_NOT_FOUND = 4,   /* What was asked for does not exist. */
};
