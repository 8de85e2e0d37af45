/* A TCP check passes when any of the target's addresses accepts. They are
 * tried one after the other, in the resolver's order, within one deadline. */

#include <stdio.h>
#include <stdlib.h>

#include "agent/io/probe_impl.h"
#include "base/core/check.h"

static void try_next(struct probe *p);

/* A failed socket is closed before the next is opened in its place. */
static void on_attempt_closed(uv_handle_t *handle)
{
    struct probe *p = handle->data;

    p->tcp.socket_open = false;
    if (!p->finished) {
        try_next(p);
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
    if (!p->tcp.next) {
        probe_finish(p, PROBE_CRITICAL, "TCP connect %s:%s: %s", p->tcp.host,
                     p->tcp.port, uv_strerror(error));
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
    probe_finish(p, PROBE_PASSING, "TCP connect %s:%s: Success", p->tcp.host,
                 p->tcp.port);
}

static void try_next(struct probe *p)
{
    struct addrinfo *address = p->tcp.next;
    int error;

    CHECK(address != NULL);
    CHECK(!p->tcp.socket_open);
    p->tcp.next = address->ai_next;
    CHECK(uv_tcp_init(p->host->loop, &p->tcp.socket) == 0);
    p->tcp.socket.data = p;
    p->tcp.socket_open = true;
    p->open_handles++;
    p->tcp.connect.data = p;
    error = uv_tcp_connect(&p->tcp.connect, &p->tcp.socket, address->ai_addr,
                           on_connected);
    if (error) {
        attempt_failed(p, error);
    }
}

static void on_resolved(uv_getaddrinfo_t *request, int error,
                        struct addrinfo *addresses)
{
    struct probe *p = request->data;

    p->tcp.resolving = false;
    p->tcp.addresses = addresses;
    p->tcp.next = addresses;
    if (!p->finished && (error || !addresses)) {
        probe_finish(p, PROBE_CRITICAL, "TCP connect %s:%s: %s", p->tcp.host,
                     p->tcp.port, uv_strerror(error ? error : UV_EAI_NONAME));
    }
    if (!p->finished) {
        try_next(p);
    }
    probe_closed_one(p);
}

/* "host:port" or "[v6]:port". */
static bool target_split(struct probe_tcp *tcp, const char *target)
{
    const char *colon = strrchr(target, ':');
    size_t len = colon ? (size_t)(colon - target) : 0;
    const char *start = target;

    if (len >= 2 && target[0] == '[' && target[len - 1] == ']') {
        start++;
        len -= 2;
    }
    if (len == 0 || len >= sizeof(tcp->host) || colon[1] == '\0' ||
        strlen(colon + 1) >= sizeof(tcp->port)) {
        return false;
    }
    memcpy(tcp->host, start, len);
    tcp->host[len] = '\0';
    memcpy(tcp->port, colon + 1, strlen(colon + 1) + 1);
    return true;
}

static void tcp_start(struct probe *p, const struct probe_spec *spec)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                             .ai_family = AF_UNSPEC};
    int error;

    if (!target_split(&p->tcp, spec->target)) {
        probe_finish(p, PROBE_CRITICAL, "TCP connect %s: not host:port",
                     spec->target);
        return;
    }
    p->tcp.resolve.data = p;
    error = uv_getaddrinfo(p->host->loop, &p->tcp.resolve, on_resolved,
                           p->tcp.host, p->tcp.port, &hints);
    if (error) {
        probe_finish(p, PROBE_CRITICAL, "TCP connect %s:%s: %s", p->tcp.host,
                     p->tcp.port, uv_strerror(error));
        return;
    }
    p->tcp.resolving = true;
    p->open_handles++;
}

static void tcp_close(struct probe *p)
{
    if (p->tcp.resolving) {
        /* Refused when a thread is at it already; then it just ends later. */
        (void)uv_cancel((uv_req_t *)&p->tcp.resolve);
    }
    attempt_close(p);
}

static void tcp_release(struct probe *p)
{
    uv_freeaddrinfo(p->tcp.addresses);
}

const struct probe_kind probe_tcp_kind = {
    .start = tcp_start,
    .close = tcp_close,
    .release = tcp_release,
};
