/*
 * probe_impl.h - what the kinds of probes share. Private to probe*.c.
 *
 * A probe has a deadline timer and a count of open handles. Whoever comes
 * first (answer, failure, deadline, cancel) decides by probe_finish(), which
 * closes everything; the report is made when the last handle is closed.
 */
#pragma once

#include <netinet/in.h>
#include <sys/queue.h>
#include <uv.h>

#include "agent/io/probe.h"
#include "base/core/arena.h"
#include "base/io/http_client.h"
#include "base/io/loop.h"

struct grpc_channel;
struct probe_name;
struct probe_names;
struct probe_tls;
struct tls;

struct probe_kind {
    /* Begin. May call probe_finish(). */
    void (*start)(struct probe *p, const struct probe_spec *spec);
    /* Stop working and uv_close what start opened, with probe_on_closed. */
    void (*close)(struct probe *p);
    /* Free what is left; all handles are closed. */
    void (*release)(struct probe *p);
    /* The time is over: probe_finish(). NULL: that is critical. */
    void (*on_deadline)(struct probe *p);
};

union probe_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

#define PROBE_ADDRESSES_MAX 8

/* Where a name leads to, while and after it is looked up. */
struct probe_wait {
    TAILQ_ENTRY(probe_wait) link;
    struct probe_name *name; /* NULL: not waiting. */
    void (*on_found)(struct probe *p, int error);
    struct probe *probe;
    uint16_t port;
    bool literal; /* It was an address already. */
    union probe_address addresses[PROBE_ADDRESSES_MAX];
    unsigned count;
    unsigned tried;
};

struct probe_target {
    char host[256];
    uint16_t port;
};

struct probe_tcp {
    struct probe_target target;
    struct probe_wait wait;
    uv_tcp_t socket;
    bool socket_open;
    uv_connect_t connect;
};

struct probe_udp {
    struct probe_target target;
    struct probe_wait wait;
    uv_udp_t socket;
    bool socket_open;
    bool sent;
    char answer[16]; /* What came, of which nothing is kept. */
};

struct probe_h2 {
    struct grpc_channel *channel;
    struct tls *tls;
    char *what; /* The output's beginning. */
};

struct probe_http {
    struct probe_target target;
    struct probe_wait wait;
    struct http_call *call; /* NULL: none. */
    struct arena arena;     /* Of what follows. */
    char *what;             /* The output's beginning. */
    struct tls *tls;
    char *server_name;
    bool handshake_only; /* PROBE_TLS */
    char *method;
    char *path;
    struct http_header *headers;
    size_t headers_count;
    struct slice request_body;
    struct code_range *codes;
    size_t codes_count;
    bool connected;
    int status;
    char *reason;    /* "OK", or "". */
    struct buf body; /* What came, cut. */
};

struct probe_exec {
    uv_process_t process;
    bool process_open; /* The handle needs closing. */
    bool running;      /* Spawned and not yet reaped. */
    uv_pipe_t pipe;
    bool pipe_open;
    bool at_end; /* Of the output. */
    int64_t exit_status;
    int exit_signal;
    char *unit; /* PROBE_UNIT; NULL: PROBE_EXEC. */
    struct buf body;
};

struct probe {
    LIST_ENTRY(probe) link;
    struct probe_host *host;
    const struct probe_kind *kind;
    probe_done_fn *on_done; /* NULL: canceled. */
    void *arg;
    uv_timer_t deadline;
    uint64_t timeout_ms;
    unsigned open_handles;
    bool finished;
    enum probe_result result;
    struct buf output; /* Limited to what the spec allows. */
    union {
        struct probe_tcp tcp;
        struct probe_udp udp;
        struct probe_h2 h2;
        struct probe_http http;
        struct probe_exec exec;
    };
};

struct probe_host {
    struct loop *loop;
    uv_loop_t *uv;
    struct probe_names *names;
    struct probe_tls *tls;
    char chunk[4096]; /* What is read of programs, by turns. */
    LIST_HEAD(, probe) probes;
    unsigned open_handles;    /* Of the host itself. */
    struct loop_task stopper; /* on_stopped comes from the loop. */
    bool stopping;
    probe_host_stopped_fn *on_stopped;
    void *arg;
};

extern const struct probe_kind probe_tcp_kind;
extern const struct probe_kind probe_http_kind;
extern const struct probe_kind probe_tls_kind;
extern const struct probe_kind probe_exec_kind;
extern const struct probe_kind probe_udp_kind;
extern const struct probe_kind probe_grpc_kind;
extern const struct probe_kind probe_h2ping_kind;
extern const struct probe_kind probe_unit_kind;

/* Decide the result; the first call counts. The text goes to the output. */
void probe_finish(struct probe *p, enum probe_result result, const char *format,
                  ...) __attribute__((format(printf, 3, 4)));

/* Add bytes to a buffer as far as they fit. */
void probe_add_cut(struct buf *b, struct slice bytes);

/* The close callback of every handle of a probe; handle->data is the probe. */
void probe_on_closed(uv_handle_t *handle);

/* Something else than a handle that the report waits for has ended. */
void probe_closed_one(struct probe *p);

/* probe_names.c: which addresses a host has. A literal is one itself; a name is
 * looked up once for all who ask, few at a time, and its addresses are kept for
 * PROBE_NAMES_MS. on_found comes once, perhaps from inside; `error` is libuv's.
 * Then wait->addresses are there. */
#define PROBE_NAMES_MS 3000
void probe_resolve(struct probe *p, struct probe_wait *wait,
                   const struct probe_target *target,
                   void (*on_found)(struct probe *p, int error));
void probe_resolve_cancel(struct probe_wait *wait);
void probe_names_init(struct probe_host *host);
void probe_names_close(struct probe_host *host);
void probe_names_free(struct probe_host *host);

/* "host:port", "[v6]:port". */
bool probe_target_split(struct probe_target *out_target, const char *text);

/* The next address to try; NULL: there is none left. */
const struct sockaddr *probe_next_address(struct probe_wait *wait);

/* A client's context for these settings, kept by the host. NULL: *out_err says
 * why. */
struct tls *probe_tls_get(struct probe_host *host,
                          const struct probe_spec *spec, bool http1,
                          struct err *out_err);
void probe_tls_free(struct probe_host *host);

void probe_host_closed_one(struct probe_host *host);
