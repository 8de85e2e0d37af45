/* HTTP checks: libcurl's multi interface on the loop.
 *
 * libcurl says which sockets it waits for (on_want_socket) and when it wants
 * to be called (on_want_timer); both become libuv handles. A transfer that has
 * ended is found in curl's message queue after each call. 2xx (or what the
 * check names) passes, 429 warns, all else is critical; so is a redirect,
 * because the check is of this service and not of where it points.
 *
 * Names are looked up by probe_names.c, and curl is told the addresses: its own
 * resolver would start a thread for each run. */

#include <arpa/inet.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "agent/io/probe_impl.h"
#include "base/core/check.h"
#include "base/core/limits.h"

struct curl_socket {
    uv_poll_t poll;
    struct probe_host *host;
    curl_socket_t fd;
};

static bool status_passes(const struct probe_http *h, long status)
{
    for (size_t i = 0; i < h->codes_count; i++) {
        if (status >= h->codes[i].from && status <= h->codes[i].to) {
            return true;
        }
    }
    return h->codes_count == 0 && status >= 200 && status <= 299;
}

/* The transfer is over: turn curl's verdict into ours. */
static void transfer_report(struct probe *p, CURLcode code)
{
    struct probe_http *h = &p->http;
    struct slice body = buf_slice(&h->body);
    enum probe_result result = PROBE_CRITICAL;
    long status = 0;

    if (code != CURLE_OK) {
        probe_finish(p, PROBE_CRITICAL, "%s: %s", h->what,
                     h->error[0] ? h->error : curl_easy_strerror(code));
        return;
    }
    if (h->handshake_only) {
        probe_finish(p, PROBE_PASSING, "%s: Success", h->what);
        return;
    }
    (void)curl_easy_getinfo(h->easy, CURLINFO_RESPONSE_CODE, &status);
    if (status_passes(h, status)) {
        result = PROBE_PASSING;
    } else if (status == 429) {
        result = PROBE_WARNING;
    }
    probe_finish(p, result, "%s: %s Output: %.*s", h->what, h->status,
                 (int)body.len, body.len ? (const char *)body.data : "");
}

static void transfers_collect(struct probe_host *host)
{
    CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(host->multi, &left)) != NULL) {
        struct probe *p = NULL;

        if (message->msg != CURLMSG_DONE) {
            continue;
        }
        (void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE,
                                (char **)&p);
        CHECK(p != NULL);
        transfer_report(p, message->data.result);
    }
}

static void on_socket_ready(uv_poll_t *poll, int error, int events)
{
    struct curl_socket *s = poll->data;
    struct probe_host *host = s->host;
    int running;
    int flags = 0;

    if (error) {
        flags = CURL_CSELECT_ERR;
    }
    if (events & UV_READABLE) {
        flags |= CURL_CSELECT_IN;
    }
    if (events & UV_WRITABLE) {
        flags |= CURL_CSELECT_OUT;
    }
    (void)curl_multi_socket_action(host->multi, s->fd, flags, &running);
    transfers_collect(host);
}

static void on_socket_closed(uv_handle_t *handle)
{
    struct curl_socket *s = handle->data;
    struct probe_host *host = s->host;

    free(s);
    probe_host_closed_one(host);
}

static struct curl_socket *curl_socket_new(struct probe_host *host,
                                           curl_socket_t fd)
{
    struct curl_socket *s = calloc(1, sizeof(*s));

    CHECK(s != NULL);
    s->host = host;
    s->fd = fd;
    s->poll.data = s;
    if (uv_poll_init_socket(host->uv, &s->poll, fd)) {
        free(s);
        return NULL;
    }
    host->open_handles++;
    CHECK(curl_multi_assign(host->multi, fd, s) == CURLM_OK);
    return s;
}

/* libcurl wants (or no longer wants) to hear of a socket. */
static int on_want_socket(CURL *easy, curl_socket_t fd, int what, void *arg,
                          void *socket_arg)
{
    struct probe_host *host = arg;
    struct curl_socket *s = socket_arg;
    int events = 0;

    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (s) {
            (void)curl_multi_assign(host->multi, fd, NULL);
            (void)uv_poll_stop(&s->poll);
            uv_close((uv_handle_t *)&s->poll, on_socket_closed);
        }
        return 0;
    }
    if (what & CURL_POLL_IN) {
        events |= UV_READABLE;
    }
    if (what & CURL_POLL_OUT) {
        events |= UV_WRITABLE;
    }
    if (!s) {
        s = curl_socket_new(host, fd);
    }
    /* Without a poll handle the deadline ends the check. */
    return s && uv_poll_start(&s->poll, events, on_socket_ready) == 0 ? 0 : -1;
}

static void on_curl_timer(uv_timer_t *timer)
{
    struct probe_host *host = timer->data;
    int running;

    (void)curl_multi_socket_action(host->multi, CURL_SOCKET_TIMEOUT, 0,
                                   &running);
    transfers_collect(host);
}

static int on_want_timer(CURLM *multi, long timeout_ms, void *arg)
{
    struct probe_host *host = arg;

    (void)multi;
    if (uv_is_closing((uv_handle_t *)&host->curl_timer)) {
        return 0;
    }
    if (timeout_ms < 0) {
        (void)uv_timer_stop(&host->curl_timer);
        return 0;
    }
    /* Also for 0: curl must not be called from inside its own call. */
    CHECK(uv_timer_start(&host->curl_timer, on_curl_timer, (uint64_t)timeout_ms,
                         0) == 0);
    return 0;
}

void probe_curl_init(struct probe_host *host)
{
    CHECK(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);
    host->multi = curl_multi_init();
    CHECK(host->multi != NULL);
    CHECK(uv_timer_init(host->uv, &host->curl_timer) == 0);
    host->curl_timer.data = host;
    host->open_handles++;
    (void)curl_multi_setopt(host->multi, CURLMOPT_SOCKETFUNCTION,
                            on_want_socket);
    (void)curl_multi_setopt(host->multi, CURLMOPT_SOCKETDATA, host);
    (void)curl_multi_setopt(host->multi, CURLMOPT_TIMERFUNCTION, on_want_timer);
    (void)curl_multi_setopt(host->multi, CURLMOPT_TIMERDATA, host);
}

static void on_curl_timer_closed(uv_handle_t *handle)
{
    probe_host_closed_one(handle->data);
}

void probe_curl_close(struct probe_host *host)
{
    uv_close((uv_handle_t *)&host->curl_timer, on_curl_timer_closed);
    (void)curl_multi_cleanup(host->multi);
    host->multi = NULL;
    curl_global_cleanup();
}

/* What is past the limit is read and dropped, so that the server's answer is
 * judged by its status, not by its length. The deadline bounds it. */
static size_t on_body(char *bytes, size_t size, size_t count, void *arg)
{
    struct probe *p = arg;

    probe_add_cut(&p->http.body, slice_of(bytes, size * count));
    return size * count;
}

/* The last status line is the answer's; "100 Continue" comes before it. */
static size_t on_header(char *bytes, size_t size, size_t count, void *arg)
{
    struct probe_http *h = &((struct probe *)arg)->http;
    size_t len = size * count;
    const char *space = len > 5 && memcmp(bytes, "HTTP/", 5) == 0
                            ? memchr(bytes, ' ', len)
                            : NULL;

    if (space != NULL) {
        size_t rest = len - (size_t)(space + 1 - bytes);

        while (rest > 0 && strchr(" \r\n", space[rest]) != NULL) {
            rest--;
        }
        (void)snprintf(h->status, sizeof(h->status), "%.*s", (int)rest,
                       space + 1);
    }
    return len;
}

static void header_add(struct probe_http *h, const char *name,
                       const char *value)
{
    char line[LIMIT_CHECK_OUTPUT];
    int len = snprintf(line, sizeof(line), "%s: %s", name, value);
    struct curl_slist *longer;

    if (len < 0 || (size_t)len >= sizeof(line)) {
        return; /* agent/core limits headers to far less. */
    }
    longer = curl_slist_append(h->headers, line);
    CHECK(longer != NULL);
    h->headers = longer;
}

static void headers_set(struct probe_http *h, const struct probe_spec *spec)
{
    bool accept = false;
    bool agent = false;
    bool connection = false;

    for (size_t i = 0; i < spec->headers_count; i++) {
        const struct probe_header *header = &spec->headers[i];

        header_add(h, header->name, header->value);
        accept |= strcasecmp(header->name, "Accept") == 0;
        agent |= strcasecmp(header->name, "User-Agent") == 0;
        connection |= strcasecmp(header->name, "Connection") == 0;
    }
    if (!accept) {
        header_add(h, "Accept", "text/plain, text/*, */*");
    }
    if (!agent) {
        header_add(h, "User-Agent", "muster Health Check");
    }
    if (!connection) {
        header_add(h, "Connection", "close");
    }
    (void)curl_easy_setopt(h->easy, CURLOPT_HTTPHEADER, h->headers);
}

static void method_set(CURL *easy, const struct probe_spec *spec)
{
    const char *method = spec->method ? spec->method : "GET";

    if (spec->body && spec->body[0] != '\0') {
        (void)curl_easy_setopt(easy, CURLOPT_COPYPOSTFIELDS, spec->body);
    }
    if (strcmp(method, "HEAD") == 0) {
        (void)curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    }
    (void)curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method);
}

/* The certificate is for another name than the target's: connect to the
 * target, but speak to (SNI, verification) the other. The Host header stays. */
static bool server_name_set(struct probe_http *h, const char *name)
{
    CURLU *url = curl_url();
    char *host = NULL;
    char *port = NULL;
    char *renamed = NULL;
    char line[1024];
    bool done = false;

    CHECK(url != NULL);
    if (curl_url_set(url, CURLUPART_URL, h->url, 0) == CURLUE_OK &&
        curl_url_get(url, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
        curl_url_get(url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) ==
            CURLUE_OK &&
        curl_url_set(url, CURLUPART_HOST, name, 0) == CURLUE_OK &&
        curl_url_get(url, CURLUPART_URL, &renamed, 0) == CURLUE_OK) {
        (void)snprintf(line, sizeof(line), "%s:%s:%s:%s", name, port, host,
                       port);
        h->connect_to = curl_slist_append(NULL, line);
        CHECK(h->connect_to != NULL);
        (void)curl_easy_setopt(h->easy, CURLOPT_CONNECT_TO, h->connect_to);
        (void)curl_easy_setopt(h->easy, CURLOPT_URL, renamed);
        (void)snprintf(line, sizeof(line), "%s:%s", host, port);
        header_add(h, "Host", line);
        done = true;
    }
    curl_free(host);
    curl_free(port);
    curl_free(renamed);
    curl_url_cleanup(url);
    return done;
}

/* As curl would, but not inherited by exec checks that start meanwhile: one
 * that stays behind would keep the connection open. */
static curl_socket_t on_open_socket(void *data, curlsocktype purpose,
                                    struct curl_sockaddr *address)
{
    (void)data;
    (void)purpose;
    return socket(address->family, address->socktype | SOCK_CLOEXEC,
                  address->protocol);
}

static void options_set(struct probe *p, const struct probe_spec *spec)
{
    CURL *easy = p->http.easy;

    (void)curl_easy_setopt(easy, CURLOPT_URL, p->http.url);
    (void)curl_easy_setopt(easy, CURLOPT_PRIVATE, p);
    (void)curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, p->http.error);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEDATA, p);
    (void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
    /* Checks look at the service itself, never through a proxy. */
    (void)curl_easy_setopt(easy, CURLOPT_PROXY, "");
    (void)curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
    /* A hanging resolver thread must not hold the loop when we give up. */
    (void)curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    (void)curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    (void)curl_easy_setopt(easy, CURLOPT_HEADERDATA, p);
    (void)curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, 4096L);
    (void)curl_easy_setopt(easy, CURLOPT_CONNECT_ONLY,
                           p->http.handshake_only ? 1L : 0L);
    if (spec->tls_ca_file && spec->tls_ca_file[0] != '\0') {
        (void)curl_easy_setopt(easy, CURLOPT_CAINFO, spec->tls_ca_file);
    }
    if (spec->tls_skip_verify) {
        (void)curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
        (void)curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
    }
}

static void names_set(struct probe_http *h, const struct probe_spec *spec)
{
    char url[LIMIT_URL_BYTES];
    char what[LIMIT_URL_BYTES + 32];

    h->handshake_only = spec->type == PROBE_TLS;
    if (h->handshake_only) {
        (void)snprintf(url, sizeof(url), "https://%s/", spec->target);
        (void)snprintf(what, sizeof(what), "TCP+TLS connect %s", spec->target);
    } else {
        const char *method = spec->method ? spec->method : "GET";

        (void)snprintf(url, sizeof(url), "%s", spec->target);
        (void)snprintf(what, sizeof(what), "HTTP %s %s", method, spec->target);
    }
    h->url = strdup(url);
    h->what = strdup(what);
    CHECK(h->url != NULL);
    CHECK(h->what != NULL);
}

/* The host and the port that a URL says; false: there is none. */
static bool url_target(const char *url, struct probe_target *out_target)
{
    bool tls = strncasecmp(url, "https://", 8) == 0;
    const char *start = strstr(url, "://");
    size_t len = start ? strcspn(start + 3, "/?#") : 0;
    char text[sizeof(out_target->host) + 8];
    const char *user = NULL;

    if (len == 0 || len >= sizeof(text)) {
        return false;
    }
    start += 3;
    user = memrchr(start, '@', len);
    if (user != NULL) {
        len -= (size_t)(user + 1 - start);
        start = user + 1;
    }
    (void)snprintf(text, sizeof(text), "%.*s", (int)len, start);
    if (strchr(text, ']') ? text[len - 1] == ']' : !strchr(text, ':')) {
        (void)snprintf(text + len, sizeof(text) - len, tls ? ":443" : ":80");
    }
    return probe_target_split(out_target, text);
}

/* "+HOST:PORT:ADDRESS,[ADDRESS]": curl's own cache of names. An address needs
 * no address. */
static void tell_addresses(struct probe_http *h)
{
    char line[sizeof(h->target.host) + PROBE_ADDRESSES_MAX * 64];
    size_t len = (size_t)snprintf(line, sizeof(line), "+%s:%u", h->target.host,
                                  h->target.port);

    if (h->wait.literal) {
        return;
    }
    for (unsigned i = 0; i < h->wait.count; i++) {
        const union probe_address *a = &h->wait.addresses[i];
        bool v6 = a->any.sa_family == AF_INET6;
        char text[INET6_ADDRSTRLEN] = "";

        (void)inet_ntop(a->any.sa_family,
                        v6 ? (const void *)&a->v6.sin6_addr
                           : (const void *)&a->v4.sin_addr,
                        text, sizeof(text));
        len +=
            (size_t)snprintf(line + len, sizeof(line) - len,
                             v6 ? "%c[%s]" : "%c%s", i == 0 ? ':' : ',', text);
        CHECK(len < sizeof(line));
    }
    h->resolved = curl_slist_append(NULL, line);
    CHECK(h->resolved != NULL);
    (void)curl_easy_setopt(h->easy, CURLOPT_RESOLVE, h->resolved);
}

static void transfer_begin(struct probe *p, int error)
{
    struct probe_http *h = &p->http;

    if (error) {
        probe_finish(p, PROBE_CRITICAL, "%s: %s: %s", h->what, h->target.host,
                     uv_strerror(error));
        return;
    }
    tell_addresses(h);
    if (curl_multi_add_handle(p->host->multi, h->easy) != CURLM_OK) {
        probe_finish(p, PROBE_CRITICAL, "%s: cannot start", h->what);
        return;
    }
    h->added = true;
}

static void codes_set(struct probe_http *h, const struct probe_spec *spec)
{
    if (spec->codes_count > 0) {
        h->codes = calloc(spec->codes_count, sizeof(*h->codes));
        CHECK(h->codes != NULL);
        memcpy(h->codes, spec->codes, spec->codes_count * sizeof(*h->codes));
        h->codes_count = spec->codes_count;
    }
}

static void http_start(struct probe *p, const struct probe_spec *spec)
{
    struct probe_http *h = &p->http;

    buf_init(&h->body, p->output.limit);
    names_set(h, spec);
    codes_set(h, spec);
    h->easy = curl_easy_init();
    CHECK(h->easy != NULL);
    options_set(p, spec);
    if (!url_target(h->url, &h->target) ||
        (spec->tls_server_name && spec->tls_server_name[0] != '\0' &&
         !server_name_set(h, spec->tls_server_name))) {
        probe_finish(p, PROBE_CRITICAL, "%s: bad URL or tls_server_name",
                     h->what);
        return;
    }
    method_set(h->easy, spec);
    headers_set(h, spec);
    probe_resolve(p, &h->wait, &h->target, transfer_begin);
}

static void http_close(struct probe *p)
{
    probe_resolve_cancel(&p->http.wait);
    if (p->http.added) {
        /* The handle goes out of the multi at once; its sockets are closed by
         * their own callbacks. */
        (void)curl_multi_remove_handle(p->host->multi, p->http.easy);
        p->http.added = false;
    }
}

static void http_release(struct probe *p)
{
    curl_easy_cleanup(p->http.easy);
    curl_slist_free_all(p->http.headers);
    curl_slist_free_all(p->http.connect_to);
    curl_slist_free_all(p->http.resolved);
    free(p->http.codes);
    free(p->http.url);
    free(p->http.what);
    buf_release(&p->http.body);
}

const struct probe_kind probe_http_kind = {
    .start = http_start,
    .close = http_close,
    .release = http_release,
};
