/*
 * ctl.h - what the sub-commands of `muster ctl` share.
 */
#pragma once

#include <stdint.h>

#include "cli/args.h"

/* Where the store is and how to speak to it. */
struct ctl_target {
    const char *endpoints;
    const char *ca;
    const char *cert;
    const char *key;
    uint64_t dial_ms;
};

/* Its flags, for a command's option table. */
#define CTL_TARGET_OPTIONS(target)                                         \
    {.name = "endpoints",                                                  \
     .kind = ARG_STRING,                                                   \
     .string = &(target)->endpoints,                                       \
     .metavar = "URL",                                                     \
     .fallback = "127.0.0.1:2379",                                         \
     .help = "the member to ask; without http:// too"},                    \
        {.name = "cacert",                                                 \
         .kind = ARG_STRING,                                               \
         .string = &(target)->ca,                                          \
         .metavar = "FILE",                                                \
         .help = "who must have signed the member's certificate"},         \
        {.name = "cert",                                                   \
         .kind = ARG_STRING,                                               \
         .string = &(target)->cert,                                        \
         .metavar = "FILE",                                                \
         .help = "our certificate"},                                       \
        {.name = "key",                                                    \
         .kind = ARG_STRING,                                               \
         .string = &(target)->key,                                         \
         .metavar = "FILE",                                                \
         .help = "its key"},                                               \
    {                                                                      \
        .name = "dial-timeout", .kind = ARG_DURATION,                      \
        .ms = &(target)->dial_ms, .metavar = "DURATION", .fallback = "2s", \
        .help = "time to connect"                                          \
    }

/* Each is a sub-command; argv[0] is its last word. */
int ctl_snapshot_save(int argc, char **argv);
int ctl_snapshot_status(int argc, char **argv);
int ctl_snapshot_restore(int argc, char **argv);
