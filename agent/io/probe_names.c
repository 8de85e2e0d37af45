/* Addresses of the hosts that checks ask.
 *
 * Ten thousand checks may name one host, and a name server may be silent for
 * seconds. So a name is looked up once for all who wait for it, what was found
 * is kept for a moment, and only LIMIT_PROBE_LOOKUPS names are looked up at the
 * same time: each holds one of libuv's few threads, which the disk needs, too.
 */

#include <netdb.h>
#include <stdlib.h>
#include <uthash.h>

#include "agent/io/probe_impl.h"
#include "base/core/check.h"
#include "base/core/limits.h"

TAILQ_HEAD(wait_list, probe_wait);

struct probe_name {
    UT_hash_handle hh;
    TAILQ_ENTRY(probe_name) queue; /* While it waits for its turn. */
    struct probe_host *host;
    struct wait_list waiting;
    uv_getaddrinfo_t request;
    bool queued;
    bool asked; /* The request is under way. */
    uint64_t fresh_until_ms;
    union probe_address addresses[PROBE_ADDRESSES_MAX];
    unsigned count;
    char text[];
};

struct probe_names {
    struct probe_name *by_text;
    TAILQ_HEAD(, probe_name) queue;
    unsigned asked;
    bool closing;
};

/* ---- Targets ----------------------------------------------------------- */

bool probe_target_split(struct probe_target *out_target, const char *text)
{
    const char *colon = strrchr(text, ':');
    size_t len = colon ? (size_t)(colon - text) : 0;
    unsigned long port = colon ? strtoul(colon + 1, NULL, 10) : 0;

    if (len >= 2 && text[0] == '[' && text[len - 1] == ']') {
        text++;
        len -= 2;
    }
    if (len == 0 || len >= sizeof(out_target->host) || port == 0 ||
        port > UINT16_MAX) {
        return false;
    }
    memcpy(out_target->host, text, len);
    out_target->host[len] = '\0';
    out_target->port = (uint16_t)port;
    return true;
}

const struct sockaddr *probe_next_address(struct probe_wait *wait)
{
    return wait->tried < wait->count ? &wait->addresses[wait->tried++].any
                                     : NULL;
}

static bool read_literal(const char *host, union probe_address *out)
{
    return uv_ip4_addr(host, 0, &out->v4) == 0 ||
           uv_ip6_addr(host, 0, &out->v6) == 0;
}

static void set_port(union probe_address *a, uint16_t port)
{
    if (a->any.sa_family == AF_INET) {
        a->v4.sin_port = htons(port);
    } else {
        a->v6.sin6_port = htons(port);
    }
}

/* ---- Names ------------------------------------------------------------- */

/* The wait is over. */
static void tell(struct probe_wait *wait, const union probe_address *addresses,
                 unsigned count, int error)
{
    wait->name = NULL;
    for (unsigned i = 0; i < count; i++) {
        wait->addresses[i] = addresses[i];
        set_port(&wait->addresses[i], wait->port);
    }
    wait->count = count;
    wait->tried = 0;
    wait->on_found(wait->probe, error);
}

static void name_keep(struct probe_name *n, const struct addrinfo *list)
{
    n->count = 0;
    for (; list != NULL && n->count < PROBE_ADDRESSES_MAX;
         list = list->ai_next) {
        if ((list->ai_family == AF_INET || list->ai_family == AF_INET6) &&
            list->ai_addrlen <= sizeof(n->addresses[0])) {
            memcpy(&n->addresses[n->count++], list->ai_addr, list->ai_addrlen);
        }
    }
}

static void names_ask(struct probe_host *host);

static void on_resolved(uv_getaddrinfo_t *request, int error,
                        struct addrinfo *list)
{
    struct probe_name *n = request->data;
    struct probe_host *host = n->host;
    struct probe_wait *wait;

    n->asked = false;
    host->names->asked--;
    name_keep(n, error ? NULL : list);
    uv_freeaddrinfo(list);
    if (n->count > 0) {
        n->fresh_until_ms = uv_now(host->uv) + PROBE_NAMES_MS;
    } else if (!error) {
        error = UV_EAI_NONAME;
    }
    /* Who is told may cancel others, or ask for a name again. */
    while (!n->asked && (wait = TAILQ_FIRST(&n->waiting)) != NULL) {
        TAILQ_REMOVE(&n->waiting, wait, link);
        tell(wait, n->addresses, n->count, error);
    }
    names_ask(host);
    probe_host_closed_one(host);
}

static void name_ask(struct probe_name *n)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                             .ai_family = AF_UNSPEC};

    n->request.data = n;
    CHECK(uv_getaddrinfo(n->host->uv, &n->request, on_resolved, n->text, NULL,
                         &hints) == 0); /* Its length is bounded. */
    n->asked = true;
    n->host->names->asked++;
    n->host->open_handles++;
}

/* Let the next names have their turn. */
static void names_ask(struct probe_host *host)
{
    struct probe_names *names = host->names;
    struct probe_name *n;

    while (names->asked < LIMIT_PROBE_LOOKUPS && !names->closing &&
           (n = TAILQ_FIRST(&names->queue)) != NULL) {
        TAILQ_REMOVE(&names->queue, n, queue);
        n->queued = false;
        if (!TAILQ_EMPTY(&n->waiting)) {
            name_ask(n);
        }
    }
}

static bool name_idle(const struct probe_name *n)
{
    return !n->asked && !n->queued && TAILQ_EMPTY(&n->waiting);
}

static void names_drop(struct probe_names *names, struct probe_name *n)
{
    HASH_DEL(names->by_text, n);
    free(n);
}

/* Before there are too many, those that nobody waits for go. */
static void names_sweep(struct probe_names *names)
{
    struct probe_name *n;
    struct probe_name *next;

    if (HASH_COUNT(names->by_text) < LIMIT_PROBE_NAMES) {
        return;
    }
    HASH_ITER(hh, names->by_text, n, next)
    {
        if (name_idle(n)) {
            names_drop(names, n);
        }
    }
}

static struct probe_name *name_get(struct probe_host *host, const char *text)
{
    struct probe_names *names = host->names;
    struct probe_name *n = NULL;
    size_t len = strlen(text);

    HASH_FIND_STR(names->by_text, text, n);
    if (n == NULL) {
        names_sweep(names);
        n = calloc(1, sizeof(*n) + len + 1);
        CHECK(n != NULL);
        n->host = host;
        TAILQ_INIT(&n->waiting);
        memcpy(n->text, text, len + 1);
        HASH_ADD_STR(names->by_text, text, n);
    }
    return n;
}

void probe_resolve(struct probe *p, struct probe_wait *wait,
                   const struct probe_target *target,
                   void (*on_found)(struct probe *p, int error))
{
    union probe_address literal = {0};
    struct probe_name *n;

    wait->probe = p;
    wait->on_found = on_found;
    wait->port = target->port;
    wait->literal = read_literal(target->host, &literal);
    if (wait->literal) {
        tell(wait, &literal, 1, 0);
        return;
    }
    n = name_get(p->host, target->host);
    if (n->count > 0 && uv_now(p->host->uv) < n->fresh_until_ms) {
        tell(wait, n->addresses, n->count, 0);
        return;
    }
    wait->name = n;
    TAILQ_INSERT_TAIL(&n->waiting, wait, link);
    if (!n->asked && !n->queued) {
        n->queued = true;
        TAILQ_INSERT_TAIL(&p->host->names->queue, n, queue);
    }
    names_ask(p->host);
}

void probe_resolve_cancel(struct probe_wait *wait)
{
    if (wait->name != NULL) {
        TAILQ_REMOVE(&wait->name->waiting, wait, link);
        wait->name = NULL;
    }
}

/* ---- The host's part --------------------------------------------------- */

void probe_names_init(struct probe_host *host)
{
    host->names = calloc(1, sizeof(*host->names));
    CHECK(host->names != NULL);
    TAILQ_INIT(&host->names->queue);
}

void probe_names_close(struct probe_host *host)
{
    struct probe_name *n;
    struct probe_name *next;

    host->names->closing = true;
    HASH_ITER(hh, host->names->by_text, n, next)
    {
        if (n->asked) { /* Refused by a thread at work; then it ends later. */
            (void)uv_cancel((uv_req_t *)&n->request);
        }
    }
}

void probe_names_free(struct probe_host *host)
{
    struct probe_name *n;
    struct probe_name *next;

    HASH_ITER(hh, host->names->by_text, n, next)
    {
        CHECK(TAILQ_EMPTY(&n->waiting));
        names_drop(host->names, n);
    }
    free(host->names);
}
