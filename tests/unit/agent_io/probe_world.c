#include "probe_world.h"

#include "suite.h"

void world_on_stopped(void *arg)
{
    loop_stop(((struct world *)arg)->loop);
}

void world_on_done(void *arg, enum probe_result result, struct slice output)
{
    struct world *w = arg;

    w->reports++;
    w->result = result;
    ck_assert_uint_le(output.len, LIMIT_CHECK_OUTPUT);
    if (output.len > 0) {
        memcpy(w->output, output.data, output.len);
    }
    w->output[output.len] = '\0';
    w->output_len = output.len;
    probe_host_stop(w->host, world_on_stopped, w);
    if (w->listener.loop) {
        uv_close((uv_handle_t *)&w->listener, NULL);
    }
}

void world_init(struct world *w)
{
    memset(w, 0, sizeof(*w));
    w->loop = loop_new();
    w->host = probe_host_new(w->loop);
}

void world_start(struct world *w, const struct probe_spec *spec)
{
    (void)probe_start(w->host, spec, world_on_done, w);
    ck_assert_int_eq(w->reports, 0); /* Never from inside the call. */
    loop_run(w->loop);
    ck_assert_int_eq(w->reports, 1);
}

void world_end(struct world *w)
{
    probe_host_free(w->host);
    loop_free(w->loop);
}

void world_run(struct world *w, const struct probe_spec *spec)
{
    world_start(w, spec);
    world_end(w);
}
