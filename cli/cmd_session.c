/*
 * Sessions: who has them, and by hand what programs do by themselves.
 */
#include "cli/cmd_session.h"

#include <stdio.h>
#include <stdlib.h>

#include "cli/command.h"
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

static const struct session_flags *flags_of(const struct command_run *r)
{
    return r->flags;
}

static const char *path_of(struct command_run *r, const char *verb,
                           const char *what)
{
    char *quoted = client_quote(what);
    const char *path =
        arena_printf(&r->arena, "/v1/session/%s/%s", verb, quoted);

    free(quoted);
    return path;
}

/* ---- Reading -------------------------------------------------------- */

/* A session holds as long as these pass. */
static const char *checks_of(struct command_run *r, const json_t *session)
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

static void print_list(struct command_run *r, const json_t *list)
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

static enum cli_exit session_list(struct command_run *r)
{
    const char *path = flags_of(r)->node == NULL
                           ? "/v1/session/list"
                           : path_of(r, "node", flags_of(r)->node);
    json_t *list = NULL;
    enum cli_exit code = client_get(r->client, path, &list, &r->err);

    if (code == CLI_OK && flags_of(r)->json) {
        view_print_json(list);
    } else if (code == CLI_OK) {
        print_list(r, list);
    }
    json_decref(list);
    return code;
}

static enum cli_exit is_gone(struct command_run *r)
{
    (void)err_set(&r->err, ST_NOT_FOUND,
                  "there is no session \"%.100s\"; see muster session list",
                  r->subject);
    return CLI_NOT_FOUND;
}

static enum cli_exit session_read(struct command_run *r)
{
    json_t *list = NULL;
    enum cli_exit code =
        client_get(r->client, path_of(r, "info", r->subject), &list, &r->err);

    if (code == CLI_OK && json_array_size(list) == 0) {
        code = is_gone(r);
    } else if (code == CLI_OK) {
        view_print_json(json_array_get(list, 0));
    }
    json_decref(list);
    return code;
}

/* ---- Changing ------------------------------------------------------- */

static enum cli_exit session_create(struct command_run *r)
{
    json_t *wanted = json_object();
    json_t *reply = NULL;
    enum cli_exit code;
    char *text;

    client_set_text(wanted, "Name", flags_of(r)->name);
    client_set_text(wanted, "Node", flags_of(r)->node);
    client_set_text(wanted, "TTL", flags_of(r)->ttl);
    client_set_text(wanted, "LockDelay", flags_of(r)->lock_delay);
    client_set_text(wanted, "Behavior", flags_of(r)->behavior);
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

static enum cli_exit session_renew(struct command_run *r)
{
    json_t *list = NULL;
    enum cli_exit code =
        client_call(r->client, "PUT", path_of(r, "renew", r->subject),
                    (struct slice){0}, &list, &r->err);

    if (code == CLI_OK) {
        (void)printf("renewed for %s\n",
                     view_text(json_array_get(list, 0), "TTL"));
    }
    json_decref(list);
    return code == CLI_NOT_FOUND ? is_gone(r) : code;
}

static enum cli_exit session_destroy(struct command_run *r)
{
    json_t *list = NULL;
    enum cli_exit code =
        client_get(r->client, path_of(r, "info", r->subject), &list, &r->err);

    if (code == CLI_OK && json_array_size(list) == 0) {
        code = is_gone(r);
    }
    json_decref(list);
    if (code == CLI_OK) {
        code = client_put(r->client, path_of(r, "destroy", r->subject),
                          (struct slice){0}, &r->err);
    }
    if (code == CLI_OK) {
        (void)printf("destroyed %s\n", r->subject);
    }
    return code;
}

/* ---- The command ---------------------------------------------------- */

static const struct command_verb verbs[] = {
    {"list", false, session_list},      {"read", true, session_read},
    {"create", false, session_create},  {"renew", true, session_renew},
    {"destroy", true, session_destroy},
};

static enum cli_exit run(struct command_run *r)
{
    return command_verb_run(r, verbs, sizeof(verbs) / sizeof(verbs[0]));
}

int cmd_session(int argc, char **argv)
{
    struct session_flags f = {0};
    const struct arg_option options[] = {
        {.name = "json",
         .kind = ARG_BOOL,
         .boolean = &f.json,
         .help = "list prints the API's JSON"},
        {.name = "node",
         .kind = ARG_STRING,
         .string = &f.node,
         .utf8 = true,
         .metavar = "NODE",
         .help = "list: only its sessions; create: for it, if not for us"},
        {.name = "name",
         .kind = ARG_STRING,
         .string = &f.name,
         .utf8 = true,
         .metavar = "TEXT",
         .help = "create: what people are to see"},
        {.name = "ttl",
         .kind = ARG_STRING,
         .string = &f.ttl,
         .utf8 = true,
         .metavar = "DURATION",
         .help = "create: it ends when it is not renewed for so long, 10s to "
                 "24h; without, only with its checks"},
        {.name = "lock-delay",
         .kind = ARG_STRING,
         .string = &f.lock_delay,
         .utf8 = true,
         .metavar = "DURATION",
         .help = "create: its locks stay locked so long after its death (15s)"},
        {.name = "behavior",
         .kind = ARG_STRING,
         .string = &f.behavior,
         .utf8 = true,
         .metavar = "WORD",
         .help = "create: release its locks at its end, or delete the entries "
                 "(release)"},
        CLIENT_OPTIONS(&f.client),
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

    return command_main(&spec, argc, argv, &f.client, &f, run);
}
