/*
 * simulate - whole clusters in virtual time, one seed after another.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/core/check.h"
#include "core.h"

enum {
    JOBS_MAX = 64,
    FAILURES_MAX = 10, /* Then enough is known. */
    HANG_S = 60,       /* Longer than any run takes. */
    REPORT_S = 10,
};

static const char help[] =
    "usage: simulate --seed N --profile NAME [--trace]\n"
    "       simulate --seeds A..B [--profile NAME] [--jobs N]\n"
    "       simulate --minutes M [--profile NAME] [--jobs N]\n"
    "       simulate --list\n"
    "\n"
    "Members of a store (raft, log, state machine) in one process, on a "
    "network "
    "and\n"
    "disks that misbehave, in virtual time. After each event the rules of Raft "
    "are\n"
    "checked; at the end the clients' history and what watchers saw. A seed "
    "and "
    "a\n"
    "profile are the whole story: the same pair does the same again.\n"
    "\n"
    "  --seed N          one run, in this process\n"
    "  --seeds A..B      many, each in a process of its own\n"
    "  --minutes M       seeds from the clock on, for so long\n"
    "  --profile NAME    the kind of trouble (--list); default: all in turn\n"
    "  --trace           print every event\n"
    "  --jobs N          processes at a time; default: one a core\n"
    "  --expect-failure  succeed when a run fails, and stop there: for planted "
    "bugs\n"
    "\n"
    "  simulate --seeds 1..2000\n"
    "  simulate --seed 17 --profile power --trace | less\n";

struct options {
    const struct profile *profile; /* NULL: all in turn. */
    uint64_t from;
    uint64_t to;
    uint64_t minutes;
    size_t jobs;
    bool one;
    bool trace;
    bool expect_failure;
};

struct job {
    pid_t pid; /* 0: free */
    uint64_t seed;
};

struct runner {
    struct options options;
    struct job jobs[JOBS_MAX];
    struct sim_totals *totals; /* Shared; one for each job. */
    struct sim_totals sum;
    uint64_t next;
    uint64_t done;
    uint64_t failed;
    uint64_t first_failed;
    time_t began;
    time_t reported;
};

static const struct profile *profile_of(const struct options *o, uint64_t seed)
{
    return o->profile != NULL ? o->profile : &profiles[seed % profiles_count];
}

/* ---- many ---- */

static void child(struct runner *r, size_t at, uint64_t seed)
{
    if (r->options.expect_failure) { /* Its words are not of interest. */
        CHECK(freopen("/dev/null", "w", stderr) != NULL);
    }
    (void)alarm(HANG_S);
    exit(sim_run(profile_of(&r->options, seed), seed, false, &r->totals[at]));
}

static void begin_job(struct runner *r, size_t at)
{
    uint64_t seed = r->next++;
    pid_t pid;

    (void)fflush(NULL);
    r->totals[at] = (struct sim_totals){0};
    pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        child(r, at, seed);
    }
    r->jobs[at] = (struct job){.pid = pid, .seed = seed};
}

static void job_failed(struct runner *r, const struct job *job, int result)
{
    const char *name = profile_of(&r->options, job->seed)->name;

    if (r->failed++ == 0) {
        r->first_failed = job->seed;
    }
    if (!r->options.expect_failure) {
        (void)fprintf(stderr,
                      "FAILED%s, replay: simulate --seed %" PRIu64
                      " --profile %s --trace\n",
                      WIFSIGNALED(result) && WTERMSIG(result) == SIGALRM
                          ? " (it hangs)"
                          : "",
                      job->seed, name);
    }
}

static void end_job(struct runner *r)
{
    int result;
    pid_t pid = wait(&result);
    size_t at = 0;

    CHECK(pid > 0);
    while (r->jobs[at].pid != pid) {
        at++;
        CHECK(at < r->options.jobs);
    }
    r->done++;
    r->sum.events += r->totals[at].events;
    r->sum.elections += r->totals[at].elections;
    r->sum.installs += r->totals[at].installs;
    r->sum.crashes += r->totals[at].crashes;
    r->sum.operations += r->totals[at].operations;
    if (!WIFEXITED(result) || WEXITSTATUS(result) != 0) {
        job_failed(r, &r->jobs[at], result);
    }
    r->jobs[at].pid = 0;
}

static void report(struct runner *r, bool last)
{
    time_t now = time(NULL);

    if (!last && now - r->reported < REPORT_S) {
        return;
    }
    r->reported = now;
    (void)printf("%5ld s: %" PRIu64 " seeds, %" PRIu64 " failed; %" PRIu64
                 " events, %" PRIu64 " elections, %" PRIu64 " crashes, %" PRIu64
                 " snapshots installed, %" PRIu64 " operations answered\n",
                 (long)(now - r->began), r->done, r->failed, r->sum.events,
                 r->sum.elections, r->sum.crashes, r->sum.installs,
                 r->sum.operations);
}

static bool enough(const struct runner *r)
{
    const struct options *o = &r->options;

    if (r->failed >= (o->expect_failure ? 1 : FAILURES_MAX)) {
        return true;
    }
    return o->minutes > 0 ? time(NULL) - r->began >= (time_t)(o->minutes * 60)
                          : r->next > o->to;
}

static int run_many(const struct options *o)
{
    struct runner r = {.options = *o, .next = o->from};
    size_t running = 0;

    r.began = r.reported = time(NULL);
    r.totals = mmap(NULL, JOBS_MAX * sizeof(*r.totals), PROT_READ | PROT_WRITE,
                    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(r.totals != MAP_FAILED);
    do {
        for (size_t i = 0; i < o->jobs && !enough(&r); i++) {
            if (r.jobs[i].pid == 0) {
                begin_job(&r, i);
                running++;
            }
        }
        if (running > 0) {
            end_job(&r);
            running--;
        }
        report(&r, false);
    } while (running > 0 || !enough(&r));
    report(&r, true);
    if (!o->expect_failure) {
        return r.failed == 0 ? 0 : 1;
    }
    if (r.failed > 0) {
        (void)printf("found by seed %" PRIu64 ", profile %s\n", r.first_failed,
                     profile_of(o, r.first_failed)->name);
    }
    return r.failed > 0 ? 0 : 1;
}

/* ---- the command line ---- */

static void list_profiles(void)
{
    for (size_t i = 0; i < profiles_count; i++) {
        (void)printf("%-10s %zu members; %s\n", profiles[i].name,
                     profiles[i].members, profiles[i].what);
    }
}

_Noreturn static void usage_error(const char *what, const char *value)
{
    (void)fprintf(stderr, "simulate: %s: %s; see simulate --help\n", what,
                  value);
    exit(2);
}

static uint64_t number(const char *text, const char **out_end)
{
    char *end;
    uint64_t value;

    errno = 0;
    value = strtoull(text, &end, 10);
    if (end == text || errno != 0 || text[0] == '-' ||
        (out_end == NULL && *end != '\0')) {
        usage_error("not a number", text);
    }
    if (out_end != NULL) {
        *out_end = end;
    }
    return value;
}

static void parse_range(struct options *o, const char *text)
{
    const char *end;

    o->from = number(text, &end);
    if (end[0] != '.' || end[1] != '.') {
        usage_error("not a range like 1..2000", text);
    }
    o->to = number(end + 2, NULL);
    if (o->to < o->from) {
        usage_error("an empty range", text);
    }
}

static void take(struct options *o, int option, const char *value)
{
    switch (option) {
    case 's':
        o->one = true;
        o->from = o->to = number(value, NULL);
        return;
    case 'r':
        parse_range(o, value);
        return;
    case 'm':
        o->minutes = number(value, NULL);
        o->from = (uint64_t)time(NULL) * 1000;
        return;
    case 'p':
        o->profile = strcmp(value, "all") == 0 ? NULL : profile_by_name(value);
        if (o->profile == NULL && strcmp(value, "all") != 0) {
            usage_error("no such profile (simulate --list)", value);
        }
        return;
    case 'j':
        o->jobs = (size_t)number(value, NULL);
        if (o->jobs < 1 || o->jobs > JOBS_MAX) {
            usage_error("1 to 64 jobs", value);
        }
        return;
    case 't':
        o->trace = true;
        return;
    case 'e':
        o->expect_failure = true;
        return;
    case 'l':
        list_profiles();
        exit(0);
    case 'h':
        (void)fputs(help, stdout);
        exit(0);
    default:
        (void)fputs(help, stderr);
        exit(2);
    }
}

int main(int argc, char **argv)
{
    static const struct option names[] = {
        {"seed", required_argument, NULL, 's'},
        {"seeds", required_argument, NULL, 'r'},
        {"minutes", required_argument, NULL, 'm'},
        {"profile", required_argument, NULL, 'p'},
        {"jobs", required_argument, NULL, 'j'},
        {"trace", no_argument, NULL, 't'},
        {"expect-failure", no_argument, NULL, 'e'},
        {"list", no_argument, NULL, 'l'},
        {"help", no_argument, NULL, 'h'},
        {0}};
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    struct options o = {.jobs = cores < 1 ? 1 : (size_t)cores};
    int option;

    if (o.jobs > JOBS_MAX) {
        o.jobs = JOBS_MAX;
    }
    while ((option = getopt_long(argc, argv, "", names, NULL)) != -1) {
        take(&o, option, optarg);
    }
    if (optind < argc) {
        usage_error("not an option", argv[optind]);
    }
    if (o.to == 0 && o.minutes == 0 && !o.one) {
        take(&o, '?', NULL);
    }
    if (o.one) {
        struct sim_totals totals;

        return sim_run(profile_of(&o, o.from), o.from, o.trace, &totals);
    }
    return run_many(&o);
}
