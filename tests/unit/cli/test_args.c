#include "cli/args.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/suite.h"

struct flags {
    const char *name;
    int64_t count;
    uint64_t wait;
    bool loud;
    struct arg_list urls;
    uint16_t port;
    char handed[64];
    const char *secret;
};

static enum status on_handed(void *arg, const char *name, const char *value,
                             struct err *out_err)
{
    struct flags *f = arg;

    if (strcmp(value, "bad") == 0) {
        return err_set(out_err, ST_INVALID, "%s is bad", name);
    }
    strncat(f->handed, value, 8);
    strcat(f->handed, ";");
    return ST_OK;
}

#define TEST_OPTIONS(f)                                           \
    {                                                             \
        {.name = "name",                                          \
         .kind = ARG_STRING,                                      \
         .metavar = "NAME",                                       \
         .string = &(f)->name,                                    \
         .fallback = "default",                                   \
         .help = "who we are"},                                   \
            {.name = "count",                                     \
             .kind = ARG_INT,                                     \
             .metavar = "N",                                      \
             .number = &(f)->count,                               \
             .min = 1,                                            \
             .max = 9,                                            \
             .fallback = "3",                                     \
             .help = "how many"},                                 \
            {.name = "wait-time",                                 \
             .kind = ARG_DURATION,                                \
             .metavar = "D",                                      \
             .ms = &(f)->wait,                                    \
             .help = "how long"},                                 \
            {.name = "loud",                                      \
             .kind = ARG_BOOL,                                    \
             .boolean = &(f)->loud,                               \
             .help = "say more"},                                 \
            {.name = "urls",                                      \
             .kind = ARG_LIST,                                    \
             .metavar = "URL[,URL]",                              \
             .list = &(f)->urls,                                  \
             .utf8 = true,                                        \
             .fallback = "a,b",                                   \
             .help = "where"},                                    \
            {.name = "port",                                      \
             .kind = ARG_PORT,                                    \
             .metavar = "PORT",                                   \
             .port = &(f)->port,                                  \
             .env = "TESTS_OWN_PORT",                             \
             .help = "which"},                                    \
            {.name = "handed",                                    \
             .kind = ARG_HANDED,                                  \
             .metavar = "X",                                      \
             .on_value = on_handed,                               \
             .arg = (f),                                          \
             .help = "read elsewhere"},                           \
        {                                                         \
            .name = "secret", .kind = ARG_STRING, .metavar = "S", \
            .string = &(f)->secret, .hidden = true, .utf8 = true, \
            .help = "not shown"                                   \
        }                                                         \
    }

static struct arg_spec spec_of(const struct arg_option *options, size_t count)
{
    return (struct arg_spec){.command = "test",
                             .positionals = "[FILE...]",
                             .about = "For tests.",
                             .examples = "muster test\nmuster test --loud\n",
                             .options = options,
                             .options_count = count,
                             .positionals_max = 2,
                             .env_prefix = "TEST_"};
}

/* Words of a command line, blank-separated; "''" is an empty word. */
static int split(char *line, char **out_argv)
{
    static char command[] = "test";
    int argc = 0;
    char *rest = NULL;

    out_argv[argc++] = command;
    for (char *word = strtok_r(line, " ", &rest); word != NULL;
         word = strtok_r(NULL, " ", &rest)) {
        out_argv[argc++] = strcmp(word, "''") ? word : word + 2;
    }
    out_argv[argc] = NULL;
    return argc;
}

/* What came out, in one line. */
static void describe(const struct flags *f, const struct args *a, char *out,
                     size_t size)
{
    int at = snprintf(out, size, "%s %lld %llu %d %u [", f->name,
                      (long long)f->count, (unsigned long long)f->wait, f->loud,
                      f->port);

    for (size_t i = 0; i < f->urls.count; i++) {
        at += snprintf(out + at, size - (size_t)at, "%s%s", i ? " " : "",
                       f->urls.items[i]);
    }
    at += snprintf(out + at, size - (size_t)at, "] %s", f->handed);
    for (size_t i = 0; i < a->positionals_count; i++) {
        at += snprintf(out + at, size - (size_t)at, "<%s>", a->positionals[i]);
    }
}

static const struct {
    const char *name;
    const char *line;
    const char *env; /* NAME=VALUE or NULL. */
    enum status status;
    const char *expect; /* The values, or the error. */
} rows[] = {
    {"fallbacks", "", NULL, ST_OK, "default 3 0 0 0 [a b] "},
    {"both forms", "--name x --count=7", NULL, ST_OK, "x 7 0 0 0 [a b] "},
    {"one dash", "-name=x -count 7", NULL, ST_OK, "x 7 0 0 0 [a b] "},
    {"an empty value", "--name=", NULL, ST_OK, " 3 0 0 0 [a b] "},
    {"the last one wins", "--name x --name y", NULL, ST_OK, "y 3 0 0 0 [a b] "},
    {"durations", "--wait-time 1m30.5s", NULL, ST_OK,
     "default 3 90500 0 0 [a b] "},
    {"bool alone", "--loud a", NULL, ST_OK, "default 3 0 1 0 [a b] <a>"},
    {"bool said", "--loud=true --loud=false", NULL, ST_OK,
     "default 3 0 0 0 [a b] "},
    {"a list replaces its fallback", "--urls x,,y --urls z", NULL, ST_OK,
     "default 3 0 0 0 [x y z] "},
    {"an empty list", "--urls=", NULL, ST_OK, "default 3 0 0 0 [] "},
    {"handed over", "--handed x --handed=y", NULL, ST_OK,
     "default 3 0 0 0 [a b] x;y;"},
    {"a flag-like value", "--name --count", NULL, ST_OK,
     "--count 3 0 0 0 [a b] "},
    {"mixed positionals", "a --port 80 b", NULL, ST_OK,
     "default 3 0 0 80 [a b] <a><b>"},
    {"after two dashes", "-- --name -", NULL, ST_OK,
     "default 3 0 0 0 [a b] <--name><->"},
    {"standard input", "-", NULL, ST_OK, "default 3 0 0 0 [a b] <->"},
    {"environment", "", "TEST_WAIT_TIME=2s", ST_OK,
     "default 3 2000 0 0 [a b] "},
    {"environment, own name", "", "TESTS_OWN_PORT=53", ST_OK,
     "default 3 0 0 53 [a b] "},
    {"own name hides the prefix", "", "TEST_PORT=53", ST_OK,
     "default 3 0 0 0 [a b] "},
    {"environment list", "", "TEST_URLS=x", ST_OK, "default 3 0 0 0 [x] "},
    {"command line over environment", "--urls y", "TEST_URLS=x", ST_OK,
     "default 3 0 0 0 [y] "},
    {"empty environment is none", "", "TEST_NAME=", ST_OK,
     "default 3 0 0 0 [a b] "},
    {"help", "--name x --help --wrong", NULL, ST_CANCELED, ""},
    {"short help", "-h", NULL, ST_CANCELED, ""},
    {"unknown, near", "--nme x", NULL, ST_INVALID,
     "unknown flag --nme; did you mean --name?"},
    {"unknown, far", "--blubb=1", NULL, ST_INVALID,
     "unknown flag --blubb; \"muster test --help\" lists them"},
    {"no value", "--name", NULL, ST_INVALID,
     "--name needs a value: --name NAME"},
    {"no number", "--count x", NULL, ST_INVALID,
     "--count: \"x\" is not a whole number"},
    {"part of a number", "--count 7x", NULL, ST_INVALID,
     "--count: \"7x\" is not a whole number"},
    {"out of range", "--count 10", NULL, ST_INVALID,
     "--count: 10 is not within 1 to 9"},
    {"number too long", "--count 99999999999999999999", NULL, ST_INVALID,
     "--count: \"99999999999999999999\" is not a whole number"},
    {"no port", "--port 65536", NULL, ST_INVALID,
     "--port: 65536 is not within 0 to 65535"},
    {"no bool", "--loud=maybe", NULL, ST_INVALID,
     "--loud: \"maybe\" is neither true nor false"},
    {"no duration", "--wait-time 5", NULL, ST_INVALID,
     "--wait-time: \"5\" is not a duration such as 500ms, 10s or 1m30s"},
    {"a text that is not UTF-8", "--secret a\xff", NULL, ST_INVALID,
     "--secret: the value is not UTF-8"},
    {"a list that is not", "--urls a,\xc3,b", NULL, ST_INVALID,
     "--urls: the value is not UTF-8"},
    {"an environment that is not", "", "TEST_SECRET=\xed\xa0\x80", ST_INVALID,
     "environment: TEST_SECRET: the value is not UTF-8"},
    {"what is no text may be any bytes", "--name \xff", NULL, ST_OK,
     "\xff 3 0 0 0 [a b] "},
    {"handed over, refused", "--handed bad", NULL, ST_INVALID,
     "--handed: handed is bad"},
    {"bad environment", "", "TEST_COUNT=x", ST_INVALID,
     "environment: TEST_COUNT: \"x\" is not a whole number"},
    {"too many arguments", "a b c", NULL, ST_INVALID,
     "unexpected argument \"c\"; see \"muster test --help\""},
};

static void set_env(const char *assignment, char *out_name, size_t size)
{
    const char *equals = strchr(assignment, '=');

    ck_assert_ptr_nonnull(equals);
    (void)snprintf(out_name, size, "%.*s", (int)(equals - assignment),
                   assignment);
    ck_assert_int_eq(setenv(out_name, equals + 1, 1), 0);
}

START_TEST(args_follow_row)
{
    struct flags f = {0};
    const struct arg_option options[] = TEST_OPTIONS(&f);
    struct arg_spec spec =
        spec_of(options, sizeof(options) / sizeof(options[0]));
    struct args args;
    struct err err = {0};
    char line[256];
    char got[sizeof(err.text)] = "";
    char variable[64] = "";
    char *argv[16];
    int argc;
    enum status st;

    (void)snprintf(line, sizeof(line), "%s", rows[_i].line);
    argc = split(line, argv);
    if (rows[_i].env != NULL) {
        set_env(rows[_i].env, variable, sizeof(variable));
    }
    st = args_read(&args, &spec, argc, argv, &err);
    if (rows[_i].env != NULL) {
        ck_assert_int_eq(unsetenv(variable), 0);
    }
    if (st == ST_OK) {
        describe(&f, &args, got, sizeof(got));
    } else if (st == ST_INVALID) {
        (void)snprintf(got, sizeof(got), "%s", err.text);
    }
    ck_assert_msg(st == rows[_i].status, "%s: status %d", rows[_i].name, st);
    ck_assert_msg(strcmp(got, rows[_i].expect) == 0, "%s: %s", rows[_i].name,
                  got);
    args_release(&args);
}
END_TEST

START_TEST(missing_positionals_are_named)
{
    struct flags f = {0};
    const struct arg_option options[] = TEST_OPTIONS(&f);
    struct arg_spec spec =
        spec_of(options, sizeof(options) / sizeof(options[0]));
    char line[] = "--loud";
    char *argv[4];
    struct args args;
    struct err err;

    spec.positionals = "ID...";
    spec.positionals_min = 1;
    ck_assert_int_eq(args_read(&args, &spec, split(line, argv), argv, &err),
                     ST_INVALID);
    ck_assert_str_eq(err.text, "ID... is missing; see \"muster test --help\"");
    args_release(&args);
}
END_TEST

START_TEST(list_is_bounded)
{
    struct flags f = {0};
    const struct arg_option options[] = TEST_OPTIONS(&f);
    struct arg_spec spec =
        spec_of(options, sizeof(options) / sizeof(options[0]));
    char list[2 * ARG_LIST_MAX + 3] = "";
    char command[] = "test";
    char flag[] = "--urls";
    char *argv[] = {command, flag, list, NULL};
    struct args args;
    struct err err;

    for (size_t i = 0; i < ARG_LIST_MAX; i++) {
        strcat(list, "x,");
    }
    ck_assert_int_eq(args_read(&args, &spec, 3, argv, &err), ST_OK);
    ck_assert_uint_eq(f.urls.count, ARG_LIST_MAX);
    args_release(&args);
    strcat(list, "x");
    ck_assert_int_eq(args_read(&args, &spec, 3, argv, &err), ST_INVALID);
    args_release(&args);
}
END_TEST

START_TEST(help_shows_all_but_hidden)
{
    struct flags f = {0};
    const struct arg_option options[] = TEST_OPTIONS(&f);
    struct arg_spec spec =
        spec_of(options, sizeof(options) / sizeof(options[0]));
    struct buf out;

    buf_init(&out, 4096);
    args_help(&spec, &out);
    ck_assert_str_eq(
        buf_cstr(&out),
        "usage: muster test [flags] [FILE...]\n"
        "\n"
        "For tests.\n"
        "\n"
        "flags:\n"
        "  --name NAME       who we are (default default)\n"
        "  --count N         how many (default 3)\n"
        "  --wait-time D     how long\n"
        "  --loud            say more\n"
        "  --urls URL[,URL]  where (default a,b)\n"
        "  --port PORT       which [TESTS_OWN_PORT]\n"
        "  --handed X        read elsewhere\n"
        "  --help            print this\n"
        "\n"
        "Each flag can also be set in the environment, for instance --name as "
        "TEST_NAME;\nthe command line wins.\n"
        "\n"
        "examples:\n"
        "  muster test\n"
        "  muster test --loud\n");
    buf_release(&out);
}
END_TEST

static const struct {
    const char *text;
    int64_t ms; /* -1: refused. */
} durations[] = {
    {"0", 0},       {"0s", 0},         {"100ms", 100},
    {"1.5s", 1500}, {"2h", 7200000},   {"1h1m1s1ms", 3661001},
    {"400us", 0},   {"600us", 1},      {"", -1},
    {"5", -1},      {"s", -1},         {"-1s", -1},
    {"1 s", -1},    {" 1s", -1},       {"1sx", -1},
    {"0x10s", -1},  {"1e3s", 1000000}, {"9e99h", -1},
    {"infs", -1},   {"nans", -1},
};

START_TEST(durations_follow_row)
{
    uint64_t ms = 77;
    enum status st = args_duration(durations[_i].text, &ms);

    if (durations[_i].ms < 0) {
        ck_assert_msg(st == ST_INVALID, "%s", durations[_i].text);
        ck_assert_uint_eq(ms, 77);
    } else {
        ck_assert_msg(st == ST_OK, "%s", durations[_i].text);
        ck_assert_uint_eq(ms, (uint64_t)durations[_i].ms);
    }
}
END_TEST

UNIT_MAIN("args", {
    tcase_add_loop_test(tc, args_follow_row, 0, COUNT_OF(rows));
    tcase_add_loop_test(tc, durations_follow_row, 0, COUNT_OF(durations));
    tcase_add_test(tc, missing_positionals_are_named);
    tcase_add_test(tc, list_is_bounded);
    tcase_add_test(tc, help_shows_all_but_hidden);
})
