/*
 * probe_impl.h - what the kinds of probes share. Private to probe*.c.
 *
 * A probe has a deadline timer and a count of open handles. Whoever comes
 * first (answer, failure, deadline, cancel) decides by probe_finish(), which
 * closes everything; the report is made when the last handle is closed.
 */
#pragma once

#include <curl/curl.h>
#include <sys/queue.h>

#include "agent/io/probe.h"

struct probe_kind {
    /* Begin. May call probe_finish(). */
    void (*start)(struct probe *p, const struct probe_spec *spec);
    /* Stop working and uv_close what start opened, with probe_on_closed. */
    void (*close)(struct probe *p);
    /* Free what is left; all handles are closed. */
    void (*release)(struct probe *p);
};

struct probe_tcp {
    uv_getaddrinfo_t resolve;
    bool resolving;
    uv_tcp_t socket;
    bool socket_open;
    uv_connect_t connect;
    struct addrinfo *addresses;
    struct addrinfo *next; /* Not tried yet. */
    char host[256];
    char port[8];
};

struct probe_http {
    CURL *easy;
    struct curl_slist *headers;
    bool added; /* To the host's multi handle. */
    char error[CURL_ERROR_SIZE];
    struct buf body; /* What came, cut. */
    struct curl_slist *connect_to;
    bool handshake_only; /* PROBE_TLS */
    char *url;
    char *what; /* The output's beginning. */
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
    char chunk[4096];
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
        struct probe_http http;
        struct probe_exec exec;
    };
};

struct probe_host {
    uv_loop_t *loop;
    LIST_HEAD(, probe) probes;
    CURLM *multi;
    uv_timer_t curl_timer;
    unsigned open_handles; /* Of the host itself: timer, curl's sockets. */
    bool stopping;
    probe_host_stopped_fn *on_stopped;
    void *arg;
};

extern const struct probe_kind probe_tcp_kind;
extern const struct probe_kind probe_http_kind;
extern const struct probe_kind probe_exec_kind;

/* Decide the result; the first call counts. The text goes to the output. */
void probe_finish(struct probe *p, enum probe_result result, const char *format,
                  ...) __attribute__((format(printf, 3, 4)));

/* Add bytes to a buffer as far as they fit. */
void probe_add_cut(struct buf *b, struct slice bytes);

/* The close callback of every handle of a probe; handle->data is the probe. */
void probe_on_closed(uv_handle_t *handle);

/* Something else than a handle that the report waits for has ended. */
void probe_closed_one(struct probe *p);

/* probe_http.c's part of the host. */
void probe_curl_init(struct probe_host *host);
void probe_curl_close(struct probe_host *host);
void probe_host_closed_one(struct probe_host *host);
