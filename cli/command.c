#include "cli/command.h"

#include <stdio.h>
#include <string.h>

enum cli_exit command_verb_run(struct command_run *run,
                               const struct command_verb *verbs, size_t count)
{
    const struct args *args = run->args;

    for (size_t i = 0; i < count; i++) {
        if (strcmp(verbs[i].word, args->positionals[0]) == 0 &&
            args->positionals_count == (verbs[i].of_one ? 2 : 1)) {
            return verbs[i].run(run);
        }
    }
    (void)err_set(&run->err, ST_INVALID,
                  "no such command; see muster %s --help", run->command);
    return CLI_USAGE;
}

int command_main(const struct arg_spec *spec, int argc, char **argv,
                 const struct client_flags *client, const void *flags,
                 command_fn *run)
{
    struct args args;
    struct command_run r = {
        .command = spec->command, .flags = flags, .args = &args, .subject = ""};
    int code;

    if (!args_parse(&args, spec, argc, argv, &code)) {
        return code;
    }
    if (args.positionals_count > 0) {
        r.subject = args.positionals[args.positionals_count - 1];
    }
    r.client = client_new(client);
    code = (int)run(&r);
    if (code != CLI_OK && r.err.text[0] != '\0') {
        (void)fprintf(stderr, "muster %s: %s\n", spec->command, r.err.text);
    }
    client_free(r.client);
    arena_release(&r.arena);
    args_release(&args);
    return code;
}
