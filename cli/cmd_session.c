/*
 * Sessions: who has them, and by hand what programs do by themselves.
 */
#include "cli/cmd_session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/args.h"
#include "cli/client.h"
#include "cli/view.h"

struct session_flags {
    struct client_flags client;
    bool json;
    const char *node;
    const char *name;
    const char *ttl;
    const char *lock_delay;
    const char *behavior;
};

struct run {
    const struct session_flags *f;
    const char *id;
    struct client *client;
    struct arena arena;
    struct err err;
};

static const char *path_of(struct run *r, const char *verb, const char *what)
{
    char *quoted = client_quote(what);
    const char *path =
        arena_printf(&r->arena, "/v1/session/%s/%s", verb, quoted);

    free(quoted);
    return path;
}

/* ---- Reading -------------------------------------------------------- */

/* A session holds as long as these pass. */
static const char *checks_of(struct run *r, const json_t *session)
{
    const json_t *of_services = json_object_get(session, "ServiceChecks");
    const char *text =
        view_join(&r->arena, json_object_get(session, "NodeChecks"));
    const json_t *check;
    size_t i;

    json_array_foreach(of_services, i, check)
    {
        text = arena_printf(&r->arena, "%s, %s", text, view_text(check, "ID"));
    }
    return text;
}

static void print_list(struct run *r, const json_t *list)
{
    static const char *const heads[] = {"ID",  "NAME",     "NODE",
                                        "TTL", "BEHAVIOR", "CHECKS"};
    struct table t;
    const json_t *s;
    size_t i;

    table_init(&t, heads, sizeof(heads) / sizeof(heads[0]));
    json_array_foreach(list, i, s)
    {
        const char *name = view_text(s, "Name");
        const char *ttl = view_text(s, "TTL");

        table_add(&t, TABLE_PLAIN, view_text(s, "ID"));
        table_add(&t, TABLE_PLAIN, *name == '\0' ? "-" : name);
        table_add(&t, TABLE_PLAIN, view_text(s, "Node"));
        table_add(&t, TABLE_PLAIN, *ttl == '\0' ? "-" : ttl);
        table_add(&t, TABLE_PLAIN, view_text(s, "Behavior"));
        table_add(&t, TABLE_PLAIN, checks_of(r, s));
    }
    table_print(&t);
    table_release(&t);
}

static enum cli_exit session_list(struct run *r)
{
    const char *path = r->f->node == NULL ? "/v1/session/list"
                                          : path_of(r, "node", r->f->node);
    json_t *list = NULL;
    enum cli_exit code = client_get(r->client, path, &list, &r->err);

    if (code == CLI_OK && r->f->json) {
        view_print_json(list);
    } else if (code == CLI_OK) {
        print_list(r, list);
    }
    json_decref(list);
    return code;
}

static enum cli_exit is_gone(struct run *r)
{
    (void)err_set(&r->err, ST_NOT_FOUND,
                  "there is no session \"%.100s\"; see muster session list",
                  r->id);
    return CLI_NOT_FOUND;
}

static enum cli_exit session_read(struct run *r)
{
    json_t *list = NULL;
    enum cli_exit code =
        client_get(r->client, path_of(r, "info", r->id), &list, &r->err);

    if (code == CLI_OK && json_array_size(list) == 0) {
        code = is_gone(r);
    } else if (code == CLI_OK) {
        view_print_json(json_array_get(list, 0));
    }
    json_decref(list);
    return code;
}

/* ---- Changing ------------------------------------------------------- */

static void add(json_t *object, const char *key, const char *value)
{
    if (value != NULL) {
        (void)json_object_set_new(object, key, json_string(value));
    }
}

static enum cli_exit session_create(struct run *r)
{
    json_t *wanted = json_object();
    json_t *reply = NULL;
    enum cli_exit code;
    char *text;

    add(wanted, "Name", r->f->name);
    add(wanted, "Node", r->f->node);
    add(wanted, "TTL", r->f->ttl);
    add(wanted, "LockDelay", r->f->lock_delay);
    add(wanted, "Behavior", r->f->behavior);
    text = json_dumps(wanted, JSON_COMPACT);
    code = client_call(r->client, "PUT", "/v1/session/create", slice_str(text),
                       &reply, &r->err);
    if (code == CLI_OK) {
        (void)printf("%s\n", view_text(reply, "ID"));
    }
    free(text);
    json_decref(wanted);
    json_decref(reply);
    return code;
}

static enum cli_exit session_renew(struct run *r)
{
    json_t *list = NULL;
    enum cli_exit code =
        client_call(r->client, "PUT", path_of(r, "renew", r->id),
                    (struct slice){0}, &list, &r->err);

    if (code == CLI_OK) {
        (void)printf("renewed for %s\n",
                     view_text(json_array_get(list, 0), "TTL"));
    }
    json_decref(list);
    return code == CLI_NOT_FOUND ? is_gone(r) : code;
}

static enum cli_exit session_destroy(struct run *r)
{
    json_t *list = NULL;
    enum cli_exit code =
        client_get(r->client, path_of(r, "info", r->id), &list, &r->err);

    if (code == CLI_OK && json_array_size(list) == 0) {
        code = is_gone(r);
    }
    json_decref(list);
    if (code == CLI_OK) {
        code = client_put(r->client, path_of(r, "destroy", r->id),
                          (struct slice){0}, &r->err);
    }
    if (code == CLI_OK) {
        (void)printf("destroyed %s\n", r->id);
    }
    return code;
}

/* ---- The command ---------------------------------------------------- */

static const struct verb {
    const char *word;
    bool of_one;
    enum cli_exit (*run)(struct run *r);
} verbs[] = {
    {"list", false, session_list},      {"read", true, session_read},
    {"create", false, session_create},  {"renew", true, session_renew},
    {"destroy", true, session_destroy},
};

static const struct verb *verb_find(const struct args *args)
{
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        if (strcmp(verbs[i].word, args->positionals[0]) == 0 &&
            verbs[i].of_one == (args->positionals_count == 2)) {
            return &verbs[i];
        }
    }
    return NULL;
}

static bool flags_read(struct args *args, struct session_flags *f, int argc,
                       char **argv, int *out_code)
{
    const struct arg_option options[] = {
        {.name = "json",
         .kind = ARG_BOOL,
         .boolean = &f->json,
         .help = "list prints the API's JSON"},
        {.name = "node",
         .kind = ARG_STRING,
         .string = &f->node,
         .metavar = "NODE",
         .help = "list: only its sessions; create: for it, if not for us"},
        {.name = "name",
         .kind = ARG_STRING,
         .string = &f->name,
         .metavar = "TEXT",
         .help = "create: what people are to see"},
        {.name = "ttl",
         .kind = ARG_STRING,
         .string = &f->ttl,
         .metavar = "DURATION",
         .help = "create: it ends when it is not renewed for so long, 10s to "
                 "24h; without, only with its checks"},
        {.name = "lock-delay",
         .kind = ARG_STRING,
         .string = &f->lock_delay,
         .metavar = "DURATION",
         .help = "create: its locks stay locked so long after its death (15s)"},
        {.name = "behavior",
         .kind = ARG_STRING,
         .string = &f->behavior,
         .metavar = "WORD",
         .help = "create: release its locks at its end, or delete the entries "
                 "(release)"},
        CLIENT_OPTIONS(&f->client),
    };
    const struct arg_spec spec = {
        .command = "session",
        .positionals = "list | read ID | create | renew ID | destroy ID",
        .about = "Sessions, under which locks are had. A session ends with its "
                 "TTL, with the checks it is tied to (its host's lease, if "
                 "nothing else is said), or when it is destroyed; then its "
                 "locks are released. \"muster lock\" makes one by itself.",
        .examples = "  muster session list\n"
                    "  id=$(muster session create --name batch --ttl 30s)\n"
                    "  muster kv put --acquire --session $id jobs/lock $$\n"
                    "  muster session renew $id\n"
                    "  muster session destroy $id\n",
        .options = options,
        .options_count = sizeof(options) / sizeof(options[0]),
        .positionals_min = 1,
        .positionals_max = 2,
    };

    return args_parse(args, &spec, argc, argv, out_code);
}

int cmd_session(int argc, char **argv)
{
    struct session_flags f = {0};
    struct run r = {.f = &f};
    const struct verb *verb;
    struct args args;
    int code;

    if (!flags_read(&args, &f, argc, argv, &code)) {
        return code;
    }
    verb = verb_find(&args);
    if (verb == NULL) {
        (void)fprintf(stderr, "muster session: no such command; see muster "
                              "session --help\n");
        args_release(&args);
        return CLI_USAGE;
    }
    r.id = verb->of_one ? args.positionals[1] : "";
    r.client = client_new(&f.client);
    code = verb->run(&r);
    if (code != CLI_OK) {
        (void)fprintf(stderr, "muster session: %s\n", r.err.text);
    }
    client_free(r.client);
    arena_release(&r.arena);
    args_release(&args);
    return code;
}
