#include "cli/cmd_ctl.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/core/suggest.h"
#include "cli/ctl.h"
#include "cli/exit.h"

static const struct ctl_command {
    const char *group;
    const char *verb;
    const char *summary;
    int (*run)(int argc, char **argv);
} commands[] = {
    {"snapshot", "save", "take a snapshot of a member into a file",
     ctl_snapshot_save},
    {"snapshot", "status", "what a snapshot holds, and whether it is whole",
     ctl_snapshot_status},
    {"snapshot", "restore", "make a new cluster's data directory of a snapshot",
     ctl_snapshot_restore},
};

#define COMMANDS_COUNT (sizeof(commands) / sizeof(commands[0]))

/* Flags that take a value and may stand before a command's words. */
static const char *const valued[] = {"endpoints", "cacert",       "cert",
                                     "key",       "dial-timeout", "w",
                                     "write-out", "data-dir",     "name"};

static void print_usage(FILE *out)
{
    (void)fprintf(out,
                  "usage: muster ctl COMMAND [flags]\n\nAsk and administer the "
                  "store, as etcdctl does.\n\n");
    for (size_t i = 0; i < COMMANDS_COUNT; i++) {
        (void)fprintf(out, "  %s %-8s %s\n", commands[i].group,
                      commands[i].verb, commands[i].summary);
    }
    (void)fprintf(out, "\n\"muster ctl COMMAND --help\" shows flags.\n\n"
                       "examples:\n"
                       "  muster ctl snapshot save backup.db\n"
                       "  muster ctl snapshot status backup.db -w table\n"
                       "  muster ctl snapshot restore backup.db --data-dir "
                       "/var/lib/muster/store\n");
}

static bool takes_value(const char *flag)
{
    const char *name = flag + strspn(flag, "-");

    for (size_t i = 0; i < sizeof(valued) / sizeof(valued[0]); i++) {
        if (strcmp(name, valued[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* The next word that is no flag, at or behind `i`; argc: there is none. */
static int next_word(int argc, char **argv, int i)
{
    while (i < argc && argv[i][0] == '-') {
        i += takes_value(argv[i]) ? 2 : 1;
    }
    return i < argc ? i : argc;
}

static const struct ctl_command *find_command(const char *group,
                                              const char *verb)
{
    for (size_t i = 0; i < COMMANDS_COUNT; i++) {
        if (strcmp(commands[i].group, group) == 0 &&
            strcmp(commands[i].verb, verb) == 0) {
            return &commands[i];
        }
    }
    return NULL;
}

static bool is_group(const char *word)
{
    for (size_t i = 0; i < COMMANDS_COUNT; i++) {
        if (strcmp(commands[i].group, word) == 0) {
            return true;
        }
    }
    return false;
}

/* "snapshot sav": the word that is not known, and what may have been meant. */
static int unknown(const char *group, const char *verb)
{
    struct suggestion best = {0};
    bool known = is_group(group);

    for (size_t i = 0; i < COMMANDS_COUNT; i++) {
        suggest_consider(&best, known ? verb : group,
                         known ? commands[i].verb : commands[i].group);
    }
    (void)fprintf(stderr, "muster ctl: unknown command \"%s%s%s\"; %s%s\"\n",
                  group, *verb ? " " : "", verb,
                  best.word ? "did you mean \"" : "see \"muster ctl --help",
                  best.word ? best.word : "");
    return CLI_USAGE;
}

static int help_or_mistake(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            print_usage(stdout);
            return CLI_OK;
        }
    }
    print_usage(stderr);
    return CLI_USAGE;
}

/* The command's words go; its last one comes first. */
static int run_without_words(const struct ctl_command *c, int argc, char **argv,
                             int group, int verb)
{
    int kept = 1;

    argv[0] = argv[verb];
    for (int i = 1; i < argc; i++) {
        if (i != group && i != verb) {
            argv[kept++] = argv[i];
        }
    }
    argv[kept] = NULL;
    return c->run(kept, argv);
}

int cmd_ctl(int argc, char **argv)
{
    int group = next_word(argc, argv, 1);
    int verb = group < argc ? next_word(argc, argv, group + 1) : argc;
    const struct ctl_command *c;

    if (group == argc || (verb == argc && is_group(argv[group]))) {
        return help_or_mistake(argc, argv);
    }
    if (verb == argc) {
        return unknown(argv[group], "");
    }
    c = find_command(argv[group], argv[verb]);
    return c == NULL ? unknown(argv[group], argv[verb])
                     : run_without_words(c, argc, argv, group, verb);
}
