/*
 * muster lock PREFIX COMMAND...: session, lock, command, release.
 *
 * One holder: the key PREFIX/.lock. Several (-n): each contender locks a key of
 * its own, PREFIX/SESSION, and PREFIX/.lock lists who of them may run, changed
 * by compare and set; a contender whose session has died counts no more.
 */
#include "cli/cmd_lock.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/core/base64.h"
#include "base/core/check.h"
#include "cli/args.h"
#include "cli/client.h"
#include "cli/view.h"

#define RENEW_MS 5000 /* The TTL is 15 s. */
#define LOOK_MS  100
#define KILL_MS  5000
/* Consul marks the keys of its locks and semaphores by these. */
#define FLAGS_LOCK      "3304740253564472344"
#define FLAGS_SEMAPHORE "16210313421097356768"

struct lock_flags {
    struct client_flags client;
    int64_t holders;
    uint64_t try_ms;
    const char *name;
    const char *node;
    bool shell;
    bool unused;           /* Consul's flags for what is so anyway. */
    int64_t unused_number; /* The same. */
};

struct lock {
    struct client *client;
    const struct lock_flags *f;
    const char *prefix;
    struct arena arena;
    struct err err;
    char session[64];
    uint64_t renewed_ms;
};

static volatile sig_atomic_t stop_signal;

static void on_signal(int number)
{
    stop_signal = number;
}

static uint64_t now_ms(void)
{
    struct timespec t;

    CHECK(clock_gettime(CLOCK_MONOTONIC, &t) == 0);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void pause_ms(long ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

    (void)nanosleep(&t, NULL); /* A signal ends it early, as it should. */
}

/* ---- The agent ----------------------------------------------------------- */

static const char *key_path(struct lock *k, const char *leaf, const char *more)
{
    char *quoted = client_quote(k->prefix);
    const char *path =
        arena_printf(&k->arena, "/v1/kv/%s/%s%s", quoted, leaf, more);

    free(quoted);
    return path;
}

static enum cli_exit put(struct lock *k, const char *path, struct slice body,
                         bool *out_true)
{
    struct slice reply;
    enum cli_exit code =
        client_ask(k->client, "PUT", path, body, &reply, &k->err);

    *out_true = code == CLI_OK && slice_starts(reply, slice_str("true"));
    return code;
}

static enum cli_exit session_create(struct lock *k)
{
    json_t *body = json_pack("{s:s, s:s, s:s*}", "Name",
                             k->f->name ? k->f->name : "muster lock", "TTL",
                             "15s", "Node", k->f->node);
    char *text = json_dumps(body, JSON_COMPACT);
    json_t *reply = NULL;
    struct slice bytes;
    enum cli_exit code = client_ask(k->client, "PUT", "/v1/session/create",
                                    slice_str(text), &bytes, &k->err);

    if (code == CLI_OK) {
        reply = json_loadb((const char *)bytes.data, bytes.len, 0, NULL);
        (void)snprintf(k->session, sizeof(k->session), "%.60s",
                       view_text(reply, "ID"));
        k->renewed_ms = now_ms();
    }
    json_decref(reply);
    json_decref(body);
    free(text);
    return code;
}

static enum cli_exit session_renew(struct lock *k)
{
    struct slice reply;

    if (now_ms() - k->renewed_ms < RENEW_MS) {
        return CLI_OK;
    }
    k->renewed_ms = now_ms();
    return client_ask(
        k->client, "PUT",
        arena_printf(&k->arena, "/v1/session/renew/%s", k->session),
        (struct slice){0}, &reply, &k->err);
}

static void session_destroy(struct lock *k)
{
    struct slice reply;
    struct err ignored;

    if (*k->session != '\0') {
        (void)client_ask(
            k->client, "PUT",
            arena_printf(&k->arena, "/v1/session/destroy/%s", k->session),
            (struct slice){0}, &reply, &ignored);
    }
}

/* ---- One holder ---------------------------------------------------------- */

static enum cli_exit lock_try(struct lock *k, bool *out_have)
{
    return put(
        k,
        key_path(k, ".lock",
                 arena_printf(&k->arena, "?flags=" FLAGS_LOCK "&acquire=%s",
                              k->session)),
        (struct slice){0}, out_have);
}

/* ---- Several holders ----------------------------------------------------- */

struct semaphore {
    json_t *entries; /* Of the prefix. */
    json_t *holders; /* Those who live, by session. */
    long long index; /* Of .lock; 0: there is none. */
};

static const json_t *find_entry(const struct semaphore *s, const char *suffix)
{
    size_t i;
    json_t *entry;

    json_array_foreach(s->entries, i, entry)
    {
        const char *key = view_text(entry, "Key");
        size_t len = strlen(key);

        if (len > strlen(suffix) &&
            strcmp(key + len - strlen(suffix), suffix) == 0 &&
            key[len - strlen(suffix) - 1] == '/') {
            return entry;
        }
    }
    return NULL;
}

static void read_holders(struct lock *k, struct semaphore *s)
{
    const json_t *lock = find_entry(s, ".lock");
    struct slice bytes = {0};
    json_t *value;
    const char *session;
    json_t *ignored;

    s->holders = json_object();
    s->index = lock ? view_number(lock, "ModifyIndex") : 0;
    if (lock == NULL ||
        base64_decode(&k->arena, slice_str(view_text(lock, "Value")), &bytes)) {
        return;
    }
    value = json_loadb((const char *)bytes.data, bytes.len, 0, NULL);
    json_object_foreach(json_object_get(value, "Holders"), session, ignored)
    {
        const json_t *entry = find_entry(s, session);

        if (entry != NULL &&
            strcmp(view_text(entry, "Session"), session) == 0) {
            (void)json_object_set_new(s->holders, session, json_true());
        }
    }
    json_decref(value);
}

static enum cli_exit semaphore_read(struct lock *k, struct semaphore *s)
{
    enum cli_exit code = client_get(k->client, key_path(k, "", "?recurse"),
                                    &s->entries, &k->err);

    if (code == CLI_NOT_FOUND) {
        code = CLI_OK;
    }
    if (code == CLI_OK) {
        read_holders(k, s);
    }
    return code;
}

static enum cli_exit semaphore_write(struct lock *k, struct semaphore *s,
                                     bool *out_written)
{
    json_t *value = json_pack("{s:I, s:O}", "Limit", (json_int_t)k->f->holders,
                              "Holders", s->holders);
    char *text = json_dumps(value, JSON_COMPACT);
    enum cli_exit code = put(
        k,
        key_path(k, ".lock",
                 arena_printf(&k->arena, "?flags=" FLAGS_SEMAPHORE "&cas=%lld",
                              s->index)),
        slice_str(text), out_written);

    json_decref(value);
    free(text);
    return code;
}

static void semaphore_release(struct semaphore *s)
{
    json_decref(s->entries);
    json_decref(s->holders);
}

static enum cli_exit semaphore_try(struct lock *k, bool *out_have)
{
    struct semaphore s = {0};
    enum cli_exit code =
        put(k,
            key_path(k, k->session,
                     arena_printf(&k->arena,
                                  "?flags=" FLAGS_SEMAPHORE "&acquire=%s",
                                  k->session)),
            (struct slice){0}, out_have);

    *out_have = false;
    if (code == CLI_OK) {
        code = semaphore_read(k, &s);
    }
    if (code == CLI_OK &&
        (int64_t)json_object_size(s.holders) < k->f->holders) {
        (void)json_object_set_new(s.holders, k->session, json_true());
        code = semaphore_write(k, &s, out_have);
    }
    semaphore_release(&s);
    return code;
}

static void semaphore_leave(struct lock *k)
{
    struct semaphore s = {0};
    struct slice reply;
    bool written = false;

    for (int i = 0; i < 20 && !written; i++) {
        if (semaphore_read(k, &s) != CLI_OK ||
            json_object_del(s.holders, k->session) != 0 ||
            semaphore_write(k, &s, &written) != CLI_OK) {
            written = true; /* The end of the session does it. */
        }
        semaphore_release(&s);
        s = (struct semaphore){0};
    }
    (void)client_ask(k->client, "DELETE", key_path(k, k->session, ""),
                     (struct slice){0}, &reply, &k->err);
}

/* ---- Getting and keeping it ---------------------------------------------- */

static bool several(const struct lock *k)
{
    return k->f->holders > 1;
}

/* Wait until something has changed, for two seconds at most: a lock-delay's end
 * changes nothing. */
static void wait_for_change(struct lock *k)
{
    const char *leaf = several(k) ? "" : ".lock";
    const char *more = several(k) ? "?recurse&" : "?";
    struct slice reply;
    struct err ignored;
    unsigned long long index;

    (void)client_ask(k->client, "GET", key_path(k, leaf, more),
                     (struct slice){0}, &reply, &ignored);
    index = client_index(k->client);
    if (several(k) || memmem(reply.data, reply.len, "\"Session\"", 9) == NULL) {
        pause_ms(LOOK_MS);
        return;
    }
    (void)client_ask(
        k->client, "GET",
        key_path(k, leaf,
                 arena_printf(&k->arena, "%sindex=%llu&wait=2s", more, index)),
        (struct slice){0}, &reply, &ignored);
}

static enum cli_exit acquire(struct lock *k)
{
    uint64_t begun = now_ms();
    enum cli_exit code = session_create(k);
    bool have = false;

    while (code == CLI_OK && !have && stop_signal == 0) {
        code = several(k) ? semaphore_try(k, &have) : lock_try(k, &have);
        if (code != CLI_OK || have) {
            break;
        }
        if (k->f->try_ms > 0 && now_ms() - begun >= k->f->try_ms) {
            (void)err_set(&k->err, ST_TIMEOUT,
                          "the lock was not to be had in time");
            return CLI_FAILED;
        }
        wait_for_change(k);
        code = session_renew(k);
        arena_reset(&k->arena);
    }
    if (code == CLI_OK && !have) {
        (void)err_set(&k->err, ST_CANCELED, "ended while waiting");
        code = CLI_FAILED;
    }
    return code;
}

static bool still_ours(struct lock *k)
{
    const char *leaf = several(k) ? k->session : ".lock";
    struct slice reply;
    struct err ignored;

    if (session_renew(k) != CLI_OK) {
        return false;
    }
    return client_ask(k->client, "GET", key_path(k, leaf, ""),
                      (struct slice){0}, &reply, &ignored) == CLI_OK &&
           memmem(reply.data, reply.len, k->session, strlen(k->session)) !=
               NULL;
}

/* ---- The command --------------------------------------------------------- */

static pid_t start(char **command, size_t words, bool shell)
{
    pid_t pid = fork();

    if (pid != 0) {
        return pid;
    }
    if (words == 1 && shell) {
        (void)execl("/bin/sh", "sh", "-c", command[0], (char *)NULL);
    } else {
        (void)execvp(command[0], command);
    }
    (void)fprintf(stderr, "muster lock: %s: %s\n", command[0], strerror(errno));
    _exit(127);
}

static int exit_of(int status)
{
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* A command that has lost its lock, or is told to end, is ended. */
static int watch_over(struct lock *k, pid_t pid)
{
    uint64_t looked = now_ms();
    uint64_t told = 0;
    bool lost = false;
    int status;

    for (;;) {
        if (waitpid(pid, &status, WNOHANG) == pid) {
            return lost ? CLI_FAILED : exit_of(status);
        }
        if (!lost && now_ms() - looked >= 1000) {
            looked = now_ms();
            lost = !still_ours(k);
            arena_reset(&k->arena);
        }
        if (told == 0 && (lost || stop_signal != 0)) {
            told = now_ms();
            (void)kill(pid, lost ? SIGTERM : stop_signal);
            if (lost) {
                (void)fprintf(stderr, "muster lock: the lock was lost\n");
            }
        }
        if (told != 0 && now_ms() - told >= KILL_MS) {
            (void)kill(pid, SIGKILL);
        }
        pause_ms(LOOK_MS);
    }
}

static int run(struct lock *k, char **command, size_t words)
{
    enum cli_exit code = acquire(k);
    struct slice reply;
    int result;
    pid_t pid;

    if (code != CLI_OK) {
        bool elsewhere = k->f->client.datacenter != NULL && k->f->node == NULL;

        (void)fprintf(
            stderr, "muster lock: %s%s\n", k->err.text,
            elsewhere && strstr(k->err.text, "Missing node") != NULL
                ? "; say with --node which node of that datacenter stands for "
                  "this host"
                : "");
        session_destroy(k);
        return (int)code;
    }
    pid = start(command, words, k->f->shell);
    result = pid < 0 ? CLI_FAILED : watch_over(k, pid);
    if (several(k)) {
        semaphore_leave(k);
    } else {
        (void)client_ask(
            k->client, "PUT",
            key_path(k, ".lock",
                     arena_printf(&k->arena, "?release=%s", k->session)),
            (struct slice){0}, &reply, &k->err);
    }
    session_destroy(k);
    return result;
}

static bool takes_value(const struct arg_spec *spec, const char *name)
{
    for (size_t i = 0; i < spec->options_count; i++) {
        if (strcmp(spec->options[i].name, name) == 0) {
            return spec->options[i].kind != ARG_BOOL;
        }
    }
    return false;
}

/* The command's own flags are not ours: "--" goes before PREFIX. */
static char **fence(const struct arg_spec *spec, int argc, char **argv)
{
    char **words = calloc((size_t)argc + 2, sizeof(*words));
    static char dashes[] = "--";
    int at = 1;

    CHECK(words != NULL);
    while (at < argc && argv[at][0] == '-' && strcmp(argv[at], "--") != 0) {
        at +=
            takes_value(spec, argv[at] + (argv[at][1] == '-' ? 2 : 1)) ? 2 : 1;
    }
    if (at >= argc || strcmp(argv[at], "--") == 0) {
        memcpy(words, argv, (size_t)argc * sizeof(*words));
        return words;
    }
    memcpy(words, argv, (size_t)at * sizeof(*words));
    words[at] = dashes;
    memcpy(words + at + 1, argv + at, (size_t)(argc - at) * sizeof(*words));
    return words;
}

int cmd_lock(int argc, char **argv)
{
    struct lock_flags f = {0};
    const struct arg_option options[] = {
        {.name = "n",
         .kind = ARG_INT,
         .number = &f.holders,
         .metavar = "N",
         .fallback = "1",
         .min = 1,
         .max = 1000,
         .help = "so many may have it at a time"},
        {.name = "try",
         .kind = ARG_DURATION,
         .ms = &f.try_ms,
         .metavar = "TIME",
         .help = "give up after this time"},
        {.name = "name",
         .kind = ARG_STRING,
         .string = &f.name,
         .utf8 = true,
         .metavar = "TEXT",
         .help = "the session's name, for others to read"},
        {.name = "node",
         .kind = ARG_STRING,
         .string = &f.node,
         .utf8 = true,
         .metavar = "NODE",
         .help = "let go when this node is lost, instead of this host; with "
                 "--dc: one over there"},
        {.name = "shell",
         .kind = ARG_BOOL,
         .boolean = &f.shell,
         .fallback = "true",
         .help = "=false: run a COMMAND of one word without a shell"},
        {.name = "timeout",
         .kind = ARG_DURATION,
         .ms = &f.try_ms,
         .hidden = true,
         .metavar = "TIME",
         .help = "as --try, in older words"},
        {.name = "child-exit-code",
         .kind = ARG_BOOL,
         .boolean = &f.unused,
         .hidden = true,
         .help = "it always is"},
        {.name = "pass-stdin",
         .kind = ARG_BOOL,
         .boolean = &f.unused,
         .hidden = true,
         .help = "it always is"},
        {.name = "verbose",
         .kind = ARG_BOOL,
         .boolean = &f.unused,
         .hidden = true,
         .help = "there is no more to say"},
        {.name = "monitor-retry",
         .kind = ARG_INT,
         .number = &f.unused_number,
         .hidden = true,
         .metavar = "N",
         .help = "the lock is the session's, and outlives an error"},
        CLIENT_OPTIONS(&f.client),
    };
    const struct arg_spec spec = {
        .command = "lock",
        .positionals = "PREFIX COMMAND...",
        .about = "Wait for the lock PREFIX/.lock, run COMMAND while having "
                 "it, let go. One word is\ngiven to the shell. A command that "
                 "loses its lock is ended.\nExits with the command's code; "
                 "with 1 when the lock was lost or not to be had.",
        .examples = "muster lock jobs/nightly ./nightly.sh\n"
                    "muster lock --try 5s jobs/nightly ./nightly.sh --all\n"
                    "muster lock -n 3 jobs/encode ffmpeg -i in.mp4 out.webm",
        .options = options,
        .options_count = sizeof(options) / sizeof(options[0]),
        .positionals_min = 2,
        .positionals_max = ARG_POSITIONAL_MAX,
    };
    char **words = fence(&spec, argc, argv);
    char **command;
    int count = 0;
    struct args args;
    struct lock k = {.f = &f};
    struct sigaction action = {.sa_handler = on_signal};
    int code;

    while (words[count] != NULL) {
        count++;
    }
    if (args_parse(&args, &spec, count, words, &code)) {
        (void)sigaction(SIGINT, &action, NULL);
        (void)sigaction(SIGTERM, &action, NULL);
        k.client = client_new(&f.client);
        k.prefix = args.positionals[0];
        /* The last one is NULL, as execvp() wants it. */
        command = calloc(args.positionals_count, sizeof(*command));
        CHECK(command != NULL);
        memcpy(command, args.positionals + 1,
               (args.positionals_count - 1) * sizeof(*command));
        code = run(&k, command, args.positionals_count - 1);
        free(command);
        client_free(k.client);
        arena_release(&k.arena);
        args_release(&args);
    }
    free(words);
    return code;
}
