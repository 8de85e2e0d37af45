#include "cli/cmd_control.h"

#include <stdio.h>
#include <stdlib.h>

#include "cli/command.h"

/* The worst of many outcomes is the command's: a later success must not hide
 * an earlier failure. */
static enum cli_exit worse(enum cli_exit a, enum cli_exit b)
{
    return a == CLI_OK ? b : a;
}

static enum cli_exit deregister_one(struct command_run *r, const char *id)
{
    char *quoted = client_quote(id);
    const char *path =
        arena_printf(&r->arena, "/v1/agent/service/deregister/%s", quoted);
    enum cli_exit code =
        client_put(r->client, path, (struct slice){0}, &r->err);

    if (code == CLI_OK) {
        (void)printf("deregistered %s\n", id);
    } else {
        (void)fprintf(stderr, "muster deregister: %s: %s\n", id, r->err.text);
        r->err = (struct err){0};
    }
    free(quoted);
    return code;
}

/* Its flags are where the id stands that Consul's users give by one, or NULL.
 */
static enum cli_exit deregister(struct command_run *r)
{
    const char *id = *(const char *const *)r->flags;
    enum cli_exit worst = CLI_OK;

    if (id == NULL && r->args->positionals_count == 0) {
        (void)err_set(&r->err, ST_INVALID,
                      "ID... is missing; see \"muster deregister --help\"");
        return CLI_USAGE;
    }
    if (id != NULL) {
        worst = deregister_one(r, id);
    }
    for (size_t i = 0; i < r->args->positionals_count; i++) {
        worst = worse(worst, deregister_one(r, r->args->positionals[i]));
    }
    return worst;
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

    return command_main(&spec, argc, argv, &flags, &id, deregister);
}

/* A command that is one PUT; its flags are the path. */
static enum cli_exit put(struct command_run *r)
{
    return client_put(r->client, r->flags, (struct slice){0}, &r->err);
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

    return command_main(&spec, argc, argv, &flags, "/v1/agent/reload", put);
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

    return command_main(&spec, argc, argv, &flags, "/v1/agent/leave", put);
}
