/*
 * run.c - runs stories of health: an agent, its checks, and time.
 *
 *     health_script FILE...            compare
 *     health_script --rewrite FILE...  fill in what comes out
 *
 * Commands, besides those of script.h:
 *
 *     file NAME JSON           a sidecar file has this content
 *     forget NAME              it is gone
 *     register JSON            a service, by the API
 *     check JSON               a check, by the API
 *     deregister ID            a service, by the API
 *     says CHECK STATUS [TEXT] what its runs find; until then, passing
 *     takes CHECK DURATION     how long they take
 *     pass|warn|fail CHECK [NOTE]  a TTL check is told
 *     maint node|ID [REASON]   maintenance begins
 *     unmaint node|ID          and ends
 *     node NAME live|dead      another host
 *     remote NODE SERVICE STATUS   a service there
 *     sleep DURATION           time passes
 *     suspend DURATION         the machine sleeps; its monotonic clock, too
 *     restart DURATION         the agent is killed, and back after that time
 *     show                     the services' health
 *     runs                     how many runs there were since the last "runs"
 *
 * The trace has each change of a status, and when it was; times are seconds.
 */
#include <stdio.h>
#include <stdlib.h>

#include "agent/core/duration.h"
#include "base/core/check.h"
#include "script.h"
#include "world.h"

struct run {
    struct script script;
    struct world world;
    bool begun;
};

/* A command's words: the first two, and the rest of the line. */
struct words {
    char name[32];
    char first[WORLD_TEXT];
    char rest[WORLD_TEXT];  /* After the first. */
    char whole[WORLD_TEXT]; /* After the name. */
};

static void on_say(void *ctx, const char *text)
{
    struct run *r = ctx;

    script_say(&r->script, "%s", text);
}

static const char *take_word(const char *text, char *out, size_t cap)
{
    size_t len = strcspn(text, " ");

    (void)snprintf(out, cap, "%.*s", (int)len, text);
    return text + len + strspn(text + len, " ");
}

static void split(const char *line, struct words *out)
{
    char text[WORLD_TEXT];
    const char *rest;

    (void)snprintf(text, sizeof(text), "%.*s", (int)strcspn(line, "\n"), line);
    rest = take_word(text, out->name, sizeof(out->name));
    (void)snprintf(out->whole, sizeof(out->whole), "%s", rest);
    rest = take_word(rest, out->first, sizeof(out->first));
    (void)snprintf(out->rest, sizeof(out->rest), "%s", rest);
}

static bool read_status(const char *text, enum check_status *out)
{
    char word[WORLD_TEXT];

    (void)take_word(text, word, sizeof(word));
    return check_status_parse(slice_str(word), out);
}

static uint64_t read_ms(const char *text)
{
    uint64_t ms = 0;

    CHECK(duration_parse(slice_str(text), &ms) == ST_OK);
    return ms;
}

static void say_status(struct run *r, enum status st, const struct err *err)
{
    if (st != ST_OK) {
        script_say(&r->script, "refused: %s",
                   err == NULL ? "unknown" : err->text);
    }
}

/* ---- Commands ---------------------------------------------------------- */

static void do_api(struct run *r, enum definition_form form, const char *text)
{
    struct world *w = &r->world;
    struct definitions *defs = NULL;
    struct err err;
    enum status st = definitions_parse(form, "-", slice_str(text), &defs, &err);

    if (st == ST_OK && form == DEFINITION_SERVICE) {
        st = local_register_service(w->local, defs, LOCAL_KEEP_CHECKS, w->now,
                                    &err);
    } else if (st == ST_OK) {
        st = local_register_check(w->local, defs, w->now, &err);
    }
    say_status(r, st, &err);
    definitions_unref(defs);
}

static void do_says(struct run *r, const struct words *words)
{
    struct behaviour *b = world_behaviour(&r->world, words->first);
    char status[WORLD_TEXT];

    CHECK(read_status(words->rest, &b->status));
    (void)snprintf(b->output, sizeof(b->output), "%s",
                   take_word(words->rest, status, sizeof(status)));
}

static void do_ttl(struct run *r, enum check_status status,
                   const struct words *words)
{
    say_status(r,
               local_ttl_update(r->world.local, words->first, status,
                                slice_str(words->rest), r->world.now),
               NULL);
}

static void do_maint(struct run *r, const char *id, const char *reason)
{
    struct world *w = &r->world;

    if (strcmp(id, "node") == 0) {
        (void)local_maint_node(w->local, reason, w->now);
    } else {
        say_status(r, local_maint_service(w->local, id, reason, w->now), NULL);
    }
}

static void do_remote(struct run *r, const struct words *words)
{
    char service[WORLD_TEXT];
    enum check_status status;
    const char *rest = take_word(words->rest, service, sizeof(service));

    CHECK(read_status(rest, &status));
    world_remote(&r->world, words->first, service, status);
}

static bool show_service(void *ctx, const struct local_service *s)
{
    struct run *r = ctx;

    script_say(&r->script, "%s: %s", s->def->id, health_sum_text(s->health));
    return true;
}

static void do_runs(struct run *r)
{
    script_say(&r->script, "%llu runs, %llu missed",
               (unsigned long long)r->world.runs,
               (unsigned long long)local_missed(r->world.local));
    r->world.runs = 0;
}

/* Commands about what is defined. */
static bool define(struct run *r, const struct words *w)
{
    if (strcmp(w->name, "file") == 0) {
        world_file(&r->world, w->first, w->rest);
    } else if (strcmp(w->name, "forget") == 0) {
        world_forget(&r->world, w->first);
    } else if (strcmp(w->name, "register") == 0) {
        do_api(r, DEFINITION_SERVICE, w->whole);
    } else if (strcmp(w->name, "check") == 0) {
        do_api(r, DEFINITION_CHECK, w->whole);
    } else if (strcmp(w->name, "deregister") == 0) {
        say_status(
            r, local_deregister_service(r->world.local, w->first, r->world.now),
            NULL);
    } else {
        return false;
    }
    return true;
}

/* What is said of health, by whomever. */
static bool tell(struct run *r, const struct words *w)
{
    if (strcmp(w->name, "says") == 0) {
        do_says(r, w);
    } else if (strcmp(w->name, "takes") == 0) {
        world_behaviour(&r->world, w->first)->takes_ms = read_ms(w->rest);
    } else if (strcmp(w->name, "pass") == 0) {
        do_ttl(r, CHECK_PASSING, w);
    } else if (strcmp(w->name, "warn") == 0) {
        do_ttl(r, CHECK_WARNING, w);
    } else if (strcmp(w->name, "fail") == 0) {
        do_ttl(r, CHECK_CRITICAL, w);
    } else if (strcmp(w->name, "maint") == 0) {
        do_maint(r, w->first, w->rest);
    } else if (strcmp(w->name, "unmaint") == 0) {
        do_maint(r, w->first, NULL);
    } else if (strcmp(w->name, "node") == 0) {
        world_node(&r->world, w->first, strcmp(w->rest, "live") == 0);
    } else if (strcmp(w->name, "remote") == 0) {
        do_remote(r, w);
    } else {
        return false;
    }
    return true;
}

static bool pass(struct run *r, const struct words *w)
{
    if (strcmp(w->name, "sleep") == 0) {
        world_pass(&r->world, read_ms(w->first));
    } else if (strcmp(w->name, "suspend") == 0) {
        world_suspend(&r->world, read_ms(w->first));
    } else if (strcmp(w->name, "restart") == 0) {
        world_restart(&r->world, read_ms(w->first));
    } else if (strcmp(w->name, "show") == 0) {
        local_each_service(r->world.local, show_service, r);
    } else if (strcmp(w->name, "runs") == 0) {
        do_runs(r);
    } else {
        return false;
    }
    return true;
}

static bool obey(void *ctx, const char *line)
{
    struct run *r = ctx;
    struct words words;

    if (!r->begun) {
        world_start(&r->world, on_say, r);
        r->begun = true;
    }
    split(line, &words);
    if (!define(r, &words) && !tell(r, &words) && !pass(r, &words)) {
        return false;
    }
    world_look(&r->world);
    return true;
}

static void end(void *ctx)
{
    struct run *r = ctx;

    if (r->begun) {
        world_end(&r->world);
        r->begun = false;
    }
}

int main(int argc, char **argv)
{
    struct run *r = calloc(1, sizeof(*r));
    int code;

    CHECK(r != NULL);
    r->script = (struct script){.obey = obey, .end = end, .ctx = r};
    code = script_main(&r->script, argc, argv);
    free(r);
    return code;
}
