#include "cli/args.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/core/check.h"
#include "base/core/suggest.h"
#include "base/core/utf8.h"
#include "cli/exit.h"

#define DURATION_MS_MAX (1LL << 53)
#define HELP_BYTES      ((size_t)64 * 1024)

struct duration_unit {
    const char *name;
    double ms;
};

/* Longer names first: "ms" must not be read as "m". */
static const struct duration_unit duration_units[] = {
    {"ns", 1e-6}, {"us", 1e-3}, {"ms", 1}, {"s", 1e3}, {"m", 6e4}, {"h", 3.6e6},
};

static const struct duration_unit *duration_unit_at(const char *text)
{
    for (size_t i = 0; i < sizeof(duration_units) / sizeof(duration_units[0]);
         i++) {
        const char *name = duration_units[i].name;

        if (strncmp(text, name, strlen(name)) == 0) {
            return &duration_units[i];
        }
    }
    return NULL;
}

enum status args_duration(const char *text, uint64_t *out_ms)
{
    double total = 0;

    if (strcmp(text, "0") == 0) {
        *out_ms = 0;
        return ST_OK;
    }
    if (*text == '\0') {
        return ST_INVALID;
    }
    while (*text != '\0') {
        const struct duration_unit *unit;
        char *end;
        double number;

        /* strtod would also take signs, hex, "inf" and "nan". */
        if (!isdigit((unsigned char)*text) || text[1] == 'x') {
            return ST_INVALID;
        }
        number = strtod(text, &end);
        unit = duration_unit_at(end);
        if (unit == NULL) {
            return ST_INVALID;
        }
        total += number * unit->ms;
        text = end + strlen(unit->name);
    }
    if (total > (double)DURATION_MS_MAX) {
        return ST_INVALID;
    }
    *out_ms = (uint64_t)(total + 0.5);
    return ST_OK;
}

static enum status read_int(const char *text, int64_t min, int64_t max,
                            int64_t *out_number, struct err *out_err)
{
    char *end;
    long long number;

    errno = 0;
    number = strtoll(text, &end, 10);
    if (*text == '\0' || isspace((unsigned char)*text) || *end != '\0' ||
        errno != 0) {
        return err_set(out_err, ST_INVALID, "\"%s\" is not a whole number",
                       text);
    }
    if (max > min && (number < min || number > max)) {
        return err_set(out_err, ST_INVALID,
                       "%lld is not within %" PRId64 " to %" PRId64, number,
                       min, max);
    }
    *out_number = number;
    return ST_OK;
}

static enum status read_port(const char *text, uint16_t *out_port,
                             struct err *out_err)
{
    int64_t number;
    enum status st = read_int(text, 0, UINT16_MAX, &number, out_err);

    if (st == ST_OK) {
        *out_port = (uint16_t)number;
    }
    return st;
}

static enum status read_bool(const char *text, bool *out_bool,
                             struct err *out_err)
{
    if (strcmp(text, "true") == 0 || strcmp(text, "1") == 0) {
        *out_bool = true;
        return ST_OK;
    }
    if (strcmp(text, "false") == 0 || strcmp(text, "0") == 0) {
        *out_bool = false;
        return ST_OK;
    }
    return err_set(out_err, ST_INVALID, "\"%s\" is neither true nor false",
                   text);
}

static enum status read_list(struct args *args, const char *text,
                             struct arg_list *list, struct err *out_err)
{
    while (*text != '\0') {
        size_t len = strcspn(text, ",");

        if (len > 0) {
            if (list->count == ARG_LIST_MAX) {
                return err_set(out_err, ST_INVALID, "more than %d values",
                               ARG_LIST_MAX);
            }
            list->items[list->count++] =
                arena_strdup(&args->arena, slice_of(text, len));
        }
        text += len + (text[len] == ',');
    }
    return ST_OK;
}

static enum status read_duration(const char *text, uint64_t *out_ms,
                                 struct err *out_err)
{
    if (args_duration(text, out_ms)) {
        return err_set(out_err, ST_INVALID,
                       "\"%s\" is not a duration such as 500ms, 10s or 1m30s",
                       text);
    }
    return ST_OK;
}

static enum status set_value(struct args *args, const struct arg_option *o,
                             const char *text, struct err *out_err)
{
    if (o->utf8 && !utf8_is(slice_str(text))) {
        return err_set(out_err, ST_INVALID, "the value is not UTF-8");
    }
    switch (o->kind) {
    case ARG_STRING:
        *o->string = text;
        return ST_OK;
    case ARG_INT:
        return read_int(text, o->min, o->max, o->number, out_err);
    case ARG_DURATION:
        return read_duration(text, o->ms, out_err);
    case ARG_BOOL:
        return read_bool(text, o->boolean, out_err);
    case ARG_LIST:
        return read_list(args, text, o->list, out_err);
    case ARG_PORT:
        return read_port(text, o->port, out_err);
    case ARG_HANDED:
        return o->on_value(o->arg, o->name, text, out_err);
    }
    UNREACHABLE();
}

static void clear_value(const struct arg_option *o)
{
    switch (o->kind) {
    case ARG_STRING:
        *o->string = NULL;
        return;
    case ARG_INT:
        *o->number = 0;
        return;
    case ARG_DURATION:
        *o->ms = 0;
        return;
    case ARG_BOOL:
        *o->boolean = o->fallback != NULL;
        return;
    case ARG_LIST:
        o->list->count = 0;
        return;
    case ARG_PORT:
        *o->port = 0;
        return;
    case ARG_HANDED:
        return; /* Its owner has defaults of his own. */
    }
    UNREACHABLE();
}

static void set_fallbacks(struct args *args, const struct arg_spec *spec)
{
    for (size_t i = 0; i < spec->options_count; i++) {
        const struct arg_option *o = &spec->options[i];

        CHECK_IF(o->kind != ARG_BOOL, o->metavar != NULL);
        clear_value(o);
        /* What ARG_HANDED shows as its default is its owner's. */
        if (o->fallback != NULL && o->kind != ARG_HANDED) {
            CHECK(set_value(args, o, o->fallback, NULL) == ST_OK);
        }
    }
}

const char *args_env_name(struct arena *arena, const struct arg_spec *spec,
                          const struct arg_option *o)
{
    char *name;

    if (o->env != NULL || spec->env_prefix == NULL) {
        return o->env;
    }
    name = arena_printf(arena, "%s%s", spec->env_prefix, o->name);
    for (char *c = name; *c != '\0'; c++) {
        *c = *c == '-' ? '_' : (char)toupper((unsigned char)*c);
    }
    return name;
}

static enum status read_env(struct args *args, const struct arg_spec *spec,
                            struct err *out_err)
{
    for (size_t i = 0; i < spec->options_count; i++) {
        const struct arg_option *o = &spec->options[i];
        const char *name = args_env_name(&args->arena, spec, o);
        /* NOLINTNEXTLINE(concurrency-mt-unsafe): nothing runs yet. */
        const char *value = name ? getenv(name) : NULL;

        if (value == NULL || *value == '\0') {
            continue;
        }
        if (o->kind == ARG_LIST) {
            o->list->count = 0;
        }
        if (set_value(args, o, value, out_err)) {
            return err_prefix(out_err, ST_INVALID, "environment: %s", name);
        }
    }
    return ST_OK;
}

static enum status unknown_flag(const struct arg_spec *spec, struct slice name,
                                struct err *out_err)
{
    char typed[SUGGEST_WORD_MAX + 1];
    struct suggestion best = {0};

    if (name.len <= SUGGEST_WORD_MAX) {
        memcpy(typed, name.data, name.len);
        typed[name.len] = '\0';
        suggest_consider(&best, typed, "help");
        for (size_t i = 0; i < spec->options_count; i++) {
            suggest_consider(&best, typed, spec->options[i].name);
        }
    }
    if (best.word != NULL) {
        return err_set(out_err, ST_INVALID,
                       "unknown flag --%.*s; did you mean --%s?", (int)name.len,
                       (const char *)name.data, best.word);
    }
    return err_set(out_err, ST_INVALID,
                   "unknown flag --%.*s; \"muster %s --help\" lists them",
                   (int)(name.len < 100 ? name.len : 100),
                   (const char *)name.data, spec->command);
}

static const struct arg_option *find_option(const struct arg_spec *spec,
                                            struct slice name)
{
    for (size_t i = 0; i < spec->options_count; i++) {
        if (slice_eq(slice_str(spec->options[i].name), name)) {
            return &spec->options[i];
        }
    }
    return NULL;
}

/* Where we are in argv. */
struct cursor {
    int argc;
    char **argv;
    int next;
    bool *seen; /* By option: the command line has spoken. */
};

static enum status read_flag(struct args *args, const struct arg_spec *spec,
                             struct cursor *at, struct err *out_err)
{
    const char *text = at->argv[at->next++];
    const char *equals;
    const char *value;
    struct slice name;
    const struct arg_option *o;

    text += text[1] == '-' ? 2 : 1;
    equals = strchr(text, '=');
    name = equals ? slice_of(text, (size_t)(equals - text)) : slice_str(text);
    if (slice_eq(name, slice_str("help")) || slice_eq(name, slice_str("h"))) {
        return ST_CANCELED;
    }
    o = find_option(spec, name);
    if (o == NULL) {
        return unknown_flag(spec, name, out_err);
    }
    if (equals != NULL) {
        value = equals + 1;
    } else if (o->kind == ARG_BOOL) {
        value = "true";
    } else if (at->next < at->argc) {
        value = at->argv[at->next++];
    } else {
        return err_set(out_err, ST_INVALID, "--%s needs a value: --%s %s",
                       o->name, o->name, o->metavar);
    }
    if (o->kind == ARG_LIST && !at->seen[o - spec->options]) {
        o->list->count = 0; /* What was there is from an earlier layer. */
    }
    at->seen[o - spec->options] = true;
    if (set_value(args, o, value, out_err)) {
        return err_prefix(out_err, ST_INVALID, "--%s", o->name);
    }
    return ST_OK;
}

static enum status count_positionals(const struct args *args,
                                     const struct arg_spec *spec,
                                     struct err *out_err)
{
    if (args->positionals_count < spec->positionals_min) {
        return err_set(out_err, ST_INVALID,
                       "%s is missing; see \"muster %s --help\"",
                       spec->positionals, spec->command);
    }
    if (args->positionals_count > spec->positionals_max) {
        return err_set(out_err, ST_INVALID,
                       "unexpected argument \"%s\"; see \"muster %s --help\"",
                       args->positionals[spec->positionals_max], spec->command);
    }
    return ST_OK;
}

static enum status read_argv(struct args *args, const struct arg_spec *spec,
                             struct cursor *at, struct err *out_err)
{
    bool flags_ended = false;

    while (at->next < at->argc) {
        const char *text = at->argv[at->next];
        enum status st;

        /* A lone "-" is a name: standard input. */
        if (flags_ended || text[0] != '-' || text[1] == '\0') {
            args->positionals[args->positionals_count++] = text;
            at->next++;
        } else if (strcmp(text, "--") == 0) {
            flags_ended = true;
            at->next++;
        } else {
            st = read_flag(args, spec, at, out_err);
            if (st) {
                return st;
            }
        }
    }
    return count_positionals(args, spec, out_err);
}

enum status args_read(struct args *args, const struct arg_spec *spec, int argc,
                      char **argv, struct err *out_err)
{
    struct cursor at = {.argc = argc, .argv = argv, .next = 1};
    enum status st;

    *args = (struct args){0};
    if (argc > ARG_POSITIONAL_MAX) {
        return err_set(out_err, ST_INVALID, "more than %d arguments",
                       ARG_POSITIONAL_MAX);
    }
    args->positionals =
        arena_zalloc(&args->arena, (size_t)argc + 1, sizeof(char *));
    at.seen = arena_zalloc(&args->arena, spec->options_count + 1, sizeof(bool));
    set_fallbacks(args, spec);
    st = read_env(args, spec, out_err);
    if (st) {
        return st;
    }
    return read_argv(args, spec, &at, out_err);
}

bool args_parse(struct args *args, const struct arg_spec *spec, int argc,
                char **argv, int *out_code)
{
    struct err err = {0};
    enum status st = args_read(args, spec, argc, argv, &err);

    if (st == ST_OK) {
        return true;
    }
    if (st == ST_CANCELED) {
        struct buf text;

        buf_init(&text, HELP_BYTES);
        args_help(spec, &text);
        (void)fwrite(text.data, 1, text.len, stdout);
        buf_release(&text);
        *out_code = CLI_OK;
    } else {
        (void)fprintf(stderr, "muster %s: %s\n", spec->command, err.text);
        *out_code = CLI_USAGE;
    }
    args_release(args);
    return false;
}

void args_release(struct args *args)
{
    arena_release(&args->arena);
    *args = (struct args){0};
}
