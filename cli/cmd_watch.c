/*
 * muster watch: long polls, and a handler for each result that differs from the
 * last one that a handler took without failing.
 *
 * While a handler runs nothing is asked, so however much happens meanwhile, one
 * run follows, with the newest result.
 */
#include "cli/cmd_watch.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/core/check.h"
#include "base/core/hash.h"
#include "base/io/http_server.h"
#include "base/io/loop.h"
#include "base/io/tls.h"
#include "cli/args.h"
#include "cli/client.h"
#include "cli/fetch.h"

#define RETRY_S                 1
#define HANDLER_MS              10000
#define HANDLER_REPLY_BYTES_MAX (1 << 20) /* Nobody looks at it. */

struct watch_flags {
    struct client_flags client;
    const char *type;
    const char *key;
    const char *prefix;
    const char *service;
    const char *tag;
    bool passing;
    const char *state;
    const char *name;
    const char *http_handler;
    const char *state_file;
    bool once;
};

struct watch {
    struct client *client;
    const struct watch_flags *f;
    const char *const *handler;
    size_t handler_words;
    struct arena arena;
    char *path; /* With a "?" in it. */
    unsigned long long index;
    uint64_t taken; /* Hash of the last result that was handled; 0: none. */
};

/* ---- What to ask --------------------------------------------------------- */

static const char *quoted(struct watch *w, const char *text)
{
    char *q = client_quote(text == NULL ? "" : text);
    const char *copy = arena_strdup(&w->arena, slice_str(q));

    free(q);
    return copy;
}

static const char *checks_path(struct watch *w)
{
    return w->f->service != NULL
               ? arena_printf(&w->arena, "/v1/health/checks/%s?",
                              quoted(w, w->f->service))
               : arena_printf(
                     &w->arena, "/v1/health/state/%s?",
                     quoted(w, w->f->state_file ? w->f->state : "any"));
}

/* NULL: no such type, or it lacks what it needs. */
static const char *path_of(struct watch *w)
{
    const struct watch_flags *f = w->f;
    const char *type = f->type == NULL ? "" : f->type;

    if (strcmp(type, "key") == 0 && f->key != NULL) {
        return arena_printf(&w->arena, "/v1/kv/%s?", quoted(w, f->key));
    }
    if (strcmp(type, "keyprefix") == 0 && f->prefix != NULL) {
        return arena_printf(&w->arena, "/v1/kv/%s?recurse&",
                            quoted(w, f->prefix));
    }
    if (strcmp(type, "services") == 0) {
        return "/v1/catalog/services?";
    }
    if (strcmp(type, "nodes") == 0) {
        return "/v1/catalog/nodes?";
    }
    if (strcmp(type, "service") == 0 && f->service != NULL) {
        return arena_printf(
            &w->arena, "/v1/health/service/%s?%s%s%s", quoted(w, f->service),
            f->passing ? "passing&" : "", f->tag ? "tag=" : "",
            f->tag ? arena_printf(&w->arena, "%s&", quoted(w, f->tag)) : "");
    }
    if (strcmp(type, "checks") == 0) {
        return checks_path(w);
    }
    if (strcmp(type, "event") == 0) {
        return arena_printf(&w->arena, "/v1/event/list?name=%s&",
                            quoted(w, f->name));
    }
    return NULL;
}

/* ---- Handlers ------------------------------------------------------------ */

static bool write_all(int fd, struct slice bytes)
{
    while (bytes.len > 0) {
        ssize_t n = write(fd, bytes.data, bytes.len);

        if (n < 0 && errno != EINTR) {
            return false; /* It does not read: that is its business. */
        }
        bytes = slice_skip(bytes, n < 0 ? 0 : (size_t)n);
    }
    return true;
}

static void exec_handler(const struct watch *w, int input)
{
    char **words = calloc(w->handler_words + 1, sizeof(*words));
    char index[32];

    CHECK(words != NULL);
    memcpy(words, w->handler, w->handler_words * sizeof(*words));
    (void)snprintf(index, sizeof(index), "%llu", w->index);
    (void)setenv("CONSUL_INDEX", index, 1);
    (void)signal(SIGPIPE, SIG_DFL);
    (void)dup2(input, STDIN_FILENO);
    if (w->handler_words == 1) {
        (void)execl("/bin/sh", "sh", "-c", words[0], (char *)NULL);
    } else {
        (void)execvp(words[0], words);
    }
    (void)fprintf(stderr, "muster watch: %s: %s\n", words[0], strerror(errno));
    _exit(127);
}

static bool run_handler(const struct watch *w, struct slice result)
{
    int ends[2];
    int status;
    pid_t pid;

    CHECK(pipe(ends) == 0);
    (void)fflush(stdout);
    pid = fork();
    if (pid == 0) {
        (void)close(ends[1]);
        exec_handler(w, ends[0]);
    }
    (void)close(ends[0]);
    if (pid > 0) {
        (void)write_all(ends[1], result);
    }
    (void)close(ends[1]);
    if (pid < 0) {
        return false;
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        (void)fprintf(stderr, "muster watch: the handler failed; it runs "
                              "again with the next result\n");
        return false;
    }
    return true;
}

static bool post_handler(const struct watch *w, struct slice result)
{
    char index[32];
    struct http_header headers[] = {
        {slice_str("Content-Type"), slice_str("application/json")},
        {.name = slice_str("X-Consul-Index")}};
    struct http_call_config config = {.method = "POST",
                                      .headers = headers,
                                      .headers_count = 2,
                                      .body = result,
                                      .total_ms = HANDLER_MS};
    const struct tls_files files = {.http1 = true};
    struct loop *loop = loop_new();
    struct fetched fetched;
    struct buf reply;
    struct err err = {.text = ""};
    bool taken;

    (void)snprintf(index, sizeof(index), "%llu", w->index);
    headers[1].value = slice_str(index);
    buf_init(&reply, HANDLER_REPLY_BYTES_MAX);
    taken = fetch_url(loop, w->f->http_handler, &files, &config, &reply,
                      &fetched, &err) == ST_OK &&
            fetched.status >= 200 && fetched.status <= 299;
    if (!taken) {
        (void)fprintf(stderr, "muster watch: %s: %s (%d)\n", w->f->http_handler,
                      err.text, fetched.status);
    }
    buf_release(&reply);
    loop_free(loop);
    return taken;
}

static bool handle(const struct watch *w, struct slice result)
{
    if (w->f->http_handler != NULL) {
        return post_handler(w, result);
    }
    if (w->handler_words > 0) {
        return run_handler(w, result);
    }
    (void)fwrite(result.data, 1, result.len, stdout);
    (void)putchar('\n');
    (void)fflush(stdout);
    return true;
}

/* ---- What was handled, over a restart ------------------------------------ */

static void state_read(struct watch *w)
{
    FILE *f = w->f->state_file ? fopen(w->f->state_file, "re") : NULL;
    char line[32] = "";

    if (f != NULL) {
        if (fgets(line, sizeof(line), f) != NULL) {
            w->taken = strtoull(line, NULL, 16);
        }
        (void)fclose(f);
    }
}

/* In one step: half of a file would be another result. */
static void state_write(struct watch *w)
{
    const char *part;
    FILE *f;
    bool good;

    if (w->f->state_file == NULL) {
        return;
    }
    part = arena_printf(&w->arena, "%s.part", w->f->state_file);
    f = fopen(part, "we");
    good =
        f != NULL && fprintf(f, "%016llx\n", (unsigned long long)w->taken) > 0;
    good = f != NULL && fclose(f) == 0 && good;
    if (!good || rename(part, w->f->state_file) != 0) {
        (void)fprintf(stderr,
                      "muster watch: %s cannot be written: %s; a restart will "
                      "run the handler again\n",
                      w->f->state_file, strerror(errno));
    }
}

/* ---- The loop ------------------------------------------------------------ */

static uint64_t hash_of(struct slice result)
{
    uint64_t h = hash_bytes((struct hash_key){1, 2}, result);

    return h == 0 ? 1 : h;
}

/* One poll, and the handler if there is news. */
static enum cli_exit turn(struct watch *w, bool *out_handled, struct err *err)
{
    const char *path =
        arena_printf(&w->arena, "%sindex=%llu&wait=20s", w->path, w->index);
    struct slice result;
    enum cli_exit code =
        client_ask(w->client, "GET", path, (struct slice){0}, &result, err);
    unsigned long long index = client_index(w->client);

    *out_handled = false;
    if (code == CLI_NOT_FOUND) {
        result = slice_str("null"); /* There is no such key now. */
        code = CLI_OK;
    }
    if (code != CLI_OK) {
        w->index = 0;
        return code;
    }
    w->index = index < w->index ? 0 : index;
    if (hash_of(result) != w->taken) {
        if (handle(w, result)) {
            w->taken = hash_of(result);
            *out_handled = true;
            state_write(w);
        } else {
            w->index = 0; /* So that it comes again. */
            (void)sleep(RETRY_S);
        }
    }
    return CLI_OK;
}

static int run(struct watch *w)
{
    bool once =
        w->f->once || (w->handler_words == 0 && w->f->http_handler == NULL);
    struct err err;
    bool handled;

    for (;;) {
        enum cli_exit code = turn(w, &handled, &err);

        arena_reset(&w->arena);
        if (code == CLI_FAILED || (code != CLI_OK && once)) {
            (void)fprintf(stderr, "muster watch: %s\n", err.text);
        }
        if (once && (code != CLI_OK || handled)) {
            return (int)code;
        }
        if (code != CLI_OK) {
            (void)sleep(RETRY_S);
        }
    }
}

int cmd_watch(int argc, char **argv)
{
    struct watch_flags f = {0};
    const struct arg_option options[] = {
        {.name = "type",
         .kind = ARG_STRING,
         .string = &f.type,
         .metavar = "TYPE",
         .help = "key, keyprefix, services, nodes, service, checks, event"},
        {.name = "key",
         .kind = ARG_STRING,
         .string = &f.key,
         .metavar = "KEY",
         .help = "of type key"},
        {.name = "prefix",
         .kind = ARG_STRING,
         .string = &f.prefix,
         .metavar = "PREFIX",
         .help = "of type keyprefix"},
        {.name = "service",
         .kind = ARG_STRING,
         .string = &f.service,
         .metavar = "NAME",
         .help = "of types service and checks"},
        {.name = "tag",
         .kind = ARG_STRING,
         .string = &f.tag,
         .metavar = "TAG",
         .help = "service: only instances with it"},
        {.name = "passingonly",
         .kind = ARG_BOOL,
         .boolean = &f.passing,
         .help = "service: only instances that are fine"},
        {.name = "state",
         .kind = ARG_STRING,
         .string = &f.state,
         .metavar = "STATE",
         .help = "checks: passing, warning, critical, any"},
        {.name = "name",
         .kind = ARG_STRING,
         .string = &f.name,
         .metavar = "NAME",
         .help = "event: only of this name"},
        {.name = "http-handler",
         .kind = ARG_STRING,
         .string = &f.http_handler,
         .metavar = "URL",
         .help = "POST results there instead of running something"},
        {.name = "state-file",
         .kind = ARG_STRING,
         .string = &f.state_file,
         .metavar = "FILE",
         .help = "remember there what was handled, so that a start of this "
                 "command is no news"},
        {.name = "once",
         .kind = ARG_BOOL,
         .boolean = &f.once,
         .help = "end after the first result"},
        CLIENT_OPTIONS(&f.client),
    };
    const struct arg_spec spec = {
        .command = "watch",
        .positionals = "[HANDLER...]",
        .about = "Run HANDLER whenever a result differs from the last one that "
                 "it took without\nfailing; it gets JSON on its standard "
                 "input. One word is given to the shell; put\n\"--\" before a "
                 "handler with flags. Without a handler: print the result and "
                 "end.",
        .examples = "muster watch --type service --service web ./reload.sh\n"
                    "muster watch --type keyprefix --prefix app/ -- jq -c .\n"
                    "muster watch --type event --name deploy ./deploy.sh\n"
                    "muster watch --type services",
        .options = options,
        .options_count = sizeof(options) / sizeof(options[0]),
        .positionals_max = ARG_POSITIONAL_MAX,
    };
    struct args args;
    struct watch w = {.f = &f};
    const char *path;
    int code;

    if (!args_parse(&args, &spec, argc, argv, &code)) {
        return code;
    }
    path = path_of(&w);
    if (path == NULL) {
        (void)fprintf(stderr,
                      "muster watch: %s%s; see \"muster watch --help\"\n",
                      f.type ? "this cannot be watched, or lacks --key, "
                               "--prefix or --service: type "
                             : "what to watch is said by --type",
                      f.type ? f.type : "");
        arena_release(&w.arena);
        args_release(&args);
        return CLI_USAGE;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    state_read(&w);
    w.path = strdup(path);
    CHECK(w.path != NULL);
    w.client = client_new(&f.client);
    w.handler = args.positionals;
    w.handler_words = args.positionals_count;
    code = run(&w);
    client_free(w.client);
    free(w.path);
    arena_release(&w.arena);
    args_release(&args);
    return code;
}
