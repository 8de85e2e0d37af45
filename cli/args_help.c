/* The text of --help, made from the same table that reads the flags. */
#include "cli/args.h"

#include <string.h>

#include "base/core/check.h"

#define HELP_COLUMN_MAX 30 /* A longer flag gets a line of its own. */

static size_t flag_width(const struct arg_option *o)
{
    return strlen(o->name) + 2 + (o->metavar ? strlen(o->metavar) + 1 : 0);
}

static size_t flags_column(const struct arg_spec *spec)
{
    size_t column = strlen("--help");

    for (size_t i = 0; i < spec->options_count; i++) {
        size_t width = flag_width(&spec->options[i]);

        if (!spec->options[i].hidden && width <= HELP_COLUMN_MAX &&
            width > column) {
            column = width;
        }
    }
    return column;
}

static void add_flag(struct buf *out, size_t column, const struct arg_option *o)
{
    size_t width = flag_width(o);

    (void)buf_addf(out, "  --%s%s%s", o->name, o->metavar ? " " : "",
                   o->metavar ? o->metavar : "");
    if (width > column) {
        (void)buf_addf(out, "\n%*s", (int)column + 2, "");
        width = column;
    }
    (void)buf_addf(out, "%*s  %s", (int)(column - width), "", o->help);
    if (o->fallback != NULL && o->fallback[0] != '\0') {
        (void)buf_addf(out, " (default %s)", o->fallback);
    }
    if (o->env != NULL) {
        (void)buf_addf(out, " [%s]", o->env);
    }
    (void)buf_add_str(out, "\n");
}

static void add_env(struct buf *out, const struct arg_spec *spec)
{
    struct arena arena = {0};
    const struct arg_option *first = &spec->options[0];

    (void)buf_addf(out,
                   "\nEach flag can also be set in the environment, for "
                   "instance --%s as %s;\nthe command line wins.\n",
                   first->name, args_env_name(&arena, spec, first));
    arena_release(&arena);
}

static void add_examples(struct buf *out, const char *examples)
{
    (void)buf_add_str(out, "\nexamples:\n");
    while (*examples != '\0') {
        size_t len = strcspn(examples, "\n");

        (void)buf_addf(out, "  %.*s\n", (int)len, examples);
        examples += len + (examples[len] == '\n');
    }
}

/* The text is ours and its size is known: adding to `out` cannot fail. */
void args_help(const struct arg_spec *spec, struct buf *out)
{
    static const struct arg_option help = {
        .name = "help", .kind = ARG_BOOL, .help = "print this"};
    size_t column = flags_column(spec);

    CHECK(spec->examples != NULL);
    (void)buf_addf(out, "usage: muster %s [flags]%s%s\n\n%s\n\nflags:\n",
                   spec->command, spec->positionals ? " " : "",
                   spec->positionals ? spec->positionals : "", spec->about);
    for (size_t i = 0; i < spec->options_count; i++) {
        if (!spec->options[i].hidden) {
            add_flag(out, column, &spec->options[i]);
        }
    }
    add_flag(out, column, &help);
    if (spec->env_prefix != NULL) {
        add_env(out, spec);
    }
    add_examples(out, spec->examples);
}
