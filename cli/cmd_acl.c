/*
 * Tokens and policies, in the words of the consul command.
 */
#include "cli/cmd_acl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/core/limits.h"
#include "base/core/utf8.h"
#include "cli/command.h"
#include "cli/view.h"

struct acl_flags {
    struct client_flags client;
    const char *format;
    const char *id;
    const char *accessor;
    const char *secret;
    const char *name;
    const char *description;
    const char *rules;
    struct arg_list policy_ids;
    struct arg_list policy_names;
    bool self;
    bool merge;
};

static const struct acl_flags *flags_of(const struct command_run *r)
{
    return r->flags;
}

/* ---- What is printed ------------------------------------------------ */

static bool wants_json(const struct command_run *r)
{
    return strcmp(flags_of(r)->format, "json") == 0;
}

static void print_links(const json_t *links)
{
    const json_t *link;
    size_t i;

    if (json_array_size(links) > 0) {
        (void)printf("Policies:\n");
    }
    json_array_foreach(links, i, link)
    {
        (void)printf("   %s - %s\n", view_text(link, "ID"),
                     view_text(link, "Name"));
    }
}

static void print_token(const json_t *token)
{
    (void)printf("AccessorID:       %s\nSecretID:         %s\n"
                 "Description:      %s\nLocal:            %s\n"
                 "Create Time:      %s\n",
                 view_text(token, "AccessorID"), view_text(token, "SecretID"),
                 view_text(token, "Description"),
                 json_is_true(json_object_get(token, "Local")) ? "true"
                                                               : "false",
                 view_text(token, "CreateTime"));
    print_links(json_object_get(token, "Policies"));
}

static void print_policy(const json_t *policy)
{
    (void)printf("ID:           %s\nName:         %s\nDescription:  %s\n",
                 view_text(policy, "ID"), view_text(policy, "Name"),
                 view_text(policy, "Description"));
    if (json_object_get(policy, "Rules") != NULL) {
        (void)printf("Rules:\n%s\n", view_text(policy, "Rules"));
    }
}

typedef void print_fn(const json_t *thing);

static void print_result(const struct command_run *r, const json_t *json,
                         print_fn *print)
{
    const json_t *thing;
    size_t i;

    if (wants_json(r)) {
        view_print_json(json);
    } else if (!json_is_array(json)) {
        print(json);
    }
    json_array_foreach(json, i, thing)
    {
        if (!wants_json(r)) {
            (void)printf("%s", i == 0 ? "" : "\n");
            print(thing);
        }
    }
}

/* ---- Asking --------------------------------------------------------- */

static enum cli_exit call(struct command_run *r, const char *method,
                          const char *path, const json_t *body,
                          json_t **out_json)
{
    char *text = body == NULL ? NULL : json_dumps(body, JSON_COMPACT);
    enum cli_exit code = client_call(r->client, method, path, slice_str(text),
                                     out_json, &r->err);

    free(text);
    return code;
}

static enum cli_exit call_and_print(struct command_run *r, const char *method,
                                    const char *path, const json_t *body,
                                    print_fn *print)
{
    json_t *json = NULL;
    enum cli_exit code = call(r, method, path, body, &json);

    if (code == CLI_OK) {
        print_result(r, json, print);
    }
    json_decref(json);
    return code;
}

static enum cli_exit misused(struct command_run *r, const char *text)
{
    (void)err_set(&r->err, ST_INVALID, "%s", text);
    return CLI_USAGE;
}

/* The path of one thing. */
static const char *path_of(struct command_run *r, const char *folder,
                           const char *id)
{
    char *quoted = client_quote(id);
    const char *path = arena_printf(&r->arena, "%s%s", folder, quoted);

    free(quoted);
    return path;
}

/* ---- Policies ------------------------------------------------------- */

/* NULL: it cannot be read. */
static const char *text_of_file(struct command_run *r, const char *path)
{
    bool is_input = strcmp(path, "-") == 0;
    FILE *file = is_input ? stdin : fopen(path, "re");
    char *text;
    size_t len;

    if (file == NULL) {
        (void)err_set(&r->err, ST_IO, "%s: cannot be read", path);
        return NULL;
    }
    text = arena_alloc(&r->arena, LIMIT_ACL_POLICY_BYTES + 2);
    len = fread(text, 1, LIMIT_ACL_POLICY_BYTES + 1, file);
    text[len] = '\0';
    if (!is_input) {
        (void)fclose(file);
    }
    return text;
}

/* "@FILE", "-", or the rules. NULL: there are none to be had. */
static const char *rules_text(struct command_run *r, const char *from)
{
    const char *text = from[0] == '@' || strcmp(from, "-") == 0
                           ? text_of_file(r, from + (from[0] == '@'))
                           : from;

    if (text != NULL && !utf8_is(slice_str(text))) {
        (void)err_set(&r->err, ST_INVALID, "--rules: they are not UTF-8");
        return NULL;
    }
    return text;
}

/* False: the rules cannot be read. */
static bool set_policy(struct command_run *r, json_t *body)
{
    const char *rules =
        flags_of(r)->rules == NULL ? NULL : rules_text(r, flags_of(r)->rules);

    if (flags_of(r)->rules != NULL && rules == NULL) {
        return false;
    }
    client_set_text(body, "Name", flags_of(r)->name);
    client_set_text(body, "Description", flags_of(r)->description);
    client_set_text(body, "Rules", rules);
    return true;
}

static enum cli_exit policy_create(struct command_run *r)
{
    json_t *body = json_object();
    enum cli_exit code = CLI_FAILED;

    if (flags_of(r)->name == NULL) {
        json_decref(body);
        return misused(r, "--name is missing");
    }
    if (set_policy(r, body)) {
        code = call_and_print(r, "PUT", "/v1/acl/policy", body, print_policy);
    }
    json_decref(body);
    return code;
}

/* By --id, else by --name. */
static enum cli_exit policy_get(struct command_run *r, json_t **out_policy)
{
    if (flags_of(r)->id != NULL) {
        return call(r, "GET", path_of(r, "/v1/acl/policy/", flags_of(r)->id),
                    NULL, out_policy);
    }
    if (flags_of(r)->name != NULL) {
        return call(r, "GET",
                    path_of(r, "/v1/acl/policy/name/", flags_of(r)->name), NULL,
                    out_policy);
    }
    return misused(r, "--id or --name is missing");
}

static enum cli_exit policy_read(struct command_run *r)
{
    json_t *policy = NULL;
    enum cli_exit code = policy_get(r, &policy);

    if (code == CLI_OK) {
        print_result(r, policy, print_policy);
    }
    json_decref(policy);
    return code;
}

static enum cli_exit policy_update(struct command_run *r)
{
    json_t *policy = NULL;
    enum cli_exit code = policy_get(r, &policy);

    if (code == CLI_OK && !set_policy(r, policy)) {
        code = CLI_FAILED;
    }
    if (code == CLI_OK) {
        code = call_and_print(
            r, "PUT", path_of(r, "/v1/acl/policy/", view_text(policy, "ID")),
            policy, print_policy);
    }
    json_decref(policy);
    return code;
}

static enum cli_exit policy_delete(struct command_run *r)
{
    json_t *policy = NULL;
    enum cli_exit code = policy_get(r, &policy);

    if (code == CLI_OK) {
        code = call(r, "DELETE",
                    path_of(r, "/v1/acl/policy/", view_text(policy, "ID")),
                    NULL, NULL);
    }
    if (code == CLI_OK) {
        (void)printf("Policy \"%s\" deleted successfully\n",
                     view_text(policy, "Name"));
    }
    json_decref(policy);
    return code;
}

static enum cli_exit policy_list(struct command_run *r)
{
    return call_and_print(r, "GET", "/v1/acl/policies", NULL, print_policy);
}

/* ---- Tokens --------------------------------------------------------- */

static void add_links(json_t *links, const struct arg_list *list,
                      const char *key)
{
    for (size_t i = 0; i < list->count; i++) {
        (void)json_array_append_new(links,
                                    json_pack("{s:s}", key, list->items[i]));
    }
}

static void set_links(const struct command_run *r, json_t *body)
{
    json_t *links = json_array();

    if (flags_of(r)->merge) {
        (void)json_array_extend(links, json_object_get(body, "Policies"));
    }
    add_links(links, &flags_of(r)->policy_ids, "ID");
    add_links(links, &flags_of(r)->policy_names, "Name");
    if (json_array_size(links) > 0) {
        (void)json_object_set(body, "Policies", links);
    }
    json_decref(links);
}

static enum cli_exit token_create(struct command_run *r)
{
    json_t *body = json_object();
    enum cli_exit code;

    client_set_text(body, "AccessorID", flags_of(r)->accessor);
    client_set_text(body, "SecretID", flags_of(r)->secret);
    client_set_text(body, "Description", flags_of(r)->description);
    set_links(r, body);
    code = call_and_print(r, "PUT", "/v1/acl/token", body, print_token);
    json_decref(body);
    return code;
}

/* The path of the token that --id or --accessor-id names. NULL: neither. */
static const char *token_path(struct command_run *r)
{
    const char *id =
        flags_of(r)->id != NULL ? flags_of(r)->id : flags_of(r)->accessor;

    return id == NULL ? NULL : path_of(r, "/v1/acl/token/", id);
}

static enum cli_exit token_read(struct command_run *r)
{
    const char *path = flags_of(r)->self ? "/v1/acl/token/self" : token_path(r);

    return path == NULL ? misused(r, "--accessor-id or --self is missing")
                        : call_and_print(r, "GET", path, NULL, print_token);
}

static enum cli_exit token_update(struct command_run *r)
{
    const char *path = token_path(r);
    json_t *token = NULL;
    enum cli_exit code;

    if (path == NULL) {
        return misused(r, "--accessor-id is missing");
    }
    code = call(r, "GET", path, NULL, &token);
    if (code == CLI_OK) {
        client_set_text(token, "Description", flags_of(r)->description);
        set_links(r, token);
        code = call_and_print(r, "PUT", path, token, print_token);
    }
    json_decref(token);
    return code;
}

static enum cli_exit token_clone(struct command_run *r)
{
    const char *path = token_path(r);
    json_t *body = json_object();
    enum cli_exit code;

    client_set_text(body, "Description", flags_of(r)->description);
    code = path == NULL
               ? misused(r, "--accessor-id is missing")
               : call_and_print(r, "PUT",
                                arena_printf(&r->arena, "%s/clone", path), body,
                                print_token);
    json_decref(body);
    return code;
}

static enum cli_exit token_delete(struct command_run *r)
{
    const char *path = token_path(r);
    enum cli_exit code;

    if (path == NULL) {
        return misused(r, "--accessor-id is missing");
    }
    code = call(r, "DELETE", path, NULL, NULL);
    if (code == CLI_OK) {
        (void)printf("Token \"%s\" deleted successfully\n",
                     flags_of(r)->id != NULL ? flags_of(r)->id
                                             : flags_of(r)->accessor);
    }
    return code;
}

static enum cli_exit token_list(struct command_run *r)
{
    return call_and_print(r, "GET", "/v1/acl/tokens", NULL, print_token);
}

static enum cli_exit bootstrap(struct command_run *r)
{
    return call_and_print(r, "PUT", "/v1/acl/bootstrap", NULL, print_token);
}

/* ---- The command ---------------------------------------------------- */

static const struct verb {
    const char *group;
    const char *verb;
    command_fn *run;
} verbs[] = {
    {"bootstrap", "", bootstrap},        {"policy", "create", policy_create},
    {"policy", "read", policy_read},     {"policy", "update", policy_update},
    {"policy", "delete", policy_delete}, {"policy", "list", policy_list},
    {"token", "create", token_create},   {"token", "read", token_read},
    {"token", "update", token_update},   {"token", "clone", token_clone},
    {"token", "delete", token_delete},   {"token", "list", token_list},
};

static enum cli_exit run(struct command_run *r)
{
    const char *group = r->args->positionals[0];
    const char *word =
        r->args->positionals_count > 1 ? r->args->positionals[1] : "";
    const char *format = flags_of(r)->format;

    if (strcmp(format, "json") != 0 && strcmp(format, "pretty") != 0) {
        return misused(r, "--format is pretty or json");
    }
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        if (strcmp(verbs[i].group, group) == 0 &&
            strcmp(verbs[i].verb, word) == 0) {
            return verbs[i].run(r);
        }
    }
    return misused(r, "no such command; see muster acl --help");
}

int cmd_acl(int argc, char **argv)
{
    struct acl_flags f = {0};
    const struct arg_option options[] = {
        {.name = "format",
         .kind = ARG_STRING,
         .string = &f.format,
         .metavar = "pretty|json",
         .fallback = "pretty",
         .help = "how the result is printed"},
        {.name = "id",
         .kind = ARG_STRING,
         .string = &f.id,
         .metavar = "ID",
         .help = "which policy, or which token by its accessor"},
        {.name = "accessor-id",
         .kind = ARG_STRING,
         .string = &f.accessor,
         .utf8 = true,
         .metavar = "ID",
         .help = "which token; of a new one: to be chosen"},
        {.name = "accessor",
         .kind = ARG_STRING,
         .string = &f.accessor,
         .utf8 = true,
         .metavar = "ID",
         .help = "the same",
         .hidden = true},
        {.name = "secret",
         .kind = ARG_STRING,
         .string = &f.secret,
         .utf8 = true,
         .metavar = "UUID",
         .help = "secret of a new token, else made up"},
        {.name = "name",
         .kind = ARG_STRING,
         .string = &f.name,
         .utf8 = true,
         .metavar = "NAME",
         .help = "a policy's name; with update and --id, its new one"},
        {.name = "description",
         .kind = ARG_STRING,
         .string = &f.description,
         .utf8 = true,
         .metavar = "TEXT",
         .help = "what it is for"},
        {.name = "rules",
         .kind = ARG_STRING,
         .string = &f.rules,
         .metavar = "TEXT|@FILE|-",
         .help = "a policy's rules, HCL or JSON"},
        {.name = "policy-id",
         .kind = ARG_LIST,
         .list = &f.policy_ids,
         .utf8 = true,
         .metavar = "ID",
         .help = "a token's policy; repeatable"},
        {.name = "policy-name",
         .kind = ARG_LIST,
         .list = &f.policy_names,
         .utf8 = true,
         .metavar = "NAME",
         .help = "the same by name"},
        {.name = "merge-policies",
         .kind = ARG_BOOL,
         .boolean = &f.merge,
         .help = "update adds policies, it does not replace them"},
        {.name = "self",
         .kind = ARG_BOOL,
         .boolean = &f.self,
         .help = "read the token that asks"},
        CLIENT_OPTIONS(&f.client),
    };
    const struct arg_spec spec = {
        .command = "acl",
        .positionals = "bootstrap | policy VERB | token VERB",
        .about = "Make and change tokens and the policies that say what they "
                 "may do, in the store. VERB is create, read, update, delete "
                 "or list; of tokens also clone. A secret is shown once, when "
                 "its token is made.",
        .examples = "  muster acl bootstrap\n"
                    "  muster acl policy create --name web "
                    "--rules 'service \"web\" { policy = \"write\" }'\n"
                    "  muster acl token create --description 'web team' "
                    "--policy-name web\n"
                    "  muster acl token read --self\n",
        .options = options,
        .options_count = sizeof(options) / sizeof(options[0]),
        .positionals_min = 1,
        .positionals_max = 2,
    };

    return command_main(&spec, argc, argv, &f.client, &f, run);
}
