#include "cli/cmd_guard.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "cli/view.h"

static void print_guard(const json_t *guard)
{
    if (!json_is_true(json_object_get(guard, "Active"))) {
        (void)printf("idle (%s)\n", view_text(guard, "Mode"));
        return;
    }
    (void)printf(
        "active (%s) for %lld s: %s; %lld nodes are held\n",
        view_text(guard, "Mode"), (long long)view_number(guard, "Seconds"),
        view_text(guard, "Why"), (long long)view_number(guard, "NodesHeld"));
}

static bool is_mode(const char *word)
{
    return strcmp(word, "on") == 0 || strcmp(word, "off") == 0 ||
           strcmp(word, "auto") == 0;
}

static enum cli_exit set_mode(struct command_run *r, const char *mode)
{
    char path[64];

    (void)snprintf(path, sizeof(path), "/v1/agent/guard?mode=%s", mode);
    return client_put(r->client, path, (struct slice){0}, &r->err);
}

static enum cli_exit guard(struct command_run *r)
{
    bool sets = r->args->positionals_count > 0;
    json_t *answer = NULL;
    enum cli_exit code = CLI_OK;

    if (sets && !is_mode(r->subject)) {
        (void)err_set(&r->err, ST_INVALID, "\"%s\" is not one of on, off, auto",
                      r->subject);
        return CLI_USAGE;
    }
    if (sets) {
        code = set_mode(r, r->subject);
    }
    if (code == CLI_OK) {
        code = client_get(r->client, "/v1/agent/guard", &answer, &r->err);
    }
    if (code == CLI_OK) {
        print_guard(answer);
    }
    json_decref(answer);
    return code;
}

int cmd_guard(int argc, char **argv)
{
    struct client_flags flags = {0};
    const struct arg_option options[] = {CLIENT_OPTIONS(&flags)};
    const struct arg_spec spec = {
        .command = "guard",
        .positionals = "[on|off|auto]",
        .about =
            "Show or set what this host's agent makes of very many hosts that "
            "are lost at once.\nauto: it does not believe it for a while, and "
            "tries instances before it serves them;\non: it believes no loss "
            "until you say otherwise; off: it believes every one.\nExits with "
            "3 when no agent answers.",
        .examples = "muster guard\nmuster guard off",
        .options = options,
        .options_count = sizeof(options) / sizeof(options[0]),
        .positionals_max = 1,
    };

    return command_main(&spec, argc, argv, &flags, NULL, guard);
}

static enum cli_exit force_leave(struct command_run *r)
{
    char *quoted = client_quote(r->subject);
    const char *path =
        arena_printf(&r->arena, "/v1/agent/force-leave/%s?prune", quoted);
    enum cli_exit code =
        client_put(r->client, path, (struct slice){0}, &r->err);

    if (code == CLI_OK) {
        (void)printf("%s is out of the catalogue\n", r->subject);
    }
    free(quoted);
    return code;
}

int cmd_force_leave(int argc, char **argv)
{
    struct client_flags flags = {0};
    bool prune = false;
    const struct arg_option options[] = {
        CLIENT_OPTIONS(&flags),
        {.name = "prune",
         .kind = ARG_BOOL,
         .boolean = &prune,
         .help = "accepted as Consul's: it is always done"},
    };
    const struct arg_spec spec = {
        .command = "force-leave",
        .positionals = "NODE",
        .about =
            "Take a dead host and its services out of the catalogue, now. "
            "(Otherwise this happens\nwhen it has been dead for as long as "
            "its reconnect_timeout says, 72 h by default.)\nExits with 1 "
            "when the host lives, with 4 when there is none of this name, "
            "with 3 when\nno agent answers.",
        .examples = "muster force-leave edge-07",
        .options = options,
        .options_count = sizeof(options) / sizeof(options[0]),
        .positionals_min = 1,
        .positionals_max = 1,
    };

    return command_main(&spec, argc, argv, &flags, NULL, force_leave);
}
