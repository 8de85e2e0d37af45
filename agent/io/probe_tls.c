/* Whom checks over TLS trust: a context for each set of settings, as long as it
 * is used. */

#include <stdlib.h>

#include "agent/io/probe_impl.h"
#include "base/core/check.h"
#include "base/core/limits.h"
#include "base/io/tls.h"

struct probe_tls {
    struct probe_tls *next; /* Used longer ago. */
    struct tls *tls;
    bool anyone;
    bool http1;
    char ca[]; /* "": the system's. */
};

static bool is_it(const struct probe_tls *t, const struct tls_files *files)
{
    return t->anyone == files->anyone && t->http1 == files->http1 &&
           strcmp(t->ca, files->ca == NULL ? "" : files->ca) == 0;
}

static void to_front(struct probe_host *host, struct probe_tls *t)
{
    t->next = host->tls;
    host->tls = t;
}

/* Taken out of the list; NULL: it is not there. */
static struct probe_tls *take_out(struct probe_host *host,
                                  const struct tls_files *files)
{
    struct probe_tls **at = &host->tls;
    struct probe_tls *t;

    while (*at != NULL && !is_it(*at, files)) {
        at = &(*at)->next;
    }
    t = *at;
    if (t != NULL) {
        *at = t->next;
    }
    return t;
}

/* The one that nobody has used for longest makes room. */
static void make_room(struct probe_host *host)
{
    struct probe_tls **at = &host->tls;
    unsigned count = 0;

    while (*at != NULL && ++count < LIMIT_PROBE_TLS) {
        at = &(*at)->next;
    }
    if (*at != NULL) {
        tls_free((*at)->tls);
        free(*at);
        *at = NULL;
    }
}

static struct probe_tls *make(const struct tls_files *files, struct err *err)
{
    const char *ca = files->ca == NULL ? "" : files->ca;
    struct probe_tls *t;
    struct tls *tls;

    if (tls_client_new(files, &tls, err)) {
        return NULL;
    }
    t = calloc(1, sizeof(*t) + strlen(ca) + 1);
    CHECK(t != NULL);
    t->tls = tls;
    t->anyone = files->anyone;
    t->http1 = files->http1;
    memcpy(t->ca, ca, strlen(ca) + 1);
    return t;
}

struct tls *probe_tls_get(struct probe_host *host,
                          const struct probe_spec *spec, bool http1,
                          struct err *out_err)
{
    const char *ca = spec->tls_ca_file == NULL ? "" : spec->tls_ca_file;
    struct tls_files files = {.ca = *ca == '\0' ? NULL : ca,
                              .anyone = spec->tls_skip_verify,
                              .http1 = http1};
    struct probe_tls *t = take_out(host, &files);

    if (t == NULL) {
        t = make(&files, out_err);
        if (t == NULL) {
            return NULL;
        }
        make_room(host);
    }
    to_front(host, t);
    return tls_share(t->tls);
}

void probe_tls_free(struct probe_host *host)
{
    while (host->tls != NULL) {
        struct probe_tls *t = host->tls;

        host->tls = t->next;
        tls_free(t->tls);
        free(t);
    }
}
