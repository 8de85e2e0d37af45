#include "cli/cmd_register.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/core/limits.h"
#include "cli/args.h"
#include "cli/client.h"
#include "cli/files.h"

#define REGISTER_PATH "/v1/agent/service/register?replace-existing-checks"

struct register_flags {
    struct client_flags client;
    const char *name;
    const char *id;
    const char *address;
    uint16_t port;
    struct arg_list tags;
    struct arg_list meta;
    const char *check_http;
    const char *check_tcp;
    const char *check_ttl;
    const char *interval;
    const char *timeout;
};

struct registration {
    struct client *client;
    enum cli_exit code;
};

/* --- from files ----------------------------------------------------------- */

static enum status put_service(struct registration *r,
                               const struct service_def *s, struct err *err)
{
    struct buf body;
    enum status st;

    buf_init(&body, LIMIT_HTTP_BODY);
    st = service_def_write(s, &body);
    if (st) {
        (void)err_set(err, st, "service \"%s\": %s", s->id, status_text(st));
        r->code = CLI_FAILED;
    } else {
        r->code = client_put(r->client, REGISTER_PATH, buf_slice(&body), err);
    }
    buf_release(&body);
    if (r->code != CLI_OK) {
        return ST_INVALID;
    }
    (void)printf("registered %s\n", s->id);
    return ST_OK;
}

static enum status put_check(struct registration *r, const struct check_def *c,
                             struct err *err)
{
    struct buf body;
    enum status st;

    buf_init(&body, LIMIT_HTTP_BODY);
    st = check_def_write(c, &body);
    if (st) {
        (void)err_set(err, st, "check \"%s\": %s", c->id, status_text(st));
        r->code = CLI_FAILED;
    } else {
        r->code = client_put(r->client, "/v1/agent/check/register",
                             buf_slice(&body), err);
    }
    buf_release(&body);
    if (r->code != CLI_OK) {
        return ST_INVALID;
    }
    (void)printf("registered check %s\n", c->id);
    return ST_OK;
}

static enum status put_all(struct registration *r, const struct definitions *d,
                           struct err *err)
{
    for (size_t i = 0; i < definitions_services_count(d); i++) {
        if (put_service(r, definitions_service(d, i), err)) {
            return ST_INVALID;
        }
    }
    for (size_t i = 0; i < definitions_checks_count(d); i++) {
        if (put_check(r, definitions_check(d, i), err)) {
            return ST_INVALID;
        }
    }
    return ST_OK;
}

static enum status on_file(const char *path, void *arg, struct err *err)
{
    struct registration *r = arg;
    struct definitions *d = NULL;
    enum status st = files_load(path, &d, err);

    if (st) {
        r->code = CLI_FAILED;
        return st;
    }
    st = put_all(r, d, err);
    definitions_unref(d);
    return st;
}

/* --- from flags ----------------------------------------------------------- */

static json_t *check_of(const struct register_flags *f, const char *kind,
                        const char *value)
{
    json_t *check = json_object();

    client_set_text(check, kind, value);
    if (f->check_ttl != value) {
        client_set_text(check, "Interval", f->interval);
        client_set_text(check, "Timeout", f->timeout);
    }
    return check;
}

static void add_checks(json_t *service, const struct register_flags *f)
{
    json_t *checks = json_array();

    if (f->check_http != NULL) {
        (void)json_array_append_new(checks, check_of(f, "HTTP", f->check_http));
    }
    if (f->check_tcp != NULL) {
        (void)json_array_append_new(checks, check_of(f, "TCP", f->check_tcp));
    }
    if (f->check_ttl != NULL) {
        (void)json_array_append_new(checks, check_of(f, "TTL", f->check_ttl));
    }
    (void)json_object_set_new(service, "Checks", checks);
}

static enum status add_meta(json_t *service, const struct arg_list *pairs,
                            struct err *err)
{
    json_t *meta = json_object();

    (void)json_object_set_new(service, "Meta", meta);
    for (size_t i = 0; i < pairs->count; i++) {
        const char *equals = strchr(pairs->items[i], '=');
        char *key;

        if (equals == NULL) {
            return err_set(err, ST_INVALID, "--meta: \"%s\" is not KEY=VALUE",
                           pairs->items[i]);
        }
        key = strndup(pairs->items[i], (size_t)(equals - pairs->items[i]));
        (void)json_object_set_new(meta, key, json_string(equals + 1));
        free(key);
    }
    return ST_OK;
}

static enum status service_of(const struct register_flags *f,
                              json_t **out_service, struct err *err)
{
    json_t *service = json_object();
    json_t *tags = json_array();
    enum status st;

    client_set_text(service, "Name", f->name);
    client_set_text(service, "ID", f->id);
    client_set_text(service, "Address", f->address);
    (void)json_object_set_new(service, "Port", json_integer(f->port));
    for (size_t i = 0; i < f->tags.count; i++) {
        (void)json_array_append_new(tags, json_string(f->tags.items[i]));
    }
    (void)json_object_set_new(service, "Tags", tags);
    add_checks(service, f);
    st = add_meta(service, &f->meta, err);
    if (st) {
        json_decref(service);
        return st;
    }
    *out_service = service;
    return ST_OK;
}

static void register_flags(struct registration *r,
                           const struct register_flags *f, struct err *err)
{
    json_t *service = NULL;
    char *body;

    if (service_of(f, &service, err)) {
        r->code = CLI_USAGE;
        return;
    }
    body = json_dumps(service, JSON_COMPACT);
    json_decref(service);
    r->code = client_put(r->client, REGISTER_PATH, slice_str(body), err);
    free(body);
    if (r->code == CLI_OK) {
        (void)printf("registered %s\n", f->id ? f->id : f->name);
    }
}

/* --- the command ---------------------------------------------------------- */

static void register_files(struct registration *r, const struct args *args,
                           struct err *err)
{
    for (size_t i = 0; i < args->positionals_count; i++) {
        if (files_each(args->positionals[i], on_file, r, err)) {
            r->code = r->code == CLI_OK ? CLI_FAILED : r->code;
            return;
        }
    }
}

static int run(const struct args *args, const struct register_flags *f)
{
    struct registration r = {.code = CLI_OK};
    struct err err;

    if ((args->positionals_count > 0) == (f->name != NULL)) {
        (void)fprintf(stderr, "muster register: give either files or --name\n");
        return CLI_USAGE;
    }
    r.client = client_new(&f->client);
    if (f->name != NULL) {
        register_flags(&r, f, &err);
    } else {
        register_files(&r, args, &err);
    }
    client_free(r.client);
    if (r.code != CLI_OK) {
        (void)fprintf(stderr, "muster register: %s\n", err.text);
    }
    return (int)r.code;
}

#define TEXT(flag, to, meta, words)                                            \
    {                                                                          \
        .name = (flag), .kind = ARG_STRING, .string = (to), .metavar = (meta), \
        .utf8 = true, .help = (words)                                          \
    }

int cmd_register(int argc, char **argv)
{
    struct register_flags f = {0};
    const struct arg_option options[] = {
        TEXT("name", &f.name, "NAME", "the service's name"),
        TEXT("id", &f.id, "ID", "if not the name; must be unique on this host"),
        TEXT("address", &f.address, "ADDR", "if not this host's"),
        {.name = "port",
         .kind = ARG_PORT,
         .port = &f.port,
         .metavar = "PORT",
         .help = "where it listens"},
        {.name = "tag",
         .kind = ARG_LIST,
         .list = &f.tags,
         .utf8 = true,
         .metavar = "TAG[,TAG...]",
         .help = "may be repeated"},
        {.name = "meta",
         .kind = ARG_LIST,
         .list = &f.meta,
         .utf8 = true,
         .metavar = "KEY=VALUE",
         .help = "may be repeated"},
        TEXT("check-http", &f.check_http, "URL", "passing when it answers 2xx"),
        TEXT("check-tcp", &f.check_tcp, "HOST:PORT",
             "passing when it takes a connection"),
        TEXT("check-ttl", &f.check_ttl, "DURATION",
             "passing as long as somebody says so this often"),
        {.name = "interval",
         .kind = ARG_STRING,
         .string = &f.interval,
         .utf8 = true,
         .metavar = "DURATION",
         .fallback = "10s",
         .help = "between checks"},
        {.name = "timeout",
         .kind = ARG_STRING,
         .string = &f.timeout,
         .utf8 = true,
         .metavar = "DURATION",
         .fallback = "10s",
         .help = "of one check"},
        CLIENT_OPTIONS(&f.client),
    };
    const struct arg_spec spec = {
        .command = "register",
        .positionals = "[FILE...]",
        .about = "Register services with this host's agent: those of sidecar "
                 "files (\"-\" is standard\ninput), or one that is given by "
                 "flags. The agent keeps them over restarts until\nthey are "
                 "deregistered. Exits with 1 when the agent refuses, with 3 "
                 "when none answers.",
        .examples = "muster register web.json\n"
                    "muster register --name web --port 8080 --tag v2 "
                    "--check-http http://127.0.0.1:8080/\n"
                    "muster register --name batch --check-ttl 30s",
        .options = options,
        .options_count = sizeof(options) / sizeof(options[0]),
        .positionals_max = ARG_POSITIONAL_MAX,
    };
    struct args args;
    int code;

    if (!args_parse(&args, &spec, argc, argv, &code)) {
        return code;
    }
    code = run(&args, &f);
    args_release(&args);
    return code;
}
