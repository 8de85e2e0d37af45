/*
 * main.c - one program, many commands.
 *
 * Called as `etcd` (a symbolic link), the program is `muster store`; called as
 * `consul`, it understands that command's words.
 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/core/suggest.h"
#include "cli/cmd_acl.h"
#include "cli/cmd_agent.h"
#include "cli/cmd_cluster.h"
#include "cli/cmd_control.h"
#include "cli/cmd_ctl.h"
#include "cli/cmd_explain.h"
#include "cli/cmd_guard.h"
#include "cli/cmd_kv.h"
#include "cli/cmd_lock.h"
#include "cli/cmd_lookup.h"
#include "cli/cmd_nodes.h"
#include "cli/cmd_query.h"
#include "cli/cmd_register.h"
#include "cli/cmd_resolver.h"
#include "cli/cmd_rtt.h"
#include "cli/cmd_services.h"
#include "cli/cmd_session.h"
#include "cli/cmd_store.h"
#include "cli/cmd_validate.h"
#include "cli/cmd_version.h"
#include "cli/cmd_watch.h"
#include "cli/exit.h"

struct command {
    const char *name;
    const char *summary;
    int (*run)(int argc, char **argv); /* argv[0] is the command's name. */
};

/* In the order in which a newcomer meets them. */
static const struct command commands[] = {
    {"agent", "run this host's agent; --dev: with a store inside", cmd_agent},
    {"services", "list services, or the instances of one", cmd_services},
    {"nodes", "list hosts, or the services of one", cmd_nodes},
    {"lookup", "the instances of a service as lines for scripts", cmd_lookup},
    {"explain", "why an instance is in an answer, or is not", cmd_explain},
    {"register", "register services with this host's agent", cmd_register},
    {"deregister", "take services off this host", cmd_deregister},
    {"validate", "check sidecar files without an agent", cmd_validate},
    {"acl", "tokens and policies: who may do what", cmd_acl},
    {"reload", "let the agent read its files again", cmd_reload},
    {"guard", "what is made of many hosts lost at once: on, off, auto",
     cmd_guard},
    {"force-leave", "take a dead host out of the catalogue", cmd_force_leave},
    {"leave", "take this host out of the catalogue, end the agent", cmd_leave},
    {"maint", "begin or end maintenance of this host or a service", cmd_maint},
    {"kv", "read and write the key-value store", cmd_kv},
    {"query", "prepared queries: kept and carried out", cmd_query},
    {"lock", "run a command while having a lock", cmd_lock},
    {"session", "sessions, under which locks are had", cmd_session},
    {"watch", "run a command whenever something changes", cmd_watch},
    {"event", "tell all who listen", cmd_event},
    {"members", "list the agents of the datacenter", cmd_members},
    {"rtt", "how far two hosts are from each other", cmd_rtt},
    {"catalog", "list names: datacenters, nodes, services", cmd_catalog},
    {"info", "print what the agent says about itself", cmd_info},
    {"setup-resolver", "print how this host's resolver asks the agent",
     cmd_resolver},
    {"store", "run a member of the key-value store, as etcd", cmd_store},
    {"ctl", "the store's command line, as etcdctl: snapshot", cmd_ctl},
    {"version", "print the version; --all: what it is built on", cmd_version},
};

#define COMMANDS_COUNT (sizeof(commands) / sizeof(commands[0]))

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < COMMANDS_COUNT; i++) {
        if (strcmp(commands[i].name, name) == 0) {
            return &commands[i];
        }
    }
    return NULL;
}

static void print_usage(FILE *out)
{
    (void)fprintf(out, "muster - service discovery: a durable store, an agent "
                       "a host, DNS\n\nusage: muster COMMAND [flags]\n\n");
    for (size_t i = 0; i < COMMANDS_COUNT; i++) {
        (void)fprintf(out, "  %-15s %s\n", commands[i].name,
                      commands[i].summary);
    }
    (void)fprintf(out, "\n\"muster COMMAND --help\" shows flags and examples. "
                       "Start with: muster agent --dev\n");
}

/* Consul's, for which there is something else here. */
static const struct {
    const char *name;
    const char *instead;
} elsewhere[] = {
    {"snapshot", "the store has the data: see \"muster ctl snapshot --help\""},
    {"operator", "members of the store are etcdctl's: etcdctl member list"},
    {"monitor", "the agent's log is its standard error: journalctl -u "
                "muster-agent"},
    {"join", "agents meet in the store: see --store of \"muster agent\""},
    {"exec", "see \"muster watch --help\" and \"muster event --help\""},
    {"tls", "make certificates as for any server; see \"muster agent --help\""},
    {"keyring", "there is no gossip: encrypt what goes to the store with TLS"},
    {"keygen", "there is no gossip: encrypt what goes to the store with TLS"},
    {"login", "tokens are made with \"muster acl token create\""},
    {"config", "there is no mesh here, and so no entries for one"},
    {"connect", "there is no mesh here"},
    {"intention", "there is no mesh here; see \"muster acl --help\""},
};

static int unknown_command(const char *name)
{
    struct suggestion best = {0};

    for (size_t i = 0; i < sizeof(elsewhere) / sizeof(elsewhere[0]); i++) {
        if (strcmp(elsewhere[i].name, name) == 0) {
            (void)fprintf(stderr, "muster: no command \"%s\"; %s\n", name,
                          elsewhere[i].instead);
            return CLI_USAGE;
        }
    }
    for (size_t i = 0; i < COMMANDS_COUNT; i++) {
        suggest_consider(&best, name, commands[i].name);
    }
    (void)fprintf(stderr, "muster: unknown command \"%s\"%s%s%s\n", name,
                  best.word ? "; did you mean \"" : "; see \"muster help",
                  best.word ? best.word : "", best.word ? "\"?" : "\"");
    return CLI_USAGE;
}

static bool is_help(const char *word)
{
    return strcmp(word, "help") == 0 || strcmp(word, "--help") == 0 ||
           strcmp(word, "-h") == 0;
}

static bool is_version(const char *word)
{
    return strcmp(word, "--version") == 0 || strcmp(word, "-v") == 0;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

/* ---- Called as consul ---------------------------------------------------- */

/* "consul services register FILE" is "muster register FILE". `argv` is left
 * standing at the command's name. */
static void translate(int *argc, char ***argv)
{
    if (*argc > 2 && strcmp((*argv)[1], "services") == 0) {
        if (strcmp((*argv)[2], "register") == 0 ||
            strcmp((*argv)[2], "deregister") == 0) {
            (*argv)++;
            (*argc)--;
        }
    }
}

static int run(int argc, char **argv)
{
    const struct command *command;

    if (argc > 0 && strcmp(base_name(argv[0]), "consul") == 0) {
        translate(&argc, &argv);
    }

    if (argc > 0 && strcmp(base_name(argv[0]), "etcd") == 0) {
        command = find_command("store");
        if (command != NULL) {
            return command->run(argc, argv);
        }
    }
    if (argc < 2) {
        print_usage(stderr);
        return CLI_USAGE;
    }
    if (is_help(argv[1])) {
        command = argc > 2 ? find_command(argv[2]) : NULL;
        if (command != NULL) {
            char help[] = "--help";
            char *words[] = {argv[2], help, NULL};

            return command->run(2, words);
        }
        print_usage(stdout);
        return CLI_OK;
    }
    command = find_command(is_version(argv[1]) ? "version" : argv[1]);
    return command ? command->run(argc - 1, argv + 1)
                   : unknown_command(argv[1]);
}

/* What was printed has to arrive, or a backup is short and nobody knows.
 * Whoever reads a pipe may leave when it has seen enough. */
static int with_output(int code)
{
    bool failed = fflush(stdout) != 0 || ferror(stdout) != 0;
    struct stat out;

    if (!failed || code != CLI_OK || fstat(STDOUT_FILENO, &out) != 0 ||
        S_ISFIFO(out.st_mode) || S_ISSOCK(out.st_mode)) {
        return code;
    }
    (void)fprintf(stderr,
                  "muster: not all of the output could be written; is the disk "
                  "full?\n");
    return CLI_FAILED;
}

int main(int argc, char **argv)
{
    return with_output(run(argc, argv));
}
