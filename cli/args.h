/*
 * args.h - command lines read by a table.
 *
 * A sub-command describes its flags in a table and gets its variables filled.
 * `--flag value`, `--flag=value` and the same with one dash (as etcd takes
 * them) are all understood; `--` ends the flags; flags and positional arguments
 * may be mixed. An unknown flag is an error that names the nearest known one.
 * `-h` and `--help` are in every table by themselves.
 *
 *     struct {
 *         const char *name;
 *         int64_t count;
 *         bool quiet;
 *     } f;
 *     const struct arg_option options[] = {
 *         {.name = "name", .kind = ARG_STRING, .string = &f.name,
 *          .metavar = "NAME", .fallback = "default", .help = "who we are"},
 *         {.name = "count", .kind = ARG_INT, .number = &f.count,
 *          .metavar = "N", .fallback = "10", .min = 1, .max = 99,
 *          .help = "how many"},
 *         {.name = "quiet", .kind = ARG_BOOL, .boolean = &f.quiet,
 *          .help = "say less"},
 *     };
 *     const struct arg_spec spec = {.command = "example", .options = options,
 *                                   .options_count = 3, ...};
 *     struct args args;
 *     int code;
 *
 *     if (!args_parse(&args, &spec, argc, argv, &code)) {
 *         return code;
 *     }
 *     ...
 *     args_release(&args);
 *
 * Values come from, the later one wins: `fallback`, the environment (when the
 * option or the spec names it), the command line. So a fallback is checked,
 * shown by
 * --help and used, and stands in one place only.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/core/arena.h"
#include "base/core/err.h"

#define ARG_LIST_MAX       128 /* Items of one list flag. */
#define ARG_POSITIONAL_MAX 4096

enum arg_kind {
    ARG_STRING,   /* .string; any bytes, or UTF-8 with .utf8 */
    ARG_INT,      /* .number; decimal, within min..max when max > min */
    ARG_DURATION, /* .ms; as Go writes them: 100ms, 1.5s, 1m30s, 2h */
    ARG_BOOL,     /* .boolean; alone or =true, =false, never `--flag value`;
                     with a fallback it begins as true */
    ARG_LIST,     /* .list; comma-separated and repeatable */
    ARG_PORT,     /* .port; 0..65535 */
    ARG_HANDED,   /* .on_value; the command reads the text itself */
};

/* The command line replaces what the environment gave, it does not add. */
struct arg_list {
    const char *items[ARG_LIST_MAX];
    size_t count;
};

/* One use of an ARG_HANDED flag; `name` is the option's. A failure needs
 * words in *out_err; the flag's name is put in front of them. */
typedef enum status arg_value_fn(void *arg, const char *name, const char *value,
                                 struct err *out_err);

struct arg_option {
    const char *name; /* Without dashes: "data-dir". */
    enum arg_kind kind;
    const char *metavar;  /* How --help calls the value; NULL for ARG_BOOL. */
    const char *help;     /* Lower case, no full stop. */
    const char *fallback; /* NULL: NULL, 0, false, an empty list. */
    const char *env;      /* Its own name there; NULL: see env_prefix. */
    int64_t min, max;     /* ARG_INT only. */
    union {
        const char **string;
        int64_t *number;
        uint64_t *ms;
        bool *boolean;
        struct arg_list *list;
        uint16_t *port;
        arg_value_fn *on_value;
    };
    void *arg;   /* For on_value. */
    bool hidden; /* Understood, not shown. */
    bool utf8;   /* ARG_STRING, ARG_LIST: goes into JSON, which is UTF-8. */
};

struct arg_spec {
    const char *command;     /* "store": shown as "muster store". */
    const char *positionals; /* "FILE..."; NULL: there are none. */
    const char *about;       /* One or more sentences. */
    const char *examples;    /* Lines that work when pasted; never NULL. */
    const struct arg_option *options;
    size_t options_count;
    size_t positionals_min;
    size_t positionals_max;
    const char *env_prefix; /* "ETCD_": --data-dir is also ETCD_DATA_DIR. */
};

struct args {
    const char **positionals;
    size_t positionals_count;
    struct arena arena; /* Owns what the targets point to. */
};

/* Read argv[1..] into the targets of `spec`. No output.
 *
 * ST_CANCELED  --help was among them
 * ST_INVALID   *out_err says what is wrong; the targets are half filled
 *
 * In every case args_release() is due; the values die with it. argv and the
 * environment must outlive `args`. */
enum status args_read(struct args *args, const struct arg_spec *spec, int argc,
                      char **argv, struct err *out_err);

/* For main(): args_read(), then print help or error. True: go on. False: all
 * is said, released, and *out_code is the process's exit code. */
bool args_parse(struct args *args, const struct arg_spec *spec, int argc,
                char **argv, int *out_code);

void args_release(struct args *args);

/* The variable that stands for an option, for instance ETCD_DATA_DIR for
 * "data-dir" with the prefix "ETCD_"; NULL: there is none. */
const char *args_env_name(struct arena *arena, const struct arg_spec *spec,
                          const struct arg_option *o);

/* The text of --help. */
void args_help(const struct arg_spec *spec, struct buf *out);

/* "1m30s" to milliseconds. ST_INVALID: not a duration, negative, or too big
 * for 2^53 ms. */
enum status args_duration(const char *text, uint64_t *out_ms);
