#include "cli/cmd_guard.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/args.h"
#include "cli/client.h"
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

static enum cli_exit set_mode(struct client *client, const char *mode,
                              struct err *err)
{
    char path[64];

    (void)snprintf(path, sizeof(path), "/v1/agent/guard?mode=%s", mode);
    return client_put(client, path, (struct slice){0}, err);
}

static enum cli_exit guard(const struct client_flags *flags, const char *mode)
{
    struct client *client = client_new(flags);
    json_t *answer = NULL;
    struct err err;
    enum cli_exit code = CLI_OK;

    if (mode) {
        code = set_mode(client, mode, &err);
    }
    if (code == CLI_OK) {
        code = client_get(client, "/v1/agent/guard", &answer, &err);
    }
    if (code == CLI_OK) {
        print_guard(answer);
    } else {
        (void)fprintf(stderr, "muster guard: %s\n", err.text);
    }
    json_decref(answer);
    client_free(client);
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
    struct args args;
    const char *mode;
    int code;

    if (!args_parse(&args, &spec, argc, argv, &code)) {
        return code;
    }
    mode = args.positionals_count > 0 ? args.positionals[0] : NULL;
    if (mode && !is_mode(mode)) {
        (void)fprintf(
            stderr, "muster guard: \"%s\" is not one of on, off, auto\n", mode);
        code = CLI_USAGE;
    } else {
        code = guard(&flags, mode);
    }
    args_release(&args);
    return code;
}

static enum cli_exit force_leave(const struct client_flags *flags,
                                 const char *node)
{
    struct client *client = client_new(flags);
    char *quoted = client_quote(node);
    char *path = NULL;
    struct err err;
    enum cli_exit code;

    if (asprintf(&path, "/v1/agent/force-leave/%s?prune", quoted) < 0) {
        abort();
    }
    code = client_put(client, path, (struct slice){0}, &err);
    if (code == CLI_OK) {
        (void)printf("%s is out of the catalogue\n", node);
    } else {
        (void)fprintf(stderr, "muster force-leave: %s\n", err.text);
    }
    free(path);
    free(quoted);
    client_free(client);
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
    struct args args;
    int code;

    if (!args_parse(&args, &spec, argc, argv, &code)) {
        return code;
    }
    code = force_leave(&flags, args.positionals[0]);
    args_release(&args);
    return code;
}
