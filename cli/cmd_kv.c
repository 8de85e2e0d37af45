#include "cli/cmd_kv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/core/base64.h"
#include "base/core/check.h"
#include "cli/args.h"
#include "cli/client.h"
#include "cli/view.h"

#define INPUT_BYTES (64UL * 1024 * 1024)

struct kv_flags {
    struct client_flags client;
    bool recurse;
    bool keys;
    bool detailed;
    bool cas;
    bool acquire;
    bool release;
    bool base64;
    const char *separator;
    const char *session;
    const char *modify_index;
    const char *flags;
};

struct kv_run {
    struct client *client;
    const struct kv_flags *f;
    const struct args *args;
    struct arena arena;
    struct err err;
};

static const char *positional(const struct kv_run *r, size_t at)
{
    return at < r->args->positionals_count ? r->args->positionals[at] : NULL;
}

/* "/v1/kv/KEY?more"; keys begin without a slash, as in Consul's command. */
static const char *path_of(struct kv_run *r, const char *key, const char *more)
{
    char *quoted = client_quote(*key == '/' ? key + 1 : key);
    const char *path = arena_printf(&r->arena, "/v1/kv/%s%s", quoted, more);

    free(quoted);
    return path;
}

static enum cli_exit usage(struct kv_run *r, const char *what)
{
    (void)err_set(&r->err, ST_INVALID, "%s; see \"muster kv --help\"", what);
    return CLI_USAGE;
}

/* ---- get ----------------------------------------------------------------- */

static enum cli_exit ask_entries(struct kv_run *r, const char *path,
                                 json_t **out)
{
    enum cli_exit code = client_get(r->client, path, out, &r->err);

    if (code == CLI_NOT_FOUND) {
        (void)err_set(&r->err, ST_NOT_FOUND, "no such key");
    }
    return code;
}

static struct slice value_of(struct kv_run *r, const json_t *entry)
{
    struct slice value = {0};

    (void)base64_decode(&r->arena, slice_str(view_text(entry, "Value")),
                        &value);
    return value;
}

static void print_detailed(struct kv_run *r, const json_t *e)
{
    static const char *const numbers[] = {"CreateIndex", "Flags", "LockIndex",
                                          "ModifyIndex"};
    const char *session = view_text(e, "Session");
    struct slice value = value_of(r, e);

    (void)printf("%-16s %s\n", "Key", view_text(e, "Key"));
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        (void)printf("%-16s %s\n", numbers[i],
                     view_digits(&r->arena, e, numbers[i]));
    }
    (void)printf("%-16s %s\n%-16s ", "Session", *session ? session : "-",
                 "Value");
    (void)fwrite(value.data, 1, value.len, stdout);
    (void)putchar('\n');
}

static enum cli_exit get_raw(struct kv_run *r, const char *key)
{
    struct slice reply;
    enum cli_exit code = client_ask(r->client, "GET", path_of(r, key, "?raw"),
                                    (struct slice){0}, &reply, &r->err);

    if (code == CLI_OK) {
        if (r->f->base64) {
            reply = base64_encode(&r->arena, reply);
        }
        (void)fwrite(reply.data, 1, reply.len, stdout);
        (void)putchar('\n');
    } else if (code == CLI_NOT_FOUND) {
        (void)err_set(&r->err, ST_NOT_FOUND, "no key \"%s\"", key);
    }
    return code;
}

static enum cli_exit get_keys(struct kv_run *r, const char *key)
{
    const char *separator = r->f->separator ? r->f->separator : "/";
    char *quoted = client_quote(separator);
    const char *more = arena_printf(&r->arena, "?keys&separator=%s", quoted);
    json_t *list = NULL;
    json_t *item;
    size_t i;
    enum cli_exit code = ask_entries(r, path_of(r, key, more), &list);

    json_array_foreach(list, i, item)
    {
        (void)printf("%s\n", json_string_value(item));
    }
    json_decref(list);
    free(quoted);
    return code;
}

static enum cli_exit kv_get(struct kv_run *r)
{
    const char *key = positional(r, 1);
    json_t *list = NULL;
    json_t *entry;
    size_t i;
    enum cli_exit code;

    if (key == NULL && !r->f->recurse && !r->f->keys) {
        return usage(r, "kv get needs a key");
    }
    key = key == NULL ? "" : key;
    if (r->f->keys) {
        return get_keys(r, key);
    }
    if (!r->f->recurse && !r->f->detailed) {
        return get_raw(r, key);
    }
    code =
        ask_entries(r, path_of(r, key, r->f->recurse ? "?recurse" : ""), &list);
    json_array_foreach(list, i, entry)
    {
        struct slice value = value_of(r, entry);

        if (r->f->detailed) {
            print_detailed(r, entry);
            continue;
        }
        (void)printf("%s:", view_text(entry, "Key"));
        (void)fwrite(value.data, 1, value.len, stdout);
        (void)putchar('\n');
    }
    json_decref(list);
    return code;
}

/* ---- put, delete --------------------------------------------------------- */

/* "-" is standard input, "@FILE" a file, all else itself. */
static enum cli_exit read_data(struct kv_run *r, const char *from,
                               struct buf *out)
{
    FILE *f = stdin;
    char part[8192];
    size_t len;

    if (from == NULL || (strcmp(from, "-") != 0 && *from != '@')) {
        CHECK(buf_add_str(out, from == NULL ? "" : from) == ST_OK);
        return CLI_OK;
    }
    if (*from == '@') {
        f = fopen(from + 1, "re");
        if (f == NULL) {
            (void)err_set(&r->err, ST_IO, "%s cannot be read", from + 1);
            return CLI_FAILED;
        }
    }
    while ((len = fread(part, 1, sizeof(part), f)) > 0) {
        if (buf_add(out, slice_of(part, len))) {
            (void)err_set(&r->err, ST_TOO_BIG, "%s is too large", from);
            break;
        }
    }
    if (f != stdin) {
        (void)fclose(f);
    }
    return len > 0 ? CLI_FAILED : CLI_OK;
}

/* The agent says true, or false if the condition did not hold. */
static enum cli_exit change(struct kv_run *r, const char *method,
                            const char *path, struct slice body,
                            const char *failure)
{
    struct slice reply;
    enum cli_exit code =
        client_ask(r->client, method, path, body, &reply, &r->err);

    if (code == CLI_OK && !slice_starts(reply, slice_str("true"))) {
        (void)err_set(&r->err, ST_INVALID, "%s", failure);
        return CLI_FAILED;
    }
    return code;
}

/* What --base64 says that the value is. */
static enum cli_exit decode(struct kv_run *r, struct slice *value)
{
    while (value->len > 0 && value->data[value->len - 1] == '\n') {
        value->len--;
    }
    if (base64_decode(&r->arena, *value, value)) {
        (void)err_set(&r->err, ST_INVALID, "the value is not base64");
        return CLI_FAILED;
    }
    return CLI_OK;
}

static enum cli_exit kv_put(struct kv_run *r)
{
    const struct kv_flags *f = r->f;
    const char *more =
        arena_printf(&r->arena, "?flags=%s", f->flags ? f->flags : "0");
    const char *failure = "not written";
    struct buf body;
    struct slice value;
    enum cli_exit code;

    if (positional(r, 1) == NULL) {
        return usage(r, "kv put needs a key");
    }
    if ((f->acquire || f->release) && f->session == NULL) {
        return usage(r, "--acquire and --release need --session");
    }
    if (f->cas) {
        more = arena_printf(&r->arena, "%s&cas=%s", more,
                            f->modify_index ? f->modify_index : "0");
        failure = "not written: the index is another one";
    } else if (f->acquire || f->release) {
        more = arena_printf(&r->arena, "%s&%s=%s", more,
                            f->acquire ? "acquire" : "release", f->session);
        failure = f->acquire ? "the lock is not to be had"
                             : "this session does not have the lock";
    }
    buf_init(&body, INPUT_BYTES);
    code = read_data(r, positional(r, 2), &body);
    value = buf_slice(&body);
    if (code == CLI_OK && f->base64) {
        code = decode(r, &value);
    }
    if (code == CLI_OK) {
        code = change(r, "PUT", path_of(r, positional(r, 1), more), value,
                      failure);
    }
    if (code == CLI_OK) {
        (void)printf("Success! Data written to: %s\n", positional(r, 1));
    }
    buf_release(&body);
    return code;
}

static enum cli_exit kv_delete(struct kv_run *r)
{
    const char *key = positional(r, 1) ? positional(r, 1) : "";
    const char *more = r->f->recurse ? "?recurse" : "";
    enum cli_exit code;

    if (*key == '\0' && !r->f->recurse) {
        return usage(r, "kv delete needs a key");
    }
    if (r->f->cas) {
        more = arena_printf(&r->arena, "?cas=%s",
                            r->f->modify_index ? r->f->modify_index : "0");
    }
    code = change(r, "DELETE", path_of(r, key, more), (struct slice){0},
                  "not deleted: the index is another one");
    if (code == CLI_OK) {
        (void)printf("Success! Deleted key%s: %s\n",
                     r->f->recurse ? "s with prefix" : "", key);
    }
    return code;
}

/* ---- export, import ------------------------------------------------------ */

static void print_string(const char *name, const json_t *text,
                         const char *after)
{
    char *quoted = json_dumps(text, JSON_ENCODE_ANY);

    (void)printf("    \"%s\": %s%s\n", name, quoted ? quoted : "\"\"", after);
    free(quoted);
}

/* Flags have 64 bits, which jansson's numbers do not. */
static void print_exported(struct kv_run *r, const json_t *entry, bool first)
{
    json_t *empty = json_string("");
    const json_t *value = json_object_get(entry, "Value");

    (void)printf("%s\n  {\n", first ? "" : ",");
    print_string("key", json_object_get(entry, "Key"), ",");
    (void)printf("    \"flags\": %s,\n",
                 view_digits(&r->arena, entry, "Flags"));
    print_string("value", json_is_string(value) ? value : empty, "");
    (void)printf("  }");
    json_decref(empty);
}

static enum cli_exit kv_export(struct kv_run *r)
{
    const char *key = positional(r, 1) ? positional(r, 1) : "";
    json_t *list = NULL;
    json_t *entry;
    size_t i;
    enum cli_exit code =
        client_get(r->client, path_of(r, key, "?recurse"), &list, &r->err);

    if (code != CLI_OK && code != CLI_NOT_FOUND) {
        return code;
    }
    (void)printf("[");
    json_array_foreach(list, i, entry)
    {
        print_exported(r, entry, i == 0);
    }
    (void)printf("%s]\n", json_array_size(list) > 0 ? "\n" : "");
    json_decref(list);
    return CLI_OK;
}

static enum cli_exit import_entry(struct kv_run *r, const json_t *entry)
{
    const char *key = view_text(entry, "key");
    const char *more = arena_printf(&r->arena, "?flags=%s",
                                    view_digits(&r->arena, entry, "flags"));
    struct slice value;

    if (*key == '\0' ||
        base64_decode(&r->arena, slice_str(view_text(entry, "value")),
                      &value)) {
        (void)err_set(&r->err, ST_INVALID,
                      "an entry without key, or whose value is not base64");
        return CLI_FAILED;
    }
    return change(r, "PUT", path_of(r, key, more), value, "not written");
}

static enum cli_exit kv_import(struct kv_run *r)
{
    json_error_t error;
    json_t *list = NULL;
    json_t *entry;
    size_t i;
    struct buf text;
    enum cli_exit code;

    buf_init(&text, INPUT_BYTES);
    code = read_data(r, positional(r, 1) ? positional(r, 1) : "-", &text);
    if (code == CLI_OK) {
        list = view_load(buf_slice(&text), &error);
        if (!json_is_array(list)) {
            (void)err_set(&r->err, ST_INVALID,
                          "this is not what \"kv export\" prints");
            code = CLI_FAILED;
        }
    }
    json_array_foreach(list, i, entry)
    {
        if (code == CLI_OK) {
            code = import_entry(r, entry);
        }
        if (code == CLI_OK) {
            (void)printf("Imported: %s\n", view_text(entry, "key"));
        }
    }
    json_decref(list);
    buf_release(&text);
    return code;
}

/* ---- Which one ----------------------------------------------------------- */

static const struct {
    const char *name;
    enum cli_exit (*run)(struct kv_run *r);
    size_t words_max; /* The verb is one of them. */
} verbs[] = {
    {"get", kv_get, 2},       {"put", kv_put, 3},
    {"delete", kv_delete, 2}, {"export", kv_export, 2},
    {"import", kv_import, 2},
};

static int run(struct kv_run *r)
{
    enum cli_exit code = CLI_USAGE;

    (void)err_set(&r->err, ST_INVALID,
                  "what to do is one of get, put, delete, export, import");
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        if (strcmp(verbs[i].name, positional(r, 0)) != 0) {
            continue;
        }
        code =
            positional(r, verbs[i].words_max) == NULL
                ? verbs[i].run(r)
                : usage(r, arena_printf(&r->arena, "unexpected argument \"%s\"",
                                        positional(r, verbs[i].words_max)));
    }
    if (code != CLI_OK) {
        (void)fprintf(stderr, "muster kv: %s\n", r->err.text);
    }
    return (int)code;
}

int cmd_kv(int argc, char **argv)
{
    struct kv_flags f = {0};
    const struct arg_option options[] = {
        {.name = "recurse",
         .kind = ARG_BOOL,
         .boolean = &f.recurse,
         .help = "get, delete: all keys that begin so"},
        {.name = "keys",
         .kind = ARG_BOOL,
         .boolean = &f.keys,
         .help = "get: the keys that begin so, up to the separator"},
        {.name = "separator",
         .kind = ARG_STRING,
         .string = &f.separator,
         .metavar = "TEXT",
         .help = "get --keys: \"/\" unless said otherwise"},
        {.name = "detailed",
         .kind = ARG_BOOL,
         .boolean = &f.detailed,
         .help = "get: flags, indexes and session too"},
        {.name = "cas",
         .kind = ARG_BOOL,
         .boolean = &f.cas,
         .help = "put, delete: only if the index is --modify-index"},
        {.name = "modify-index",
         .kind = ARG_STRING,
         .string = &f.modify_index,
         .metavar = "N",
         .help = "see --cas; 0: only if there is no such key"},
        {.name = "base64",
         .kind = ARG_BOOL,
         .boolean = &f.base64,
         .help = "get, put: the value in base64"},
        {.name = "flags",
         .kind = ARG_STRING,
         .string = &f.flags,
         .metavar = "N",
         .help = "put: a number to be kept with the value"},
        {.name = "acquire",
         .kind = ARG_BOOL,
         .boolean = &f.acquire,
         .help = "put: lock it with --session"},
        {.name = "release",
         .kind = ARG_BOOL,
         .boolean = &f.release,
         .help = "put: unlock it"},
        {.name = "session",
         .kind = ARG_STRING,
         .string = &f.session,
         .metavar = "ID",
         .help = "see --acquire, --release"},
        CLIENT_OPTIONS(&f.client),
    };
    const struct arg_spec spec = {
        .command = "kv",
        .positionals = "get|put|delete|export|import [KEY] [VALUE]",
        .about = "Read and write the key-value store. A VALUE of \"-\" is "
                 "read from standard input,\n\"@FILE\" from a file. \"export\" "
                 "prints all that begins with KEY as JSON, which\n\"import\" "
                 "takes.\nExits with 4 when there is no such key, with 1 when "
                 "a condition does not hold.",
        .examples = "muster kv put app/db/host 10.0.0.1\n"
                    "muster kv get app/db/host\n"
                    "muster kv get --recurse app/\n"
                    "muster kv export app/ >app.json\n"
                    "muster kv delete --recurse app/",
        .options = options,
        .options_count = sizeof(options) / sizeof(options[0]),
        .positionals_min = 1,
        .positionals_max = 3,
    };
    struct args args;
    struct kv_run r = {.f = &f, .args = &args};
    int code;

    if (!args_parse(&args, &spec, argc, argv, &code)) {
        return code;
    }
    r.client = client_new(&f.client);
    code = run(&r);
    client_free(r.client);
    arena_release(&r.arena);
    args_release(&args);
    return code;
}
