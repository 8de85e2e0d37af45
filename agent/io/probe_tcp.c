/* A TCP check passes when any of the target's addresses accepts. They are
 * tried one after the other, in the resolver's order, within one deadline. */

#include "agent/io/probe_impl.h"
#include "base/core/check.h"

static void try_next(struct probe *p, int error);

static void finish(struct probe *p, enum probe_result result, const char *text)
{
    bool v6 = strchr(p->tcp.target.host, ':') != NULL;

    probe_finish(p, result, "TCP connect %s%s%s:%u: %s", v6 ? "[" : "",
                 p->tcp.target.host, v6 ? "]" : "", p->tcp.target.port, text);
}

/* A failed socket is closed before the next is opened in its place. */
static void on_attempt_closed(uv_handle_t *handle)
{
    struct probe *p = handle->data;

    p->tcp.socket_open = false;
    if (!p->finished) {
        try_next(p, 0);
    }
    probe_closed_one(p);
}

static void attempt_close(struct probe *p)
{
    if (p->tcp.socket_open && !uv_is_closing((uv_handle_t *)&p->tcp.socket)) {
        uv_close((uv_handle_t *)&p->tcp.socket, on_attempt_closed);
    }
}

/* `error` is the last attempt's; with none left it becomes the result. */
static void attempt_failed(struct probe *p, int error)
{
    if (p->tcp.wait.tried == p->tcp.wait.count) {
        finish(p, PROBE_CRITICAL, uv_strerror(error));
        return;
    }
    attempt_close(p);
}

static void on_connected(uv_connect_t *request, int error)
{
    struct probe *p = request->data;

    if (p->finished) {
        return;
    }
    if (error) {
        attempt_failed(p, error);
        return;
    }
    finish(p, PROBE_PASSING, "Success");
}

/* With the addresses, or with what kept us from having any. */
static void try_next(struct probe *p, int error)
{
    const struct sockaddr *address;

    if (error) {
        finish(p, PROBE_CRITICAL, uv_strerror(error));
        return;
    }
    address = probe_next_address(&p->tcp.wait);
    CHECK(address != NULL);
    CHECK(!p->tcp.socket_open);
    CHECK(uv_tcp_init(p->host->uv, &p->tcp.socket) == 0);
    p->tcp.socket.data = p;
    p->tcp.socket_open = true;
    p->open_handles++;
    p->tcp.connect.data = p;
    error =
        uv_tcp_connect(&p->tcp.connect, &p->tcp.socket, address, on_connected);
    if (error) {
        attempt_failed(p, error);
    }
}

static void tcp_start(struct probe *p, const struct probe_spec *spec)
{
    if (!probe_target_split(&p->tcp.target, spec->target)) {
        probe_finish(p, PROBE_CRITICAL, "TCP connect %s: not host:port",
                     spec->target);
        return;
    }
    probe_resolve(p, &p->tcp.wait, &p->tcp.target, try_next);
}

static void tcp_close(struct probe *p)
{
    probe_resolve_cancel(&p->tcp.wait);
    attempt_close(p);
}

static void tcp_release(struct probe *p)
{
    (void)p;
}

const struct probe_kind probe_tcp_kind = {
    .start = tcp_start,
    .close = tcp_close,
    .release = tcp_release,
};
