#include "cli/cmd_control.h"

#include <stdio.h>
#include <stdlib.h>

#include "cli/args.h"
#include "cli/client.h"

/* The worst of many outcomes is the command's: a later success must not hide
 * an earlier failure. */
static enum cli_exit worse(enum cli_exit a, enum cli_exit b)
{
    return a == CLI_OK ? b : a;
}

static enum cli_exit deregister_one(struct client *client, const char *id)
{
    struct err err;
    char *quoted = client_quote(id);
    char *path = NULL;
    enum cli_exit code;

    if (asprintf(&path, "/v1/agent/service/deregister/%s", quoted) < 0) {
        abort();
    }
    code = client_put(client, path, (struct slice){0}, &err);
    if (code == CLI_OK) {
        (void)printf("deregistered %s\n", id);
    } else {
        (void)fprintf(stderr, "muster deregister: %s: %s\n", id, err.text);
    }
    free(path);
    free(quoted);
    return code;
}

int cmd_deregister(int argc, char **argv)
{
    struct client_flags flags = {0};
    const char *id = NULL;
    const struct arg_option options[] = {
        {.name = "id", /* Consul's way of saying it. */
         .kind = ARG_STRING,
         .string = &id,
         .metavar = "ID",
         .hidden = true,
         .help = "the same as the argument"},
        CLIENT_OPTIONS(&flags),
    };
    const struct arg_spec spec = {
        .command = "deregister",
        .positionals = "ID...",
        .about = "Take services off this host's agent, by the IDs that "
                 "\"muster services NAME\" shows.\nA service that comes from "
                 "a file returns at the next reload as long as the file is "
                 "there.\nExits with 4 when the agent does not know an ID, "
                 "with 3 when no agent answers.",
        .examples = "muster deregister web-1\nmuster deregister web-1 web-2",
        .options = options,
        .options_count = sizeof(options) / sizeof(options[0]),
        .positionals_max = ARG_POSITIONAL_MAX,
    };
    struct args args;
    struct client *client;
    enum cli_exit worst = CLI_OK;
    int code;

    if (!args_parse(&args, &spec, argc, argv, &code)) {
        return code;
    }
    if (id == NULL && args.positionals_count == 0) {
        (void)fprintf(stderr, "muster deregister: ID... is missing; see "
                              "\"muster deregister --help\"\n");
        args_release(&args);
        return CLI_USAGE;
    }
    client = client_new(&flags);
    if (id != NULL) {
        worst = deregister_one(client, id);
    }
    for (size_t i = 0; i < args.positionals_count; i++) {
        worst = worse(worst, deregister_one(client, args.positionals[i]));
    }
    client_free(client);
    args_release(&args);
    return (int)worst;
}

/* A command without arguments that is one PUT. */
static int put_command(const struct arg_spec *spec,
                       const struct client_flags *flags, const char *path,
                       int argc, char **argv)
{
    struct args args;
    struct client *client;
    struct err err;
    int code;

    if (!args_parse(&args, spec, argc, argv, &code)) {
        return code;
    }
    client = client_new(flags);
    code = client_put(client, path, (struct slice){0}, &err);
    if (code != CLI_OK) {
        (void)fprintf(stderr, "muster %s: %s\n", spec->command, err.text);
    }
    client_free(client);
    args_release(&args);
    return code;
}

int cmd_reload(int argc, char **argv)
{
    struct client_flags flags = {0};
    const struct arg_option options[] = {CLIENT_OPTIONS(&flags)};
    const struct arg_spec spec = {
        .command = "reload",
        .about = "Let the agent read its configuration and its sidecar files "
                 "again, now. (Sidecar\nfiles are watched: this is for the "
                 "configuration, and for folders that cannot be.)\nExits with "
                 "3 when no agent answers.",
        .examples = "muster reload",
        .options = options,
        .options_count = sizeof(options) / sizeof(options[0]),
    };

    return put_command(&spec, &flags, "/v1/agent/reload", argc, argv);
}

int cmd_leave(int argc, char **argv)
{
    struct client_flags flags = {0};
    const struct arg_option options[] = {CLIENT_OPTIONS(&flags)};
    const struct arg_spec spec = {
        .command = "leave",
        .about = "Take this host and its services out of the catalogue and "
                 "end the agent. (A plain\nstop leaves them for a while, so "
                 "that a restart is not seen by anybody.)\nExits with 3 when "
                 "no agent answers.",
        .examples = "muster leave",
        .options = options,
        .options_count = sizeof(options) / sizeof(options[0]),
    };

    return put_command(&spec, &flags, "/v1/agent/leave", argc, argv);
}
