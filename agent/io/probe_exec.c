/* Programs: those of executed checks, and systemctl for units.
 *
 * An executed check runs in a session of its own, so that at the deadline it
 * can be killed with everything that it has started. Exit 0 passes, 1 warns,
 * anything else is critical. */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

#include "agent/io/probe_impl.h"
#include "base/core/check.h"
#include "base/core/limits.h"

/* The value of NAME in lines of NAME=VALUE; empty: it is not there. */
static struct slice property(struct slice lines, const char *name)
{
    size_t name_len = strlen(name);

    while (lines.len > 0) {
        const uint8_t *end = memchr(lines.data, '\n', lines.len);
        size_t len = end ? (size_t)(end - lines.data) : lines.len;

        if (len > name_len && memcmp(lines.data, name, name_len) == 0 &&
            lines.data[name_len] == '=') {
            return slice_of(lines.data + name_len + 1, len - name_len - 1);
        }
        lines = slice_skip(lines, end ? len + 1 : len);
    }
    return (struct slice){0};
}

/* The unit's state is unknown: that is a warning, because the unit may well be
 * fine. */
static void unit_unknown(struct probe *p, struct slice why)
{
    probe_finish(p, PROBE_WARNING, "unit %s: its state cannot be read: %.*s",
                 p->exec.unit, (int)why.len, (const char *)why.data);
}

static void unit_decide(struct probe *p)
{
    struct slice body = buf_slice(&p->exec.body);
    struct slice active = property(body, "ActiveState");
    struct slice sub = property(body, "SubState");
    bool loaded =
        !slice_eq(property(body, "LoadState"), slice_str("not-found"));
    bool good = slice_eq(active, slice_str("active")) ||
                slice_eq(active, slice_str("reloading"));

    if (p->exec.exit_status != 0 || p->exec.exit_signal != 0 ||
        active.len == 0) {
        unit_unknown(p,
                     body.len > 0 ? body : slice_str("systemctl says nothing"));
    } else if (!loaded) {
        probe_finish(p, PROBE_CRITICAL, "unit %s: there is no such unit",
                     p->exec.unit);
    } else {
        probe_finish(p, good ? PROBE_PASSING : PROBE_CRITICAL,
                     "unit %s: %.*s (%.*s)", p->exec.unit, (int)active.len,
                     (const char *)active.data, (int)sub.len,
                     sub.len ? (const char *)sub.data : "");
    }
}

static void exec_decide(struct probe *p)
{
    struct probe_exec *e = &p->exec;

    if (e->unit != NULL) {
        unit_decide(p);
        return;
    }
    probe_add_cut(&p->output, buf_slice(&e->body));
    if (e->exit_signal != 0) {
        probe_finish(p, PROBE_CRITICAL, "%skilled by signal %d",
                     e->body.len ? "\n" : "", e->exit_signal);
    } else if (e->exit_status == 0) {
        probe_finish(p, PROBE_PASSING, "%s", "");
    } else if (e->exit_status == 1) {
        probe_finish(p, PROBE_WARNING, "%s", "");
    } else {
        probe_finish(p, PROBE_CRITICAL, "%s", "");
    }
}

/* How long output is awaited after the program itself has ended: a program
 * that it left behind may hold the pipe open for ever. */
#define OUTPUT_GRACE_MS 200

static void on_output_late(uv_timer_t *timer)
{
    exec_decide(timer->data);
}

static void on_exited(uv_process_t *process, int64_t exit_status,
                      int exit_signal)
{
    struct probe *p = process->data;

    p->exec.running = false;
    p->exec.exit_status = exit_status;
    p->exec.exit_signal = exit_signal;
    if (p->finished) {
        uv_close((uv_handle_t *)process, probe_on_closed);
        return;
    }
    if (p->exec.at_end) {
        exec_decide(p);
        return;
    }
    CHECK(uv_timer_start(&p->deadline, on_output_late, OUTPUT_GRACE_MS, 0) ==
          0);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *out_buf)
{
    struct probe *p = handle->data;

    (void)suggested;
    *out_buf = uv_buf_init(p->host->chunk, sizeof(p->host->chunk));
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *bytes)
{
    struct probe *p = stream->data;

    if (count > 0) {
        probe_add_cut(&p->exec.body, slice_of(bytes->base, (size_t)count));
        return;
    }
    if (count == 0) {
        return;
    }
    p->exec.at_end = true;
    (void)uv_read_stop(stream);
    if (!p->exec.running && !p->finished) {
        exec_decide(p);
    }
}

/* Standard output and error go into one pipe, whose `write_end` the child
 * inherits. */
static int exec_spawn(struct probe *p, const char *const *args, int write_end)
{
    uv_stdio_container_t stdio[3] = {
        {.flags = UV_IGNORE},
        {.flags = UV_INHERIT_FD, .data.fd = write_end},
        {.flags = UV_INHERIT_FD, .data.fd = write_end},
    };
    uv_process_options_t options = {
        .exit_cb = on_exited,
        .file = args[0],
        .args = (char **)(uintptr_t)args,
        .flags = UV_PROCESS_DETACHED, /* setsid() */
        .stdio = stdio,
        .stdio_count = 3,
    };

    p->exec.process.data = p;
    p->exec.process_open = true; /* uv_spawn initialises it in any case. */
    p->open_handles++;
    return uv_spawn(p->host->uv, &p->exec.process, &options);
}

/* Returns the end to write to, or a libuv error. */
static int output_open(struct probe *p)
{
    uv_file ends[2];
    int error = uv_pipe(ends, UV_NONBLOCK_PIPE, 0);

    if (error) {
        return error;
    }
    CHECK(uv_pipe_init(p->host->uv, &p->exec.pipe, 0) == 0);
    p->exec.pipe.data = p;
    p->exec.pipe_open = true;
    p->open_handles++;
    CHECK(uv_pipe_open(&p->exec.pipe, ends[0]) == 0);
    CHECK(uv_read_start((uv_stream_t *)&p->exec.pipe, on_alloc, on_read) == 0);
    return ends[1];
}

static void cannot_run(struct probe *p, const char *program, int error)
{
    if (p->exec.unit != NULL) {
        unit_unknown(p, slice_str(uv_strerror(error)));
    } else {
        probe_finish(p, PROBE_CRITICAL, "cannot run %s: %s", program,
                     uv_strerror(error));
    }
}

static void program_start(struct probe *p, const char *const *args)
{
    int write_end;
    int error;

    buf_init(&p->exec.body, LIMIT_CHECK_OUTPUT);
    write_end = output_open(p);
    if (write_end < 0) {
        cannot_run(p, args[0], write_end);
        return;
    }
    error = exec_spawn(p, args, write_end);
    (void)close(write_end);
    if (error) {
        cannot_run(p, args[0], error);
        return;
    }
    p->exec.running = true;
}

static void exec_start(struct probe *p, const struct probe_spec *spec)
{
    program_start(p, spec->args);
}

static void exec_close(struct probe *p)
{
    struct probe_exec *e = &p->exec;

    if (e->running) {
        /* The session's group. Its leader is not reaped yet, so the number
         * still is ours. on_exited closes the handle. */
        (void)kill(-(pid_t)e->process.pid, SIGKILL);
    } else if (e->process_open) {
        uv_close((uv_handle_t *)&e->process, probe_on_closed);
    }
    if (e->pipe_open) {
        uv_close((uv_handle_t *)&e->pipe, probe_on_closed);
    }
}

static void exec_release(struct probe *p)
{
    free(p->exec.unit);
    buf_release(&p->exec.body);
}

const struct probe_kind probe_exec_kind = {
    .start = exec_start,
    .close = exec_close,
    .release = exec_release,
};

/* ---- systemd units ----------------------------------------------------- */

/* `systemctl is-active` does not tell a unit that is not running from a systemd
 * that cannot be asked; `show` does. */
static void unit_start(struct probe *p, const struct probe_spec *spec)
{
    const char *args[] = {
        "systemctl", "show",       "--property=LoadState,ActiveState,SubState",
        "--",        spec->target, NULL};

    p->exec.unit = strdup(spec->target);
    CHECK(p->exec.unit != NULL);
    program_start(p, args);
}

static void unit_on_deadline(struct probe *p)
{
    unit_unknown(p, slice_str("systemctl does not answer"));
}

const struct probe_kind probe_unit_kind = {
    .start = unit_start,
    .close = exec_close,
    .release = exec_release,
    .on_deadline = unit_on_deadline,
};
