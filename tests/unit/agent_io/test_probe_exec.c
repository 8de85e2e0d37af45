/* Real programs: what a probe says of how they end, and of systemd's units. */

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "probe_world.h"
#include "suite.h"

/* ---- systemd units ----------------------------------------------------- */

/* What `systemctl show` says, by a program of that name. */
static const struct {
    const char *name;
    const char *script;
    enum probe_result result;
    const char *text;
} unit_rows[] = {
    {"active",
     "echo LoadState=loaded; echo ActiveState=active; echo SubState=running",
     PROBE_PASSING, "unit a.service: active (running)"},
    {"its arguments", "echo ActiveState=$1,$2,$3,$4", PROBE_CRITICAL,
     "show,--property=LoadState,ActiveState,SubState,--,a.service"},
    {"reloading", "echo ActiveState=reloading; echo SubState=reload",
     PROBE_PASSING, "reloading (reload)"},
    {"failed", "echo ActiveState=failed; echo SubState=failed", PROBE_CRITICAL,
     "failed (failed)"},
    {"no such unit",
     "echo LoadState=not-found; echo ActiveState=inactive; echo SubState=dead",
     PROBE_CRITICAL, "there is no such unit"},
    {"no systemd", "echo System has not been booted >&2; exit 1", PROBE_WARNING,
     "cannot be read: System has not been booted"},
    {"says nothing", "exit 0", PROBE_WARNING, "systemctl says nothing"},
    {"says too much", "head -c 9000 /dev/zero | tr '\\0' x; exit 1",
     PROBE_WARNING, "its state cannot be read: xxxx"},
    {"hangs", "exec sleep 60", PROBE_WARNING, "systemctl does not answer"},
};

START_TEST(unit_state_decides)
{
    char folder[] = "/tmp/muster-probe-XXXXXX";
    char path[128];
    const char *old = getenv("PATH");
    char *kept = strdup(old == NULL ? "" : old);
    struct world w;
    FILE *f;

    ck_assert_ptr_nonnull(mkdtemp(folder));
    (void)snprintf(path, sizeof(path), "%s/systemctl", folder);
    f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    (void)fprintf(f, "#!/bin/sh\n%s\n", unit_rows[_i].script);
    ck_assert_int_eq(fclose(f), 0);
    ck_assert_int_eq(chmod(path, 0700), 0);
    (void)snprintf(path, sizeof(path), "%s:/usr/bin:/bin", folder);
    ck_assert_int_eq(setenv("PATH", path, 1), 0);

    world_init(&w);
    world_run(&w, &(struct probe_spec){
                      .type = PROBE_UNIT,
                      .timeout_ms =
                          strstr(unit_rows[_i].script, "sleep") ? 300 : 20000,
                      .target = "a.service"});
    ck_assert_msg(w.result == unit_rows[_i].result, "%s: \"%s\"",
                  unit_rows[_i].name, w.output);
    ck_assert_msg(strstr(w.output, unit_rows[_i].text) != NULL, "%s: \"%s\"",
                  unit_rows[_i].name, w.output);

    ck_assert_int_eq(setenv("PATH", kept, 1), 0);
    free(kept);
    (void)snprintf(path, sizeof(path), "%s/systemctl", folder);
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(rmdir(folder), 0);
}
END_TEST

/* ---- Programs ---------------------------------------------------------- */

static const struct {
    const char *name;
    const char *script;
    enum probe_result result;
    const char *text;
} exec_rows[] = {
    {"exit 0", "echo fine", PROBE_PASSING, "fine\n"},
    {"exit 1", "echo so-so; exit 1", PROBE_WARNING, "so-so\n"},
    {"exit 2", "echo bad >&2; exit 2", PROBE_CRITICAL, "bad\n"},
    {"signal", "echo x; kill -TERM $$", PROBE_CRITICAL, "killed by signal 15"},
    {"too long", "sleep 30 & sleep 30", PROBE_CRITICAL, "timeout after"},
    {"a daemon holds the pipe", "echo up; sleep 2 & exit 0", PROBE_PASSING,
     "up\n"},
    {"no output", "exit 0", PROBE_PASSING, ""},
};

START_TEST(exec_exit_decides)
{
    const char *args[] = {"/bin/sh", "-c", exec_rows[_i].script, NULL};
    struct world w;

    world_init(&w);
    world_run(&w, &(struct probe_spec){
                      .type = PROBE_EXEC, .timeout_ms = 1000, .args = args});
    ck_assert_msg(w.result == exec_rows[_i].result, "%s: %d \"%s\"",
                  exec_rows[_i].name, w.result, w.output);
    ck_assert_msg(strstr(w.output, exec_rows[_i].text) != NULL, "%s: \"%s\"",
                  exec_rows[_i].name, w.output);
}
END_TEST

START_TEST(exec_output_is_cut)
{
    const char *args[] = {"/bin/sh", "-c",
                          "i=0; while [ $i -lt 3000 ]; do echo 0123456789; "
                          "i=$((i+1)); done; exit 1",
                          NULL};
    struct world w;

    world_init(&w);
    world_run(&w, &(struct probe_spec){.type = PROBE_EXEC,
                                       .timeout_ms = 20000,
                                       .output_max = 100,
                                       .args = args});
    ck_assert_int_eq(w.result, PROBE_WARNING);
    ck_assert_uint_eq(w.output_len, 100);
}
END_TEST

START_TEST(exec_unknown_program_is_critical)
{
    const char *args[] = {"/no/such/program", NULL};
    struct world w;

    world_init(&w);
    world_run(&w, &(struct probe_spec){
                      .type = PROBE_EXEC, .timeout_ms = 1000, .args = args});
    ck_assert_int_eq(w.result, PROBE_CRITICAL);
    ck_assert_ptr_nonnull(strstr(w.output, "cannot run /no/such/program"));
}
END_TEST

/* At the deadline the whole session dies: the pipe's last holder is the
 * grandchild, so its end shows that it is gone. */
START_TEST(exec_timeout_kills_grandchildren)
{
    const char *args[] = {"/bin/sh", "-c", NULL, NULL};
    char script[128];
    struct world w;
    int ends[2];
    char byte;

    ck_assert_int_eq(pipe(ends), 0);
    (void)snprintf(script, sizeof(script),
                   "exec 9>/proc/%d/fd/%d; (trap '' TERM; sleep 60) & wait",
                   (int)getpid(), ends[1]);
    args[2] = script;
    world_init(&w);
    world_run(&w, &(struct probe_spec){
                      .type = PROBE_EXEC, .timeout_ms = 500, .args = args});
    ck_assert_int_eq(w.result, PROBE_CRITICAL);
    close(ends[1]);
    alarm(10);
    ck_assert_int_eq(read(ends[0], &byte, 1), 0);
    alarm(0);
    close(ends[0]);
}
END_TEST

UNIT_MAIN("probe_exec", {
    tcase_add_loop_test(tc, unit_state_decides, 0, COUNT_OF(unit_rows));
    tcase_add_loop_test(tc, exec_exit_decides, 0, COUNT_OF(exec_rows));
    tcase_add_test(tc, exec_output_is_cut);
    tcase_add_test(tc, exec_unknown_program_is_critical);
    tcase_add_test(tc, exec_timeout_kills_grandchildren);
})
