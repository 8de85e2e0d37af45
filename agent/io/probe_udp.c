/* A UDP check passes when something comes back, and when nothing does: most
 * services do not answer a datagram that they cannot read. What fails is a port
 * that nobody has opened, of which ICMP tells. Its addresses are tried one
 * after the other, as those of a TCP check. */

#include "agent/io/probe_impl.h"
#include "base/core/check.h"

static void try_next(struct probe *p, int error);

static void finish(struct probe *p, enum probe_result result, const char *text)
{
    bool v6 = strchr(p->udp.target.host, ':') != NULL;

    probe_finish(p, result, "UDP %s%s%s:%u: %s", v6 ? "[" : "",
                 p->udp.target.host, v6 ? "]" : "", p->udp.target.port, text);
}

static void on_attempt_closed(uv_handle_t *handle)
{
    struct probe *p = handle->data;

    p->udp.socket_open = false;
    if (!p->finished) {
        try_next(p, 0);
    }
    probe_closed_one(p);
}

static void attempt_close(struct probe *p)
{
    if (p->udp.socket_open && !uv_is_closing((uv_handle_t *)&p->udp.socket)) {
        uv_close((uv_handle_t *)&p->udp.socket, on_attempt_closed);
    }
}

static void attempt_failed(struct probe *p, int error)
{
    p->udp.sent = false;
    if (p->udp.wait.tried == p->udp.wait.count) {
        finish(p, PROBE_CRITICAL, uv_strerror(error));
        return;
    }
    attempt_close(p);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *out_buf)
{
    struct probe *p = handle->data;

    (void)suggested;
    *out_buf = uv_buf_init(p->udp.answer, sizeof(p->udp.answer));
}

static void on_read(uv_udp_t *socket, ssize_t count, const uv_buf_t *bytes,
                    const struct sockaddr *from, unsigned flags)
{
    struct probe *p = socket->data;

    (void)bytes;
    (void)flags;
    if (p->finished || (count == 0 && from == NULL)) {
        return; /* Nothing more to read. */
    }
    if (count < 0) {
        attempt_failed(p, (int)count);
        return;
    }
    finish(p, PROBE_PASSING, "answered");
}

/* Connected, so that the kernel tells us of ICMP errors. */
static int attempt(struct probe *p, const struct sockaddr *address)
{
    static char zero[1];
    uv_buf_t byte = uv_buf_init(zero, sizeof(zero));
    int error = uv_udp_connect(&p->udp.socket, address);

    if (error == 0) {
        error = uv_udp_recv_start(&p->udp.socket, on_alloc, on_read);
    }
    if (error == 0) {
        error = uv_udp_try_send(&p->udp.socket, &byte, 1, NULL);
    }
    return error < 0 ? error : 0;
}

static void try_next(struct probe *p, int error)
{
    const struct sockaddr *address;

    if (error) {
        finish(p, PROBE_CRITICAL, uv_strerror(error));
        return;
    }
    address = probe_next_address(&p->udp.wait);
    CHECK(address != NULL);
    CHECK(!p->udp.socket_open);
    CHECK(uv_udp_init(p->host->uv, &p->udp.socket) == 0);
    p->udp.socket.data = p;
    p->udp.socket_open = true;
    p->open_handles++;
    error = attempt(p, address);
    p->udp.sent = error == 0;
    if (error) {
        attempt_failed(p, error);
    }
}

static void udp_start(struct probe *p, const struct probe_spec *spec)
{
    if (!probe_target_split(&p->udp.target, spec->target)) {
        probe_finish(p, PROBE_CRITICAL, "UDP %s: not host:port", spec->target);
        return;
    }
    probe_resolve(p, &p->udp.wait, &p->udp.target, try_next);
}

static void udp_on_deadline(struct probe *p)
{
    if (p->udp.sent) {
        finish(p, PROBE_PASSING, "no answer, and no error");
    } else {
        finish(p, PROBE_CRITICAL, "timeout before anything was sent");
    }
}

static void udp_close(struct probe *p)
{
    probe_resolve_cancel(&p->udp.wait);
    attempt_close(p);
}

static void udp_release(struct probe *p)
{
    (void)p;
}

const struct probe_kind probe_udp_kind = {
    .start = udp_start,
    .close = udp_close,
    .release = udp_release,
    .on_deadline = udp_on_deadline,
};
